//! What the rules do over many rounds: inflation follows participation, orchestrators mint, a delegator's stake grows. A
//! state and assumptions in, one line a round out. Every number is the contracts' to the wei where the assumptions hold;
//! which they are, a caller says. Knows no prices and no calendar.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::amount::{Lpt, Wei};
use crate::earnings::{Earnings, Factors, claim, fee_factor, reward_factor};
use crate::inflation::{Inflation, Refused, Split, create_reward, split};
use crate::math::{Arithmetic, PPB, PPM, PRECISE, add, sub};

#[cfg(test)]
mod tests;

/// Supply, inflation and treasury.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Inflation of the round that has just been, its change and its target.
    pub inflation: Inflation,
    /// All LPT that inflation counts.
    pub supply: Lpt,
    /// LPT of the treasury.
    pub treasury: Lpt,
    /// Its cut in this round, 10^27 points.
    pub treasury_cut: U256,
    /// Its cut from the next round on.
    pub next_treasury_cut: U256,
    /// LPT in the treasury at which the cut ends; zero for never.
    pub treasury_ceiling: Lpt,
}

/// What a round may mint, and on which stake.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Issue {
    /// Stake of the active set.
    pub bonded: Lpt,
    /// Most that is minted.
    pub mintable: Lpt,
    /// What was minted.
    pub minted: Lpt,
}

impl Network {
    /// A round begins with `bonded` at work (`initializeRound`).
    ///
    /// # Errors
    /// [`Arithmetic`], where the contracts panic.
    pub fn begin(&mut self, bonded: Lpt) -> Result<Issue, Arithmetic> {
        self.treasury_cut = self.next_treasury_cut;
        self.inflation = self.inflation.next(bonded, self.supply)?;
        Ok(Issue { bonded, mintable: self.inflation.mintable(self.supply)?, minted: Lpt::default() })
    }

    /// An orchestrator with `stake` calls for its reward and keeps `reward_cut` (parts per million).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn reward(&mut self, issue: &mut Issue, stake: Lpt, reward_cut: U256) -> Result<Split, Refused> {
        if !self.treasury_ceiling.0.is_zero() && self.treasury >= self.treasury_ceiling {
            self.next_treasury_cut = U256::ZERO;
        }
        let minted = create_reward(issue.mintable, issue.minted, stake, issue.bonded)?;
        issue.minted = Lpt(add(issue.minted.0, minted.0)?);
        self.supply = Lpt(add(self.supply.0, minted.0)?);
        let split = split(minted, self.treasury_cut, reward_cut)?;
        self.treasury = Lpt(add(self.treasury.0, split.treasury.0)?);
        Ok(split)
    }
}

/// The orchestrator that is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Orchestrator {
    /// Stake delegated to it, its own included.
    pub stake: Lpt,
    /// Its own.
    pub own: Lpt,
    /// Part of rewards that it keeps, parts per million.
    pub reward_cut: U256,
    /// Part of fees that it shares, parts per million.
    pub fee_share: U256,
    /// Fees that it is paid in each round, after its reward.
    pub fees: Wei,
}

/// How much stake is at work as time goes by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Participation {
    /// What is there, and all that it earns.
    Grows,
    /// This part of the supply, parts per billion: others bond and unbond to keep it so.
    Held(U256),
}

/// What is simulated. All other orchestrators are as one, which calls for its reward in every round as well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Assumptions {
    /// What is there now.
    pub network: Network,
    /// Stake of the active set.
    pub bonded: Lpt,
    /// What becomes of it.
    pub participation: Participation,
    /// The orchestrator.
    pub orchestrator: Orchestrator,
    /// Stake of one delegator of it, which is part of its stake.
    pub delegator: Lpt,
}

/// One round.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Rounds from now.
    pub round: u32,
    /// Inflation, parts per billion of the supply.
    pub inflation_ppb: u64,
    /// Supply at its end.
    pub supply: Lpt,
    /// Stake at work in it.
    pub bonded: Lpt,
    /// Part of the supply, at the beginning, that was at work: parts per billion.
    pub participation_ppb: u64,
    /// What was minted.
    pub minted: Lpt,
    /// The treasury at its end.
    pub treasury: Lpt,
    /// All that is delegated to the orchestrator at its end.
    pub orchestrator_stake: Lpt,
    /// What the orchestrator itself has: its own stake with its commission, and its fees.
    pub orchestrator: Earnings,
    /// What the delegator has.
    pub delegator: Earnings,
}

/// Every round in turn; ends early where the contracts would panic.
#[must_use]
pub fn simulate(assumptions: &Assumptions) -> Simulation {
    Simulation {
        network: assumptions.network,
        participation: assumptions.participation,
        all: *assumptions,
        bonded: assumptions.bonded,
        stake: assumptions.orchestrator.stake,
        factors: Factors { reward: PRECISE.whole(), fee: U256::ZERO },
        commission: Earnings::default(),
        active: Lpt::default(),
        round: 0,
    }
}

/// See [`simulate`].
#[derive(Clone, Debug)]
pub struct Simulation {
    network: Network,
    participation: Participation,
    all: Assumptions,
    bonded: Lpt,
    stake: Lpt,
    factors: Factors,
    commission: Earnings,
    /// The commission before the round's reward: it earns with the stake.
    active: Lpt,
    round: u32,
}

impl Iterator for Simulation {
    type Item = Result<Step, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.round == u32::MAX {
            return None;
        }
        let step = self.step();
        self.round = if step.is_ok() { self.round } else { u32::MAX };
        Some(step)
    }
}

impl Simulation {
    fn step(&mut self) -> Result<Step, Refused> {
        let bonded = self.at_work()?;
        let supply = self.network.supply;
        let mut issue = self.network.begin(bonded)?;
        let orchestrator = self.all.orchestrator;
        let ours = self.network.reward(&mut issue, self.stake, orchestrator.reward_cut)?;
        let others = Lpt(sub(bonded.0, self.stake.0)?);
        let theirs = if others.0.is_zero() {
            Split::default()
        } else {
            self.network.reward(&mut issue, others, U256::ZERO)?
        };
        let before = self.factors;
        let grown = self.share_rewards(ours)?;
        self.share_fees(before)?;
        self.bonded = Lpt(add(add(bonded.0, grown.0)?, add(theirs.commission.0, theirs.delegators.0)?)?);
        self.stake = Lpt(add(self.stake.0, grown.0)?);
        self.round += 1;
        Ok(Step {
            round: self.round,
            inflation_ppb: self.network.inflation.rate.saturating_to(),
            supply: self.network.supply,
            bonded,
            participation_ppb: PPB.points(bonded.0, supply.0)?.saturating_to(),
            minted: issue.minted,
            treasury: self.network.treasury,
            orchestrator_stake: self.stake,
            orchestrator: self.held_by_orchestrator()?,
            delegator: self.held(self.all.delegator)?,
        })
    }

    /// Stake of the active set in the coming round; never less than the orchestrator's.
    fn at_work(&self) -> Result<Lpt, Arithmetic> {
        let all = match self.participation {
            Participation::Grows => self.bonded,
            Participation::Held(part) => Lpt(PPB.share(self.network.supply.0, part)?),
        };
        Ok(all.max(self.stake))
    }

    /// The reward's way to commission and factor; what the orchestrator's stake grows by.
    fn share_rewards(&mut self, reward: Split) -> Result<Lpt, Arithmetic> {
        let active = self.commission.stake;
        self.active = active;
        let own = PRECISE.part(reward.delegators.0, active.0, self.stake.0)?;
        self.commission.stake = Lpt(add(add(active.0, own)?, reward.commission.0)?);
        self.factors.reward = reward_factor(self.factors.reward, reward.delegators, self.stake)?;
        add(reward.commission.0, reward.delegators.0).map(Lpt)
    }

    /// The round's fees, paid after the reward, by the factors from before it.
    fn share_fees(&mut self, before: Factors) -> Result<(), Arithmetic> {
        let (fees, share) = (self.all.orchestrator.fees, self.all.orchestrator.fee_share);
        if fees.0.is_zero() {
            return Ok(());
        }
        let delegators = PPM.share(fees.0, share)?;
        let own = PRECISE.part(delegators, self.active.0, self.stake.0)?;
        let kept = add(sub(fees.0, delegators)?, own)?;
        self.commission.fees = Wei(add(self.commission.fees.0, kept)?);
        self.factors.fee = fee_factor(U256::ZERO, before, Wei(delegators), self.stake)?;
        Ok(())
    }

    fn held(&self, stake: Lpt) -> Result<Earnings, Arithmetic> {
        let start = Factors { reward: PRECISE.whole(), fee: U256::ZERO };
        claim(Earnings { stake, fees: Wei::default() }, start, self.factors)
    }

    fn held_by_orchestrator(&self) -> Result<Earnings, Arithmetic> {
        let own = self.held(self.all.orchestrator.own)?;
        Ok(Earnings {
            stake: Lpt(add(own.stake.0, self.commission.stake.0)?),
            fees: Wei(add(own.fees.0, self.commission.fees.0)?),
        })
    }
}
