//! Any bytes from a worker that was taken over, and to a worker: frames that can be sent again, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| media::worker::fuzzing::frames(data));
