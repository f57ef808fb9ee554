//! Logs of votes back into what they say. A proposal's number is the hash of its words, so whoever hands on such a log cannot
//! change them; of a poll's votes it can be checked by nothing but other servers.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::Args;
use crate::chain::call::Action;
use crate::chain::governor::proposal_id;

/// A proposal as its maker described it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposed {
    /// Its number.
    pub id: U256,
    /// What the treasury would do.
    pub actions: Vec<Action>,
    /// Why.
    pub description: String,
}

/// A poll as it was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PollMade {
    /// Where it lives.
    pub poll: Address,
    /// What it is about, usually the name of a document.
    pub proposal: Bytes,
    /// Its last L1 block.
    pub end_block: u64,
}

impl Proposed {
    /// Reads the data of a `ProposalCreated` log; none where it is malformed, or its number is not the hash of its words.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let whole = Bytes::copy_from_slice(data);
        let mut args = Args::of(&whole);
        let (id, _proposer) = (args.uint()?, args.address()?);
        let (targets, values) = (args.list(Args::address)?, args.list(Args::uint)?);
        let (_signatures, calls) = (args.list(Args::bytes)?, args.list(Args::bytes)?);
        let (_start, _end) = (args.uint()?, args.uint()?);
        let description = args.text()?;
        if targets.len() != values.len() || targets.len() != calls.len() {
            return None;
        }
        let all = targets.into_iter().zip(values).zip(calls);
        let actions: Vec<_> =
            all.map(|((target, value), calldata)| Action { target, value, calldata }).collect();
        let named = proposal_id(&actions, keccak256(&description)) == id;
        named.then_some(Self { id, actions, description })
    }
}

impl PollMade {
    /// Reads a `PollCreated` log; none where it is malformed.
    #[must_use]
    pub fn read(topics: &[B256], data: &[u8]) -> Option<Self> {
        let whole = Bytes::copy_from_slice(data);
        let mut args = Args::of(&whole);
        let poll = Address::from_word(*topics.get(1)?);
        Some(Self { poll, proposal: args.bytes()?, end_block: args.number()? })
    }
}

/// Who voted what, by a poll's `Vote` log.
#[must_use]
pub fn poll_vote(topics: &[B256], data: &[u8]) -> Option<(Address, U256)> {
    let choice = data.first_chunk::<32>()?;
    Some((Address::from_word(*topics.get(1)?), U256::from_be_bytes(*choice)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Event;

    fn proposed(description: &str) -> Event {
        let action = Action::pay_lpt(Address::repeat_byte(1), Address::repeat_byte(2), U256::from(7));
        Event::ProposalCreated {
            proposal_id: proposal_id(std::slice::from_ref(&action), keccak256("why")),
            proposer: Address::repeat_byte(3),
            targets: vec![action.target],
            values: vec![action.value],
            signatures: vec![String::new()],
            calldatas: vec![action.calldata],
            vote_start: U256::from(5),
            vote_end: U256::from(15),
            description: description.to_owned(),
        }
    }

    #[test]
    fn a_proposal_whose_words_were_changed_has_another_number() {
        let read = Proposed::read(&proposed("why").data()).unwrap();
        assert_eq!((read.description.as_str(), read.actions.len()), ("why", 1));
        assert_eq!(Proposed::read(&proposed("why not").data()), None);
        let data = proposed("why").data();
        assert!((0..data.len()).all(|cut| Proposed::read(&data[..cut.min(data.len() - 64)]).is_none()));
    }

    #[test]
    fn a_polls_logs_are_read_back() {
        let (poll, voter) = (Address::repeat_byte(4), Address::repeat_byte(5));
        let made = Event::PollCreated {
            poll,
            proposal: Bytes::from_static(b"LIP"),
            end_block: U256::from(77),
            quorum: U256::ZERO,
            quota: U256::ZERO,
        };
        let read = PollMade::read(&made.topics(), &made.data()).unwrap();
        assert_eq!((read.poll, read.proposal, read.end_block), (poll, Bytes::from_static(b"LIP"), 77));
        let vote = Event::Vote { voter, choice_id: U256::ONE };
        assert_eq!(poll_vote(&vote.topics(), &vote.data()), Some((voter, U256::ONE)));
        assert_eq!(poll_vote(&[], &[]), None);
    }
}
