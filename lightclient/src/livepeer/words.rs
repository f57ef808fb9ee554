//! Words out of proven storage, and lists of the ones that are wanted. A read first asks for all words of a step at once, so
//! that what is missing is fetched in one round trip and not slot by slot.

use alloy_primitives::{Address, B256, U256};
use protocol::Round;

use super::Unreadable;
use crate::state::{Keys, Missing, StateView};

/// One contract's proven storage.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    view: &'a dyn StateView,
    contract: Address,
}

impl<'a> Words<'a> {
    pub(super) const fn of(view: &'a dyn StateView, contract: Address) -> Self {
        Self { view, contract }
    }

    pub(super) fn word(self, slot: B256) -> Result<U256, Unreadable> {
        Ok(self.view.storage(self.contract, slot)?)
    }

    pub(super) fn round(self, slot: B256) -> Result<Round, Unreadable> {
        self.word(slot).map(Round::from_word)
    }

    /// The low 20 bytes; zero is nobody.
    pub(super) fn address(self, slot: B256) -> Result<Option<Address>, Unreadable> {
        let address = Address::from_word(B256::from(self.word(slot)?));
        Ok((!address.is_zero()).then_some(address))
    }

    /// A number of blocks, rounds, parts per million or elements.
    pub(super) fn number(self, slot: B256) -> Result<u64, Unreadable> {
        let found = self.word(slot)?;
        let contract = self.contract;
        u64::try_from(found).map_err(|_| Unreadable::TooLarge { contract, slot, found })
    }
}

/// Adds slots of a contract to a list.
pub(super) fn want(keys: &mut Keys, contract: Address, slots: impl IntoIterator<Item = B256>) {
    keys.entry(contract).or_default().extend(slots);
}

/// Joins two lists.
pub(super) fn join(into: &mut Keys, more: Keys) {
    for (account, slots) in more {
        into.entry(account).or_default().extend(slots);
    }
}

/// Passes only if everything in the list is proven; otherwise names all that is not.
pub(super) fn require(view: &dyn StateView, keys: &Keys) -> Result<(), Unreadable> {
    let mut wanted = Keys::new();
    for (&account, slots) in keys {
        if slots.is_empty() && view.account(account).is_err() {
            wanted.entry(account).or_default();
        }
        let unproven = |slot: &&B256| view.storage(account, **slot).is_err();
        let missing: Vec<B256> = slots.iter().filter(unproven).copied().collect();
        if !missing.is_empty() {
            want(&mut wanted, account, missing);
        }
    }
    if wanted.is_empty() { Ok(()) } else { Err(Unreadable::Wanted(wanted)) }
}

/// Two parts of a read that do not wait for each other: what either wants is fetched together.
pub(super) fn both<A, B>(a: Result<A, Unreadable>, b: Result<B, Unreadable>) -> Result<(A, B), Unreadable> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(mut a), Err(b)) => {
            a.join(b);
            Err(a)
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

impl From<Missing> for Unreadable {
    fn from(missing: Missing) -> Self {
        let mut keys = Keys::new();
        match missing {
            Missing::Account(account) => want(&mut keys, account, []),
            Missing::Slot { account, slot } => want(&mut keys, account, [slot]),
        }
        Self::Wanted(keys)
    }
}
