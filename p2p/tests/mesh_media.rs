//! Both planes of a node together: where segments go is what records say.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "mesh/world.rs"]
mod world;

#[allow(dead_code, reason = "shared with the media plane's own tests")]
#[path = "media/world.rs"]
mod segments;

use std::net::SocketAddr;
use std::time::Duration;

use p2p::media::MediaEndpoint;
use p2p::{ControlConfig, Identity, RecordDraft, RosterView};
use protocol::PeerKey;
use tokio::runtime::Runtime;
use world::{Node, config, orchestrator, start};

/// Within this a restarted node's new address is known: a viewer waits for less than two segments.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);

/// A node with both planes, of which the media plane answers every offer.
struct Both {
    node: Node,
    media: MediaEndpoint,
}

impl Both {
    async fn start(seed: u8, bootstrap: Vec<SocketAddr>) -> Self {
        let media = segments::endpoint(seed);
        segments::orchestrate(&media);
        let at = SocketAddr::from(([0, 0, 0, 0], media.local_addr().unwrap().port()));
        let draft = RecordDraft { media: vec![at], ..orchestrator(0) };
        let node = start(ControlConfig { draft, ..config(&bootstrap) }, segments::identity(seed)).await;
        Self { node, media }
    }

    fn at(&self) -> SocketAddr {
        self.media.local_addr().unwrap()
    }

    /// Sends a segment to where the record of `seed` says that it is.
    async fn exchanges_with(&self, seed: u8, seq: u64) {
        let record = self.node.control.roster().get(key(seed)).unwrap().clone();
        let body = segments::segment(100_000);
        let offer = segments::offer(seq, &body);
        let answers = self.media.request(record.peer, &record.media, offer, body.clone());
        segments::check(&segments::all(answers).await.unwrap(), &body);
    }
}

/// A node that can end as by SIGKILL: with its runtime its sockets are gone, and nobody is told.
fn mortal(seed: u8, bootstrap: SocketAddr) -> (Runtime, Both) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let born = runtime.spawn(Both::start(seed, vec![bootstrap]));
    let both = futures::executor::block_on(born).unwrap();
    (runtime, both)
}

fn key(seed: u8) -> PeerKey {
    Identity::from_seed([seed; 32]).peer_key()
}

fn is_at(seed: u8, at: SocketAddr) -> impl Fn(&RosterView) -> bool {
    move |view| view.get(key(seed)).is_some_and(|record| record.media == [at])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_that_restarts_on_another_media_port_is_asked_there() {
    let asker = Both::start(1, vec![]).await;
    let (runtime, old) = mortal(2, asker.node.addr());
    asker.node.sees("where segments go", is_at(2, old.at())).await;
    asker.exchanges_with(2, 0).await;

    let was_at = old.at();
    runtime.shutdown_background();
    let (runtime, new) = mortal(2, asker.node.addr());
    assert_ne!(new.at(), was_at);
    let took = asker.node.sees_within(KNOWN_WITHIN, "the new media port", is_at(2, new.at())).await;
    println!("a restarted node's media port was known after {took:?}");
    asker.exchanges_with(2, 1).await;
    runtime.shutdown_background();
}
