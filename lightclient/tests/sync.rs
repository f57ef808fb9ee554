//! A whole light client against sources that replay a captured chain of six periods and three forks: honest,
//! lying, slow, broken, gone. Time is virtual.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use lightclient::consensus::FinalityUpdate;
use lightclient::forks::Fork;
use lightclient::source::score::Standing;
use lightclient::source::{Answer, Ask, BeaconClaim, Fault, Source};
use lightclient::state::{Keys, StateView};
use lightclient::store::{Disk, Saved};
use lightclient::sync::{
    Checkpoint, CheckpointError, Clock, Config, Event, LightClient, Offered, Origin, Phase, ReadError,
    StartError, SyncError, Trust,
};
use tokio::time::timeout;

#[path = "sync/chain.rs"]
mod chain;

use chain::{Chain, FINALIZED, NOW, Replay};

/// Longer than any honest sync takes, in virtual time.
const SOON: Duration = Duration::from_secs(60);

fn config(chain: &Chain, slot: u64) -> Config {
    let trust = Trust::Given(Checkpoint { root: chain.first, slot: Some(8) });
    Config { clock: Clock::set_to(chain.time_at(slot)), ..Config::new(chain.spec.clone(), trust) }
}

fn start(config: Config, sources: &[&Arc<Replay>]) -> LightClient {
    let sources = sources.iter().map(|source| Arc::clone(source) as Arc<dyn Source>).collect();
    LightClient::start(config, sources).unwrap()
}

async fn synced(client: &LightClient) {
    timeout(SOON, client.wait_synced()).await.unwrap().unwrap();
}

fn finalized(client: &LightClient) -> u64 {
    client.status().finalized.unwrap().slot
}

/// Waits for an event that is wanted.
async fn until(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    wanted: impl Fn(&Event) -> bool,
) -> Event {
    let found = async {
        loop {
            let event = events.recv().await.unwrap();
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(3600), found).await.unwrap()
}

fn flipped(answer: Answer, at: usize) -> Answer {
    let flip = |claim: BeaconClaim| {
        let mut bytes = claim.bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1;
        BeaconClaim { bytes: bytes.into(), ..claim }
    };
    match answer {
        Answer::Bootstrap(claim) => Answer::Bootstrap(flip(claim)),
        Answer::Update(claim) => Answer::Update(flip(claim)),
        Answer::Finality(claim) => Answer::Finality(flip(claim)),
        Answer::Optimistic(claim) => Answer::Optimistic(flip(claim)),
        other => other,
    }
}

#[tokio::test(start_paused = true)]
async fn six_periods_and_three_forks_are_followed_with_one_question_each() {
    let chain = Chain::captured();
    for source in [Replay::honest("ssz", &chain), Replay::in_json("json", &chain)] {
        let client = start(config(&chain, NOW), &[&source]);
        synced(&client).await;
        let status = client.status();
        assert_eq!((finalized(&client), status.phase), (FINALIZED, Phase::Following));
        assert_eq!(status.finalized.unwrap().root, chain.last);
        assert_eq!((source.asked("bootstrap"), source.asked("the update of")), (1, 5));
        assert_eq!(source.asked("finality"), 1);
        assert!(status.alarms.is_empty(), "{:?}", status.alarms);
    }
}

#[tokio::test(start_paused = true)]
async fn heads_are_followed_beyond_what_is_final() {
    let chain = Chain::captured();
    let client = start(config(&chain, NOW), &[&Replay::honest("only", &chain)]);
    synced(&client).await;
    let status = client.status();
    assert_eq!(status.optimistic.unwrap().slot, 329, "the finality update already shows the head");
    assert_eq!(status.lag_slots, Some(1));
}

#[tokio::test(start_paused = true)]
async fn l1_state_is_proven_down_to_words_and_absences() {
    let chain = Chain::captured();
    let source = Replay::honest("only", &chain);
    let client = start(config(&chain, NOW), &[&source]);
    synced(&client).await;
    let keys = chain.proven_keys();
    let proven = client.prove_l1(keys.clone()).await.unwrap();
    assert_eq!((proven.anchor.l1_slot, proven.anchor.l2_block), (FINALIZED, 312));
    assert!(proven.value.lacks(&keys).is_empty());
    assert!(keys.keys().any(|account| proven.value.account(*account) == Ok(None)), "one is proven absent");
    client.prove_l1(keys).await.unwrap();
    assert_eq!(source.asked("proof"), 1, "what is proven is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_changed_trie_node_is_refused_and_its_sender_sinks() {
    let chain = Chain::captured();
    let honest = Replay::honest("honest", &chain);
    let liar = Replay::twisted("liar", &chain, |ask, answer| match (ask, answer) {
        (Ask::Proof { .. }, Ok(Answer::Proof(mut nodes))) => {
            let last = nodes.len() - 1;
            nodes[last] = Bytes::from([&nodes[last][..nodes[last].len() - 1], &[0xee]].concat());
            Ok(Answer::Proof(nodes))
        }
        (_, answer) => answer,
    });
    let client = start(config(&chain, NOW), &[&liar, &honest]);
    synced(&client).await;
    let keys = chain.proven_keys();
    assert!(client.prove_l1(keys.clone()).await.unwrap().value.lacks(&keys).is_empty());
    let status = client.status();
    let last = status.sources.last().unwrap();
    assert_eq!((&*last.name, last.health.standing), ("liar", Standing::Liar));
}

#[tokio::test(start_paused = true)]
async fn a_liar_that_is_faster_than_all_others_gets_nothing_in_whichever_byte_it_changes() {
    let chain = Chain::captured();
    let mut lies = 0;
    // Every kind of answer, all over its bytes: 96 places, spread by a prime so that all fields are met.
    for place in 0..96 {
        let honest = Replay::honest("honest", &chain);
        let liar = Replay::twisted("liar", &chain, move |_, answer| {
            answer.map(|answer| flipped(answer, place * 41))
        });
        let client = start(config(&chain, NOW), &[&liar, &honest]);
        synced(&client).await;
        assert_eq!(client.status().finalized.unwrap().root, chain.last, "place {place}");
        let status = client.status();
        let liar = status.sources.iter().find(|source| &*source.name == "liar").unwrap();
        assert!(liar.health.lies > 0 || liar.health.answers == 0, "place {place}: {liar:?}");
        lies += liar.health.lies;
    }
    println!("96 liars told {lies} lies; none was believed");
    assert!(lies >= 90);
}

#[tokio::test(start_paused = true)]
async fn one_kind_of_answer_twisted_at_a_time_stalls_nothing() {
    let chain = Chain::captured();
    for kind in ["bootstrap", "update of", "finality"] {
        for place in [0, 40, 300, 1000, 1900, 2500] {
            let honest = Replay::honest("honest", &chain);
            let liar = Replay::twisted("liar", &chain, move |ask, answer| {
                answer.map(
                    |answer| if ask.to_string().contains(kind) { flipped(answer, place) } else { answer },
                )
            });
            let client = start(config(&chain, NOW), &[&liar, &honest]);
            synced(&client).await;
            assert_eq!(finalized(&client), FINALIZED, "{kind} at {place}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_costs_hedges_and_no_timeouts() {
    let chain = Chain::captured();
    let (silent, honest) = (Replay::silent("silent", &chain), Replay::honest("honest", &chain));
    let client = start(config(&chain, NOW), &[&silent, &honest]);
    timeout(Duration::from_secs(5), client.wait_synced()).await.unwrap().unwrap();
    assert_eq!(finalized(&client), FINALIZED);
}

#[tokio::test(start_paused = true)]
async fn a_period_that_one_source_lacks_comes_from_another() {
    let chain = Chain::captured();
    let lacking = |name, period: u64, fault: Fault| {
        Replay::twisted(name, &chain, move |ask, answer| {
            if *ask == (Ask::Update { period }) { Err(fault.clone()) } else { answer }
        })
    };
    let a = lacking("a", 2, Fault::NotHere("pruned".to_owned()));
    let b = lacking("b", 3, Fault::Http { status: 500, said: "missing period".to_owned() });
    let client = start(config(&chain, NOW), &[&a, &b]);
    synced(&client).await;
    assert_eq!(finalized(&client), FINALIZED);
}

#[tokio::test(start_paused = true)]
async fn all_sources_may_go_and_come_back() {
    let chain = Chain::captured();
    let gone = |_: &Ask, _| Err(Fault::Unreachable("connection refused".to_owned()));
    let (a, b) = (Replay::twisted("a", &chain, gone), Replay::twisted("b", &chain, gone));
    let client = start(config(&chain, NOW), &[&a, &b]);
    let mut events = client.events();
    let stalled = until(&mut events, |event| matches!(event, Event::Alarm(_))).await;
    let Event::Alarm(alarm) = stalled else { panic!() };
    assert_eq!(alarm.kind(), "stalled");
    assert!(alarm.to_string().contains("connection refused"), "{alarm}");
    assert!(matches!(client.status().phase, Phase::Stalled { .. }));
    b.become_honest();
    timeout(Duration::from_secs(300), client.wait_synced()).await.unwrap().unwrap();
    assert_eq!(finalized(&client), FINALIZED);
    assert!(client.status().alarms.iter().all(|alarm| alarm.kind() != "stalled"));
}

#[tokio::test(start_paused = true)]
async fn a_source_added_later_is_asked_at_once() {
    let chain = Chain::captured();
    let client = start(config(&chain, NOW), &[]);
    assert!(timeout(SOON, client.wait_synced()).await.is_err());
    client.add_source(Replay::honest("late", &chain));
    timeout(Duration::from_secs(2), client.wait_synced()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_within_a_period_needs_no_bootstrap_and_at_most_one_update() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    let kept = |chain: &Chain| Config { data_dir: Some(folder.path().to_owned()), ..config(chain, NOW) };
    let first = start(kept(&chain), &[&Replay::honest("first", &chain)]);
    synced(&first).await;
    first.stop().await;
    let source = Replay::honest("second", &chain);
    let client = start(kept(&chain), &[&source]);
    assert_eq!(finalized(&client), FINALIZED, "known before anybody is asked");
    assert!(client.serve(&Ask::Finality).is_some(), "and served to others");
    synced(&client).await;
    assert_eq!(client.status().origin, Some(Origin::Disk { slot: FINALIZED }));
    let rest = Duration::from_millis(50 * chain.spec.slot_ms);
    tokio::time::sleep(rest).await;
    println!(
        "restart: {} bootstraps, {} updates in the rest of the period",
        source.asked("bootstrap"),
        source.asked("the update of")
    );
    assert_eq!(source.asked("bootstrap"), 0);
    assert!(source.asked("the update of") <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_built_anew_from_the_finalized_roots_beside_it() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    let saved = Saved {
        consensus: b"of a later version".to_vec(),
        finalized: vec![(8, chain.first), (FINALIZED, chain.last)],
        newest_signed: 329,
        ..Saved::default()
    };
    let chain_id = chain.spec.genesis_validators_root;
    Disk::open(folder.path(), chain_id).unwrap().disk.save(&saved).unwrap();
    let kept = Config { data_dir: Some(folder.path().to_owned()), ..config(&chain, NOW) };
    let last = chain.last;
    let source = Replay::twisted("no newest bootstrap", &chain, move |ask, answer| match ask {
        Ask::Bootstrap { root } if *root == last => Err(Fault::NotHere("pruned".to_owned())),
        _ => answer,
    });
    let client = start(kept, &[&source]);
    assert!(client.status().alarms[0].to_string().contains("built anew"), "{:?}", client.status().alarms);
    let mut events = client.events();
    let Event::Finalized(head) = until(&mut events, |event| matches!(event, Event::Finalized(_))).await
    else {
        panic!()
    };
    assert_eq!(head.slot, FINALIZED, "nothing older than what was promised is told");
    assert_eq!(source.asked("the update of"), 5, "it came up from slot 8");
    synced(&client).await;
    assert!(client.status().alarms.is_empty(), "{:?}", client.status().alarms);
    client.stop().await;
    assert_eq!(Disk::open(folder.path(), chain_id).unwrap().saved.unwrap().finalized_slot(), FINALIZED);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_history_than_the_disk_is_refused() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    let kept = || Config { data_dir: Some(folder.path().to_owned()), ..config(&chain, NOW) };
    let client = start(kept(), &[&Replay::honest("only", &chain)]);
    synced(&client).await;
    client.stop().await;
    let trust = Trust::Given(Checkpoint { root: B256::repeat_byte(3), slot: Some(FINALIZED) });
    let error = LightClient::start(Config { trust, ..kept() }, Vec::new()).unwrap_err();
    assert!(matches!(error, StartError::OtherHistory { slot: FINALIZED, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_state_too_old_gives_way_to_a_newer_checkpoint_only() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    let first = Replay::twisted("no finality", &chain, |ask, answer| match ask {
        Ask::Finality | Ask::Update { .. } => Err(Fault::NotHere("none".to_owned())),
        _ => answer,
    });
    let kept = || Config { data_dir: Some(folder.path().to_owned()), ..config(&chain, NOW) };
    let client = start(kept(), &[&first]);
    let mut events = client.events();
    until(&mut events, |event| matches!(event, Event::Finalized(_))).await;
    assert_eq!(finalized(&client), 8);
    client.stop().await;
    // A minute is too old in this world: the state of slot 8 is, a checkpoint of slot 312 would be as well,
    // at slot 330.
    let mut strict = kept();
    strict.freshness.max_age = Duration::from_secs(200);
    let error = LightClient::start(strict.clone(), Vec::new()).unwrap_err();
    assert!(matches!(error, StartError::Checkpoint(CheckpointError::TooOld { slot: 8, .. })), "{error}");
    strict.trust = Trust::Given(Checkpoint { root: chain.last, slot: Some(FINALIZED) });
    let client = start(strict, &[&Replay::honest("only", &chain)]);
    synced(&client).await;
    assert_eq!(
        (finalized(&client), client.status().origin),
        (FINALIZED, Some(Origin::Given { root: chain.last }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_behind_what_was_signed_is_refused_at_start() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    let kept = |slot| Config { data_dir: Some(folder.path().to_owned()), ..config(&chain, slot) };
    let client = start(kept(NOW), &[&Replay::honest("only", &chain)]);
    synced(&client).await;
    client.stop().await;
    let error = LightClient::start(kept(NOW - 20), Vec::new()).unwrap_err();
    assert!(matches!(error, StartError::Clock(_)), "{error}");
    assert!(error.to_string().contains("set the clock"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_behind_is_convicted_by_signatures_while_running() {
    let chain = Chain::captured();
    let source = Replay::honest("only", &chain);
    let client = start(config(&chain, 320), &[&source]);
    let mut events = client.events();
    let Event::Alarm(alarm) = until(&mut events, |event| matches!(event, Event::Alarm(_))).await else {
        panic!()
    };
    assert_eq!(alarm.kind(), "clock", "{alarm}");
    assert_eq!(client.status().sources[0].health.lies, 0, "the source is not blamed");
    assert!(finalized(&client) < FINALIZED, "nothing of the future was taken");
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_no_signature_covers_does_not_convict_the_clock() {
    let chain = Chain::captured();
    let spec = chain.spec.clone();
    let liar = Replay::twisted("liar", &chain, move |ask, answer| match (ask, answer) {
        (Ask::Finality, Ok(Answer::Finality(claim))) => {
            let mut update = FinalityUpdate::decode_ssz(&spec, Fork::Fulu, &claim.bytes).unwrap();
            update.signature_slot += 40;
            Ok(Answer::Finality(BeaconClaim { bytes: update.encode_ssz().into(), ..claim }))
        }
        (_, answer) => answer,
    });
    let client = start(config(&chain, NOW), &[&liar, &Replay::honest("honest", &chain)]);
    synced(&client).await;
    assert!(client.status().alarms.is_empty(), "{:?}", client.status().alarms);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_too_old_is_refused_before_and_after_its_slot_is_known() {
    let chain = Chain::captured();
    let later = 8 + 15 * 24 * 3600 * 1000 / chain.spec.slot_ms;
    let error = LightClient::start(config(&chain, later), Vec::new()).unwrap_err();
    assert!(matches!(error, StartError::Checkpoint(CheckpointError::TooOld { .. })), "{error}");
    let trust = Trust::Given(Checkpoint { root: chain.first, slot: None });
    let unknown = Config { trust, ..config(&chain, later) };
    let client = start(unknown.clone(), &[&Replay::honest("only", &chain)]);
    let error = timeout(SOON, client.wait_synced()).await.unwrap().unwrap_err();
    assert!(matches!(error, SyncError::Checkpoint(CheckpointError::TooOld { .. })), "{error}");
    let mut lax = unknown;
    lax.freshness.strict = false;
    let client = start(lax, &[&Replay::honest("only", &chain)]);
    let mut events = client.events();
    until(&mut events, |event| matches!(event, Event::Finalized(_))).await;
    assert!(client.status().alarms.iter().any(|alarm| alarm.kind() == "old_checkpoint"));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_nobody_has_says_who_said_what() {
    let chain = Chain::captured();
    let trust = Trust::Given(Checkpoint { root: B256::repeat_byte(7), slot: None });
    let client = start(Config { trust, ..config(&chain, NOW) }, &[&Replay::honest("only", &chain)]);
    let mut events = client.events();
    let Event::Alarm(alarm) = until(&mut events, |event| matches!(event, Event::Alarm(_))).await else {
        panic!()
    };
    assert!(alarm.to_string().contains("only does not have it"), "{alarm}");
}

#[tokio::test(start_paused = true)]
async fn sources_that_agree_give_a_checkpoint_and_status_says_so() {
    let chain = Chain::captured();
    let agreed = Config { trust: Trust::Agreed { least: 2 }, ..config(&chain, NOW) };
    let liar = Replay::twisted("liar", &chain, |ask, answer| match ask {
        Ask::Checkpoint => Ok(Answer::Checkpoint { root: B256::repeat_byte(9), slot: 320 }),
        _ => answer,
    });
    let (a, b) = (Replay::honest("a", &chain), Replay::honest("b", &chain));
    let client = start(agreed.clone(), &[&liar, &a, &b]);
    synced(&client).await;
    let Some(Origin::Agreed { root, by }) = client.status().origin else { panic!() };
    assert_eq!((root, by), (chain.last, vec!["a".to_owned(), "b".to_owned()]));
    let alone = start(agreed, &[&liar, &a]);
    assert!(timeout(SOON, alone.wait_synced()).await.is_err(), "one against one is no agreement");
}

#[tokio::test(start_paused = true)]
async fn what_was_verified_is_served_and_another_client_needs_nobody_else() {
    let chain = Chain::captured();
    let relay = start(config(&chain, NOW), &[&Replay::honest("rest", &chain)]);
    synced(&relay).await;
    let root = chain.last;
    assert_eq!(relay.serve(&Ask::Bootstrap { root }), None, "not yet there");
    let mut events = relay.events();
    until(&mut events, |event| matches!(event, Event::Verified { ask: Ask::Bootstrap { .. }, .. })).await;
    let peer = Arc::new(Peer(relay));
    let trust = Trust::Given(Checkpoint { root, slot: None });
    let client = LightClient::start(Config { trust, ..config(&chain, NOW) }, vec![peer]).unwrap();
    synced(&client).await;
    assert_eq!(finalized(&client), FINALIZED);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_client_still_serves_the_periods_that_it_went_through() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    let kept = || Config { data_dir: Some(folder.path().to_owned()), ..config(&chain, NOW) };
    let first = start(kept(), &[&Replay::honest("rest", &chain)]);
    synced(&first).await;
    first.stop().await;
    let relay = start(kept(), &[]);
    let newcomer = LightClient::start(config(&chain, NOW), vec![Arc::new(Peer(relay))]).unwrap();
    synced(&newcomer).await;
    assert_eq!(finalized(&newcomer), FINALIZED, "from the first checkpoint through every period");
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

    async fn ask(&self, ask: &Ask) -> Result<Answer, lightclient::source::SourceError> {
        let fault = Fault::NotHere("not verified here".to_owned());
        self.0.serve(ask).ok_or_else(|| lightclient::source::SourceError { by: "peer".into(), fault })
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_unasked_counts_only_if_it_verifies_and_is_new() {
    let chain = Chain::captured();
    let source = Replay::twisted("no finality", &chain, |ask, answer| match ask {
        Ask::Finality => Err(Fault::NotHere("none".to_owned())),
        _ => answer,
    });
    let client = start(config(&chain, NOW), &[&source]);
    synced(&client).await;
    let before = finalized(&client);
    let honest = chain.answer(&Ask::Finality, false).unwrap();
    assert!(matches!(client.offer(&flipped(honest.clone(), 900)).await, Offered::Lie(_)));
    assert_eq!(finalized(&client), before);
    assert_eq!(client.offer(&honest).await, Offered::Advanced);
    assert_eq!(finalized(&client), FINALIZED);
    assert_eq!(client.offer(&honest).await, Offered::Known);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_finalized_header_reads_say_that_it_is_too_early() {
    let chain = Chain::captured();
    let client = start(config(&chain, NOW), &[]);
    assert!(matches!(client.prove_l1(Keys::new()).await, Err(ReadError::NotYet(_))));
    assert!(matches!(client.l1().await, Err(ReadError::NotYet(_))));
}

#[tokio::test(start_paused = true)]
async fn a_data_directory_with_evidence_of_a_conflict_is_not_used() {
    let (chain, folder) = (Chain::captured(), tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("evidence")).unwrap();
    std::fs::write(folder.path().join("evidence/conflict-8.json"), "{}").unwrap();
    let kept = Config { data_dir: Some(folder.path().to_owned()), ..config(&chain, NOW) };
    let error = LightClient::start(kept, Vec::new()).unwrap_err();
    assert!(matches!(error, StartError::Evidence { .. }), "{error}");
    assert!(error.to_string().contains(&*Path::new("evidence").join("conflict-8.json").to_string_lossy()));
}
