//! What a node shows of the chain: proven, growing old in plain sight when the chain is gone, and never what a liar says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy_primitives::{B256, U256};
use fixtures::devnet::liar::{Liar, Lie};
use fixtures::devnet::{Config, Devnet, Settings};
use lightclient::livepeer::layout::controller;
use serde_json::Value;

use crate::world::{Node, World};

/// A chain with blocks of 200 ms, so that assertions come every few seconds.
async fn devnet() -> Devnet {
    let settings = Settings { slot_ms: 200, ..Settings::default() };
    Devnet::start(Config { settings, ..Config::default() }).await.unwrap()
}

/// A node that asks these servers for L2.
async fn node(world: &World, name: &str, devnet: &Devnet, l2: &[&str], more: &str) -> Node {
    let mut network = devnet.network();
    network.as_object_mut().unwrap().remove("l2");
    let (file, config) = (world.path("network.json"), world.path(&format!("{name}.toml")));
    std::fs::write(&file, network.to_string()).unwrap();
    let chain = format!("[chain]\nnetwork = {file:?}\nl2 = {l2:?}\naccept = 'pending:0'\n{more}");
    std::fs::write(&config, chain).unwrap();
    let config = config.display().to_string();
    world.start(name, &["--roles", "broadcaster", "--no-rtmp", "--config", &config]).await
}

/// Waits until what the node says of the chain is as wanted.
async fn until(node: &Node, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    node.until(what, async |node| {
        let chain = node.json("/api/v1/chain").await;
        wanted(&chain).then_some(chain)
    })
    .await
}

fn alarms(chain: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = chain["alarms"].as_array().into_iter().flatten();
    all.map(|alarm| (text(&alarm["kind"]), text(&alarm["message"]))).collect()
}

fn members(chain: &Value) -> BTreeSet<String> {
    let all = chain["members"].as_array().into_iter().flatten();
    all.map(|one| one["address"].as_str().unwrap().to_lowercase()).collect()
}

fn stakes(chain: &Value) -> Vec<U256> {
    let all = chain["members"].as_array().into_iter().flatten();
    all.map(|one| one["stake"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_shows_the_proven_round_and_pool_and_what_it_knew_when_the_chain_is_gone() {
    let (world, devnet) = (World::with(0).await, devnet().await);
    let own = devnet.with(|world| world.livepeer.orchestrators[0].address);
    let watched = devnet.with(|world| world.livepeer.senders[0].address);
    let more = format!("orchestrator = '{own}'\nwatch = ['{watched}']\n");
    let node = node(&world, "watching", &devnet, &[&devnet.l2_url], &more).await;

    let first = until(&node, "a reading", |chain| chain["known"].is_object()).await;
    assert_eq!((first["known"]["tier"].as_str(), members(&first).len()), (Some("pending"), 5));
    let truth: BTreeSet<_> = devnet.with(|world| {
        world.livepeer.orchestrators.iter().map(|one| one.address.to_string().to_lowercase()).collect()
    });
    assert_eq!(members(&first), truth);
    let said = first["own"]["address"].as_str().unwrap().to_lowercase();
    assert_eq!(said, own.to_string().to_lowercase());
    assert!(first["round"]["number"].as_u64() >= Some(3000) && first["round"]["inflation_ppb"] != "0");

    // A new round and its rewards arrive by themselves.
    let round = first["round"]["number"].as_u64();
    let rewarded =
        |chain: &Value| chain["members"].as_array().unwrap().iter().all(|one| one["rewarded"] == true);
    until(&node, "rewards of a later round", |chain| {
        chain["round"]["number"].as_u64() > round && chain["round"]["initialized"] == true && rewarded(chain)
    })
    .await;
    let metrics = node.get("/metrics").await.unwrap();
    assert!(
        metrics.contains("livemesh_chain_pool_members 5") && metrics.contains("livemesh_chain_age_seconds")
    );
    let ready = node.get("/readyz").await;

    devnet.stop().await;
    let told = until(&node, "that nothing comes any more", |chain| {
        alarms(chain).iter().any(|(kind, _)| kind == "stalled")
    })
    .await;
    let age = told["known"]["age_ms"].as_u64().unwrap();
    let later =
        until(&node, "a greater age", |chain| chain["known"]["age_ms"].as_u64() > Some(age + 3000)).await;
    assert_eq!(
        (later["known"]["l2_block"].clone(), members(&later)),
        (told["known"]["l2_block"].clone(), truth)
    );
    assert_eq!(node.get("/readyz").await, ready, "an old chain is no reason to stop working");
    assert!(node.interrupt().await);
}

/// Replaces a piece of hexadecimal text in every node of every proof.
fn forge(answer: &mut Value, from: &str, to: &str) {
    match answer {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| forge(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| forge(field, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A server that changes what `eth_getProof` gives, asked one by one or in a batch.
fn liar(devnet: &Devnet, mut twist: impl FnMut(&mut Value) + Send + 'static) -> Liar {
    let liar = Liar::start(&devnet.l2_url).unwrap();
    liar.tell(Lie::Any(Box::new(move |_, _, answer| {
        let all = match answer {
            Value::Array(answers) => answers.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        all.iter_mut()
            .map(|one| &mut one["result"])
            .filter(|one| one["accountProof"].is_array())
            .for_each(&mut twist);
    })));
    liar
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_liar_says_is_shown_and_each_lie_is_told() {
    let (world, devnet) = (World::with(0).await, devnet().await);
    let (addresses, most) = devnet.with(|world| {
        let all = &world.livepeer.orchestrators;
        let most =
            all.iter().map(|one| world.livepeer.total_stake(one)).fold(U256::ZERO, U256::saturating_add);
        (all.iter().map(|one| hex::encode(one.address)).collect::<Vec<_>>(), most)
    });
    // One inflates every stake a hundredfold and more.
    let inflates = liar(&devnet, |answer| {
        for entry in answer["storageProof"].as_array_mut().into_iter().flatten() {
            let value = entry["value"].as_str().unwrap_or("0x").trim_start_matches("0x").to_owned();
            if (15..32).contains(&value.len()) && value.len() % 2 == 1 {
                forge(entry, &value[1..], &"f".repeat(value.len() - 1));
            } else if (15..32).contains(&value.len()) {
                forge(entry, &value, &"f".repeat(value.len()));
            }
        }
    });
    // One says another member's name wherever the second one is linked.
    let (hidden, instead) = (addresses[1].clone(), addresses[2].clone());
    let hides = liar(&devnet, move |answer| forge(answer, &hidden, &instead));
    // One says for ever what it said first.
    let mut first = BTreeMap::new();
    let replays = liar(&devnet, move |answer| {
        let old: &Value = first.entry(answer["address"].to_string()).or_insert_with(|| answer.clone());
        *answer = old.clone();
    });
    // One says that the staking contract runs other code.
    let target = "c".repeat(40);
    let known: Vec<String> =
        devnet.contracts.targets.iter().filter_map(|t| t.address).map(hex::encode).collect();
    let codes: Vec<String> =
        devnet.contracts.targets.iter().filter_map(|t| t.code_hash).map(hex::encode).collect();
    let swaps = liar(&devnet, move |answer| {
        known.iter().for_each(|address| forge(answer, address, &target));
        codes.iter().for_each(|hash| forge(answer, hash, &"c".repeat(64)));
    });
    let truth: BTreeSet<String> = addresses.iter().map(|address| format!("0x{address}")).collect();
    let liars = [("inflates", &inflates), ("hides", &hides), ("replays", &replays), ("swaps", &swaps)];
    for (name, liar) in liars {
        let node = node(&world, name, &devnet, &[&liar.url, &devnet.l2_url], "").await;
        let told = until(&node, name, |chain| {
            if chain["known"].is_object() {
                assert_eq!(members(chain), truth, "{name}: nobody is hidden");
                assert!(stakes(chain).iter().all(|stake| *stake < most), "{name}: {:?}", stakes(chain));
            }
            let lie = |(kind, why): &(String, String)| {
                kind == "source_lied" && why.contains(liar.url.trim_start_matches("http://"))
            };
            chain["known"].is_object() && alarms(chain).iter().any(lie)
        })
        .await;
        assert!(alarms(&told).iter().all(|(kind, _)| kind != "unknown_target"), "{:?}", alarms(&told));
        assert!(node.interrupt().await);
    }
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_really_runs_other_code_is_an_alarm_and_what_was_proven_stays() {
    let (world, devnet) = (World::with(0).await, devnet().await);
    let node = node(&world, "watching", &devnet, &[&devnet.l2_url], "").await;
    let before = until(&node, "a reading", |chain| chain["known"].is_object()).await;
    let slot: B256 = controller::registered("BondingManagerTarget");
    devnet.set_storage(devnet.contracts.controller, slot, U256::from(0xbad));
    let told = until(&node, "the alarm", |chain| {
        alarms(chain).iter().any(|(kind, why)| kind == "unknown_target" && why.contains("0bad"))
    })
    .await;
    assert_eq!(members(&told), members(&before));
    let block = told["known"]["l2_block"].clone();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.json("/api/v1/chain").await["known"]["l2_block"], block, "nothing new is read from it");
    assert!(node.interrupt().await);
    devnet.stop().await;
}

/// The key of the community's first orchestrator, in a keystore of its own, as lines of a configuration.
fn reward_key(world: &World, seed: u64) -> String {
    use fixtures::devnet::livepeer::secret;
    let private = |name: &str, text: &str| {
        let path = world.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    };
    let hex = private("key.hex", &hex::encode(secret(seed, "orchestrator", 0)));
    let password = private("password", "correct horse");
    let keystore = wallet::Keystore::open(&world.path("keystore")).unwrap();
    let key = keystore.import(&hex, &wallet::Password::from_file(&password).unwrap()).unwrap();
    format!(
        "reward_key = '{}'\nkeystore = {:?}\npassword_file = {password:?}\n",
        key.address,
        world.path("keystore")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_key_begins_rounds_and_calls_its_reward_once_a_round() {
    let world = World::with(0).await;
    let settings = Settings { slot_ms: 200, keeper: false, round_length: 60, ..Settings::default() };
    let seed = settings.seed;
    let devnet = Devnet::start(Config { settings, ..Config::default() }).await.unwrap();
    let node = node(&world, "watching", &devnet, &[&devnet.l2_url], &reward_key(&world, seed)).await;
    let done = |chain: &Value| {
        let notes = chain["duties"].as_array().cloned().unwrap_or_default();
        let done = |duty: &str| -> Vec<u64> {
            let of = |note: &&Value| note["duty"] == duty && note["outcome"] == "done";
            notes.iter().filter(of).map(|note| note["round"].as_u64().unwrap()).collect()
        };
        (done("initialize"), done("reward"))
    };
    let chain = until(&node, "two rounds begun and rewarded", |chain| {
        let (begun, rewarded) = done(chain);
        begun.len() >= 2 && rewarded.len() >= 2
    })
    .await;
    let (begun, rewarded) = done(&chain);
    let once: BTreeSet<_> = rewarded.iter().collect();
    assert_eq!(once.len(), rewarded.len(), "{rewarded:?} of {begun:?}");
    let last = *rewarded.last().unwrap();
    until(&node, "the proof of it", |chain| chain["own"]["last_reward_round"].as_u64() >= Some(last)).await;
    assert!(node.interrupt().await);
    devnet.stop().await;
}
