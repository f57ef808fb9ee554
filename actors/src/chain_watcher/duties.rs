//! When `reward()` and `initializeRound()` are due. Looks at proven state and never at an event: a duty is owed until a later
//! proven block shows it done, however often this node or a transaction was lost in between. Pure.
//!
//! So that a hundred orchestrators do not call at once, each waits for its own part of the round's first tenth, drawn from a
//! hash of its address and the round. For the initialization that hash makes an order: the first one calls at once, and each
//! further one gives those before it time to be seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, keccak256};
use protocol::Round;

use super::alarm::Cause;
use super::view::{ChainView, NOTES, Note, RoundFacts};
use crate::ports::chain::{Called, Duty, DutyFault};

/// Rewards are spread over this part of a round: two of 21 hours on Arbitrum One, so that no base fee feels them.
const SPREAD: u64 = 10;
/// Turns of an initialization fit into this part of a round, if they are not longer than [`LONGEST_TURN`].
const TURNS: u64 = 200;
/// L1 blocks that the next in turn waits: a minute, in which a transaction is in a block and known everywhere.
const LONGEST_TURN: u64 = 5;
/// First pause after a failure, slots; it doubles.
const FIRST_PAUSE: u64 = 2;
/// Longest pause, as a part of a round: even then there are some hundred attempts in one.
const LONGEST_PAUSE: u64 = 100;
/// Slots after which a block must show what was said to be done; until then it may be that the block is from before.
const SHOWN_WITHIN: u64 = 20;

/// What was done and tried.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Whose key calls; none where nothing is called.
    pub(super) caller: Option<Address>,
    under_way: Option<Duty>,
    /// Duties that are said to be in a block, since when.
    done: BTreeMap<Duty, u64>,
    /// Transactions of a duty that were included and reverted.
    reverted: BTreeMap<Duty, u32>,
    failures: u32,
    not_before_ms: u64,
    no_gas: Option<Cause>,
}

impl Book {
    /// An empty one.
    pub(super) fn new(caller: Option<Address>) -> Self {
        Self { caller, ..Self::default() }
    }

    /// The duty that is to be done now, and the how-manieth transaction of it that would be. Counts as under way from then on.
    pub(super) fn begin(&mut self, view: &ChainView, now_ms: u64) -> Option<(Duty, u32)> {
        let caller = self.caller?;
        if self.under_way.is_some() || now_ms < self.not_before_ms {
            return None;
        }
        let duty = self.reward(view, now_ms).or_else(|| self.initialization(view, now_ms))?;
        if self.is_empty_handed(view, caller) {
            return None;
        }
        self.under_way = Some(duty);
        Some((duty, self.reverted.get(&duty).copied().unwrap_or(0)))
    }

    fn reward(&self, view: &ChainView, now_ms: u64) -> Option<Duty> {
        let (round, own) = (view.round.as_ref()?, view.own.as_ref()?);
        let l1 = view.l1_block(now_ms)?;
        let owed = round.initialized && !round.paused && own.facts.active;
        if !owed || own.facts.last_reward_round >= round.number || l1 >= round.end_block() {
            return None;
        }
        let duty = Duty::Reward { round: round.number, own: own.address };
        let turn = draw(own.address, round.number) % (round.length / SPREAD).max(1);
        (l1 >= round.start_block + turn && !self.done.contains_key(&duty)).then_some(duty)
    }

    fn initialization(&self, view: &ChainView, now_ms: u64) -> Option<Duty> {
        let (round, own) = (view.round.as_ref()?, view.own.as_ref()?);
        let (current, began) = current(round, view.l1_block(now_ms)?);
        if round.paused || !own.registered || round.last_initialized >= current {
            return None;
        }
        let duty = Duty::Initialize { round: current };
        let turn = (round.length / TURNS).clamp(1, LONGEST_TURN) * place(view, own.address, current);
        (view.l1_block(now_ms)? > began + turn && !self.done.contains_key(&duty)).then_some(duty)
    }

    /// Notes that there is nothing for gas, so that it is told and nothing is tried.
    fn is_empty_handed(&mut self, view: &ChainView, caller: Address) -> bool {
        let balance = view.own.as_ref().and_then(|own| own.balance);
        let empty = balance.filter(|balance| balance.0.is_zero());
        if let Some(balance) = empty {
            self.no_gas = Some(Cause::NoGas { caller, balance, needed: None });
        }
        empty.is_some()
    }

    /// What became of the duty that was begun.
    pub(super) fn ended(
        &mut self,
        view: &mut ChainView,
        now_ms: u64,
        duty: Duty,
        end: Result<Called, DutyFault>,
    ) {
        self.under_way = None;
        let (outcome, words) = match end {
            Ok(Called::Done(words)) => {
                (self.failures, self.no_gas) = (0, None);
                self.done.insert(duty, now_ms);
                ("done", words)
            }
            Ok(Called::NotNeeded(words)) => {
                self.pause(view, now_ms);
                ("not_needed", words)
            }
            Err(fault) => {
                self.pause(view, now_ms);
                self.no_gas = match (&fault, self.caller) {
                    (DutyFault::NoGas { balance, needed }, Some(caller)) => {
                        Some(Cause::NoGas { caller, balance: *balance, needed: Some(*needed) })
                    }
                    _ => None,
                };
                if let DutyFault::Reverted(_) = fault {
                    *self.reverted.entry(duty).or_default() += 1;
                }
                ("failed", fault.to_string())
            }
        };
        note(view, now_ms, duty, outcome, words);
    }

    /// Forgets what a newer reading has settled, one way or the other.
    pub(super) fn on_reading(&mut self, view: &mut ChainView, now_ms: u64) {
        let (Some(known), Some(round)) = (view.known, view.round.clone()) else { return };
        let slack = SHOWN_WITHIN * slot_ms(view);
        let last_reward = view.own.as_ref().map(|own| own.facts.last_reward_round);
        let settled = |duty: &Duty| match duty {
            Duty::Initialize { round: of } => round.last_initialized >= *of,
            Duty::Reward { round: of, .. } => last_reward >= Some(*of),
        };
        let (mut lost, mut over) = (Vec::new(), Vec::new());
        for (duty, at_ms) in &self.done {
            if settled(duty) || duty.round() < round.number {
                over.push(*duty);
            } else if known.at_ms > at_ms.saturating_add(slack) {
                lost.push(*duty);
            }
        }
        self.done.retain(|duty, _| !over.contains(duty) && !lost.contains(duty));
        for duty in lost {
            let words = format!("block {} does not show it: it is called again", known.l2_block);
            note(view, now_ms, duty, "lost", words);
        }
        self.reverted.retain(|duty, _| duty.round() >= round.number && !settled(duty));
        if view.own.as_ref().and_then(|own| own.balance).is_some_and(|balance| !balance.0.is_zero())
            && matches!(self.no_gas, Some(Cause::NoGas { needed: None, .. }))
        {
            self.no_gas = None;
        }
    }

    /// Whether the reward of the round that the view shows is said to be in a block.
    pub(super) fn rewarded(&self, view: &ChainView) -> bool {
        let (Some(round), Some(own)) = (&view.round, &view.own) else { return false };
        self.done.contains_key(&Duty::Reward { round: round.number, own: own.address })
    }

    /// The alarm that a duty waits for gas.
    pub(super) fn no_gas(&self) -> Option<Cause> {
        self.no_gas.clone()
    }

    fn pause(&mut self, view: &ChainView, now_ms: u64) {
        let slot_ms = slot_ms(view);
        let longest = view.round.as_ref().map_or(0, |round| round.length / LONGEST_PAUSE).max(FIRST_PAUSE);
        let slots = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms.saturating_add(slots.saturating_mul(slot_ms));
    }
}

fn slot_ms(view: &ChainView) -> u64 {
    view.l1.map_or(12_000, |l1| l1.slot_ms)
}

/// The round that runs at an L1 block, and its first block, as far as lengths do not change.
fn current(round: &RoundFacts, l1: u64) -> (Round, u64) {
    let later = l1.saturating_sub(round.start_block) / round.length.max(1);
    (Round(round.number.0.saturating_add(later)), round.start_block + later * round.length)
}

/// A number that nobody chose: the same on every machine, another one for each round.
fn draw(who: Address, round: Round) -> u64 {
    let hash: B256 = keccak256([who.as_slice(), &round.0.to_be_bytes()].concat());
    hash.as_slice()[..8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// How many of the pool come before `own` in the order of a round's hashes.
fn place(view: &ChainView, own: Address, round: Round) -> u64 {
    let mine = draw(own, round);
    let others = view.members.iter().filter(|(address, member)| member.in_pool && **address != own);
    let before = if view.members.get(&own).is_some_and(|member| member.in_pool) {
        others.filter(|(address, _)| draw(**address, round) < mine).count()
    } else {
        others.count()
    };
    before as u64
}

/// Writes into the log; the same thing over and over is one line.
fn note(view: &mut ChainView, now_ms: u64, duty: Duty, outcome: &str, words: String) {
    let notes = Arc::make_mut(&mut view.duties);
    let note = Note {
        duty: duty.name().into(),
        round: duty.round().0,
        outcome: outcome.into(),
        words,
        at_ms: now_ms,
    };
    match notes.last_mut() {
        Some(last) if (&last.duty, last.round, &last.outcome) == (&note.duty, note.round, &note.outcome) => {
            *last = note;
        }
        _ => notes.push(note),
    }
    if notes.len() > NOTES {
        notes.remove(0);
    }
}
