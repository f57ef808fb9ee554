//! Logs of votes from the L2 endpoints: an address and a topic in, what any of them knows out. Nobody proves that a list of
//! logs is whole; what a log says is checked by its reader where that is possible.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use wallet::rpc::Endpoint;
use wallet::rpc::value::u64 as number;

use crate::chain::plan;
use crate::cli::Failure;
use crate::cli::chain::open::Opened;

/// How long an endpoint may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Blocks of one question where an endpoint refuses the whole chain at once.
const WINDOW: u64 = 10_000;
/// Such questions, newest blocks first.
const MAX_WINDOWS: u64 = 40;
/// Most logs that are looked at.
const MAX_LOGS: usize = 10_000;

/// One log as an endpoint claims it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    block_number: Value,
    log_index: Value,
}

/// All logs of `address` whose first topic is `topic`, in the order of the chain.
pub(super) async fn find(opened: &Opened, address: Address, topic: B256) -> Result<Vec<Log>, Failure> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let (mut found, mut why) = (BTreeMap::new(), "no L2 endpoint is named: give --l2".to_owned());
    let mut answered = false;
    for url in plan(&opened.chain, true).await?.l2 {
        let endpoint = Endpoint::new(url.parse()?, client.clone(), PATIENCE);
        match of_endpoint(&endpoint, address, topic).await {
            Ok(logs) => {
                answered = true;
                found.extend(logs.into_iter().filter_map(|log| Some((place(&log)?, log))).take(MAX_LOGS));
            }
            Err(error) => why = format!("{} gives no logs: {error}", endpoint.name()),
        }
    }
    if answered { Ok(found.into_values().collect()) } else { Err(why.into()) }
}

fn place(log: &Log) -> Option<(u64, u64, Vec<u8>)> {
    Some((number(&log.block_number)?, number(&log.log_index)?, log.data.to_vec()))
}

async fn of_endpoint(endpoint: &Endpoint, address: Address, topic: B256) -> Result<Vec<Log>, Failure> {
    let filter = |from: u64, to: Value| json!([{ "address": address, "topics": [topic], "fromBlock": format!("{from:#x}"), "toBlock": to }]);
    let read = |answer: Value| Ok(serde_json::from_value::<Vec<Log>>(answer)?);
    if let Ok(answer) = endpoint.ask("eth_getLogs", filter(0, json!("latest"))).await {
        return read(answer);
    }
    let head = endpoint.ask("eth_blockNumber", json!([])).await?;
    let mut to = number(&head).ok_or("a block number that is none")?;
    let mut found = Vec::new();
    for _ in 0..MAX_WINDOWS {
        let from = to.saturating_sub(WINDOW - 1);
        found.extend(read(endpoint.ask("eth_getLogs", filter(from, json!(format!("{to:#x}")))).await?)?);
        match from.checked_sub(1) {
            Some(next) if found.len() < MAX_LOGS => to = next,
            _ => break,
        }
    }
    Ok(found)
}
