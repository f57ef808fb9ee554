//! Any text as a configuration file: what it means, or an error that names the place.
#![no_main]
#![allow(dead_code)]

/// The node's own files, where they lie.
#[path = "../../src"]
mod node {
    pub(crate) mod config;
}

/// What the configuration asks of the command line: here it has no flags.
mod cli {
    #[derive(clap::Parser)]
    pub(crate) struct Cli;
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(why) = node::config::parse(text) {
        assert!(!why.is_empty());
    }
});
