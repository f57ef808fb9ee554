//! Everything that the watcher wants, read from one proven block: what each part lacks is asked for together, so that a pool
//! of a hundred is one or two requests.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use actors::chain_watcher::alarm::Leaving;
use actors::chain_watcher::view::{Member, RoundFacts, Tier};
use actors::ports::chain::{Ask, Reading};
use alloy_primitives::{Address, U256};
use lightclient::livepeer::orchestrator::{self, Orchestrator};
use lightclient::livepeer::sender::SenderLock;
use lightclient::livepeer::{Contracts, Hint, Pool, Unreadable, delegator, inflation, pool, round, sender};
use lightclient::proven::Anchor;
use lightclient::state::{Keys, StateView};
use protocol::{Lpt, Wei};

/// What is read, and of whom.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) contracts: Contracts,
    /// Who is probably a member.
    pub(super) members: Vec<Address>,
    pub(super) ask: Ask,
}

/// What was read, before it is said how it was proven.
#[derive(Debug)]
pub(super) struct Facts {
    round: RoundFacts,
    members: Vec<(Address, Member)>,
    pool_limit: u64,
    own: Option<(bool, Member)>,
    balance: Option<Wei>,
    leaving: Vec<(Address, Leaving)>,
}

impl Facts {
    pub(super) fn at(self, tier: Tier, anchor: &Anchor) -> Reading {
        let Self { round, members, pool_limit, own, balance, leaving } = self;
        let (l1_slot, l2_block, at_ms) =
            (anchor.l1_slot, anchor.l2_block, anchor.timestamp.saturating_mul(1000));
        Reading { tier, l1_slot, l2_block, at_ms, round, members, pool_limit, own, balance, leaving }
    }
}

/// Keeps what a part lacks and goes on with the others; any other refusal ends the reading.
#[derive(Default)]
struct Lack(Keys);

impl Lack {
    fn take<T>(&mut self, read: Result<T, Unreadable>) -> Result<Option<T>, Unreadable> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(Unreadable::Wanted(keys)) => {
                join(&mut self.0, keys);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn end(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable::Wanted(self.0)) }
    }
}

fn join(keys: &mut Keys, more: Keys) {
    more.into_iter().for_each(|(address, slots)| keys.entry(address).or_default().extend(slots));
}

impl Wish {
    /// What is fetched before the first try.
    pub(super) fn keys(&self) -> Keys {
        let hint = Hint { members: self.members.clone(), ..Hint::default() };
        let mut keys = round::keys(&self.contracts, &hint);
        join(&mut keys, inflation::keys(&self.contracts));
        join(&mut keys, pool::keys(&self.contracts, &hint));
        for address in self.members.iter().chain(&self.ask.own) {
            join(&mut keys, orchestrator::keys(&self.contracts, *address, &hint));
        }
        for address in &self.ask.watched {
            join(&mut keys, delegator::keys(&self.contracts, *address, &hint));
            join(&mut keys, sender::keys(&self.contracts, *address, None, &hint));
        }
        if let Some(caller) = self.ask.caller {
            keys.entry(caller).or_default();
        }
        keys
    }

    pub(super) fn read(&self, view: &dyn StateView, l1_block: u64) -> Result<Facts, Unreadable> {
        let mut lack = Lack::default();
        let round = lack.take(round::read(view, &self.contracts, l1_block))?;
        let inflation = lack.take(inflation::read(view, &self.contracts))?;
        let pool = lack.take(pool::read(view, &self.contracts))?;
        let listed = pool.iter().flat_map(|pool| pool.members.iter().map(|member| member.address));
        let mut orchestrators = BTreeMap::new();
        for address in listed.chain(self.members.iter().copied()).chain(self.ask.own) {
            if let Entry::Vacant(place) = orchestrators.entry(address) {
                place.insert(lack.take(orchestrator::read(view, &self.contracts, address, l1_block))?);
            }
        }
        let leaving = self.leaving(view, l1_block, &mut lack)?;
        let balance = self.balance(view, &mut lack)?;
        lack.end()?;
        let (Some(round), Some(inflation), Some(pool)) = (round, inflation, pool) else {
            return Err(Unreadable::Wanted(self.keys()));
        };
        let orchestrators = orchestrators.into_iter().filter_map(|(address, one)| Some((address, one?)));
        let orchestrators: BTreeMap<Address, Orchestrator> = orchestrators.collect();
        let own = self.ask.own.and_then(|own| orchestrators.get(&own));
        Ok(Facts {
            round: facts_of(&round, &inflation),
            own: own.map(|own| (own.registered, member(own, &pool))),
            members: orchestrators
                .iter()
                .filter(|(address, one)| pool.member(**address).is_some() || one.active)
                .map(|(address, one)| (*address, member(one, &pool)))
                .collect(),
            pool_limit: pool.max_size,
            balance,
            leaving,
        })
    }

    fn balance(&self, view: &dyn StateView, lack: &mut Lack) -> Result<Option<Wei>, Unreadable> {
        let Some(caller) = self.ask.caller else { return Ok(None) };
        let account = view.account(caller).map_err(|missing| {
            let mut keys = Keys::new();
            missing.ask(&mut keys);
            Unreadable::Wanted(keys)
        });
        let balance = lack.take(account)?;
        Ok(balance.map(|account| Wei(account.map_or(U256::ZERO, |account| account.balance))))
    }

    fn leaving(
        &self,
        view: &dyn StateView,
        l1_block: u64,
        lack: &mut Lack,
    ) -> Result<Vec<(Address, Leaving)>, Unreadable> {
        let mut leaving = Vec::new();
        for &address in &self.ask.watched {
            if let Some(sender) = lack.take(sender::read(view, &self.contracts, address, None, l1_block))? {
                leaving.extend(unlocks(sender.lock, sender.round).map(|how| (address, how)));
            }
            if let Some(one) = lack.take(delegator::read(view, &self.contracts, address, l1_block))? {
                leaving.extend(unbonds(&one.locks).map(|how| (address, how)));
            }
        }
        Ok(leaving)
    }
}

fn unlocks(lock: SenderLock, now: protocol::Round) -> Option<Leaving> {
    match lock {
        SenderLock::Locked => None,
        SenderLock::Unlocking { withdraw_round } => Some(Leaving::Unlocks { withdraw_round }),
        SenderLock::Unlocked => Some(Leaving::Unlocks { withdraw_round: now }),
    }
}

fn unbonds(locks: &[delegator::Lock]) -> Option<Leaving> {
    let withdraw_round = locks.iter().map(|lock| lock.withdraw_round).min()?;
    let amount = locks.iter().map(|lock| lock.amount.0).fold(U256::ZERO, U256::saturating_add);
    Some(Leaving::Unbonds { amount: Lpt(amount), withdraw_round })
}

fn facts_of(round: &round::Round, inflation: &inflation::Inflation) -> RoundFacts {
    RoundFacts {
        number: round.number,
        initialized: round.initialized,
        last_initialized: round.last_initialized,
        start_block: round.start_block,
        length: round.end_block.saturating_sub(round.start_block),
        l1_block: round.l1_block,
        locked: round.locked,
        paused: round.paused,
        inflation: inflation.rate,
        supply: inflation.supply,
        active_stake: inflation.active_stake,
        mintable: inflation.mintable,
        minted: inflation.minted,
        target_participation: inflation.target_bonding_rate,
    }
}

/// Stake as the pool has it, where it is a member: that is what decides about its place.
fn member(one: &Orchestrator, pool: &Pool) -> Member {
    let listed = pool.member(one.address);
    Member {
        stake: listed.map_or(one.stake.0, |member| member.stake.0),
        active: one.active,
        in_pool: listed.is_some(),
        reward_cut: one.reward_cut,
        fee_share: one.fee_share,
        service_uri: one.service_uri.clone(),
        last_reward_round: one.last_reward_round,
    }
}
