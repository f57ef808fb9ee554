//! Any bytes as ADTS: it ends, and frames do not overlap.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::aac;

fuzz_target!(|data: &[u8]| {
    let stream = Bytes::copy_from_slice(data);
    let frames: usize = aac::adts(&stream).flatten().map(|frame| frame.data.len()).sum();
    assert!(frames <= stream.len());
});
