//! Any bytes as an avcC record and as an access unit.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::avc::{self, Avcc};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(config) = Avcc::parse(&bytes).and_then(|record| record.to_config()) {
        Avcc::parse(&config.avcc).expect("what was written reads back");
    }
    let _ = (avc::is_idr(&bytes), avc::is_recovery_point(&bytes), avc::in_band(&bytes));
    for size in 1..=4 {
        let _ = avc::widen_lengths(&bytes, size);
    }
    assert!(avc::nals(&avc::from_annexb(&bytes)).all(|nal| nal.is_ok()));
});
