//! Any bytes at the media port, behind QUIC: as an offer, as a step of an answer, and as a stream of frames with a body.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use p2p::media::fuzzing;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime of one thread"));

fuzz_target!(|data: &[u8]| {
    fuzzing::offer(data);
    fuzzing::step(data);
    RUNTIME.block_on(fuzzing::stream(data));
});
