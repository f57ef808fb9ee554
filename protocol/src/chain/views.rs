//! What anybody may ask the contracts: every getter that clients use, by its signature; calldata in, ABI words out. Changes
//! nothing. Which address is which contract, and what a registry says of that, is the caller's knowledge.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::abi::{Args, Value, encode, selector};
use super::{Chain, Contract, Revert};
use crate::rounds::Round;

mod bonding;
mod governance;
mod payments;
mod rounds;
mod token;

/// Arguments of a view that are still to be read.
struct Asked<'a>(Args<'a>);

type Answer = fn(&Chain, &mut Asked<'_>) -> Result<Vec<Value>, Revert>;
type Table = &'static [(&'static str, Answer)];

impl Chain {
    /// What a contract's view returns, ABI-encoded.
    ///
    /// # Errors
    /// [`Revert::UnknownFunction`] when the contract has no such view, [`Revert::BadCalldata`], or what the view reverts
    /// with.
    pub fn view(&self, contract: Contract, data: &[u8]) -> Result<Vec<u8>, Revert> {
        let (called, args) = data.split_first_chunk::<4>().ok_or(Revert::UnknownFunction)?;
        let found = views(contract).iter().find(|(signature, _)| selector(signature) == *called);
        let (_, answer) = found.ok_or(Revert::UnknownFunction)?;
        let whole = Bytes::copy_from_slice(args);
        let mut asked = Asked(Args::of(&whole));
        if let Contract::Poll(poll) = contract {
            return Ok(encode(&[self.poll_end(poll)?.into()]));
        }
        Ok(encode(&answer(self, &mut asked)?))
    }
}

fn views(contract: Contract) -> Table {
    match contract {
        Contract::Controller => rounds::CONTROLLER,
        Contract::BondingManager => bonding::BONDING_MANAGER,
        Contract::BondingVotes => governance::BONDING_VOTES,
        Contract::RoundsManager => rounds::ROUNDS_MANAGER,
        Contract::Minter => rounds::MINTER,
        Contract::TicketBroker => payments::TICKET_BROKER,
        Contract::ServiceRegistry => payments::SERVICE_REGISTRY,
        Contract::LivepeerToken => token::LIVEPEER_TOKEN,
        Contract::LivepeerGovernor => governance::LIVEPEER_GOVERNOR,
        Contract::Treasury => governance::TREASURY,
        Contract::PollCreator => governance::POLL_CREATOR,
        Contract::Poll(_) => governance::POLL,
    }
}

/// An answer of one word.
#[allow(clippy::unnecessary_wraps, reason = "the tables' entries end with it")]
fn one(value: impl Into<Value>) -> Result<Vec<Value>, Revert> {
    Ok(vec![value.into()])
}

impl Asked<'_> {
    fn address(&mut self) -> Result<Address, Revert> {
        self.0.address().ok_or(Revert::BadCalldata)
    }

    fn uint(&mut self) -> Result<U256, Revert> {
        self.0.uint().ok_or(Revert::BadCalldata)
    }

    fn hash(&mut self) -> Result<B256, Revert> {
        self.0.hash().ok_or(Revert::BadCalldata)
    }

    fn round(&mut self) -> Result<Round, Revert> {
        self.uint().map(Round::from_word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Genesis, Head, abi::call};

    #[test]
    fn a_view_answers_as_the_state_is_and_an_unknown_one_is_refused() {
        let who = Address::repeat_byte(7);
        let genesis = Genesis { lpt: vec![(who, U256::from(5))], ..Genesis::default() };
        let chain = Chain::new(&genesis, Head { number: 6_377 * 3, ..Head::default() }).unwrap();
        let ask = |contract, signature, values: &[Value]| chain.view(contract, &call(signature, values));
        let word = |n: u64| U256::from(n).to_be_bytes_vec();
        let held = ask(Contract::LivepeerToken, "balanceOf(address)", &[who.into()]);
        assert_eq!(held, Ok(word(5)));
        assert_eq!(ask(Contract::RoundsManager, "currentRound()", &[]), Ok(word(3)));
        assert_eq!(ask(Contract::RoundsManager, "currentRoundInitialized()", &[]), Ok(word(0)));
        assert_eq!(ask(Contract::RoundsManager, "nothing()", &[]), Err(Revert::UnknownFunction));
        let cut_short = chain.view(Contract::LivepeerToken, &call("balanceOf(address)", &[]));
        assert_eq!(cut_short, Err(Revert::BadCalldata));
        let none = ask(Contract::LivepeerGovernor, "state(uint256)", &[U256::ONE.into()]);
        assert_eq!(none, Err(Revert::UnknownProposal));
    }

    #[test]
    fn no_two_views_of_a_contract_and_no_view_and_transaction_share_a_selector() {
        let contracts = [
            Contract::Controller,
            Contract::BondingManager,
            Contract::BondingVotes,
            Contract::RoundsManager,
            Contract::Minter,
            Contract::TicketBroker,
            Contract::ServiceRegistry,
            Contract::LivepeerToken,
            Contract::LivepeerGovernor,
            Contract::Treasury,
            Contract::PollCreator,
        ];
        for contract in contracts {
            let mut seen = std::collections::BTreeSet::new();
            for (signature, _) in views(contract) {
                let called = selector(signature);
                assert!(seen.insert(called), "{signature}");
                let as_transaction = super::super::abi::decode(contract, &called);
                assert_eq!(as_transaction, Err(Revert::UnknownFunction), "{signature}");
            }
        }
    }
}
