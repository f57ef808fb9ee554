//! Three broadcasters and three orchestrators over the contracts, in virtual time. Each side has a disk, and what is in memory is lost
//! with it; tickets win, are redeemed from deposits and reserves that run short and are filled up; senders unlock, change their mind
//! or leave with everything and come back; the pool grows and shrinks; prices change; streams fall silent for longer than tickets
//! live.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{Address, B256, U256};
use protocol::chain::call::Broker;
use protocol::payments::entry::Redemption;
use protocol::payments::{Entry, SessionId};
use protocol::tickets::credit::Credit;
use protocol::tickets::sign::TicketKey;
use protocol::{PricePerPixel, Round, Wei};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::audit::Audit;
use crate::payments::Commit;
use crate::payments::contracts::{Contracts, POOL, wei};
use crate::payments::desk::Desk;
use crate::payments::recipient::core::{Config as PayeeConfig, Core as Payee};
use crate::payments::sender::core::{Config as PayerConfig, Core as Payer};
use crate::payments::world::sender;
use crate::ports::payments::ChainHead;

/// Of the largest segment.
pub(super) const PIXELS: u64 = 20_000_000;
/// What a redemption costs when gas is cheap, wei: then a win is worth a hundred tickets, and one in a hundred wins.
const REDEEM: u64 = 224_000;
/// A deposit of about sixty wins.
const DEPOSIT: u64 = 5_000_000_000_000;
/// A reserve whose share is about ten wins, however large the pool.
const RESERVE: u64 = 8_000_000_000_000;
pub(super) const DAY_MS: u64 = 86_400_000;

/// One side's disk and what it has in memory.
pub(super) struct Side<C> {
    /// What is read after a crash: of ended sessions only what still counts.
    pub(super) disk: Vec<Entry>,
    pub(super) core: C,
}

/// An orchestrator.
pub(super) struct Orchestrator {
    pub(super) me: Address,
    pub(super) side: Side<Payee>,
    pub(super) desk: Desk,
}

/// A stream between a broadcaster and an orchestrator, by their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) s: usize,
    pub(super) r: usize,
    pub(super) session: SessionId,
    pub(super) price: PricePerPixel,
    /// Segments so far.
    pub(super) segments: u64,
}

/// Why a segment came to nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody died: nobody was told anything.
    Crashed,
    /// Somebody said no, in words.
    Refused(String),
}

/// What happened.
#[derive(Default, Debug)]
pub(super) struct Told {
    pub(super) crashes: u64,
    pub(super) healed: u64,
    pub(super) resent: u64,
    pub(super) written_off: u64,
    pub(super) receipts_again: u64,
    pub(super) winners: u64,
    pub(super) redeemed: u64,
    pub(super) expired: u64,
    /// Segments that somebody refused, by the words.
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) distrusted: u64,
    pub(super) unlocks: u64,
    pub(super) withdrawals: u64,
    pub(super) pool_changes: u64,
    pub(super) price_tricks: u64,
    pub(super) sessions: u64,
}

pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) now_ms: u64,
    pub(super) contracts: Contracts,
    pub(super) senders: Vec<(TicketKey, Side<Payer>)>,
    pub(super) orchestrators: Vec<Orchestrator>,
    pub(super) told: Told,
    /// One step in so many is a crash; none when zero.
    pub(super) one_in: u32,
    /// What broadcasters got and have receipts for.
    pub(super) delivered: BTreeMap<SessionId, Credit>,
    /// What was ever written, as far as nothing of it may come twice.
    pub(super) audit: Audit,
    /// Sessions that have ended, and the day on which what was lost in them counts.
    pub(super) over: BTreeMap<SessionId, u64>,
    /// Other members of the pool, and since when.
    rivals: VecDeque<(Address, Round)>,
}

impl World {
    pub(super) fn new(seed: u64, one_in: u32) -> Self {
        let all: Vec<Address> = (1..=3_u8).map(|i| Address::repeat_byte(0xa0 + i)).collect();
        let contracts = Contracts::new(&all);
        let keys = (1..=3_u8).map(|i| TicketKey::from_bytes(&[i; 32]).unwrap());
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            now_ms: 1_700_000_000_000,
            senders: keys.map(|key| (key.clone(), Side { disk: vec![], core: payer(&key, &[]) })).collect(),
            orchestrators: all.iter().map(|me| Orchestrator::new(*me, &contracts)).collect(),
            contracts,
            told: Told::default(),
            one_in,
            delivered: BTreeMap::new(),
            audit: Audit::default(),
            over: BTreeMap::new(),
            rivals: VecDeque::new(),
        };
        (1..=3).for_each(|key| world.contracts.fund(sender(key), wei(DEPOSIT), wei(RESERVE)));
        world.tell();
        world
    }

    /// Everybody is told how the contracts are.
    pub(super) fn tell(&mut self) {
        for (key, side) in &mut self.senders {
            side.core.on_head(head(&self.contracts, self.orchestrators[0].me));
            side.core.on_funds(self.contracts.funds(key.address()));
        }
        for Orchestrator { me, side, .. } in &mut self.orchestrators {
            side.core.on_head(head(&self.contracts, *me));
            for (key, _) in &self.senders {
                side.core.on_facts(key.address(), self.contracts.facts(key.address(), *me));
            }
        }
    }

    pub(super) fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    pub(super) fn dies(&mut self) -> bool {
        let dies = self.one_in > 0 && self.rng.random_ratio(1, self.one_in);
        self.told.crashes += u64::from(dies);
        dies
    }

    /// A broadcaster writes; it may die before or after.
    pub(super) fn sender<T>(&mut self, s: usize, commit: Commit<T>) -> Result<T, Stop> {
        let (before, after) = (self.dies(), self.dies());
        if !before {
            self.audit.wrote(&commit.entries);
            self.senders[s].1.disk.extend(commit.entries);
        }
        if before || after {
            self.restart_sender(s);
            return Err(Stop::Crashed);
        }
        Ok(commit.answer)
    }

    /// An orchestrator writes; it may die before or after. Winners go to its redeemer when they are on disk.
    pub(super) fn recipient<T>(&mut self, r: usize, commit: Commit<T>) -> Result<T, Stop> {
        let (before, after) = (self.dies(), self.dies());
        if before {
            self.restart_recipient(r);
            return Err(Stop::Crashed);
        }
        for entry in &commit.entries {
            if let Entry::Winner(winner) = entry {
                self.told.winners += 1;
                self.orchestrators[r].desk.won(&mut self.contracts, winner);
            }
        }
        self.audit.wrote(&commit.entries);
        self.orchestrators[r].side.disk.extend(commit.entries);
        if after {
            self.restart_recipient(r);
            return Err(Stop::Crashed);
        }
        Ok(commit.answer)
    }

    pub(super) fn restart_sender(&mut self, s: usize) {
        let (key, side) = &mut self.senders[s];
        side.core = payer(key, &side.disk);
        self.tell();
    }

    pub(super) fn restart_recipient(&mut self, r: usize) {
        let Orchestrator { me, side, desk } = &mut self.orchestrators[r];
        let restored = payee(*me, &side.disk, B256::ZERO);
        assert!(restored.entries.is_empty(), "the secret is on disk");
        side.core = restored.answer;
        desk.crash(&mut self.contracts);
        self.tell();
    }

    /// An L1 block, and what may happen in it.
    pub(super) fn block(&mut self) {
        self.contracts.advance(1);
        self.leaves_or_stays();
        // Spikes of gas pass within a round, as on the real chain.
        if self.chance(10) {
            self.orchestrators.iter_mut().for_each(|o| o.desk.base_fee = o.desk.base_fee.min(50));
        }
        match self.rng.random_range(0..400_u32) {
            1..=4 => self.pool_changes(),
            5..=12 => {
                // Mostly cheap, at times above what a win pays.
                let dear = self.chance(4);
                let base_fee = if dear { 2_000_000 } else { self.rng.random_range(1..50) };
                self.orchestrators.iter_mut().for_each(|o| o.desk.base_fee = base_fee);
            }
            _ => {}
        }
        self.fund();
        self.redeem();
        self.tell();
    }

    /// Nobody hears of anybody for longer than tickets are good for, at times until tomorrow.
    pub(super) fn silence(&mut self) {
        (0..45).for_each(|_| self.block());
        self.now_ms += 45 * 12_000;
        if self.chance(2) {
            self.tomorrow();
        }
    }

    pub(super) fn tomorrow(&mut self) {
        self.now_ms = (self.now_ms / DAY_MS + 1) * DAY_MS;
    }

    /// A sender unlocks now and then; one that has soon stays after all, or leaves with everything once it can.
    fn leaves_or_stays(&mut self) {
        let s = self.rng.random_range(0..self.senders.len());
        let who = self.senders[s].0.address();
        let leaves = self.contracts.funds(who).withdraw_round;
        if !self.chance(if leaves.0 == 0 { 800 } else { 25 }) {
            return;
        }
        let call = match () {
            () if leaves.0 == 0 => Broker::Unlock,
            () if leaves <= self.contracts.round() => Broker::Withdraw,
            () => Broker::CancelUnlock,
        };
        self.told.unlocks += u64::from(call == Broker::Unlock);
        self.told.withdrawals += u64::from(call == Broker::Withdraw);
        self.contracts.broker(who, Wei::default(), call).unwrap();
    }

    fn pool_changes(&mut self) {
        self.told.pool_changes += 1;
        if self.rivals.len() as u64 + 3 < POOL && self.rng.random_bool(0.6) {
            let rival = Address::left_padding_from(&self.told.pool_changes.to_be_bytes());
            self.contracts.join(rival);
            self.rivals.push_back((rival, self.contracts.round()));
        } else if self.rivals.front().is_some_and(|(_, since)| *since < self.contracts.round()) {
            // Who bonded in this round cannot unbond in it.
            self.rivals.pop_front().into_iter().for_each(|(rival, _)| self.contracts.leave(rival));
        }
    }

    /// Senders fill up what runs short; one that leaves does not, until it has left.
    fn fund(&mut self) {
        for (key, _) in &self.senders {
            let (who, funds) = (key.address(), self.contracts.funds(key.address()));
            let left = funds.deposit.0.is_zero() && funds.reserve.0.is_zero();
            if left {
                self.contracts.fund(who, wei(DEPOSIT), wei(RESERVE));
            }
            if funds.withdraw_round.0 != 0 || left {
                continue;
            }
            let missing = |have: Wei, want: u64| Wei(wei(want).0.saturating_sub(have.0));
            let (deposit, reserve) = (missing(funds.deposit, DEPOSIT), missing(funds.reserve, RESERVE));
            if deposit > wei(DEPOSIT / 2) || reserve > wei(RESERVE / 4) {
                self.contracts.fund(who, deposit, reserve);
            }
        }
    }

    /// Redeemers look; what they write is on their orchestrators' disks.
    fn redeem(&mut self) {
        for Orchestrator { side, desk, .. } in &mut self.orchestrators {
            let entries = desk.look(&mut self.contracts);
            for entry in &entries {
                let Entry::Redemption { ticket, step, .. } = entry else { continue };
                side.core.on_redemption(*ticket, step);
                match step {
                    Redemption::Redeemed { .. } => self.told.redeemed += 1,
                    Redemption::Expired | Redemption::Dropped { .. } => self.told.expired += 1,
                    Redemption::Queued | Redemption::Sent { .. } | Redemption::Reopened => {}
                }
            }
            self.audit.wrote(&entries);
            side.disk.extend(entries);
        }
    }
}

impl Orchestrator {
    fn new(me: Address, contracts: &Contracts) -> Self {
        let Commit { entries, answer } = payee(me, &[], B256::repeat_byte(me[0]));
        debug_assert!(contracts.head(me).active);
        Self { me, side: Side { disk: entries, core: answer }, desk: Desk::new(me, 1) }
    }
}

fn head(contracts: &Contracts, me: Address) -> ChainHead {
    ChainHead { redeem_cost: wei(REDEEM), redeem_cost_on_average: wei(REDEEM), ..contracts.head(me) }
}

fn payer(key: &TicketKey, disk: &[Entry]) -> Payer {
    let most = Wei(U256::from(u128::MAX));
    let max_price = PricePerPixel { wei: 1000, pixels: 1 };
    Payer::restore(PayerConfig::new(max_price, most, most), key.clone(), disk)
}

fn payee(who: Address, disk: &[Entry], fresh: B256) -> Commit<Payee> {
    Payee::restore(PayeeConfig::new(who), disk, fresh)
}
