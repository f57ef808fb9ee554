//! The views of `BondingVotes`, `LivepeerGovernor`, the treasury and polls.

use alloy_primitives::{Address, U256};

use super::{Asked, Table, one};
use crate::amount::Lpt;
use crate::chain::governor::{ProposalState, proposal_id};
use crate::chain::polls::{POLL_CREATION_COST, POLL_PERIOD};
use crate::chain::{Chain, Revert};
use crate::math::{Arithmetic, PPM};
use crate::rounds::Round;
use crate::votes::{PROPOSAL_THRESHOLD, QUORUM, QUOTA, VOTING_DELAY, VOTING_PERIOD};

/// Its clock is the round.
const CLOCK_MODE: &str = "mode=livepeer_round";

pub(super) const BONDING_VOTES: Table = &[
    ("getVotes(address)", |c, a| one(c.votes_at(a.address()?, c.current_round()?)?.0.0)),
    ("getPastVotes(address,uint256)", |c, a| one(past_votes(c, a)?.0.0)),
    ("delegatedAt(address,uint256)", |c, a| one(past_votes(c, a)?.1)),
    ("delegates(address)", |c, a| one(c.votes_at(a.address()?, c.current_round()?)?.1)),
    ("totalSupply()", |c, _| one(c.total_votes_at(c.current_round()?)?.0)),
    ("getPastTotalSupply(uint256)", |c, a| one(past_total(c, a)?.0)),
    ("getVotesAndDelegateAtRoundStart(address,uint256)", |c, a| {
        let who = a.address()?;
        let (votes, delegate) = c.votes_at(who, before(a.round()?)?)?;
        Ok(vec![votes.0.into(), delegate.into()])
    }),
    ("getTotalActiveStakeAt(uint256)", |c, a| one(c.total_votes_at(before(a.round()?)?)?.0)),
    ("hasCheckpoint(address)", |c, a| one(c.votes.start_round_count.at(&a.address()?) > 0)),
    ("clock()", |c, _| one(c.current_round()?)),
    ("CLOCK_MODE()", |_, _| one(CLOCK_MODE)),
    ("decimals()", |_, _| one(18u64)),
    ("name()", |_, _| one("Livepeer Voting Power")),
    ("symbol()", |_, _| one("vLPT")),
];

pub(super) const LIVEPEER_GOVERNOR: Table = &[
    ("state(uint256)", |c, a| one(number_of(c.proposal_state(a.uint()?)?))),
    ("proposalSnapshot(uint256)", |c, a| one(c.governor.proposals.at(&a.uint()?).vote_start)),
    ("proposalDeadline(uint256)", |c, a| one(c.governor.proposals.at(&a.uint()?).vote_end)),
    ("proposalProposer(uint256)", |c, a| one(c.governor.proposals.at(&a.uint()?).proposer)),
    ("proposalEta(uint256)", |c, a| {
        let operation = c.governor.timelock_ids.at(&a.uint()?);
        let ready = c.governor.timestamps.at(&operation);
        one(if ready == DONE { 0 } else { ready })
    }),
    ("proposalVotes(uint256)", |c, a| {
        let tally = c.governor.tallies.at(&a.uint()?);
        Ok(vec![tally.against_votes.into(), tally.for_votes.into(), tally.abstain_votes.into()])
    }),
    ("hasVoted(uint256,address)", |c, a| {
        let (tally, who) = (c.governor.tallies.at(&a.uint()?), a.address()?);
        one(tally.voters.get(&who).is_some_and(|voter| voter.voted.is_some()))
    }),
    ("getVotes(address,uint256)", |c, a| one(past_votes(c, a)?.0.0)),
    ("quorum(uint256)", |c, a| one(PPM.share(past_total(c, a)?.0, U256::from(QUORUM))?)),
    ("quorumNumerator()", |_, _| one(QUORUM)),
    ("quorumNumerator(uint256)", |_, a| {
        a.uint()?;
        one(QUORUM)
    }),
    ("quorumDenominator()", |_, _| one(PPM.whole())),
    ("quota()", |_, _| one(QUOTA)),
    ("votingDelay()", |_, _| one(VOTING_DELAY)),
    ("votingPeriod()", |_, _| one(VOTING_PERIOD)),
    ("proposalThreshold()", |_, _| one(PROPOSAL_THRESHOLD.0)),
    ("timelock()", |c, _| one(c.addresses.treasury)),
    ("clock()", |c, _| one(c.current_round()?)),
    ("CLOCK_MODE()", |_, _| one(CLOCK_MODE)),
    ("COUNTING_MODE()", |_, _| one("support=bravo&quorum=for,abstain,against")),
    ("name()", |_, _| one("LivepeerGovernor")),
    ("version()", |_, _| one("1")),
    ("hashProposal(address[],uint256[],bytes[],bytes32)", |_, a| {
        let actions = a.0.actions().ok_or(Revert::BadCalldata)?;
        one(proposal_id(&actions, a.hash()?))
    }),
];

/// What the timelock writes for an operation that is done.
const DONE: u64 = 1;

pub(super) const TREASURY: Table = &[
    ("getTimestamp(bytes32)", |c, a| one(c.governor.timestamps.at(&a.hash()?))),
    ("isOperation(bytes32)", |c, a| one(c.governor.timestamps.at(&a.hash()?) > 0)),
    ("isOperationPending(bytes32)", |c, a| one(c.governor.timestamps.at(&a.hash()?) > DONE)),
    ("isOperationDone(bytes32)", |c, a| one(c.governor.timestamps.at(&a.hash()?) == DONE)),
    ("isOperationReady(bytes32)", |c, a| {
        let ready = c.governor.timestamps.at(&a.hash()?);
        one(ready > DONE && ready <= c.head().timestamp)
    }),
    ("getMinDelay()", |_, _| one(0u64)),
];

pub(super) const POLL_CREATOR: Table = &[
    ("POLL_CREATION_COST()", |_, _| one(POLL_CREATION_COST)),
    ("POLL_PERIOD()", |_, _| one(POLL_PERIOD)),
    ("QUORUM()", |_, _| one(QUORUM)),
    ("QUOTA()", |_, _| one(QUOTA)),
    ("bondingManager()", |c, _| one(c.addresses.bonding_manager)),
];

/// Its one view is answered by whoever knows which poll is meant.
pub(super) const POLL: Table = &[("endBlock()", |_, _| Err(Revert::NoPoll))];

/// The votes of an account at the end of a round that is over.
fn past_votes(chain: &Chain, asked: &mut Asked<'_>) -> Result<(Lpt, Address), Revert> {
    let who = asked.address()?;
    let round = require_past(chain, asked.uint()?)?;
    chain.votes_at(who, round)
}

fn past_total(chain: &Chain, asked: &mut Asked<'_>) -> Result<Lpt, Revert> {
    let round = require_past(chain, asked.uint()?)?;
    chain.total_votes_at(round)
}

fn require_past(chain: &Chain, asked: U256) -> Result<Round, Revert> {
    let now = chain.current_round()?.to_word();
    if asked >= now {
        return Err(Revert::FutureLookup(asked, now.saturating_sub(U256::ONE)));
    }
    Ok(Round::from_word(asked))
}

/// What counts at a round's start counted at the end of the one before.
fn before(round: Round) -> Result<Round, Revert> {
    Ok(Round(round.0.checked_sub(1).ok_or(Arithmetic::Overflow)?))
}

/// The state's number in the contract; 6, expired, does not happen.
const fn number_of(state: ProposalState) -> u64 {
    match state {
        ProposalState::Pending => 0,
        ProposalState::Active => 1,
        ProposalState::Canceled => 2,
        ProposalState::Defeated => 3,
        ProposalState::Succeeded => 4,
        ProposalState::Queued => 5,
        ProposalState::Executed => 7,
    }
}
