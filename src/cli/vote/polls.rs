//! Polls over the protocol: a poll's votes are logs and nothing else, so a tally is as whole as what endpoints tell; each vote
//! weighs by the voter's stake as proven now, by the rule of all votes: a delegator's own vote leaves its orchestrator's.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, keccak256};
use lightclient::livepeer::{Ask, Read};
use protocol::chain::abi::{PollMade, poll_vote};
use protocol::chain::polls::POLL_PERIOD;
use protocol::votes::{Support, Tally};
use protocol::{Lpt, Round};
use serde_json::{Value, json};

use super::logs;
use super::proposals::time;
use crate::cli::Failure;
use crate::cli::chain::open::Opened;

/// Most voters whose stake is looked up.
const MAX_VOTERS: usize = 200;

fn name(poll: &PollMade) -> String {
    String::from_utf8_lossy(&poll.proposal).chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Polls that endpoints know of, newest first.
pub(super) async fn list(opened: &Opened) -> Result<Vec<Value>, Failure> {
    let state = opened.situation(Address::ZERO, &[], None).await?;
    let slot_ms = opened.client().config().spec.slot_ms;
    let created = keccak256("PollCreated(address,bytes,uint256,uint256,uint256)");
    let logs = logs::find(opened, state.addresses.poll_creator, created).await?;
    let polls = logs.iter().rev().filter_map(|log| PollMade::read(&log.topics, &log.data));
    let now = state.head().number;
    Ok(polls
        .map(|poll| {
            let left = poll.end_block.saturating_sub(now).min(POLL_PERIOD).saturating_mul(slot_ms) / 1000;
            let ends = if left == 0 { "over".to_owned() } else { format!("in about {}", time(left)) };
            json!({ "poll": poll.poll, "about": name(&poll), "last_block": poll.end_block, "ends": ends })
        })
        .collect())
}

/// A poll and its tally.
pub(super) async fn show(opened: &Opened, poll: Address) -> Result<Value, Failure> {
    let known = list(opened).await?;
    let found = known.into_iter().find(|entry| entry["poll"] == json!(poll));
    let mut value = found.ok_or_else(|| format!("no endpoint knows a poll at {poll}"))?;
    let logs = logs::find(opened, poll, vote_topic()).await?;
    // Who votes again has changed its mind.
    let votes: BTreeMap<Address, U256> =
        logs.iter().filter_map(|log| poll_vote(&log.topics, &log.data)).collect();
    let counted = votes.iter().filter(|(_, choice)| **choice <= U256::ONE).take(MAX_VOTERS);
    let mut tally = Tally::default();
    let mut round = Round(0);
    for (voter, choice) in counted {
        let (weight, delegate, at) = weight(opened, *voter).await?;
        round = at;
        let support = if choice.is_zero() { Support::For } else { Support::Against };
        tally.cast(*voter, support, weight, delegate)?;
    }
    value["yes"] = json!(Lpt(tally.for_votes).to_string());
    value["no"] = json!(Lpt(tally.against_votes).to_string());
    value["voters"] = json!(votes.len());
    value["counted"] =
        json!(format!("votes by endpoints' logs, not proven; stake proven, as of round {round}"));
    Ok(value)
}

fn vote_topic() -> B256 {
    keccak256("Vote(address,uint256)")
}

/// What somebody's vote weighs, and with whom it is staked.
async fn weight(opened: &Opened, voter: Address) -> Result<(Lpt, Address, Round), Failure> {
    let Read::Delegator(held) = opened.read(&Ask::Delegator(voter)).await? else {
        return Err("a read answered something else than was asked".into());
    };
    let delegate = held.delegate.unwrap_or_default();
    let weight = if delegate == voter { held.delegated } else { held.pending.stake };
    Ok((weight, delegate, held.round))
}
