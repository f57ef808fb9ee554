//! Any bytes behind a handshake, in any pieces, as what a publisher sends: events, each within its bound, or the end of the
//! connection; and what it carries as FLV tags.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/ingest/rtmp/amf.rs"]
mod amf;
#[path = "../../src/ingest/rtmp/chunk.rs"]
mod chunk;
#[path = "../../src/ingest/rtmp/flv.rs"]
mod flv;
#[path = "../../src/ingest/rtmp/session.rs"]
mod session;

use flv::Converter;
use libfuzzer_sys::fuzz_target;
use session::{Event, Session};

/// Both of a publisher's parts of the handshake.
const HANDSHAKE: usize = 1 + 2 * 1536;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let mut hello = vec![0; HANDSHAKE];
    hello[0] = 3;
    let (mut session, mut converter) = (Session::default(), Converter::default());
    if feed(&mut session, &mut converter, &hello).is_err() {
        return;
    }
    for piece in bytes.chunks(usize::from(piece) + 1) {
        if feed(&mut session, &mut converter, piece).is_err() {
            let _ = session.refuse("fuzzed".into());
            return;
        }
        // Answers are few: nobody can make a node write more than a little for each byte.
        assert!(session.take_output().len() <= 4096 + 64 * HANDSHAKE);
    }
});

fn feed(session: &mut Session, converter: &mut Converter, piece: &[u8]) -> Result<(), session::Fault> {
    session.input().extend_from_slice(piece);
    session.received(piece.len());
    while let Some(event) = session.next()? {
        match event {
            Event::Publish { app, name } => {
                assert!(app.len() + name.len() <= 3 * amf::MAX_COMMAND);
                session.accept()?;
            }
            Event::Video { time, body } => {
                assert!(body.len() <= chunk::MAX_MESSAGE);
                converter.video(time, &body);
            }
            Event::Audio { time, body } => {
                assert!(body.len() <= chunk::MAX_MESSAGE);
                converter.audio(time, &body);
            }
            Event::Unpublish => return Ok(()),
        }
    }
    Ok(())
}
