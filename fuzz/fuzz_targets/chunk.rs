//! Any bytes as RTMP chunks: the messages are the same however the bytes are split.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/ingest/rtmp/chunk.rs"]
mod chunk;

use bytes::BytesMut;
use chunk::{ChunkReader, MAX_MESSAGE, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&split, bytes)) = data.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    for message in &whole.0 {
        assert!(message.payload.len() <= MAX_MESSAGE.min(bytes.len()));
    }
    assert_eq!(whole, read(bytes, usize::from(split) + 1));
});

/// All messages and whether the bytes were refused; control messages act as in a session.
fn read(bytes: &[u8], piece: usize) -> (Vec<Message>, bool) {
    let (mut reader, mut input, mut messages) = (ChunkReader::default(), BytesMut::new(), vec![]);
    for piece in bytes.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match reader.next(&mut input) {
                Ok(Some(message)) => {
                    let number = message.payload.first_chunk().map(|b: &[u8; 4]| u32::from_be_bytes(*b));
                    let fine = match (message.kind, number) {
                        (1, Some(size)) => reader.set_chunk_size(size).is_ok(),
                        (2, Some(id)) => {
                            reader.abort(id);
                            true
                        }
                        _ => true,
                    };
                    messages.push(message);
                    if !fine {
                        return (messages, true);
                    }
                }
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}
