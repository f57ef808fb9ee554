//! Any bytes as an AudioSpecificConfig.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::aac::Asc;

fuzz_target!(|data: &[u8]| {
    if let Ok(asc) = Asc::parse(data) {
        assert!((7_350..=96_000).contains(&asc.rate) && matches!(asc.frame_samples, 960 | 1024));
    }
});
