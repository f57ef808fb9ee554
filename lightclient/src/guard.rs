//! Guards: places on chain that say which code gives the slots their meaning. They are proven with every batch; when one
//! holds something that the layout was not made for, reading stops with an alarm instead of misreading what an upgrade moved.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, b256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::state::{Keys, Missing, StateView};

/// Where a proxy keeps its implementation (EIP-1967); the rollup's admin logic.
pub const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// Where a proxy with two kinds of callers keeps the second implementation; the rollup's user logic (nitro-contracts
/// `DoubleLogicUUPSUpgradeable`).
pub const SECONDARY: B256 = b256!("2b1dbce74324248c222f0ec2d5ed7bd323cfc425b336f0253c5ccfda7265546d");

/// What is watched.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A storage slot.
    Slot(B256),
    /// The hash of the contract's code.
    Code,
}

/// One place and what it must hold.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Guard {
    /// The contract.
    pub contract: Address,
    /// The place in it.
    pub place: Place,
    /// What a layout was made for.
    pub expected: B256,
}

/// A guarded slot holds something unknown.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq, Serialize)]
#[error(
    "slot {slot} of {contract} holds {found}, known is {expected}: the contract was upgraded, so its slots may mean \
     something else; nothing is read until a release knows the new target"
)]
pub struct Unexpected {
    /// The contract.
    pub contract: Address,
    /// The guarded slot.
    pub slot: B256,
    /// What the layout was made for.
    pub expected: B256,
    /// What is proven to be there.
    pub found: B256,
}

/// A contract's code is not the one that the layout was made for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq, Serialize)]
#[error("the code of {contract} hashes to {found}, known is {expected}: its slots may mean something else")]
pub struct UnexpectedCode {
    /// The contract.
    pub contract: Address,
    /// The known code hash.
    pub expected: B256,
    /// The proven code hash; zero where there is no account.
    pub found: B256,
}

/// Why guards do not let a read through.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum GuardError {
    /// Alarm: a slot changed.
    #[error(transparent)]
    Slot(#[from] Unexpected),
    /// Alarm: code changed.
    #[error(transparent)]
    Code(#[from] UnexpectedCode),
    /// No alarm: the guard itself is not proven.
    #[error("a guard is not proven: {0}")]
    Missing(#[from] Missing),
}

impl GuardError {
    /// Whether something changed on chain, rather than a proof being incomplete.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        !matches!(self, Self::Missing(_))
    }
}

impl Guard {
    /// A slot and what it must hold.
    #[must_use]
    pub const fn slot(contract: Address, slot: B256, expected: B256) -> Self {
        Self { contract, place: Place::Slot(slot), expected }
    }

    /// A contract and what its code must hash to.
    #[must_use]
    pub const fn code(contract: Address, expected: B256) -> Self {
        Self { contract, place: Place::Code, expected }
    }

    /// Compares what is proven with what is expected.
    ///
    /// # Errors
    /// [`GuardError`]: an alarm, or that the place is not proven.
    pub fn check(&self, view: &dyn StateView) -> Result<(), GuardError> {
        let Self { contract, place, expected } = *self;
        let found = self.found(view)?;
        match place {
            _ if found == expected => Ok(()),
            Place::Slot(slot) => Err(Unexpected { contract, slot, expected, found }.into()),
            Place::Code => Err(UnexpectedCode { contract, expected, found }.into()),
        }
    }

    fn found(&self, view: &dyn StateView) -> Result<B256, Missing> {
        match self.place {
            Place::Slot(slot) => view.storage(self.contract, slot).map(B256::from),
            Place::Code => Ok(view.account(self.contract)?.map_or(B256::ZERO, |account| account.code_hash)),
        }
    }
}

/// Checks guards in their order.
///
/// # Errors
/// The first that fails.
pub fn check(view: &dyn StateView, guards: &[Guard]) -> Result<(), GuardError> {
    guards.iter().try_for_each(|guard| guard.check(view))
}

/// What must be proven so that guards and pins can be checked.
#[must_use]
pub fn keys<'a>(places: impl IntoIterator<Item = &'a (Address, Place)>) -> Keys {
    let mut keys = Keys::new();
    for (contract, place) in places {
        let slots: &mut BTreeSet<B256> = keys.entry(*contract).or_default();
        if let Place::Slot(slot) = place {
            slots.insert(*slot);
        }
    }
    keys
}

/// Makes guards of places whose contents nobody knew beforehand: what is proven there now is what is expected from now on.
///
/// # Errors
/// [`Missing`] when a place is not proven.
pub fn pin(view: &dyn StateView, places: &[(Address, Place)]) -> Result<Vec<Guard>, Missing> {
    let pinned = places.iter().map(|(contract, place)| {
        let guard = Guard { contract: *contract, place: *place, expected: B256::ZERO };
        Ok(Guard { expected: guard.found(view)?, ..guard })
    });
    pinned.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panic")]
mod tests {
    use alloy_primitives::U256;

    use super::*;
    use crate::state::{Account, ProvenState};

    const PROXY: Address = Address::repeat_byte(7);

    fn state(target: u8) -> ProvenState {
        let account = Account {
            nonce: 1,
            balance: U256::ZERO,
            storage_root: B256::ZERO,
            code_hash: B256::repeat_byte(0xc0),
        };
        let mut state = ProvenState::default();
        state.accounts.insert(PROXY, Some(account));
        state.slots.insert((PROXY, IMPLEMENTATION), U256::from(target));
        state
    }

    #[test]
    fn a_swapped_target_is_an_alarm_that_names_both() {
        let guard = Guard::slot(PROXY, IMPLEMENTATION, B256::with_last_byte(1));
        assert_eq!(guard.check(&state(1)), Ok(()));
        let alarm = guard.check(&state(2)).unwrap_err();
        let expected = Unexpected {
            contract: PROXY,
            slot: IMPLEMENTATION,
            expected: B256::with_last_byte(1),
            found: B256::with_last_byte(2),
        };
        assert_eq!(alarm, GuardError::Slot(expected));
        assert!(alarm.is_alarm());
    }

    #[test]
    fn changed_code_is_an_alarm_and_a_vanished_contract_too() {
        assert_eq!(Guard::code(PROXY, B256::repeat_byte(0xc0)).check(&state(1)), Ok(()));
        assert!(Guard::code(PROXY, B256::ZERO).check(&state(1)).unwrap_err().is_alarm());
        let mut gone = state(1);
        gone.accounts.insert(PROXY, None);
        assert!(Guard::code(PROXY, B256::repeat_byte(0xc0)).check(&gone).unwrap_err().is_alarm());
        assert!(Guard::slot(PROXY, IMPLEMENTATION, B256::with_last_byte(1)).check(&gone).is_err());
    }

    #[test]
    fn a_guard_that_nobody_proved_is_missing_not_an_alarm() {
        let missing = Guard::slot(PROXY, SECONDARY, B256::ZERO).check(&state(1)).unwrap_err();
        assert_eq!(missing, GuardError::Missing(Missing::Slot { account: PROXY, slot: SECONDARY }));
        assert!(!missing.is_alarm());
    }

    #[test]
    fn a_pin_holds_what_was_first_seen() {
        let places = [(PROXY, Place::Slot(IMPLEMENTATION)), (PROXY, Place::Code)];
        assert_eq!(keys(&places), Keys::from([(PROXY, BTreeSet::from([IMPLEMENTATION]))]));
        let pins = pin(&state(1), &places).unwrap();
        assert_eq!(check(&state(1), &pins), Ok(()));
        assert!(check(&state(2), &pins).unwrap_err().is_alarm());
    }
}
