//! Livepeer's state as a test wants it: a few records in, the storage that contracts would hold out. What it does not hold
//! is missing, unless it is told that the rest is zero.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use lightclient::livepeer::layout::{self, bonding_manager as bm, controller, proxy, rounds_manager as rm};
use lightclient::livepeer::{Contracts, Part, Target};
use lightclient::state::{Account, Keys, Missing, StateView};

/// Storage by hand, over proven storage where there is some.
#[derive(Default)]
pub struct World {
    pub below: Option<lightclient::state::ProvenState>,
    pub slots: BTreeMap<(Address, B256), U256>,
    pub accounts: BTreeMap<Address, Option<Account>>,
    /// Only these are served, when set: what a test has "fetched".
    pub fetched: Option<RefCell<BTreeSet<(Address, B256)>>>,
    pub rest_is_zero: bool,
}

impl StateView for World {
    fn account(&self, address: Address) -> Result<Option<Account>, Missing> {
        if let Some(account) = self.accounts.get(&address) {
            return Ok(*account);
        }
        match &self.below {
            Some(below) => below.account(address),
            None if self.rest_is_zero => Ok(None),
            None => Err(Missing::Account(address)),
        }
    }

    fn storage(&self, account: Address, slot: B256) -> Result<U256, Missing> {
        let missing = Missing::Slot { account, slot };
        if self.fetched.as_ref().is_some_and(|fetched| !fetched.borrow().contains(&(account, slot))) {
            return Err(missing);
        }
        if let Some(word) = self.slots.get(&(account, slot)) {
            return Ok(*word);
        }
        match &self.below {
            Some(below) => below.storage(account, slot),
            None if self.rest_is_zero => Ok(U256::ZERO),
            None => Err(missing),
        }
    }
}

pub fn who(n: u8) -> Address {
    Address::repeat_byte(n)
}

/// A deployment at made-up addresses.
pub fn contracts() -> Contracts {
    let mut contracts = Contracts {
        chain_id: 31337,
        controller: who(0xc0),
        bonding_manager: who(0xc1),
        rounds_manager: who(0xc2),
        minter: who(0xc3),
        ticket_broker: who(0xc4),
        service_registry: who(0xc5),
        bonding_votes: who(0xc6),
        governor: who(0xc7),
        targets: Vec::new(),
    };
    for (i, part) in Part::ALL.into_iter().enumerate().filter(|(_, part)| part.target().is_some()) {
        contracts.targets.push(Target::at(part, who(0xd0 + i as u8)));
    }
    contracts
}

impl World {
    /// A healthy deployment in round 18 of 40 blocks each, with nobody in it.
    pub fn new(contracts: &Contracts) -> Self {
        let mut world = Self { rest_is_zero: true, ..Self::default() };
        world.guards(contracts);
        let words = [
            (rm::ROUND_LENGTH, 40),
            (rm::ROUND_LOCK_AMOUNT, 100_000),
            (rm::LAST_INITIALIZED_ROUND, 18),
            (rm::LAST_LENGTH_UPDATE_ROUND, 1),
            (rm::LAST_LENGTH_UPDATE_START_BLOCK, 40),
            (rm::block_hash(18), 0xbeef),
        ];
        for (slot, word) in words {
            world.set(contracts.rounds_manager, slot, word);
        }
        world.set(contracts.bonding_manager, bm::POOL_MAX_SIZE, 100);
        world
    }

    /// What the Controller and the proxies say when all is as it should be.
    pub fn guards(&mut self, contracts: &Contracts) {
        for part in Part::ALL {
            let address = contracts.address(part);
            self.set_address(contracts.controller, controller::registered(part.name()), address);
            if let Some(name) = part.target() {
                let target = contracts.targets_of(part).find_map(|t| t.address).unwrap();
                self.set_address(contracts.controller, controller::registered(name), target);
                self.set_address(address, proxy::CONTROLLER, contracts.controller);
                self.slots.insert((address, proxy::TARGET_CONTRACT_ID), controller::id(name).into());
            }
        }
        self.set(contracts.controller, controller::OWNER_AND_PAUSED, 0);
    }

    pub fn set(&mut self, contract: Address, slot: B256, word: u128) {
        self.slots.insert((contract, slot), U256::from(word));
    }

    pub fn set_address(&mut self, contract: Address, slot: B256, address: Address) {
        self.slots.insert((contract, slot), address.into_word().into());
    }

    /// A pool of orchestrators with these stakes, linked as the contract links them.
    pub fn pool(&mut self, contracts: &Contracts, members: &[(Address, u128)]) {
        let c = contracts.bonding_manager;
        self.set(c, bm::POOL_SIZE, members.len() as u128);
        let at = |i: usize| members.get(i).map(|m| m.0).unwrap_or_default();
        self.set_address(c, bm::POOL_HEAD, at(0));
        self.set_address(c, bm::POOL_TAIL, members.last().map(|m| m.0).unwrap_or_default());
        for (i, &(member, stake)) in members.iter().enumerate() {
            let node = bm::node(member);
            self.set(c, node.key(), stake);
            self.set_address(c, node.next(), at(i + 1));
            self.set_address(c, node.prev(), if i == 0 { Address::ZERO } else { at(i - 1) });
            self.set(c, bm::transcoder(member).activation_round(), 3);
            self.slots.insert((c, bm::transcoder(member).deactivation_round()), U256::MAX);
        }
    }

    /// A string as Solidity stores it.
    pub fn string(&mut self, contract: Address, slot: B256, text: &[u8]) {
        if text.len() < 32 {
            let mut word = [0; 32];
            word[..text.len()].copy_from_slice(text);
            word[31] = 2 * text.len() as u8;
            self.slots.insert((contract, slot), U256::from_be_bytes(word));
            return;
        }
        self.set(contract, slot, 2 * text.len() as u128 + 1);
        for (i, chunk) in text.chunks(32).enumerate() {
            let mut word = [0; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            let at = layout::field(layout::data(slot), i as u64);
            self.slots.insert((contract, at), U256::from_be_bytes(word));
        }
    }

    /// From now on only what was fetched is there.
    pub fn fetch_only(mut self) -> Self {
        self.fetched = Some(RefCell::default());
        self
    }

    pub fn fetch(&self, keys: &Keys) {
        let mut fetched = self.fetched.as_ref().unwrap().borrow_mut();
        for (account, slots) in keys {
            fetched.extend(slots.iter().map(|slot| (*account, *slot)));
        }
    }
}
