//! Random bytes as what a node and its redeemer say to each other: values within their bounds that are said again as they were heard,
//! or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2p::wire::redeemer::{Reply, Request};

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = Request::decode(data) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    if let Ok(reply) = Reply::decode(data) {
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
});
