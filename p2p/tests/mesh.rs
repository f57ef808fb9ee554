//! What a mesh promises its nodes, with real nodes over real QUIC.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "mesh/world.rs"]
mod world;

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;

use p2p::ControlConfig;
use world::{Node, config, identity, orchestrator, start, worker};

#[tokio::test]
async fn two_nodes_know_each_other_by_one_address() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    a.sees_workers(2).await;
    b.sees_workers(2).await;
    let record = b.control.roster().get(a.key()).unwrap().clone();
    assert_eq!(record.control, a.control.local_addrs());
    assert_eq!(record.media, ["127.0.0.1:9".parse().unwrap()]);
    b.nears("a with a round trip", |near| near.get(&a.key()).is_some_and(|near| near.rtt.is_some())).await;
    let status = b.control.status();
    assert_eq!(status.len(), 1);
    assert!(status[0].connected && status[0].direct && status[0].peer == a.key());
}

#[tokio::test]
async fn what_changes_at_one_end_is_soon_known_at_the_other() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    let c = worker(3, &[&b]).await;
    c.sees_workers(3).await;
    a.control.announce(orchestrator(3));
    let took = c.sees("the load of a", |view| Node::load_of(view, a.key()) == Some(3)).await;
    println!("a changed record was known after {took:?}");
}

#[tokio::test]
async fn many_changes_in_a_hurry_end_with_the_last() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    b.sees_workers(2).await;
    for load in 1..=500 {
        a.control.announce(orchestrator(load));
    }
    b.sees("the last load of a", |view| Node::load_of(view, a.key()) == Some(500)).await;
}

#[tokio::test]
async fn a_restarted_orchestrator_stays_one_in_the_eyes_of_the_others_until_it_can_say_more() {
    let a = worker(1, &[]).await;
    let before = worker(2, &[&a]).await;
    a.sees_workers(2).await;
    before.task.abort();
    let silent = ControlConfig { wait_for_draft: true, ..config(&[a.addr()]) };
    let again = start(silent, identity(2)).await;
    // It has given its own record, if it has one, to whom it asks for the table.
    again.sees("a", |view| view.get(a.key()).is_some()).await;
    assert_eq!(a.control.roster().orchestrators().count(), 2);
    assert!(again.control.roster().get(again.key()).is_none());
    again.control.announce(orchestrator(3));
    a.sees("its load", |view| Node::load_of(view, again.key()) == Some(3)).await;
}

#[tokio::test]
async fn a_node_that_leaves_is_gone_at_once_everywhere() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    let c = worker(3, &[&b]).await;
    c.sees_workers(3).await;
    a.sees_workers(3).await;
    c.control.shutdown().await;
    c.task.await.unwrap();
    a.sees_workers(2).await;
    b.sees_workers(2).await;
}

#[tokio::test]
async fn a_node_whose_handles_are_gone_leaves() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    a.sees_workers(2).await;
    drop(b.control);
    b.task.await.unwrap();
    a.sees_workers(1).await;
}

#[tokio::test]
async fn a_bootstrap_node_that_starts_late_is_found() {
    let reserved = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = reserved.local_addr().unwrap();
    let early = start(config(&[addr]), identity(1)).await;
    early.control.announce(orchestrator(0));
    drop(reserved);
    let late = start(ControlConfig { listen: vec![addr], ..config(&[]) }, identity(2)).await;
    late.control.announce(orchestrator(0));
    early.sees_workers(2).await;
}

#[tokio::test]
async fn a_node_that_restarts_elsewhere_is_found_again() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    let old = worker(3, &[&b]).await;
    a.sees_workers(3).await;
    let (key, before) = (old.key(), old.addr());
    // Not a word of good-bye.
    old.task.abort();
    let new = worker(3, &[&a]).await;
    let at_new = |view: &p2p::RosterView| view.get(key).is_some_and(|record| record.control == [new.addr()]);
    b.sees("the new address", at_new).await;
    assert_ne!(before, new.addr());
    new.sees_workers(3).await;
    let there =
        |near: &p2p::swarm::Neighbours| near.get(&key).is_some_and(|near| near.addr == Some(new.addr()));
    b.nears("the restarted node", there).await;
}

#[tokio::test]
async fn nodes_of_different_networks_refuse_each_other() {
    let a = worker(1, &[]).await;
    let stranger = start(ControlConfig { network: "other".into(), ..config(&[a.addr()]) }, identity(2)).await;
    stranger.control.announce(orchestrator(0));
    let b = worker(3, &[&a]).await;
    b.sees_workers(2).await;
    a.sees_workers(2).await;
    assert!(a.control.roster().get(stranger.key()).is_none());
    assert!(stranger.control.status().is_empty());
}

#[tokio::test]
async fn a_wanted_peer_is_connected_whatever_the_degree() {
    let a = worker(1, &[]).await;
    let b = worker(2, &[&a]).await;
    let c = start(ControlConfig { degree: 1, ..config(&[a.addr()]) }, identity(3)).await;
    c.sees_workers(2).await;
    c.control.connect(b.key(), world::LIMIT).await.unwrap();
    assert!(c.control.status().iter().any(|peer| peer.peer == b.key() && peer.connected));
    let nobody = c.control.connect(identity(99).peer_key(), Duration::from_millis(200)).await;
    assert!(nobody.unwrap_err().to_string().contains("could not be connected"));
}

#[tokio::test]
async fn a_network_that_cannot_be_named_and_a_port_that_is_taken_are_errors_that_say_so() {
    let a = worker(1, &[]).await;
    let bad = ControlConfig { network: "Über".into(), ..config(&[]) };
    let taken = ControlConfig { listen: vec![a.addr()], ..config(&[]) };
    let nowhere = ControlConfig { listen: vec![], ..config(&[]) };
    let error = |config| async { p2p::Control::start(config, identity(2)).await.unwrap_err().to_string() };
    assert!(error(bad).await.contains("cannot name a network"));
    assert!(error(taken).await.contains(&a.addr().to_string()));
    assert!(error(nowhere).await.contains("no address to listen on"));
}

#[tokio::test]
async fn a_full_bootstrap_node_still_lets_newcomers_know_everybody() {
    let small = ControlConfig { max_connections: 8, draft: orchestrator(0), ..config(&[]) };
    let full = start(small, identity(1)).await;
    let mut crowd = Vec::new();
    for n in 2..26 {
        crowd.push(worker(n, &[&full]).await);
    }
    for node in &crowd {
        node.sees_workers(25).await;
    }
    let newcomer = worker(99, &[&full]).await;
    newcomer.sees_workers(26).await;
    full.nears("a few only", |near| near.len() <= 8).await;
}

/// Tells the child process of the next test where to join.
const JOIN_AT: &str = "LIVEMESH_TEST_JOIN_AT";

#[tokio::test]
async fn a_killed_node_is_seen_as_disconnected_at_once_and_stays_in_the_roster() {
    let a = worker(1, &[]).await;
    let mut child = Kill(spawn("child", a.addr(), None));
    let key = identity(77).peer_key();
    a.sees("the child", |view| view.get(key).is_some()).await;
    a.nears("the child", |near| near.contains_key(&key)).await;
    child.0.kill().unwrap();
    let took = a.nears("nobody", |near| !near.contains_key(&key)).await;
    println!("a killed node was noticed after {took:?}");
    let status = a.control.status();
    assert!(status.iter().any(|peer| peer.peer == key && !peer.connected), "{status:?}");
    assert!(a.control.roster().get(key).is_some());
}

#[tokio::test]
#[ignore = "the child process of the test above"]
async fn child() {
    let Ok(addr) = std::env::var(JOIN_AT) else { return };
    let node = start(config(&[addr.parse().unwrap()]), identity(77)).await;
    node.task.await.unwrap();
}

/// Tells the child process of the next test where to listen.
const LISTEN_AT: &str = "LIVEMESH_TEST_LISTEN_AT";

/// Nobody takes a connection for dead by itself, or a neighbour for mute.
fn patient(config: ControlConfig) -> ControlConfig {
    let long = Duration::from_secs(600);
    ControlConfig { liveness: long, patience: long, draft: orchestrator(0), ..config }
}

#[tokio::test]
async fn a_killed_node_that_is_back_before_anybody_missed_it_hears_gossip_again() {
    let a = start(patient(config(&[])), identity(1)).await;
    let reserved = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = reserved.local_addr().unwrap();
    drop(reserved);
    let mut child = Kill(spawn("listening_child", a.addr(), Some(at)));
    let key = identity(77).peer_key();
    a.nears("the child", |near| near.contains_key(&key)).await;
    // Connections dialed within this time of each other count as one from both ends.
    tokio::time::sleep(Duration::from_secs(3)).await;
    child.0.kill().unwrap();
    child.0.wait().unwrap();

    let mut again = Kill(spawn("listening_child", a.addr(), Some(at)));
    for load in 1.. {
        a.control.announce(orchestrator(load));
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Some(status) = again.0.try_wait().unwrap() {
            assert!(status.success(), "it heard too little");
            return;
        }
    }
}

#[tokio::test]
#[ignore = "the child process of the test above"]
async fn listening_child() {
    let (Ok(addr), Ok(at)) = (std::env::var(JOIN_AT), std::env::var(LISTEN_AT)) else { return };
    let listen = ControlConfig { listen: vec![at.parse().unwrap()], ..config(&[addr.parse().unwrap()]) };
    let node = start(patient(listen), identity(77)).await;
    // By taking the table, it would hear of two changes in that time: one at once, and one after five seconds.
    let (mut heard, key) = (std::collections::BTreeSet::new(), identity(1).peer_key());
    let much = node.sees_within(Duration::from_secs(15), "gossip", |view| {
        heard.extend(Node::load_of(view, key));
        heard.len() >= 4
    });
    much.await;
}

struct Kill(Child);

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(child: &str, join_at: SocketAddr, listen_at: Option<SocketAddr>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", child, "--ignored"]).env(JOIN_AT, join_at.to_string());
    command.envs(listen_at.map(|at| (LISTEN_AT, at.to_string()))).spawn().unwrap()
}
