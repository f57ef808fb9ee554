//! A healthy node has nothing to warn of.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "mesh/world.rs"]
mod world;

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use p2p::ControlConfig;
use tracing_subscriber::filter::LevelFilter;
use world::{config, identity, start, worker};

/// Longer than any of libp2p's first timers, the slowest of which is Kademlia's half a second.
const LONG_ENOUGH: Duration = Duration::from_millis(1500);

/// Hands on each line that is logged.
struct Lines(mpsc::Sender<String>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Nobody listens any more when the test is over.
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_a_lone_node_nor_two_that_meet_warn_of_anything() {
    let (line, lines) = mpsc::channel();
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_ansi(false);
    log.with_writer(move || Lines(line.clone())).init();
    let alone = start(ControlConfig { network: "alone".into(), ..config(&[]) }, identity(1)).await;
    // A node that others reach answers for addresses, and so does more with Kademlia.
    let public = ControlConfig { external: vec!["127.0.0.1:9".parse().unwrap()], ..config(&[]) };
    let a = start(public, identity(2)).await;
    let b = worker(3, &[&a]).await;
    b.sees("both", |view| view.records.len() == 2).await;
    let first = tokio::task::spawn_blocking(move || lines.recv_timeout(LONG_ENOUGH)).await.unwrap();
    assert!(first.is_err(), "{first:?}");
    drop((alone, a, b));
}
