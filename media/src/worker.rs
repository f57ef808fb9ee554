//! The worker process: bytes from strangers are parsed and decoded here, and nowhere else.
//!
//! Both sides of it. The child ([`run`], started as `livemesh worker`) takes jobs on standard input, one at a time, and answers
//! on standard output; it has no files, no network, no way to start programs, and bounded memory. The node's side ([`Workers`])
//! keeps a few children, kills one on its deadline, when its job is dropped or when it breaks the protocol, and repeats a
//! job once after a crash. The child ends when the node does: its standard input closes.

mod demux;
mod error;
mod file;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod messages;
mod pool;
mod process;
mod remux;
mod sandbox;
mod serve;

pub use crate::transcode::ffi::Target;
pub use error::WorkerError;
pub use messages::{Isolation, Protections};
pub use pool::{WorkerConfig, Workers};
pub use sandbox::{DEFAULT_MEMORY, tune_memory};
pub use serve::run;
