//! Storage that no contract wrote: whatever stands in it, a read ends with a value or an error, and soon.

use alloy_primitives::{Address, B256, U256, keccak256};
use lightclient::livepeer::layout::{controller, proxy};
use lightclient::livepeer::{Ask, Contracts, Part};
use lightclient::state::{Account, Missing, StateView};
use proptest::prelude::*;

use crate::world::{contracts, who};

/// Every slot holds something, drawn from what is likely to hurt.
struct Chaos {
    seed: u64,
    contracts: Contracts,
    members: u8,
}

impl Chaos {
    /// Guards are in order, or nothing beyond them would be read.
    fn guard(&self, account: Address, slot: B256) -> Option<U256> {
        let c = &self.contracts;
        let registered = |part: Part| {
            let target = c.targets_of(part).find_map(|t| t.address);
            [(Some(part.name()), Some(c.address(part))), (part.target(), target)]
        };
        if account == c.controller {
            let entries = Part::ALL.into_iter().flat_map(registered);
            let found = entries.filter_map(|(name, address)| Some((name?, address?)));
            return found
                .map(|(n, a)| (controller::registered(n), a))
                .find(|(s, _)| *s == slot)
                .map(|(_, a)| a.into_word().into());
        }
        let part = Part::ALL.into_iter().find(|part| c.address(*part) == account)?;
        let id = controller::id(part.target()?).into();
        [(proxy::CONTROLLER, c.controller.into_word().into()), (proxy::TARGET_CONTRACT_ID, id)]
            .into_iter()
            .find_map(|(s, word)| (s == slot).then_some(word))
    }
}

impl StateView for Chaos {
    fn account(&self, _: Address) -> Result<Option<Account>, Missing> {
        Ok(None)
    }

    fn storage(&self, account: Address, slot: B256) -> Result<U256, Missing> {
        if let Some(word) = self.guard(account, slot) {
            return Ok(word);
        }
        let drawn = keccak256([&self.seed.to_be_bytes()[..], account.as_slice(), slot.as_slice()].concat());
        Ok(match drawn[0] % 8 {
            0 => U256::ZERO,
            1 => U256::MAX,
            2 => drawn.into(),
            3 => U256::from(u64::MAX),
            4 => U256::from(drawn[1]),
            5 => U256::from(2 * u64::from(drawn[1]) + 1),
            _ => who(1 + drawn[1] % self.members.max(1)).into_word().into(),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_storage_reads_as_a_value_or_an_error(seed: u64, block: u64, members in 0..20u8) {
        let chaos = Chaos { seed, contracts: contracts(), members };
        let asks = [
            Ask::Round,
            Ask::Pool,
            Ask::Orchestrator(who(1)),
            Ask::Delegator(who(1)),
            Ask::Sender { address: who(1), claimant: Some(who(2)) },
            Ask::ServiceUri(who(1)),
            Ask::Inflation,
        ];
        for ask in asks {
            match ask.read(&chaos, &chaos.contracts, block) {
                Ok(read) => prop_assert!(serde_json::to_string(&read).is_ok()),
                Err(error) => prop_assert!(error.wanted().is_none(), "{ask:?} wants what it has: {error}"),
            }
        }
    }
}
