//! Whether the contracts still are the ones whose layout we know. The Controller's owner can swap the code behind a proxy
//! in one transaction, so what names that code is proven with every batch, and unknown code is an alarm, never a misreading.

use alloy_primitives::{Address, B256};

use super::contracts::{Contracts, Part, Target};
use super::layout::{controller, proxy};
use super::words::{Words, require, want};
use super::{Unreadable, layout};
use crate::guard::Unexpected;
use crate::state::{Keys, StateView};

/// What must be proven beside the words of these contracts.
#[must_use]
pub fn keys(contracts: &Contracts, parts: &[Part]) -> Keys {
    let mut keys = Keys::new();
    for &part in parts {
        want(&mut keys, contracts.controller, [controller::registered(part.name())]);
        if let Some(target) = part.target() {
            want(&mut keys, contracts.controller, [controller::registered(target)]);
            want(&mut keys, contracts.address(part), [proxy::CONTROLLER, proxy::TARGET_CONTRACT_ID]);
        }
        for target in contracts.targets_of(part).filter(|target| target.code_hash.is_some()) {
            target.address.into_iter().for_each(|address| want(&mut keys, address, []));
        }
    }
    keys
}

/// Passes if the Controller names these contracts and the code behind them is known.
///
/// # Errors
/// [`Unreadable::Unexpected`] is the alarm; [`Unreadable::Wanted`] when more must be proven.
pub fn check(view: &dyn StateView, contracts: &Contracts, parts: &[Part]) -> Result<(), Unreadable> {
    require(view, &keys(contracts, parts))?;
    let mut lacking: Option<Unreadable> = None;
    for &part in parts {
        match (check_part(view, contracts, part), &mut lacking) {
            (Ok(()), _) => {}
            // Targets that are known by their code alone are looked for at once, however many they are.
            (Err(more @ Unreadable::Wanted(_)), None) => lacking = Some(more),
            (Err(more @ Unreadable::Wanted(_)), Some(wanted)) => wanted.join(more),
            (Err(why), _) => return Err(why),
        }
    }
    lacking.map_or(Ok(()), Err)
}

fn check_part(view: &dyn StateView, contracts: &Contracts, part: Part) -> Result<(), Unreadable> {
    let address = contracts.address(part);
    let registry = (contracts.controller, controller::registered(part.name()));
    expect(view, registry, address.into_word())?;
    let Some(name) = part.target() else { return Ok(()) };
    expect(view, (address, proxy::CONTROLLER), contracts.controller.into_word())?;
    expect(view, (address, proxy::TARGET_CONTRACT_ID), controller::id(name))?;
    check_target(view, contracts, part, controller::registered(name))
}

fn check_target(
    view: &dyn StateView,
    contracts: &Contracts,
    part: Part,
    slot: B256,
) -> Result<(), Unreadable> {
    let found = Words::of(view, contracts.controller).address(slot)?.unwrap_or_default();
    for target in contracts.targets_of(part) {
        if is_known(view, target, found)? {
            return Ok(());
        }
    }
    let expected = contracts.targets_of(part).find_map(|target| target.address).unwrap_or_default();
    Err(Unexpected {
        contract: contracts.controller,
        slot,
        expected: expected.into_word(),
        found: found.into_word(),
    }
    .into())
}

fn is_known(view: &dyn StateView, target: &Target, found: Address) -> Result<bool, Unreadable> {
    if target.address.is_some_and(|address| address != found) {
        return Ok(false);
    }
    let Some(hash) = target.code_hash else { return Ok(target.address.is_some()) };
    Ok(view.account(found)?.is_some_and(|account| account.code_hash == hash))
}

fn expect(view: &dyn StateView, (contract, slot): (Address, B256), expected: B256) -> Result<(), Unreadable> {
    let found = B256::from(view.storage(contract, slot)?);
    if found == expected {
        return Ok(());
    }
    Err(Unexpected { contract, slot, expected, found }.into())
}

/// Whether the Controller has paused the system; needs [`layout::controller::OWNER_AND_PAUSED`].
pub(super) fn paused(view: &dyn StateView, contracts: &Contracts) -> Result<bool, Unreadable> {
    let word = Words::of(view, contracts.controller).word(layout::controller::OWNER_AND_PAUSED)?;
    Ok(word.byte(20) != 0)
}
