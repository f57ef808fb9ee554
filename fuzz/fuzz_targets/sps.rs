//! Any bytes as a sequence parameter set, with and without a plausible start.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::avc::Sps;

fuzz_target!(|data: &[u8]| {
    for start in [&[][..], &[0x67, 100, 0, 31], &[0x67, 66, 0xC0, 30]] {
        if let Ok(sps) = Sps::parse(&[start, data].concat()) {
            assert!(sps.width > 0 && sps.height > 0);
            assert!(sps.codec().len() == "avc1.64001F".len());
        }
    }
});
