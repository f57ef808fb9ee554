//! `PollCreator` and its polls: votes over the protocol itself. A vote is only an event; who reads them counts them, with
//! the stake at the poll's last block and the same override rule as [`crate::votes`].

use alloy_primitives::{Address, Bytes, U256};

use super::{Chain, Contract, Event, Revert, call};
use crate::journal::{Cell, Map, journaled};
use crate::votes::{QUORUM, QUOTA};

/// L1 blocks that a poll lasts.
pub const POLL_PERIOD: u64 = 57_600;
/// Stake that it takes to make a poll: 100 LPT.
pub const POLL_CREATION_COST: U256 = crate::votes::PROPOSAL_THRESHOLD.0;

/// Their storage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Polls {
    /// Last L1 block of each poll, by its address.
    pub end_block: Map<Address, u64>,
    /// Contracts that the creator has made.
    pub created: Cell<u64>,
}

journaled!(Polls { end_block, created });

impl Chain {
    pub(super) fn call_polls(&mut self, from: Address, call: call::Polls) -> Result<(), Revert> {
        match call {
            call::Polls::Create(proposal) => self.create_poll(from, proposal),
            call::Polls::Vote(poll, choice_id) => {
                if self.head().number > self.poll_end(poll)? {
                    return Err(Revert::PollOver);
                }
                self.emit(Contract::Poll(poll), Event::Vote { voter: from, choice_id });
                Ok(())
            }
            call::Polls::Destroy(poll) => {
                if self.head().number <= self.poll_end(poll)? {
                    return Err(Revert::PollActive);
                }
                self.polls.end_block.remove(&poll);
                Ok(())
            }
        }
    }

    pub(super) fn poll_end(&self, poll: Address) -> Result<u64, Revert> {
        self.polls.end_block.get(&poll).copied().ok_or(Revert::NoPoll)
    }

    fn create_poll(&mut self, from: Address, proposal: Bytes) -> Result<(), Revert> {
        let pending = self.bonding.pending(from, self.current_round()?)?.stake.0;
        let delegated = self.bonding.delegators.at(&from).delegated_amount;
        if pending.max(delegated) < POLL_CREATION_COST {
            return Err(Revert::InsufficientStake);
        }
        // A contract's own first nonce is one (EIP-161).
        let nonce = *self.polls.created + 1;
        self.polls.created.set(nonce);
        let poll = self.addresses.poll_creator.create(nonce);
        let end_block = self.head().number.saturating_add(POLL_PERIOD);
        self.polls.end_block.set(&poll, end_block);
        let event = Event::PollCreated {
            poll,
            proposal,
            end_block: U256::from(end_block),
            quorum: U256::from(QUORUM),
            quota: U256::from(QUOTA),
        };
        self.emit(Contract::PollCreator, event);
        Ok(())
    }
}
