//! What a transaction will do, before it costs anything: the state that it touches in, effects and warnings out, or the
//! contract's own reason why it would fail. The rules are those of [`crate::chain`], run on a copy; this module only
//! compares before and after. What the state lacks reads as zero, so a caller puts in all that its call touches.

use std::fmt;

use alloy_primitives::{Address, U256};
use serde::Serialize;

use crate::amount::{Lpt, Wei};
use crate::chain::call::Bonding;
use crate::chain::{Call, Chain, Revert};
use crate::earnings::Earnings;
use crate::pool::{Hint, Pool};
use crate::rounds::Round;

pub mod calldata;
mod payments;
#[cfg(test)]
mod tests;

/// What changes for the sender.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Forecast {
    /// The call, with the places in the pool filled in.
    #[serde(skip)]
    pub call: Call,
    /// Each change, in the order in which people ask.
    pub effects: Vec<Effect>,
    /// What somebody should know before saying yes.
    pub warnings: Vec<Warning>,
}

/// One change.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Bonded stake, with what was earned.
    Stake {
        /// Before, with unclaimed rewards.
        before: Lpt,
        /// After.
        after: Lpt,
    },
    /// Fees that can be withdrawn.
    Fees {
        /// Before, with unclaimed ones.
        before: Wei,
        /// After.
        after: Wei,
    },
    /// LPT in the sender's own hands.
    Tokens {
        /// Before.
        before: Lpt,
        /// After.
        after: Lpt,
    },
    /// Ether in the sender's own hands, without gas.
    Ether {
        /// Before.
        before: Wei,
        /// After.
        after: Wei,
    },
    /// What winning tickets are paid from first.
    Deposit {
        /// Before.
        before: Wei,
        /// After.
        after: Wei,
    },
    /// What they are paid from then, a share for each orchestrator.
    Reserve {
        /// Before.
        before: Wei,
        /// After.
        after: Wei,
    },
    /// Deposit and reserve are on their way out.
    Unlocking {
        /// First round in which they can be withdrawn, and no ticket is paid any more.
        withdraw_round: Round,
    },
    /// Deposit and reserve stay where they are.
    UnlockCancelled,
    /// Whom the sender delegates to.
    Delegate {
        /// Before; none for nobody.
        before: Option<Address>,
        /// After.
        after: Option<Address>,
        /// First round in which the stake counts there.
        counts_from: Round,
    },
    /// Stake on its way out.
    Lock {
        /// Its number.
        id: u64,
        /// How much.
        amount: Lpt,
        /// First round in which it can be withdrawn.
        withdraw_round: Round,
    },
    /// Place of an orchestrator in the pool, counted from one; none outside.
    Place {
        /// Which.
        orchestrator: Address,
        /// Before.
        before: Option<u32>,
        /// After.
        after: Option<u32>,
        /// Its stake after.
        stake: Lpt,
    },
    /// An orchestrator's cuts, parts per million.
    Cuts {
        /// What it keeps of rewards.
        reward_cut: u64,
        /// What it shares of fees.
        fee_share: u64,
    },
    /// Tokens that a reward mints.
    Minted {
        /// How much.
        amount: Lpt,
    },
    /// A round begins.
    Round {
        /// Its number.
        number: Round,
        /// Its inflation, parts per billion.
        inflation_ppb: u64,
        /// What it may mint.
        mintable: Lpt,
    },
}

/// What somebody may not want.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "warning")]
pub enum Warning {
    /// The call claims, and the delegate has not called `reward()` in this round: its reward of this round is lost to the sender.
    ClaimBeforeReward {
        /// The delegate.
        orchestrator: Address,
        /// What is lost.
        loses: Lpt,
    },
    /// Stake goes to an orchestrator outside the pool: it earns nothing.
    OutsidePool {
        /// Whom.
        orchestrator: Address,
        /// What the last of the pool has.
        least: Lpt,
    },
    /// Stake goes to somebody who is no orchestrator.
    NoOrchestrator {
        /// Whom.
        address: Address,
    },
    /// A member of the pool is pushed out of it.
    Evicts {
        /// Which.
        orchestrator: Address,
    },
    /// The sender stops being an orchestrator after this round.
    Resigns {
        /// Stake of others that is left behind.
        others: Lpt,
    },
    /// The sender is active and has not called `reward()` in this round.
    RewardFirst,
    /// The stake cannot be moved or withdrawn at once.
    Locked {
        /// Rounds until it can be withdrawn.
        rounds: u64,
    },
    /// Paid streams stop, and tickets that are not redeemed in time are not paid.
    PaymentsEnd {
        /// First round in which no orchestrator takes tickets any more.
        refused_from: Round,
        /// First round in which no ticket is paid any more.
        unpaid_from: Round,
    },
    /// There is a reserve and no deposit: no ticket can be made.
    NoDeposit,
    /// There is a deposit and no reserve: no ticket can be made.
    NoReserve,
    /// Nothing changes.
    Nothing,
}

/// Says what a call will do.
///
/// # Errors
/// The [`Revert`] with which the contract would refuse it now.
pub fn predict(before: &Chain, from: Address, value: U256, call: Call) -> Result<Forecast, Revert> {
    let mut blind = before.clone();
    blind.apply(from, value, call.clone())?;
    let call = with_places(call, before, &blind, from);
    let mut after = before.clone();
    after.apply(from, value, call.clone())?;
    let watched = watched(&call, before, &after, from);
    let effects = effects(before, &after, from, &watched)?;
    let mut warnings = warnings(before, &after, from, &call, &effects)?;
    let set = matches!(call, Call::Bonding(Bonding::SetRewardCaller(_))) && before.bonding != after.bonding;
    if effects.is_empty() && matches!(call, Call::Bonding(_)) && !set {
        warnings.push(Warning::Nothing);
    }
    Ok(Forecast { call, effects, warnings })
}

/// The call with hints: neighbours as they stand afterwards. A hint that is wrong by then costs gas and nothing else.
fn with_places(call: Call, before: &Chain, after: &Chain, from: Address) -> Call {
    let Call::Bonding(call) = call else { return call };
    let place = |who: Address| place(&after.bonding.transcoder_pool, who);
    let delegate = before.bonding.delegators.at(&from).delegate_address;
    Call::Bonding(match call {
        Bonding::Bond(amount, to, ..) => {
            let old = if delegate == to { Hint::default() } else { place(delegate) };
            Bonding::Bond(amount, to, old, place(to))
        }
        Bonding::Unbond(amount, _) => Bonding::Unbond(amount, place(delegate)),
        Bonding::Rebond(lock, _) => Bonding::Rebond(lock, place(delegate)),
        Bonding::RebondFromUnbonded(to, lock, _) => Bonding::RebondFromUnbonded(to, lock, place(to)),
        Bonding::Transcoder(cut, share, _) => Bonding::Transcoder(cut, share, place(from)),
        Bonding::Reward(_) => Bonding::Reward(place(from)),
        Bonding::RewardForTranscoder(who, _) => Bonding::RewardForTranscoder(who, place(who)),
        other => other,
    })
}

fn place(pool: &Pool, who: Address) -> Hint {
    let node = pool.nodes.at(&who);
    Hint { prev: node.prev_id, next: node.next_id }
}

/// Orchestrators whose place may change.
fn watched(call: &Call, before: &Chain, after: &Chain, from: Address) -> Vec<Address> {
    let mut watched = vec![from];
    let delegate = |chain: &Chain| chain.bonding.delegators.at(&from).delegate_address;
    watched.extend([delegate(before), delegate(after)]);
    if let Call::Bonding(Bonding::RewardForTranscoder(who, _)) = call {
        watched.push(*who);
    }
    watched.sort_unstable();
    watched.dedup();
    watched
}

fn effects(before: &Chain, after: &Chain, from: Address, watched: &[Address]) -> Result<Vec<Effect>, Revert> {
    let mut effects = Vec::new();
    let (was, is) = (held(before, from)?, held(after, from)?);
    if was.stake != is.stake {
        effects.push(Effect::Stake { before: was.stake, after: is.stake });
    }
    let counts_from = after.bonding.delegators.at(&from).start_round;
    let delegate = |chain: &Chain| {
        let to = chain.bonding.delegators.at(&from).delegate_address;
        (!to.is_zero()).then_some(to)
    };
    if delegate(before) != delegate(after) {
        effects.push(Effect::Delegate { before: delegate(before), after: delegate(after), counts_from });
    }
    effects.extend(new_lock(before, after, from));
    if was.fees != is.fees {
        effects.push(Effect::Fees { before: was.fees, after: is.fees });
    }
    let (had, has) = (before.token.balances.at(&from), after.token.balances.at(&from));
    if had != has {
        effects.push(Effect::Tokens { before: Lpt(had), after: Lpt(has) });
    }
    effects.extend(payments::effects(before, after, from));
    let (had, has) = (before.eth.at(&from), after.eth.at(&from));
    if had != has {
        effects.push(Effect::Ether { before: Wei(had), after: Wei(has) });
    }
    effects.extend(orchestrators(before, after, from, watched));
    effects.extend(minting(before, after));
    Ok(effects)
}

fn held(chain: &Chain, who: Address) -> Result<Earnings, Revert> {
    Ok(chain.bonding.pending(who, chain.current_round()?)?)
}

fn new_lock(before: &Chain, after: &Chain, from: Address) -> Option<Effect> {
    let id = before.bonding.delegators.at(&from).next_unbonding_lock_id;
    let lock = after.bonding.unbonding_locks.at(&(from, id));
    (lock.withdraw_round != Round(0)).then(|| Effect::Lock {
        id: id.saturating_to(),
        amount: Lpt(lock.amount),
        withdraw_round: lock.withdraw_round,
    })
}

fn orchestrators<'a>(
    before: &'a Chain,
    after: &'a Chain,
    from: Address,
    watched: &'a [Address],
) -> impl Iterator<Item = Effect> + 'a {
    let rank = |chain: &Chain, who: Address| {
        let at = chain.bonding.transcoder_pool.iter().position(|(member, _)| member == who);
        at.map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX))
    };
    let stake = |chain: &Chain, who| chain.bonding.delegators.at(&who).delegated_amount;
    let places = watched.iter().filter_map(move |&who| {
        let (old, new) = (rank(before, who), rank(after, who));
        let moved = old != new || ((old, new) != (None, None) && stake(before, who) != stake(after, who));
        let stake = Lpt(stake(after, who));
        moved.then_some(Effect::Place { orchestrator: who, before: old, after: new, stake })
    });
    let cuts = |chain: &Chain| {
        let t = chain.bonding.transcoders.at(&from);
        (t.reward_cut, t.fee_share)
    };
    let (reward_cut, fee_share) = cuts(after);
    let changed = cuts(before) != (reward_cut, fee_share);
    places.chain(changed.then(|| Effect::Cuts {
        reward_cut: reward_cut.saturating_to(),
        fee_share: fee_share.saturating_to(),
    }))
}

fn minting(before: &Chain, after: &Chain) -> Option<Effect> {
    let begun = *after.rounds.last_initialized_round;
    if begun != *before.rounds.last_initialized_round {
        return Some(Effect::Round {
            number: begun,
            inflation_ppb: after.minter.inflation.saturating_to(),
            mintable: Lpt(*after.minter.current_mintable_tokens),
        });
    }
    let (had, has) = (*before.minter.current_minted_tokens, *after.minter.current_minted_tokens);
    (has > had).then(|| Effect::Minted { amount: Lpt(has - had) })
}

fn warnings(
    before: &Chain,
    after: &Chain,
    from: Address,
    call: &Call,
    effects: &[Effect],
) -> Result<Vec<Warning>, Revert> {
    let round = before.current_round()?;
    let mut warnings = Vec::new();
    warnings.extend(lost_by_claiming(before, after, from, round)?);
    if let Call::Bonding(Bonding::Bond(_, to, ..) | Bonding::RebondFromUnbonded(to, ..)) = call {
        warnings.extend(where_stake_goes(after, *to));
    }
    let gone = before.bonding.transcoder_pool.iter().map(|(who, _)| who);
    let gone = gone.filter(|who| *who != from && !after.bonding.transcoder_pool.contains(*who));
    warnings.extend(gone.map(|orchestrator| Warning::Evicts { orchestrator }));
    if before.bonding.is_registered(from) && !after.bonding.is_registered(from) {
        let others = Lpt(after.bonding.delegators.at(&from).delegated_amount);
        warnings.push(Warning::Resigns { others });
        let rewarded = before.bonding.transcoders.at(&from).last_reward_round == round;
        if before.bonding.is_active(from, round) && !rewarded {
            warnings.push(Warning::RewardFirst);
        }
    }
    for effect in effects {
        if let Effect::Lock { withdraw_round, .. } = effect {
            warnings.push(Warning::Locked { rounds: withdraw_round.0.saturating_sub(round.0) });
        }
    }
    warnings.extend(payments::warnings(after, from, effects));
    Ok(warnings)
}

/// What the delegate's reward of this round would still bring to somebody whose call claims before it.
fn lost_by_claiming(
    before: &Chain,
    after: &Chain,
    from: Address,
    round: Round,
) -> Result<Option<Warning>, Revert> {
    let (was, is) = (before.bonding.delegators.at(&from), after.bonding.delegators.at(&from));
    let orchestrator = was.delegate_address;
    let claims = was.last_claim_round < round && is.last_claim_round == round;
    if !claims || was.bonded_amount.is_zero() || was.start_round > round {
        return Ok(None);
    }
    let mut rewarded = before.clone();
    if rewarded.apply(orchestrator, U256::ZERO, Call::Bonding(Bonding::Reward(Hint::default()))).is_err() {
        return Ok(None);
    }
    let share = |chain: &Chain| -> Result<U256, Revert> {
        let own = chain.bonding.transcoders.at(&orchestrator).cumulative_rewards;
        let own = if orchestrator == from { own } else { U256::ZERO };
        Ok(held(chain, from)?.stake.0.saturating_sub(own))
    };
    let loses = share(&rewarded)?.saturating_sub(share(before)?);
    Ok((!loses.is_zero()).then_some(Warning::ClaimBeforeReward { orchestrator, loses: Lpt(loses) }))
}

fn where_stake_goes(after: &Chain, to: Address) -> Option<Warning> {
    if !after.bonding.is_registered(to) {
        return Some(Warning::NoOrchestrator { address: to });
    }
    let pool = &after.bonding.transcoder_pool;
    let least = Lpt(pool.key(*pool.tail));
    (!pool.contains(to)).then_some(Warning::OutsidePool { orchestrator: to, least })
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |who: Option<Address>| who.map_or_else(|| "nobody".to_owned(), |who| who.to_string());
        let rank = |at: Option<u32>| at.map_or_else(|| "outside the pool".to_owned(), |at| format!("#{at}"));
        match *self {
            Self::Stake { before, after } => write!(f, "stake: {before} -> {after}"),
            Self::Fees { before, after } => write!(f, "fees to withdraw: {before} -> {after}"),
            Self::Tokens { before, after } => write!(f, "tokens in hand: {before} -> {after}"),
            Self::Ether { before, after } => write!(f, "ether in hand, without gas: {before} -> {after}"),
            Self::Deposit { before, after } => write!(f, "deposit: {before} -> {after}"),
            Self::Reserve { before, after } => write!(f, "reserve: {before} -> {after}"),
            Self::Unlocking { withdraw_round } => {
                write!(f, "deposit and reserve can be withdrawn from round {withdraw_round}")
            }
            Self::UnlockCancelled => f.write_str("the unlocking is cancelled: deposit and reserve stay"),
            Self::Delegate { before, after: None, .. } => {
                write!(f, "delegates to nobody any more (before: {})", name(before))
            }
            Self::Delegate { before, after, counts_from } => {
                let (before, after) = (name(before), name(after));
                write!(f, "delegates to {after} (before: {before}); counts from round {counts_from}")
            }
            Self::Lock { id, amount, withdraw_round } => {
                write!(f, "lock {id}: {amount}, to be withdrawn from round {withdraw_round}")
            }
            Self::Place { orchestrator, before, after, stake } => {
                write!(f, "{orchestrator} in the pool: {} -> {}, with {stake}", rank(before), rank(after))
            }
            Self::Cuts { reward_cut, fee_share } => {
                let percent = |ppm: u64| format!("{}.{:04}%", ppm / 10_000, ppm % 10_000);
                write!(f, "keeps {} of rewards, shares {} of fees", percent(reward_cut), percent(fee_share))
            }
            Self::Minted { amount } => write!(f, "mints {amount}"),
            Self::Round { number, inflation_ppb, mintable } => write!(
                f,
                "round {number} begins: it may mint {mintable}, {inflation_ppb} parts per billion of the supply"
            ),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClaimBeforeReward { orchestrator, loses } => write!(
                f,
                "this claims before {orchestrator} has called for this round's reward, and {loses} of it would be lost: wait for it"
            ),
            Self::OutsidePool { orchestrator, least } => write!(
                f,
                "{orchestrator} stays outside the pool, whose last has {least}: the stake earns nothing there"
            ),
            Self::NoOrchestrator { address } => {
                write!(f, "{address} is not an orchestrator: the stake earns nothing there")
            }
            Self::Evicts { orchestrator } => {
                write!(f, "{orchestrator} is pushed out of the pool and stops earning after this round")
            }
            Self::Resigns { others } => write!(
                f,
                "this ends being an orchestrator after this round; {others} of others stay behind and earn nothing"
            ),
            Self::RewardFirst => f.write_str(
                "this round's reward has not been called for: do that first, or everybody who has staked with you loses it",
            ),
            Self::Locked { rounds } => {
                write!(f, "the stake earns nothing from now on and can be withdrawn in {rounds} rounds")
            }
            Self::PaymentsEnd { refused_from, unpaid_from } => write!(
                f,
                "no orchestrator takes your tickets from round {refused_from} on: paid streams stop then. Tickets that won and are not redeemed before round {unpaid_from} are never paid"
            ),
            Self::NoDeposit => f.write_str("there is no deposit: no ticket can be made until there is"),
            Self::NoReserve => f.write_str("there is no reserve: no ticket can be made until there is"),
            Self::Nothing => f.write_str("nothing changes for you: this would only cost gas"),
        }
    }
}
