//! A real chain made by other people's software, followed live over HTTP, then through a proxy that changes every field of every
//! answer in turn. `scripts/test-interop.sh` starts the chain and runs this; alone it has nothing to talk to.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::{Duration, Instant};

use lightclient::source::score::{Health, Standing};
use lightclient::sync::{Clock, Event, LightClient, Origin};
use tokio::time::timeout;

use journey::{Journey, requests};
use liar::{Form, Liar, Lie};
use mutation::Mutation;
use trial::{Snapshot, assert_only_truth};
use world::World;

#[path = "interop/journey.rs"]
mod journey;
#[path = "interop/liar.rs"]
mod liar;
#[path = "interop/mutation.rs"]
mod mutation;
#[path = "interop/sweep.rs"]
mod sweep;
#[path = "interop/trial.rs"]
mod trial;
#[path = "interop/wire.rs"]
mod wire;
#[path = "interop/world.rs"]
mod world;

/// Longest way to a fork and a period's end: three periods.
const JOURNEY: Duration = Duration::from_secs(200);
/// Longest wait for one event of the chain, which makes a block a second.
const EVENT: Duration = Duration::from_secs(120);

/// Changes that change nothing that the light client says: kind of answer, field, changes, and why.
const WITHOUT_EFFECT: [(&str, &str, &str, &str); 33] = [
    ("bootstrap", "version", "nulled removed", VERSION),
    ("updates", "*.version", "nulled removed", VERSION),
    ("finality_update", "version", "nulled removed", VERSION),
    ("optimistic_update", "version", "nulled removed", VERSION),
    ("updates", "", "grown", "one period was asked for, the first update is taken"),
    ("updates", "*.data.signature_slot", "altered", SIGNATURE_SLOT),
    ("finality_update", "data.signature_slot", "altered", SIGNATURE_SLOT),
    ("optimistic_update", "data.signature_slot", "altered", SIGNATURE_SLOT),
    ("eth_chainId", "jsonrpc", "altered nulled removed", ENVELOPE),
    ("eth_getCode", "jsonrpc", "altered nulled removed", ENVELOPE),
    ("eth_getBlockByHash", "jsonrpc", "altered nulled removed", ENVELOPE),
    ("eth_getProof", "*.jsonrpc", "altered nulled removed", ENVELOPE),
    ("eth_getBlockByHash", "result.hash", "altered nulled removed", "the header's bytes are hashed"),
    ("eth_getBlockByHash", "result.size", "altered nulled removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.totalDifficulty", "altered nulled removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.uncles", "removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.transactions", "cut grown removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.transactions.*", "altered nulled", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.withdrawals", "cut grown removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.withdrawals.*.address", "altered nulled removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.withdrawals.*.amount", "altered nulled removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.withdrawals.*.index", "altered nulled removed", NO_HEADER_FIELD),
    ("eth_getBlockByHash", "result.withdrawals.*.validatorIndex", "altered nulled removed", NO_HEADER_FIELD),
    ("eth_getProof", "*.result.address", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.balance", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.nonce", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.codeHash", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.storageHash", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.storageProof.*.key", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.storageProof.*.value", "altered", NODES_DECIDE),
    ("eth_getProof", "*.result.accountProof", "grown", "the same node twice is one node"),
    ("eth_getProof", "*.result.storageProof.*.proof", "grown", "the same node twice is one node"),
    ("eth_getProof", "*.result.storageProof", "grown", "the same slot twice is one slot"),
];

const VERSION: &str = "old servers have none: the slot says which fork's form it is";
const SIGNATURE_SLOT: &str = "nobody signs it: the next slot has the same committee and the same fork";
const ENVELOPE: &str = "says that it is JSON-RPC 2.0";
const NO_HEADER_FIELD: &str = "the header has roots of transactions and withdrawals, and those are checked";
const NODES_DECIDE: &str =
    "what a server says of values is dropped: trie nodes under a proven root give them";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the chain that scripts/test-interop.sh starts"]
async fn a_live_chain_is_followed_across_a_fork_and_a_period() {
    let Some(world) = World::find().await else { return };
    let disk = tempfile::tempdir().unwrap();
    let mut config = world.config(world.genesis_checkpoint, Clock::System);
    config.data_dir = Some(disk.path().to_owned());
    let started = Instant::now();
    let sources = Vec::from(world.sources("only", &world.beacon, &world.l1));
    let client = LightClient::start(config.clone(), sources.clone()).unwrap();
    let mut events = client.events();
    timeout(EVENT, client.wait_synced()).await.expect("syncs").unwrap();
    let mut journey = Journey::from(&client, &world, 8);
    println!("synced from slot 8 to {journey} in {} ms", started.elapsed().as_millis());
    while !journey.has_crossed_a_fork_and_a_period() {
        let event = timeout(EVENT, events.recv()).await.expect("the chain grows").unwrap();
        journey.take(event, &client, &world).await;
        assert!(started.elapsed() < JOURNEY, "no fork or no period came: {journey}");
    }
    println!(
        "live: {journey}, {} requests, {:.0} s",
        requests(&client.status()),
        started.elapsed().as_secs_f64()
    );
    client.stop().await;

    let again = LightClient::start(config, sources).unwrap();
    timeout(EVENT, again.wait_synced()).await.expect("syncs").unwrap();
    assert!(matches!(again.status().origin, Some(Origin::Disk { .. })), "a restart begins where it was");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the chain that scripts/test-interop.sh starts"]
async fn every_changed_byte_is_refused_or_changes_nothing() {
    let Some(world) = World::find().await else { return };
    let snapshot = Snapshot::take(&world, a_period_ago(&world).await, Form::Ssz).await;
    let seen = snapshot.seen();
    for (kind, lie) in sweep::tell_all(&snapshot, sweep::all_chunks(&snapshot)).await {
        let Lie::Byte(at) = lie else { panic!("{kind}{lie} is no byte") };
        assert!(
            signature_slot(&kind, &seen[&kind].body).contains(&at),
            "{kind}{lie}: ignored, and nobody knows why"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the chain that scripts/test-interop.sh starts"]
async fn every_changed_field_is_refused_or_changes_nothing() {
    let Some(world) = World::find().await else { return };
    let snapshot = Snapshot::take(&world, a_period_ago(&world).await, Form::Json).await;
    let known: BTreeSet<_> = WITHOUT_EFFECT
        .iter()
        .flat_map(|(kind, field, changes, _)| {
            changes.split(' ').map(move |change| format!("{kind} {field} {change}"))
        })
        .collect();
    for (kind, lie) in sweep::tell_all(&snapshot, sweep::all_fields(&snapshot)).await {
        let Lie::Field(mutation) = &lie else { panic!("{kind}{lie} is no field") };
        let field = format!("{kind} {} {}", mutation.field(), mutation.change());
        assert!(known.contains(&field), "{kind}{lie}: ignored, and nobody knows why");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the chain that scripts/test-interop.sh starts"]
async fn one_honest_source_beside_a_liar_is_enough() {
    let Some(world) = World::find().await else { return };
    let (beacon, l1) =
        (Liar::before(&world.beacon, Form::Json).await, Liar::before(&world.l1, Form::Json).await);
    beacon.tell(lies_of_every_kind());
    l1.tell(lies_of_every_kind());
    let [honest_beacon, honest_l1] = world.sources("honest", &world.beacon, &world.l1);
    let mut sources = Vec::from(world.sources("liar", &beacon.url, &l1.url));
    sources.push(honest_beacon);
    let client = LightClient::start(world.config(world.genesis_checkpoint, Clock::System), sources).unwrap();
    let mut events = client.events();
    timeout(EVENT, client.wait_synced()).await.expect("syncs beside a liar").unwrap();
    let first = client.status().finalized.unwrap().slot;
    loop {
        let event = timeout(EVENT, events.recv()).await.expect("goes on beside a liar").unwrap();
        assert!(!matches!(event, Event::Alarm(_)), "{event:?}");
        if matches!(event, Event::Finalized(head) if head.slot > first) {
            break;
        }
    }
    let refused = client.prove_l1(world.keys()).await.expect_err("the only one to ask lies");
    println!("beside a liar from finalized slot {first} on; the liar alone: {refused}");
    client.add_source(honest_l1);
    let proof = client.prove_l1(world.keys()).await.unwrap();
    world.assert_true(&proof.value, proof.anchor.l2_block).await;
    let status = client.status();
    assert_only_truth(&status, &world).await;
    for source in &status.sources {
        let Health { standing, answers, failures, lies, .. } = source.health;
        println!(
            "{}: {standing:?}, {answers} answers that verify, {failures} failures, {lies} lies",
            source.name
        );
    }
    let (honest, liars) = status.sources.split_at(2);
    assert!(honest.iter().all(|source| source.health.lies == 0), "{honest:?}");
    assert!(
        liars.iter().all(|source| source.health.standing == Standing::Liar),
        "liars come last: {liars:?}"
    );
    client.stop().await;
}

/// One change for each kind of answer: a key, a signature, a node of a trie.
fn lies_of_every_kind() -> HashMap<String, Lie> {
    let lie = |kind: &str, path: &[&str]| (kind.to_owned(), Lie::Field(Mutation::alter(path)));
    HashMap::from([
        lie("bootstrap", &["data", "current_sync_committee", "pubkeys", "7"]),
        lie("updates", &["0", "data", "sync_aggregate", "sync_committee_signature"]),
        lie("finality_update", &["data", "finalized_header", "execution", "state_root"]),
        lie("optimistic_update", &["data", "attested_header", "beacon", "body_root"]),
        lie("eth_getProof", &["1", "result", "storageProof", "0", "proof", "1"]),
    ])
}

/// A block of the period before the one that runs: from there a client needs every kind of answer.
async fn a_period_ago(world: &World) -> alloy_primitives::B256 {
    let slot = world.spec.slot_at(Clock::System.now_ms() / 1000);
    let period = world.spec.period_at(slot);
    world.block_before(world.spec.period_start(period) - 16).await
}

/// Where an SSZ object has its signature slot: at the end of its fixed part, whose length is its first offset.
fn signature_slot(kind: &str, body: &[u8]) -> Range<usize> {
    // A list has length and fork digest before its object; a bootstrap has no signature.
    let start = match kind {
        "updates" => 12,
        "bootstrap" => return 0..0,
        _ => 0,
    };
    let first: [u8; 4] = body[start..start + 4].try_into().unwrap();
    let end = start + u32::from_le_bytes(first) as usize;
    end - 8..end
}
