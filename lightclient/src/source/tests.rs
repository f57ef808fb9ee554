//! Beacon and execution sources before servers that are honest, lie about ids and lengths, refuse, are silent or never end.

mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_primitives::{Address, B256, b256, keccak256};
use serde_json::{Value, json};

use self::server::{Reply, Request, Server};
use super::beacon::BeaconSource;
use super::budget::Allowance;
use super::execution::ExecutionSource;
use super::http::Settings;
use super::*;
use crate::forks::ChainSpec;

const ROOT: B256 = b256!("1111111111111111111111111111111111111111111111111111111111111111");

fn settings(server: &Server) -> Settings {
    Settings { timeout: Duration::from_millis(500), ..Settings::new(&server.url) }
}

fn beacon(server: &Server) -> BeaconSource {
    BeaconSource::new(settings(server), Some(Arc::new(ChainSpec::mainnet()))).unwrap()
}

fn l1(server: &Server) -> ExecutionSource {
    ExecutionSource::new(settings(server), Layer::L1, None).unwrap()
}

async fn fault(source: &dyn Source, ask: &Ask) -> Fault {
    source.ask(ask).await.unwrap_err().fault
}

/// Answers every call of a request by `result`.
fn rpc(request: &Request, result: impl Fn(&str, &Value) -> Value) -> Reply {
    let one = |call: &Value| {
        let mut answer = json!({"jsonrpc": "2.0", "id": call["id"]});
        let result = result(call["method"].as_str().unwrap(), &call["params"]);
        let field = if result["code"].is_i64() { "error" } else { "result" };
        answer[field] = result;
        answer
    };
    match request.body.as_array() {
        // In reverse, which a server may do.
        Some(calls) => Reply::json(&calls.iter().rev().map(one).collect()),
        None => Reply::json(&one(&request.body)),
    }
}

#[tokio::test]
async fn an_update_is_asked_for_one_period_at_a_time_and_comes_out_of_its_list() {
    let server = Server::start(|_| Reply::json(&json!([{"version": "electra", "data": {"a": 1}}]))).await;
    let answer = beacon(&server).ask(&Ask::Update { period: 7 }).await.unwrap();
    let Answer::Update(BeaconClaim { form: Form::Json, bytes }) = answer else { panic!("{answer:?}") };
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap()["data"]["a"], 1);
    assert_eq!(server.seen()[0].path, "/eth/v1/beacon/light_client/updates?start_period=7&count=1");
    assert!(server.seen()[0].head.contains("user-agent: livemesh/"));
}

#[tokio::test]
async fn ssz_is_taken_where_the_server_says_of_which_fork_it_is() {
    let spec = ChainSpec::mainnet();
    let digest = spec.fork_digest(364_032);
    let list = [&9_u64.to_le_bytes()[..], &digest[..], b"bytes"].concat();
    let server = Server::start(move |request| {
        let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
        if request.path.contains("updates") {
            return Reply::Whole(200, headers, list.clone());
        }
        headers.push(("eth-consensus-version", "fulu".to_owned()));
        Reply::Whole(200, headers, b"bytes".to_vec())
    })
    .await;
    let ssz = |fork: &str| BeaconClaim { form: Form::Ssz { fork: fork.into() }, bytes: b"bytes".into() };
    let source = beacon(&server);
    assert_eq!(source.ask(&Ask::Finality).await.unwrap(), Answer::Finality(ssz("fulu")));
    assert_eq!(source.ask(&Ask::Update { period: 1 }).await.unwrap(), Answer::Update(ssz("electra")));
}

#[tokio::test]
async fn a_server_without_ssz_is_asked_for_json() {
    let server = Server::start(|request| {
        if request.head.contains("octet-stream") {
            Reply::status(406)
        } else {
            Reply::json(&json!({"data": {}}))
        }
    })
    .await;
    let answer = beacon(&server).ask(&Ask::Bootstrap { root: ROOT }).await.unwrap();
    assert!(matches!(answer, Answer::Bootstrap(BeaconClaim { form: Form::Json, .. })));
}

#[tokio::test]
async fn lengths_of_an_ssz_list_that_lie_are_refused() {
    for body in [vec![0xff; 8], vec![0xff; 40], vec![4, 0, 0, 0, 0, 0, 0, 0, 1, 2], vec![1; 3]] {
        let kind = vec![("content-type", "application/octet-stream".to_owned())];
        let server = Server::start(move |_| Reply::Whole(200, kind.clone(), body.clone())).await;
        let fault = fault(&beacon(&server), &Ask::Update { period: 1 }).await;
        assert!(fault.is_foul(), "{fault}");
    }
}

#[tokio::test]
async fn a_checkpoint_and_the_chains_parameters_are_hints_as_the_server_gives_them() {
    let server = Server::start(|request| match request.path.as_str() {
        "/eth/v1/beacon/headers/finalized" => {
            Reply::json(&json!({"data": {"root": ROOT, "header": {"message": {"slot": "64"}}}}))
        }
        path => Reply::json(&json!({ "path": path })),
    })
    .await;
    let source = beacon(&server);
    assert_eq!(source.ask(&Ask::Checkpoint).await.unwrap(), Answer::Checkpoint { root: ROOT, slot: 64 });
    let Answer::Config { genesis, .. } = source.ask(&Ask::Config).await.unwrap() else { panic!() };
    assert!(String::from_utf8_lossy(&genesis).contains("/eth/v1/beacon/genesis"));
}

/// A server's behaviour, and whether its fault is told for what it is.
type Failing = (fn() -> Reply, fn(&Fault) -> bool);

#[tokio::test]
async fn failures_are_sorted_by_what_to_do_next() {
    let cases: [Failing; 7] = [
        (|| Reply::status(404), |f| f.is_absence()),
        (|| Reply::status(500), |f| matches!(f, Fault::Http { status: 500, .. })),
        (
            || Reply::Whole(302, vec![("location", "http://127.0.0.1:1/".into())], vec![]),
            |f| matches!(f, Fault::Http { status: 302, .. }),
        ),
        (|| Reply::Endless, |f| matches!(f, Fault::TooLarge { .. })),
        (|| Reply::Huge(1 << 40), |f| matches!(f, Fault::TooLarge { .. })),
        (|| Reply::Silence, |f| matches!(f, Fault::Timeout { .. })),
        (|| Reply::Whole(200, vec![], b"<html>garbage".to_vec()), Fault::is_foul),
    ];
    for (reply, expected) in cases {
        let server = Server::start(move |_| reply()).await;
        let fault = fault(&beacon(&server), &Ask::Update { period: 1 }).await;
        assert!(expected(&fault), "{fault}");
    }
    let nobody = BeaconSource::new(Settings::new("http://127.0.0.1:1"), None).unwrap();
    assert!(matches!(fault(&nobody, &Ask::Finality).await, Fault::Unreachable(_)));
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_no_request_before_it_has_passed() {
    let server = Server::start(|_| Reply::Whole(429, vec![("retry-after", "30".into())], vec![])).await;
    let source = beacon(&server);
    for _ in 0..5 {
        let Fault::RateLimited { retry_after } = fault(&source, &Ask::Finality).await else { panic!() };
        assert!(retry_after > Duration::from_secs(29) && retry_after < Duration::from_secs(40));
    }
    assert_eq!(server.seen().len(), 1);
    let counters = source.budget().unwrap().counters;
    assert_eq!((counters.sent, counters.held_back, counters.refused), (1, 4, 1));
}

#[tokio::test]
async fn a_budget_that_is_used_up_sends_nothing() {
    let server = Server::start(|_| Reply::json(&json!({"data": {}}))).await;
    let settings = Settings { allowance: Allowance { burst: 2, per_minute: 1 }, ..settings(&server) };
    let source = BeaconSource::new(settings, None).unwrap();
    for _ in 0..2 {
        source.ask(&Ask::Finality).await.unwrap();
    }
    assert!(matches!(fault(&source, &Ask::Finality).await, Fault::RateLimited { .. }));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn keys_in_an_address_are_sent_and_never_shown() {
    let server = Server::start(|_| Reply::status(500)).await;
    let mut settings = settings(&server);
    settings.url = format!("{}/v2/secret?token=hush", server.url);
    let source = ExecutionSource::new(settings, Layer::L1, None).unwrap();
    let error = source.ask(&Ask::HeaderAt { layer: Layer::L1, at: At::Latest }).await.unwrap_err();
    assert!(server.seen()[0].path.contains("secret?token=hush"));
    assert!(!format!("{error} {error:?} {source:?}").contains("hush"));
}

#[tokio::test]
async fn what_is_no_address_is_refused_in_words() {
    for url in ["", "beacon:5052", "ftp://host/", "not an address"] {
        assert!(BeaconSource::new(Settings::new(url), None).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_server_of_another_chain_is_refused_before_anything_is_asked() {
    let server = Server::start(|request| rpc(request, |_, _| json!("0x2a"))).await;
    let source = ExecutionSource::new(settings(&server), Layer::L2, Some(42_161)).unwrap();
    let ask = Ask::Header { layer: Layer::L2, hash: ROOT };
    assert_eq!(fault(&source, &ask).await, Fault::WrongChain { expected: 42_161, found: 42 });
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn answers_with_ids_that_were_not_asked_are_refused() {
    let server = Server::start(|_| Reply::json(&json!({"jsonrpc": "2.0", "id": 99, "result": "0x"}))).await;
    let ask = Ask::HeaderAt { layer: Layer::L1, at: At::Number(1) };
    assert!(fault(&l1(&server), &ask).await.is_foul());
}

#[tokio::test]
async fn state_that_a_server_no_longer_keeps_is_an_absence_and_no_fault() {
    let errors = [
        json!({"code": -32000, "message": "missing trie node 12ab (path ) state is not available"}),
        json!({"code": -32601, "message": "the method eth_getProof does not exist"}),
        Value::Null,
    ];
    for error in errors {
        let server = Server::start(move |request| rpc(request, |_, _| error.clone())).await;
        let fault = fault(&l1(&server), &prove(1, 1)).await;
        assert!(fault.is_absence(), "{fault}");
    }
}

fn prove(accounts: u8, slots: u64) -> Ask {
    let slots: BTreeSet<B256> = (0..slots).map(|n| B256::left_padding_from(&n.to_be_bytes())).collect();
    let keys = (0..accounts).map(|n| (Address::repeat_byte(n), slots.clone())).collect();
    Ask::Proof { layer: Layer::L1, block: Block { number: 9, hash: ROOT }, keys }
}

/// What `eth_getProof` gives, with one node for the account and one for each slot.
fn proof(params: &Value) -> Value {
    let slots = params[1].as_array().unwrap();
    let node = |of: &Value| json!([format!("0x{}", hex::encode(of.to_string()))]);
    let slots: Vec<Value> =
        slots.iter().map(|slot| json!({"key": slot, "value": "0x09", "proof": node(slot)})).collect();
    json!({
        "address": params[0], "accountProof": node(&params[0]), "balance": "0x0", "nonce": "0x0",
        "codeHash": keccak256([]), "storageHash": ROOT, "storageProof": slots,
    })
}

#[tokio::test]
async fn proofs_of_many_slots_are_batched_and_every_node_comes_once() {
    let server = Server::start(|request| rpc(request, |_, params| proof(params))).await;
    let Answer::Proof(nodes) = l1(&server).ask(&prove(3, 200)).await.unwrap() else { panic!() };
    assert_eq!(nodes.len(), 3 + 200, "the slots' nodes are the same for all accounts");
    assert!(server.seen().len() <= 4, "{}", server.seen().len());
}

#[tokio::test]
async fn a_server_that_takes_few_slots_gets_few() {
    let server = Server::start(|request| {
        if request.body.is_array() {
            return Reply::json(&json!({"id": null, "error": {"code": -32600, "message": "no batches"}}));
        }
        rpc(request, |_, params| match params[1].as_array().unwrap().len() {
            0..=20 => proof(params),
            _ => json!({"code": -32602, "message": "too many storage keys"}),
        })
    })
    .await;
    let Answer::Proof(nodes) = l1(&server).ask(&prove(2, 100)).await.unwrap() else { panic!() };
    assert_eq!(nodes.len(), 2 + 100);
}

#[tokio::test]
async fn assertion_logs_of_a_week_are_asked_for_in_ranges_and_smaller_ones_when_refused() {
    let number = |text: &Value| u64::from_str_radix(&text.as_str().unwrap()[2..], 16).unwrap();
    let server = Server::start(move |request| {
        rpc(request, |_, params| {
            let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
            if to - from >= 3000 {
                return json!({"code": -32005, "message": "block range is too wide"});
            }
            let entry = json!({
                "address": Address::ZERO, "topics": params[0]["topics"], "data": "0x01",
                "blockNumber": format!("0x{from:x}"),
            });
            json!([entry])
        })
    })
    .await;
    let ask = Ask::Assertions { rollup: Address::ZERO, from_block: 5, to_block: 45_818, hashes: vec![] };
    let Answer::Assertions(logs) = l1(&server).ask(&ask).await.unwrap() else { panic!() };
    let blocks: Vec<u64> = logs.iter().map(|log| log.block_number).collect();
    assert!(blocks.is_sorted() && blocks.len() >= 45_814 / 3000 && blocks[0] == 5, "{blocks:?}");
}

#[tokio::test]
async fn a_range_without_end_is_refused_without_a_request() {
    let server = Server::start(|_| Reply::Silence).await;
    let ask = Ask::Assertions { rollup: Address::ZERO, from_block: 0, to_block: u64::MAX, hashes: vec![] };
    assert!(fault(&l1(&server), &ask).await.is_absence());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_header_that_json_cannot_express_is_taken_by_its_bytes() {
    let server = Server::start(|request| {
        rpc(request, |method, _| match method {
            "debug_getRawHeader" => json!("0xc0ffee"),
            _ => json!({"number": "0x1", "unknown": true}),
        })
    })
    .await;
    let ask = Ask::Header { layer: Layer::L1, hash: ROOT };
    assert_eq!(l1(&server).ask(&ask).await.unwrap(), Answer::Header(vec![0xc0, 0xff, 0xee].into()));
}
