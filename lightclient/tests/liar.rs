//! Every field of every consensus answer, changed one at a time by a source that is always faster than the
//! honest one beside it. Nothing of it gets in, the liar sinks, the sync never stalls. Time is virtual.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lightclient::source::{Answer, Ask, BeaconClaim, Form, Source};
use lightclient::sync::{Checkpoint, Clock, Config, LightClient, Trust};
use serde_json::Value;
use tokio::time::timeout;

#[path = "sync/chain.rs"]
mod chain;

use chain::{Chain, NOW, Replay};

/// What a liar does to one leaf.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// One hex digit, or one more.
    Value,
    Removed,
    Emptied,
}

fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found))
        }
        // A committee has 32 keys that are all treated alike: the first, one in the middle and the last stand
        // for them.
        Value::Array(items) => {
            let last = items.len().saturating_sub(1);
            let picked = items
                .iter()
                .enumerate()
                .filter(|(at, _)| items.len() < 12 || [0, last / 2, last].contains(at));
            picked.for_each(|(at, value)| leaves(value, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

fn change(document: &mut Value, path: &str, change: Change) {
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match (change, parent) {
        (Change::Removed, Value::Object(fields)) => _ = fields.remove(key),
        (Change::Removed, Value::Array(items)) => _ = items.remove(key.parse().unwrap()),
        (_, parent) => {
            let leaf = match parent {
                Value::Object(fields) => &mut fields[key],
                Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
                other => panic!("{other}"),
            };
            let text = leaf.as_str().unwrap_or_default().to_owned();
            *leaf =
                Value::String(if matches!(change, Change::Emptied) { String::new() } else { altered(&text) });
        }
    }
}

fn altered(text: &str) -> String {
    let Some(last) = text.chars().last() else { return "0x00".to_owned() };
    let next = match last {
        '0'..='8' | 'a'..='e' => (last as u8 + 1) as char,
        _ => '0',
    };
    format!("{}{next}", &text[..text.len() - last.len_utf8()])
}

fn claim(answer: &Answer) -> Option<&BeaconClaim> {
    match answer {
        Answer::Bootstrap(claim)
        | Answer::Update(claim)
        | Answer::Finality(claim)
        | Answer::Optimistic(claim) => Some(claim),
        _ => None,
    }
}

fn with(answer: &Answer, bytes: Vec<u8>) -> Answer {
    let claim = BeaconClaim { form: Form::Json, bytes: bytes.into() };
    match answer {
        Answer::Bootstrap(_) => Answer::Bootstrap(claim),
        Answer::Update(_) => Answer::Update(claim),
        Answer::Finality(_) => Answer::Finality(claim),
        Answer::Optimistic(_) => Answer::Optimistic(claim),
        other => other.clone(),
    }
}

#[derive(Debug, Default)]
struct Tally {
    tried: usize,
    called_lies: usize,
    /// The light client does not read these fields.
    harmless: Vec<String>,
}

/// One client, one liar that changes one leaf of one answer, one honest source. Says whether the liar was
/// caught.
async fn caught(chain: &Arc<Chain>, target: &Ask, lie: Answer) -> bool {
    let told = Arc::new(Mutex::new(false));
    let liar = {
        let (target, told) = (target.clone(), Arc::clone(&told));
        Replay::twisted("liar", chain, move |ask, answer| {
            if *ask != target {
                return answer;
            }
            *told.lock().unwrap() = true;
            Ok(lie.clone())
        })
    };
    let sources: Vec<Arc<dyn Source>> = vec![liar, Replay::honest("honest", chain)];
    let trust = Trust::Given(Checkpoint { root: chain.first, slot: Some(8) });
    let clock = Clock::set_to(chain.time_at(NOW));
    let client =
        LightClient::start(Config { clock, ..Config::new(chain.spec.clone(), trust) }, sources).unwrap();
    timeout(Duration::from_secs(60), client.wait_synced()).await.unwrap().unwrap();
    let status = client.status();
    assert!(*told.lock().unwrap(), "the lie about {target} was never told");
    assert_eq!(status.finalized.unwrap().root, chain.last, "{target}");
    let liar = status.sources.iter().find(|source| &*source.name == "liar").unwrap();
    liar.health.lies > 0 || liar.last_fault.is_some()
}

#[tokio::test(start_paused = true)]
async fn every_changed_leaf_of_every_answer_is_refused_beside_an_honest_source() {
    let chain = Chain::captured();
    let asks = [
        Ask::Bootstrap { root: chain.first },
        Ask::Update { period: 0 },
        Ask::Update { period: 2 },
        Ask::Finality,
    ];
    let mut tally = Tally::default();
    for ask in asks {
        let honest = chain.answer(&ask, true).unwrap();
        let document: Value = serde_json::from_slice(&claim(&honest).unwrap().bytes).unwrap();
        let mut paths = Vec::new();
        leaves(&document, "", &mut paths);
        for path in paths {
            for kind in [Change::Value, Change::Removed, Change::Emptied] {
                let mut lie = document.clone();
                change(&mut lie, &path, kind);
                // Of an empty byte string nothing can be taken away.
                let empty = document.pointer(&path) == Some(&Value::String("0x".to_owned()));
                if empty && matches!(kind, Change::Emptied) {
                    continue;
                }
                tally.tried += 1;
                if caught(&chain, &ask, with(&honest, lie.to_string().into_bytes())).await {
                    tally.called_lies += 1;
                } else {
                    tally.harmless.push(format!("{ask} {path} {kind:?}"));
                }
            }
        }
    }
    let Tally { tried, called_lies, harmless } = tally;
    println!(
        "{tried} changes: {called_lies} refused and held against the liar, {} without effect",
        harmless.len()
    );
    for one in &harmless {
        println!("  without effect: {one}");
    }
    // Not read; needless where the slot tells the fork; and covered by no signature, so that nothing is made
    // of it but that it has passed and lies in the period and fork of the committee that signed.
    let known = ["/block_root", "/version Removed", "/data/signature_slot Value"];
    let unknown = |one: &&String| !known.iter().any(|field| one.contains(field));
    assert_eq!(harmless.iter().filter(unknown).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(tried > 500);
}
