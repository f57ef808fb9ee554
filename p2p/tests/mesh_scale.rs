//! How long a joiner needs in a mesh of many, all in one process.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "mesh/world.rs"]
mod world;

use std::time::{Duration, Instant};

use futures::future::join_all;
use p2p::{ControlConfig, RecordDraft, RosterView};
use tracing_subscriber::EnvFilter;
use world::{Node, crowded_config, identity, start};

/// Nodes that join at the same time while the mesh is built: their handshakes share the machine.
const AT_ONCE: usize = 10;

/// Time for everybody to know everybody: what gossip loses on a busy machine, the next look at a neighbour's table finds.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

/// `count` orchestrators, each joined at an earlier one, all known to all.
async fn settled(count: usize) -> Vec<Node> {
    let from = Instant::now();
    let mut nodes: Vec<Node> = Vec::new();
    while nodes.len() < count {
        let batch = AT_ONCE.min(count - nodes.len()).min(nodes.len().max(1));
        let new = (0..batch).map(|n| join(nodes.len() + n, &nodes));
        let new: Vec<Node> = join_all(new).await;
        nodes.extend(new);
        println!("{} nodes after {:.1?}", nodes.len(), from.elapsed());
    }
    let complete = |view: &RosterView| view.orchestrators().count() == count;
    join_all(nodes.iter().map(|node| node.sees_within(SETTLED_WITHIN, "everybody", complete))).await;
    println!("{count} nodes settled in {:.1?}", from.elapsed());
    nodes
}

async fn join(n: usize, nodes: &[Node]) -> Node {
    let bootstrap = nodes.get(n / 2).map(Node::addr);
    let node = start(crowded_config(bootstrap.as_slice()), identity(n as u16)).await;
    if bootstrap.is_some() {
        node.nears_within(SETTLED_WITHIN, "anybody", |near| !near.is_empty()).await;
    }
    node
}

/// How long the `n`th newcomer, which knows one address, needs to know all orchestrators.
async fn joiner_knows_all(n: u16, nodes: &[Node]) -> Duration {
    let from = Instant::now();
    let config = crowded_config(&[nodes[nodes.len() / 3].addr()]);
    let joiner = start(ControlConfig { draft: RecordDraft::default(), ..config }, identity(9990 + n)).await;
    joiner.sees_workers(nodes.len()).await;
    from.elapsed()
}

async fn measure(count: usize, limit: Duration) {
    // With RUST_LOG=p2p=debug it shows why somebody is late. It may have been set by the other test already.
    let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).try_init();
    let nodes = settled(count).await;
    let mut times = Vec::new();
    for n in 0..3 {
        times.push(joiner_knows_all(n, &nodes).await);
    }
    let neighbours: Vec<usize> = nodes.iter().map(|n| n.control.watch_neighbours().borrow().len()).collect();
    let (most, sum) = (neighbours.iter().max().copied().unwrap_or(0), neighbours.iter().sum::<usize>());
    println!(
        "{count} nodes: a joiner knew all after {times:.0?}; connections mean {:.1}, most {most}",
        sum as f64 / count as f64
    );
    assert!(times.iter().all(|took| *took <= limit), "a joiner needed more than {limit:?}: {times:?}");
    join_all(nodes.iter().map(|node| node.control.shutdown())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_knows_60_orchestrators_within_two_seconds() {
    measure(60, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes long: make test-mesh"]
async fn a_joiner_knows_300_orchestrators_within_five_seconds() {
    measure(300, Duration::from_secs(5)).await;
}
