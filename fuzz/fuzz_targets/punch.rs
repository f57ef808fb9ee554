//! Any bytes as the frames by which two nodes behind NATs tell each other where they are: an error, or public addresses within
//! the bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2p::media::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::punch(data));
