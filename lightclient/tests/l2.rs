//! Above the head of L1: rollup assertions, L2 headers, L2 state, tiers, guards, conflicts, other nodes as
//! the only source. The chain is forged, with keys that we have; tries, headers, logs and signatures are
//! real. Time is virtual.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use lightclient::arbitrum::sequenced::SequencedError;
use lightclient::proven::{Accept, Tier};
use lightclient::source::{Answer, Ask, At, Fault, Layer, Source, SourceError};
use lightclient::state::{Keys, Missing, StateView};
use lightclient::sync::{Config, Event, LightClient, Offered, Phase, ReadError, StartError};
use tokio::time::timeout;

#[path = "support/forge.rs"]
mod forge;
#[path = "support/tries.rs"]
mod tries;
#[path = "sync/world.rs"]
mod world;

use world::{CONTRACT, Server, World, slot};

const PENDING: Accept = Accept::Pending { l1_blocks: 0 };

type Shared = Arc<Mutex<World>>;

fn world() -> Shared {
    let mut world = World::new();
    world.assert(14);
    world.assert(16);
    world.write(16);
    Arc::new(Mutex::new(world))
}

fn start(config: Config, sources: &[&Arc<Server>]) -> LightClient {
    let sources = sources.iter().map(|source| Arc::clone(source) as Arc<dyn Source>).collect();
    LightClient::start(config, sources).unwrap()
}

fn config(world: &Shared) -> Config {
    world.lock().unwrap().config()
}

async fn until(client: &LightClient, wanted: impl Fn(&Event) -> bool) -> Event {
    let mut events = client.events();
    let found = async {
        loop {
            match events.recv().await {
                Ok(event) if wanted(&event) => return event,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(Duration::from_secs(600), found).await.unwrap()
}

async fn anchored(client: &LightClient) {
    until(client, |event| matches!(event, Event::Assertion(_))).await;
}

fn keys(slots: impl IntoIterator<Item = u64>) -> Keys {
    Keys::from([(CONTRACT, slots.into_iter().map(slot).collect::<BTreeSet<B256>>())])
}

async fn first_word(client: &LightClient, accept: Accept) -> (U256, Tier) {
    let proven = client.prove(accept, keys([1])).await.unwrap();
    (proven.value.storage(CONTRACT, slot(1)).unwrap(), proven.anchor.tier)
}

#[tokio::test(start_paused = true)]
async fn each_tier_reads_the_freshest_state_that_it_deserves() {
    let world = world();
    let client = start(config(&world), &[&Server::honest("only", &world)]);
    anchored(&client).await;
    // Slot 24 is final; assertions of blocks 9 (confirmed), 14 and 16.
    assert_eq!(first_word(&client, Accept::Confirmed).await, (U256::from(100), Tier::Confirmed));
    assert_eq!(first_word(&client, PENDING).await, (U256::from(120), Tier::Pending { l1_blocks: 8 }));
    let ten = Accept::Pending { l1_blocks: 10 };
    assert_eq!(first_word(&client, ten).await, (U256::from(110), Tier::Pending { l1_blocks: 10 }));
    let old = Accept::Pending { l1_blocks: 11 };
    assert_eq!(
        first_word(&client, old).await,
        (U256::from(100), Tier::Confirmed),
        "none is that old: the confirmed one serves"
    );
    let status = client.status();
    assert_eq!(status.anchors.iter().map(|anchor| anchor.l2_block).collect::<Vec<_>>(), [100, 120]);
}

#[tokio::test(start_paused = true)]
async fn a_read_fetches_what_it_lacks_until_it_has_all() {
    let world = world();
    let server = Server::honest("only", &world);
    let client = start(config(&world), &[&server]);
    anchored(&client).await;
    let before = server.asked("L2 proof");
    let sum = |view: &dyn StateView| -> Result<U256, Missing> {
        (2..6).try_fold(U256::ZERO, |sum, n| Ok(sum + view.storage(CONTRACT, slot(n))?))
    };
    let read = client.read(PENDING, keys([2]), |view, _| sum(view)).await.unwrap();
    assert_eq!((read.value, read.anchor.l2_block), (U256::from(14), 120));
    assert_eq!(server.asked("L2 proof") - before, 4, "three words were not foreseen");
    let again = client.read(PENDING, keys(2..6), |view, _| sum(view)).await.unwrap();
    assert_eq!(
        (again.value, server.asked("L2 proof") - before),
        (U256::from(14), 4),
        "all of it was proven before"
    );
    let absent = client.prove(PENDING, keys([9999])).await.unwrap();
    assert_eq!(absent.value.storage(CONTRACT, slot(9999)), Ok(U256::ZERO));
}

#[tokio::test(start_paused = true)]
async fn code_is_bound_to_the_proven_hash() {
    let world = world();
    let honest = Server::honest("honest", &world);
    let liar = Server::twisted("liar", &world, |ask, answer| match ask {
        Ask::Code { .. } => Some(Answer::Code(Bytes::from_static(b"other code"))),
        _ => answer,
    });
    let client = start(config(&world), &[&liar, &honest]);
    anchored(&client).await;
    assert_eq!(client.code(PENDING, CONTRACT).await.unwrap().value, CONTRACT.to_vec());
    let nobody = alloy_primitives::Address::repeat_byte(0xee);
    assert_eq!(client.code(PENDING, nobody).await.unwrap().value, Bytes::new());
}

fn changed(answer: Answer) -> Answer {
    let flip = |bytes: Bytes| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Bytes::from(bytes)
    };
    match answer {
        Answer::Header(raw) => Answer::Header(flip(raw)),
        Answer::Proof(nodes) => Answer::Proof(nodes.into_iter().map(flip).collect()),
        Answer::Assertions(logs) => Answer::Assertions(
            logs.into_iter()
                .map(|mut log| {
                    log.topics[1] = B256::repeat_byte(1);
                    log
                })
                .collect(),
        ),
        other => other,
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_liar_changes_above_l1_is_refused_and_an_honest_source_suffices() {
    for kind in ["L1 proof", "L2 proof", "L2 header", "assertions"] {
        let world = world();
        let honest = Server::honest("honest", &world);
        let liar = Server::twisted("liar", &world, move |ask, answer| {
            answer.map(|answer| if ask.to_string().contains(kind) { changed(answer) } else { answer })
        });
        let client = start(config(&world), &[&liar, &honest]);
        anchored(&client).await;
        assert_eq!(first_word(&client, PENDING).await.0, U256::from(120), "{kind}");
        let status = client.status();
        let liar = status.sources.iter().find(|source| &*source.name == "liar").unwrap();
        // A node that is not the root's own says nothing of who is wrong; all else is a lie.
        assert!(liar.health.lies > 0 || kind.ends_with("proof"), "{kind}: {liar:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invented_assertion_hides_no_real_one_and_sinks_its_inventor() {
    let world = world();
    let liar = Server::twisted("liar", &world, |ask, answer| match (ask, answer) {
        (Ask::Assertions { hashes, .. }, Some(Answer::Assertions(logs))) if hashes.is_empty() => {
            Some(Answer::Assertions(logs.iter().map(world::invented).collect()))
        }
        (_, answer) => answer,
    });
    let client = start(config(&world), &[&liar, &Server::honest("honest", &world)]);
    timeout(Duration::from_secs(60), client.wait_anchored()).await.unwrap().unwrap();
    assert_eq!(first_word(&client, PENDING).await.0, U256::from(120));
    let status = client.status();
    let last = status.sources.last().unwrap();
    assert_eq!((&*last.name, last.health.lies), ("liar", 1));
    assert!(last.last_fault.as_ref().unwrap().contains("not in the rollup's storage"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_fetches_what_others_ask_for_and_it_lacks() {
    let world = world();
    let relay = start(config(&world), &[&Server::honest("rpc", &world)]);
    anchored(&relay).await;
    let anchor = relay.l2(PENDING).await.unwrap();
    let block = lightclient::source::Block { number: anchor.header.number, hash: anchor.header.hash };
    let ask = Ask::Proof { layer: Layer::L2, block, keys: keys(20..30) };
    assert_eq!(relay.serve(&ask), None);
    assert!(matches!(relay.supply(&ask).await, Some(Answer::Proof(_))));
    assert!(matches!(relay.serve(&ask), Some(Answer::Proof(_))), "it is kept");
    let foreign = lightclient::source::Block { number: 7, hash: B256::repeat_byte(7) };
    assert_eq!(relay.supply(&Ask::Proof { layer: Layer::L2, block: foreign, keys: keys([1]) }).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_new_assertion_costs_one_log_request_one_header_and_one_proof() {
    let world = world();
    let server = Server::honest("only", &world);
    let client = start(config(&world), &[&server]);
    anchored(&client).await;
    let before = [server.asked("assertions"), server.asked("L2 header"), server.asked("L1 proof")];
    {
        let mut world = world.lock().unwrap();
        world.assert(30);
        world.write(30);
        world.head = 55;
    }
    anchored(&client).await;
    assert_eq!(client.l2(PENDING).await.unwrap().header.number, 130);
    let after = [server.asked("assertions"), server.asked("L2 header"), server.asked("L1 proof")];
    // L1 is proven for what is known, and again for the node that the log names.
    assert!(
        after[0] - before[0] <= 1 && after[1] - before[1] <= 1 && after[2] - before[2] <= 3,
        "{before:?} {after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_challenged_assertion_is_not_followed() {
    let world = world();
    {
        let mut world = world.lock().unwrap();
        world.challenge(1, 20);
        world.write(20);
    }
    let client = start(config(&world), &[&Server::honest("only", &world)]);
    anchored(&client).await;
    assert_eq!(first_word(&client, PENDING).await.0, U256::from(110), "the child in dispute is passed over");
}

#[tokio::test(start_paused = true)]
async fn new_code_behind_the_rollup_stops_reads_with_an_alarm() {
    let world = world();
    let client = start(config(&world), &[&Server::honest("only", &world)]);
    anchored(&client).await;
    {
        let mut world = world.lock().unwrap();
        world.write_with(30, 77);
        world.head = 55;
    }
    let Event::Alarm(alarm) = until(&client, |event| matches!(event, Event::Alarm(_))).await else {
        panic!()
    };
    assert_eq!(alarm.kind(), "guard", "{alarm}");
    assert!(matches!(client.prove(PENDING, keys([1])).await, Err(ReadError::Guard(_))));
}

#[tokio::test(start_paused = true)]
async fn assertions_and_pins_survive_a_restart() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let kept = || Config { data_dir: Some(folder.path().to_owned()), ..config(&world) };
    let first = start(kept(), &[&Server::honest("first", &world)]);
    anchored(&first).await;
    first.stop().await;
    let server = Server::honest("second", &world);
    let client = start(kept(), &[&server]);
    anchored(&client).await;
    assert_eq!(server.asked("assertions"), 0, "all logs are on disk");
    client.stop().await;
    {
        let mut world = world.lock().unwrap();
        world.write_with(30, 77);
        world.head = 55;
    }
    let client = start(kept(), &[&Server::honest("third", &world)]);
    let Event::Alarm(alarm) = until(&client, |event| matches!(event, Event::Alarm(_))).await else {
        panic!()
    };
    assert_eq!(alarm.kind(), "guard", "what was pinned before the restart still is: {alarm}");
}

#[tokio::test(start_paused = true)]
async fn the_sequenced_head_needs_its_voices() {
    let world = world();
    world.lock().unwrap().assert(40);
    let (a, b) = (Server::honest("a", &world), Server::honest("b", &world));
    let behind = Server::twisted("behind", &world, |ask, answer| match ask {
        Ask::HeaderAt { layer: Layer::L2, at: At::Latest } => None,
        _ => answer,
    });
    let client = start(config(&world), &[&a, &b, &behind]);
    anchored(&client).await;
    let anchor = client.l2(Accept::Sequenced { agree: 2 }).await.unwrap();
    assert_eq!((anchor.header.number, anchor.tier), (130, Tier::Sequenced { agree: 3, asked: 3 }));
    assert_eq!(first_word(&client, Accept::Sequenced { agree: 2 }).await.0, U256::from(130));
    let error = client.l2(Accept::Sequenced { agree: 4 }).await.unwrap_err();
    assert!(matches!(error, ReadError::Sequenced(SequencedError::TooFew { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn sources_that_contradict_l1_are_not_followed_beyond_it() {
    let (world, other) = (world(), world());
    other.lock().unwrap().assert(41);
    let wrong = Server::twisted("wrong", &world, move |ask, answer| match ask {
        // Says that its own block 130 is block 120.
        Ask::HeaderAt { layer: Layer::L2, .. } => {
            let Some(Answer::Header(raw)) = answer else { return answer };
            let mut raw = raw.to_vec();
            raw[5] ^= 1;
            Some(Answer::Header(raw.into()))
        }
        _ => answer,
    });
    let client = start(config(&world), &[&wrong]);
    anchored(&client).await;
    let error = client.l2(Accept::Sequenced { agree: 1 }).await.unwrap_err();
    assert!(matches!(error, ReadError::Sequenced(SequencedError::AgainstL1 { number: 120, .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_fast_with_old_and_valid_answers_stops_nothing() {
    let world = world();
    let form = || lightclient::source::Form::Ssz { fork: "electra".to_owned() };
    let old = world.lock().unwrap().forge.finality(44).encode_ssz();
    let stale = Server::twisted("stale", &world, move |ask, answer| match ask {
        Ask::Finality => {
            let claim = lightclient::source::BeaconClaim { form: form(), bytes: old.clone().into() };
            Some(Answer::Finality(claim))
        }
        _ => answer,
    });
    let client = start(config(&world), &[&stale, &Server::honest("honest", &world)]);
    timeout(Duration::from_secs(60), client.wait_synced()).await.unwrap().unwrap();
    assert_eq!(client.status().finalized.unwrap().slot, 24, "slot 44 shows the same");
    world.lock().unwrap().head = 55;
    let wanted = |event: &Event| matches!(event, Event::Finalized(head) if head.slot == 32);
    until(&client, wanted).await;
    assert_eq!(client.status().sources.iter().map(|source| source.health.lies).sum::<u32>(), 0);
}

#[tokio::test(start_paused = true)]
async fn four_periods_are_followed_with_one_update_each_and_finality_once_an_epoch() {
    let world = world();
    let server = Server::honest("only", &world);
    let client = start(config(&world), &[&server]);
    world.lock().unwrap().live();
    anchored(&client).await;
    let before = [server.asked("the update of"), server.asked("finality"), server.asked("optimistic")];
    tokio::time::sleep(Duration::from_secs(4 * 64 * 6)).await;
    let after = [server.asked("the update of"), server.asked("finality"), server.asked("optimistic")];
    let [updates, finality, heads] = [0, 1, 2].map(|at| after[at] - before[at]);
    println!(
        "4 periods, 32 epochs, 256 slots: {updates} updates, {finality} finality updates, {heads} heads"
    );
    let status = client.status();
    assert!(status.finalized.unwrap().slot >= 256, "{status:?}");
    assert!(status.lag_slots.unwrap() <= 2 && status.alarms.is_empty(), "{status:?}");
    assert!((3..=5).contains(&updates) && finality <= 36 && heads <= 256);
    assert_eq!(server.asked("bootstrap"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_does_not_finalize_is_asked_more_and_more_seldom_and_called_stalled() {
    let world = world();
    let server = Server::honest("only", &world);
    let client = start(config(&world), &[&server]);
    anchored(&client).await;
    let hour = Duration::from_secs(3600);
    tokio::time::sleep(hour).await;
    assert!(matches!(client.status().phase, Phase::Stalled { .. }), "{:?}", client.status().phase);
    let asked = server.asked("finality") + server.asked("the update of");
    println!("{asked} questions for something new in 600 slots in which there was nothing");
    assert!(asked < 200);
    assert_eq!(first_word(&client, PENDING).await.0, U256::from(120), "what was proven can still be read");
}

/// A light client as another one's only source.
#[derive(Debug)]
struct Peer(LightClient);

#[async_trait::async_trait]
impl Source for Peer {
    fn name(&self) -> &str {
        "peer"
    }

    fn can(&self, _: &Ask) -> bool {
        true
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let fault = Fault::NotHere("not verified here".to_owned());
        self.0.supply(ask).await.ok_or_else(|| SourceError { by: "peer".into(), fault })
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_knows_one_peer_and_a_checkpoint_reads_proven_l2_state() {
    let world = world();
    let relay = start(config(&world), &[&Server::honest("rpc", &world)]);
    anchored(&relay).await;
    // The peer has moved on since the newcomer's checkpoint, and has read nothing of what the newcomer wants.
    {
        let mut world = world.lock().unwrap();
        world.assert(30);
        world.write(30);
        world.head = 55;
    }
    anchored(&relay).await;
    let root = relay.status().finalized.unwrap().root;
    let trust = lightclient::sync::Trust::Given(lightclient::sync::Checkpoint { root, slot: None });
    let newcomer = Config { trust, ..config(&world) };
    let client = LightClient::start(newcomer, vec![Arc::new(Peer(relay))]).unwrap();
    anchored(&client).await;
    assert_eq!(first_word(&client, PENDING).await, (U256::from(130), Tier::Pending { l1_blocks: 2 }));
    let all = client.prove(PENDING, keys(1..60)).await.unwrap();
    assert!(all.value.lacks(&keys(1..60)).is_empty());
    assert_eq!(client.code(PENDING, CONTRACT).await.unwrap().value, CONTRACT.to_vec());
}

/// Another history of the same slots, signed by the same committee.
fn other_history(world: &Shared) -> Shared {
    let mut other = World::new();
    other.forge.salt = 2;
    let honest = world.lock().unwrap();
    other.head = honest.head;
    other.forge.state_roots.clone_from(&honest.forge.state_roots);
    Arc::new(Mutex::new(other))
}

#[tokio::test(start_paused = true)]
async fn two_validly_signed_histories_halt_the_client_and_both_are_kept() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let other = other_history(&world);
    let (ours, theirs) = (Server::honest("ours", &world), Server::honest("theirs", &other));
    // The second history is slower to be seen: it loses every race, and only a comparison of all sources
    // finds it.
    let slow =
        Server::twisted("slow", &world, |ask, answer| if *ask == Ask::Finality { None } else { answer });
    let kept = Config { data_dir: Some(folder.path().to_owned()), ..config(&world) };
    let client = start(kept.clone(), &[&ours, &slow, &theirs]);
    let Event::Alarm(alarm) = until(&client, |event| matches!(event, Event::Alarm(_))).await else {
        panic!()
    };
    assert_eq!(alarm.kind(), "conflict", "{alarm}");
    let status = client.status();
    assert_eq!(status.phase, Phase::Halted);
    assert!(status.alarms.iter().any(|alarm| alarm.kind() == "conflict"));
    assert!(matches!(client.prove_l1(Keys::new()).await, Err(ReadError::Halted)));
    assert!(client.wait_synced().await.is_err());
    client.stop().await;
    let error = LightClient::start(kept, Vec::new()).unwrap_err();
    let StartError::Evidence { path } = &error else { panic!("{error}") };
    let evidence: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let both = [&evidence["our_proof"], &evidence["their_proof"]]
        .map(|proof| proof["finality_update_ssz"].as_str().unwrap());
    assert!(both[0] != both[1] && both.iter().all(|ssz| ssz.len() > 2000));
    println!(
        "kept as evidence of slot {}: {} and {}",
        evidence["slot"], evidence["ours"], evidence["theirs"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_gossip_brings_halts_as_well() {
    let world = world();
    let other = other_history(&world);
    let client = start(config(&world), &[&Server::honest("ours", &world)]);
    anchored(&client).await;
    let conflicting = other.lock().unwrap().forge.finality(47);
    let form = lightclient::source::Form::Ssz { fork: "electra".to_owned() };
    let claim = lightclient::source::BeaconClaim { form, bytes: conflicting.encode_ssz().into() };
    assert_eq!(client.offer(&Answer::Finality(claim)).await, Offered::Advanced, "others should know");
    assert_eq!(client.status().phase, Phase::Halted);
}
