//! `LivepeerGovernor` and the treasury (LIP-91, LIP-92): a proposal is a list of calls that the treasury makes when enough
//! stake is for it. Propose, vote, queue, execute. It governs the treasury and nothing else. Counting is in
//! [`crate::votes`], stake at past rounds in [`super::bonding_votes`].

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::call::{Action, Governor};
use super::{Chain, Contract, Event, Revert, abi};
use crate::journal::{Map, journaled};
use crate::rounds::Round;
use crate::votes::{PROPOSAL_THRESHOLD, Refused, Support, Tally, VOTING_DELAY, VOTING_PERIOD};

/// A proposal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Proposal {
    /// The round at whose end stake is counted; the vote begins after it.
    pub vote_start: Round,
    /// Last round of the vote.
    pub vote_end: Round,
    /// Who made it.
    pub proposer: Address,
    /// Whether it was carried out.
    pub executed: bool,
    /// Whether its maker took it back.
    pub canceled: bool,
}

/// How far a proposal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProposalState {
    /// The vote has not begun.
    Pending,
    /// It runs.
    Active,
    /// Its maker took it back.
    Canceled,
    /// Too few took part, or were for it.
    Defeated,
    /// It may be queued.
    Succeeded,
    /// It may be executed.
    Queued,
    /// It was.
    Executed,
}

/// Its storage, and the treasury's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LivepeerGovernor {
    /// Proposals by number.
    pub proposals: Map<U256, Proposal>,
    /// Their votes.
    pub tallies: Map<U256, Tally>,
    /// What each queued proposal is called in the treasury's timelock.
    pub timelock_ids: Map<U256, B256>,
    /// When each operation of the timelock is ready, seconds since 1970; one when it is done.
    pub timestamps: Map<B256, u64>,
}

journaled!(LivepeerGovernor { proposals, tallies, timelock_ids, timestamps });

/// What the timelock writes for an operation that is done.
const DONE: u64 = 1;

/// The number of a proposal: a hash of what it would do and why.
#[must_use]
pub fn proposal_id(actions: &[Action], description_hash: B256) -> U256 {
    keccak256(abi::batch(actions, &[description_hash])).into()
}

impl Chain {
    pub(super) fn call_governor(&mut self, from: Address, call: Governor) -> Result<(), Revert> {
        match call {
            Governor::Propose(actions, description) => self.propose(from, actions, description),
            Governor::CastVote(proposal, support, reason) => self.cast_vote(from, proposal, support, reason),
            Governor::Queue(actions, description) => self.queue(&actions, description),
            Governor::Execute(actions, description) => self.execute(&actions, description),
            Governor::Cancel(actions, description) => self.cancel(from, &actions, description),
        }
    }

    fn propose(&mut self, from: Address, actions: Vec<Action>, description: String) -> Result<(), Revert> {
        if names_another_proposer(&description, from) {
            return Err(Revert::ProposerRestricted);
        }
        let round = self.current_round()?;
        let before = Round(round.0.checked_sub(1).ok_or(crate::math::Arithmetic::Overflow)?);
        if self.votes_at(from, before)?.0 < PROPOSAL_THRESHOLD {
            return Err(Revert::BelowThreshold);
        }
        let id = proposal_id(&actions, keccak256(&description));
        if actions.is_empty() {
            return Err(Revert::EmptyProposal);
        }
        if self.governor.proposals.at(&id).vote_start != Round(0) {
            return Err(Revert::ProposalExists);
        }
        let vote_start = Round(round.0.saturating_add(VOTING_DELAY));
        let vote_end = Round(vote_start.0.saturating_add(VOTING_PERIOD));
        let proposal = Proposal { vote_start, vote_end, proposer: from, ..Proposal::default() };
        self.governor.proposals.set(&id, proposal);
        self.emit_proposal(id, &proposal, actions, description);
        Ok(())
    }

    fn emit_proposal(&mut self, id: U256, proposal: &Proposal, actions: Vec<Action>, description: String) {
        let event = Event::ProposalCreated {
            proposal_id: id,
            proposer: proposal.proposer,
            targets: actions.iter().map(|action| action.target).collect(),
            values: actions.iter().map(|action| action.value).collect(),
            signatures: vec![String::new(); actions.len()],
            calldatas: actions.into_iter().map(|action| action.calldata).collect(),
            vote_start: proposal.vote_start.to_word(),
            vote_end: proposal.vote_end.to_word(),
            description,
        };
        self.emit(Contract::LivepeerGovernor, event);
    }

    /// How far a proposal is.
    ///
    /// # Errors
    /// [`Revert::UnknownProposal`].
    pub fn proposal_state(&self, id: U256) -> Result<ProposalState, Revert> {
        let proposal = self.governor.proposals.at(&id);
        let round = self.current_round()?;
        match () {
            () if proposal.executed => Ok(ProposalState::Executed),
            () if proposal.canceled => Ok(ProposalState::Canceled),
            () if proposal.vote_start == Round(0) => Err(Revert::UnknownProposal),
            () if proposal.vote_start >= round => Ok(ProposalState::Pending),
            () if proposal.vote_end >= round => Ok(ProposalState::Active),
            () => self.outcome(id, &proposal),
        }
    }

    fn outcome(&self, id: U256, proposal: &Proposal) -> Result<ProposalState, Revert> {
        let tally = self.governor.tallies.at(&id);
        let total = self.total_votes_at(proposal.vote_start)?;
        if !tally.quorum_reached(total)? || !tally.succeeded()? {
            return Ok(ProposalState::Defeated);
        }
        let Some(operation) = self.governor.timelock_ids.get(&id) else {
            return Ok(ProposalState::Succeeded);
        };
        Ok(match self.governor.timestamps.at(operation) {
            0 => ProposalState::Canceled,
            DONE => ProposalState::Executed,
            _ => ProposalState::Queued,
        })
    }

    fn cast_vote(&mut self, from: Address, id: U256, support: u8, reason: String) -> Result<(), Revert> {
        if self.proposal_state(id)? != ProposalState::Active {
            return Err(Revert::VoteNotActive);
        }
        let snapshot = self.governor.proposals.at(&id).vote_start;
        let (weight, delegate) = self.votes_at(from, snapshot)?;
        let vote = Support::from_number(support).ok_or(Revert::InvalidVoteType(support))?;
        self.governor.tallies.edit(&id).cast(from, vote, weight, delegate).map_err(
            |refused| match refused {
                Refused::AlreadyCast => Revert::VoteAlreadyCast,
                Refused::Panic(panic) => Revert::Panic(panic),
            },
        )?;
        let event = Event::VoteCast { voter: from, proposal_id: id, support, weight: weight.0, reason };
        self.emit(Contract::LivepeerGovernor, event);
        Ok(())
    }

    fn queue(&mut self, actions: &[Action], description: B256) -> Result<(), Revert> {
        let id = proposal_id(actions, description);
        if self.proposal_state(id)? != ProposalState::Succeeded {
            return Err(Revert::NotSuccessful);
        }
        let operation = keccak256(abi::batch(actions, &[B256::ZERO, description]));
        // The treasury's delay is zero.
        let ready = self.head().timestamp.max(DONE + 1);
        self.governor.timelock_ids.set(&id, operation);
        self.governor.timestamps.set(&operation, ready);
        for (index, action) in actions.iter().cloned().enumerate() {
            let event = Event::CallScheduled {
                id: operation,
                index: U256::from(index),
                target: action.target,
                value: action.value,
                data: action.calldata,
                predecessor: B256::ZERO,
                delay: U256::ZERO,
            };
            self.emit(Contract::Treasury, event);
        }
        self.emit(Contract::Treasury, Event::CallSalt { id: operation, salt: description });
        let event = Event::ProposalQueued { proposal_id: id, eta: U256::from(ready) };
        self.emit(Contract::LivepeerGovernor, event);
        Ok(())
    }

    fn execute(&mut self, actions: &[Action], description: B256) -> Result<(), Revert> {
        let id = proposal_id(actions, description);
        let state = self.proposal_state(id)?;
        if !matches!(state, ProposalState::Succeeded | ProposalState::Queued) {
            return Err(Revert::NotSuccessful);
        }
        self.governor.proposals.edit(&id).executed = true;
        self.emit(Contract::LivepeerGovernor, Event::ProposalExecuted { proposal_id: id });
        let operation = keccak256(abi::batch(actions, &[B256::ZERO, description]));
        let ready = self.governor.timestamps.at(&operation);
        if ready <= DONE || ready > self.head().timestamp.max(DONE + 1) {
            return Err(Revert::NotReady);
        }
        for (index, action) in actions.iter().enumerate() {
            self.act(action).map_err(|_| Revert::UnderlyingReverted)?;
            let event = Event::CallExecuted {
                id: operation,
                index: U256::from(index),
                target: action.target,
                value: action.value,
                data: action.calldata.clone(),
            };
            self.emit(Contract::Treasury, event);
        }
        self.governor.timestamps.set(&operation, DONE);
        Ok(())
    }

    /// One call of the treasury: of the token, or ether to somebody who is no contract of the protocol.
    fn act(&mut self, action: &Action) -> Result<(), Revert> {
        let treasury = self.addresses.treasury;
        if action.target == self.addresses.token {
            let call = abi::decode(Contract::LivepeerToken, &action.calldata)?;
            return self.dispatch(treasury, action.value, call);
        }
        if self.addresses.are_a_contract(action.target) {
            return Err(Revert::UnderlyingReverted);
        }
        self.send(treasury, action.target, action.value)
    }

    fn cancel(&mut self, from: Address, actions: &[Action], description: B256) -> Result<(), Revert> {
        let id = proposal_id(actions, description);
        match () {
            () if self.proposal_state(id)? != ProposalState::Pending => return Err(Revert::TooLateToCancel),
            () if self.governor.proposals.at(&id).proposer != from => return Err(Revert::NotProposer),
            () => self.governor.proposals.edit(&id).canceled = true,
        }
        self.emit(Contract::LivepeerGovernor, Event::ProposalCanceled { proposal_id: id });
        Ok(())
    }
}

/// Whether a description ends in `#proposer=0x...` with somebody else's address.
fn names_another_proposer(description: &str, from: Address) -> bool {
    const MARK: &[u8] = b"#proposer=0x";
    let text = description.as_bytes();
    let Some((_, tail)) = text.len().checked_sub(MARK.len() + 40).map(|at| text.split_at(at)) else {
        return false;
    };
    let mut named = [0; 20];
    tail.starts_with(MARK) && hex::decode_to_slice(&tail[MARK.len()..], &mut named).is_ok() && from != named
}

impl super::Addresses {
    fn are_a_contract(&self, target: Address) -> bool {
        let contracts = [
            self.bonding_manager,
            self.minter,
            self.treasury,
            self.ticket_broker,
            self.governor,
            self.poll_creator,
        ];
        contracts.contains(&target)
    }
}

impl Action {
    /// A transfer of LPT out of the treasury.
    #[must_use]
    pub fn pay_lpt(token: Address, to: Address, amount: U256) -> Self {
        let call = abi::call("transfer(address,uint256)", &[to.into(), amount.into()]);
        Self { target: token, value: U256::ZERO, calldata: call.into() }
    }

    /// A transfer of ether out of the treasury.
    #[must_use]
    pub const fn pay_eth(to: Address, value: U256) -> Self {
        Self { target: to, value, calldata: Bytes::new() }
    }
}
