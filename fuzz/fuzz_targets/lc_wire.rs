//! Any bytes as a question, an answer, a request or a reply of the proof protocol: an error, or what writes itself as these
//! bytes.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use libfuzzer_sys::fuzz_target;
use lightclient::source::wire::parcel::{Reply, Request};
use lightclient::source::wire::{decode_answer, decode_ask, encode_answer, encode_ask};

fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    match kind {
        0 => {
            if let Ok(ask) = decode_ask(rest) {
                assert_eq!(encode_ask(&ask).as_deref(), Ok(rest));
            }
        }
        1 => {
            if let Ok(answer) = decode_answer(rest) {
                assert_eq!(encode_answer(&answer).as_deref(), Ok(rest));
            }
        }
        2 => {
            if let Ok(request) = Request::decode(rest) {
                assert_eq!(request.encode().as_deref(), Ok(rest));
            }
        }
        _ => {
            if let Ok(reply) = Reply::decode(rest) {
                assert_eq!(reply.encode(), rest);
            }
        }
    }
});
