//! Proposals to the treasury as people read them: which there are by endpoints' logs, whose words their numbers prove; how far
//! they are, by proven state.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256, keccak256};
use lightclient::livepeer::situation::votes::reaches;
use protocol::chain::abi::{Proposed, decode};
use protocol::chain::call::{Action, Token};
use protocol::chain::governor::ProposalState;
use protocol::chain::{Call, Chain, Contract};
use protocol::math::PPM;
use protocol::votes::QUORUM;
use protocol::{Lpt, Round, Wei};
use serde_json::{Value, json};

use super::logs;
use crate::cli::Failure;
use crate::cli::chain::open::Opened;

/// Newest proposals that a list shows.
const MAX_LISTED: usize = 20;

/// What `LivepeerGovernor` logs of a new proposal.
const CREATED: &str =
    "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)";

/// The newest proposals, or one; each with what proven state says of it.
pub(super) async fn read(
    opened: &Opened,
    me: Option<Address>,
    only: Option<U256>,
) -> Result<Vec<Value>, Failure> {
    let me_or_nobody = me.unwrap_or_default();
    let governor = opened.situation(me_or_nobody, &[], None).await?.addresses.governor;
    let words = match logs::find(opened, governor, keccak256(CREATED)).await {
        Ok(logs) => logs.iter().filter_map(|log| Proposed::read(&log.data)).collect(),
        Err(error) if only.is_none() => return Err(error),
        Err(_) => Vec::new(),
    };
    let ids: Vec<U256> = match only {
        Some(id) => vec![id],
        None => words.iter().rev().map(|proposed: &Proposed| proposed.id).take(MAX_LISTED).collect(),
    };
    let words: BTreeMap<U256, Proposed> = words.into_iter().map(|words| (words.id, words)).collect();
    let state = opened.situation(me_or_nobody, &[], Some(&ids)).await?;
    let slot_ms = opened.client().config().spec.slot_ms;
    let shown = ids.into_iter().map(|id| shown(&state, id, words.get(&id), me, slot_ms));
    let mut all = Vec::new();
    for one in shown {
        all.push(one?);
    }
    Ok(all)
}

/// The words of a proposal by its number, which is their hash: whoever tells them cannot change them.
pub(super) async fn words(opened: &Opened, governor: Address, id: U256) -> Result<Proposed, Failure> {
    let logs = logs::find(opened, governor, keccak256(CREATED)).await?;
    let mut known = logs.iter().filter_map(|log| Proposed::read(&log.data));
    known.find(|words| words.id == id).ok_or_else(|| {
        format!(
            "no endpoint tells the words of proposal {id}: give them (--to, --lpt or --eth, --description)"
        )
        .into()
    })
}

fn shown(
    state: &Chain,
    id: U256,
    words: Option<&Proposed>,
    me: Option<Address>,
    slot_ms: u64,
) -> Result<Value, Failure> {
    let far = state.proposal_state(id).map_err(|why| format!("proposal {id}: {why}"))?;
    let proposal = state.governor.proposals.at(&id);
    let tally = state.governor.tallies.at(&id);
    let counted = proposal.vote_start.min(state.current_round()?);
    let total = state.total_votes_at(counted)?;
    let quorum = PPM.share(total.0, U256::from(QUORUM))?;
    let part = [tally.for_votes, tally.against_votes, tally.abstain_votes];
    let part = part.into_iter().fold(U256::ZERO, U256::saturating_add);
    let mut value = json!({
        "proposal": id.to_string(),
        "state": word(far),
        "proposer": proposal.proposer,
        "votes": format!("from round {} to round {}", proposal.vote_start.next(), proposal.vote_end),
        "next": next(state, far, proposal.vote_start, proposal.vote_end, slot_ms),
        "for": Lpt(tally.for_votes).to_string(),
        "against": Lpt(tally.against_votes).to_string(),
        "abstain": Lpt(tally.abstain_votes).to_string(),
        "took_part": format!("{} of {total}; it takes {}{}", Lpt(part), Lpt(quorum),
            if part >= quorum { ": reached" } else { "" }),
        "treasury": Lpt(state.token.balances.at(&state.addresses.treasury)).to_string(),
    });
    if let Some(words) = words {
        value["does"] = words.actions.iter().map(|action| json!(does(state, action))).collect();
        value["why"] = json!(words.description);
    }
    if let Some(me) = me {
        value["own"] = json!(own(state, id, me, counted)?);
    }
    Ok(value)
}

/// What somebody votes with, and whether it did.
fn own(state: &Chain, id: U256, me: Address, counted: Round) -> Result<String, Failure> {
    if !reaches(state, me, counted) {
        return Ok("older than what was read".into());
    }
    let (weight, delegate) = state.votes_at(me, counted)?;
    let of = |who: Address| state.governor.tallies.at(&id).voters.get(&who).copied().unwrap_or_default();
    let voted = match (of(me).voted, of(delegate).voted) {
        (Some(vote), _) => format!("voted {vote:?}"),
        (None, Some(vote)) if delegate != me => format!("not voted; {delegate} voted {vote:?} with it"),
        (None, _) => "not voted".to_owned(),
    };
    Ok(format!("{weight}, {voted}"))
}

fn next(state: &Chain, far: ProposalState, start: Round, end: Round, slot_ms: u64) -> String {
    match far {
        ProposalState::Pending => format!("the vote begins {}", until(state, start.next(), slot_ms)),
        ProposalState::Active => format!("the vote ends {}", until(state, end.next(), slot_ms)),
        ProposalState::Succeeded => "anybody may queue it".into(),
        ProposalState::Queued => "anybody may execute it".into(),
        ProposalState::Canceled | ProposalState::Defeated | ProposalState::Executed => "nothing".into(),
    }
}

/// When a round begins.
fn until(state: &Chain, round: Round, slot_ms: u64) -> String {
    format!("with round {round}, {}", wait(state, round, slot_ms))
}

/// How long it is until a round begins.
pub(in crate::cli) fn wait(state: &Chain, round: Round, slot_ms: u64) -> String {
    let rounds = &state.rounds;
    let since = round.0.saturating_sub(rounds.last_round_length_update_round.0);
    let block = since.saturating_mul(*rounds.round_length);
    let block = block.saturating_add(*rounds.last_round_length_update_start_block);
    let seconds = block.saturating_sub(state.head().number).saturating_mul(slot_ms) / 1000;
    format!("in about {}", time(seconds))
}

/// Seconds as people say them.
pub(in crate::cli) fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

const fn word(state: ProposalState) -> &'static str {
    match state {
        ProposalState::Pending => "pending",
        ProposalState::Active => "active",
        ProposalState::Canceled => "canceled",
        ProposalState::Defeated => "defeated",
        ProposalState::Succeeded => "succeeded",
        ProposalState::Queued => "queued",
        ProposalState::Executed => "executed",
    }
}

/// An action in words.
pub(super) fn does(state: &Chain, action: &Action) -> String {
    let transfer = decode(Contract::LivepeerToken, &action.calldata);
    match transfer {
        Ok(Call::Token(Token::Transfer(to, amount))) if action.target == state.addresses.token => {
            format!("pays {} to {to}", Lpt(amount))
        }
        _ if action.calldata.is_empty() => format!("pays {} to {}", Wei(action.value), action.target),
        _ => {
            format!("calls {} with {} bytes and {}", action.target, action.calldata.len(), Wei(action.value))
        }
    }
}
