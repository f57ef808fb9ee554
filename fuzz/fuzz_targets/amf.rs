//! Any bytes as an AMF 0 command: an error, or texts that are no longer than the bytes allow.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/ingest/rtmp/amf.rs"]
mod amf;

use amf::{Command, MAX_COMMAND};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(command) = Command::parse(data) else { return };
    assert!(data.len() <= MAX_COMMAND);
    let texts = command.texts.iter().map(String::len).sum::<usize>();
    // A byte that is not UTF-8 becomes a character of three.
    assert!(command.name.len() + texts + command.app.map_or(0, |app| app.len()) <= 3 * data.len());
});
