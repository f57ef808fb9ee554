//! Counting votes (`GovernorCountingOverridable`, LIP-91): an orchestrator votes with all that is staked with it, and each of
//! its delegators may vote differently with its own part, before it or after it. Pure: weights come in.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use thiserror::Error;

use crate::amount::Lpt;
use crate::math::{Arithmetic, PPM, add, sub};

/// Votes for, against and to abstain that must take part, parts per million of all stake.
pub const QUORUM: u64 = 333_300;
/// Votes for, of those for and against, that win, parts per million.
pub const QUOTA: u64 = 500_000;
/// Rounds from a proposal to its vote.
pub const VOTING_DELAY: u64 = 1;
/// Rounds that a vote lasts.
pub const VOTING_PERIOD: u64 = 10;
/// Votes that it takes to propose: 100 LPT.
pub const PROPOSAL_THRESHOLD: Lpt = Lpt(U256::from_limbs([0x6bc7_5e2d_6310_0000, 0x5, 0, 0]));

/// What somebody votes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Support {
    /// Against the proposal: 0.
    #[default]
    Against,
    /// For it: 1.
    For,
    /// Neither, but counted: 2.
    Abstain,
}

impl Support {
    /// The vote of a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Against),
            1 => Some(Self::For),
            2 => Some(Self::Abstain),
            _ => None,
        }
    }
}

/// One account in one vote.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Voter {
    /// What it voted, if it did.
    pub voted: Option<Support>,
    /// What its delegators voted themselves and it therefore does not, LPT base units.
    pub deductions: U256,
}

/// A vote as it stands, LPT base units.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Votes against.
    pub against_votes: U256,
    /// Votes for.
    pub for_votes: U256,
    /// Votes to abstain.
    pub abstain_votes: U256,
    /// Who voted, and whose delegators did.
    pub voters: BTreeMap<Address, Voter>,
}

/// Why a vote does not count.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// Twice.
    #[error("VoteAlreadyCast()")]
    AlreadyCast,
    /// The contract panics.
    #[error(transparent)]
    Panic(#[from] Arithmetic),
}

impl Tally {
    /// Counts `who`'s vote of `weight`, which it had staked with `delegate` (`_countVote`).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn cast(
        &mut self,
        who: Address,
        support: Support,
        weight: Lpt,
        delegate: Address,
    ) -> Result<(), Refused> {
        let voter = self.voters.entry(who).or_default();
        if voter.voted.is_some() {
            return Err(Refused::AlreadyCast);
        }
        voter.voted = Some(support);
        let counted = if who == delegate {
            sub(weight.0, voter.deductions)?
        } else {
            self.override_delegate(delegate, weight.0)?;
            weight.0
        };
        let bucket = self.bucket(support);
        *bucket = add(*bucket, counted)?;
        Ok(())
    }

    /// A delegator's own vote is no longer its orchestrator's.
    fn override_delegate(&mut self, delegate: Address, weight: U256) -> Result<(), Arithmetic> {
        let voter = self.voters.entry(delegate).or_default();
        voter.deductions = add(voter.deductions, weight)?;
        if let Some(support) = voter.voted {
            let bucket = self.bucket(support);
            *bucket = sub(*bucket, weight)?;
        }
        Ok(())
    }

    const fn bucket(&mut self, support: Support) -> &mut U256 {
        match support {
            Support::Against => &mut self.against_votes,
            Support::For => &mut self.for_votes,
            Support::Abstain => &mut self.abstain_votes,
        }
    }

    /// Whether enough of all stake took part.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn quorum_reached(&self, total: Lpt) -> Result<bool, Arithmetic> {
        let part = add(add(self.against_votes, self.for_votes)?, self.abstain_votes)?;
        Ok(part >= PPM.share(total.0, U256::from(QUORUM))?)
    }

    /// Whether enough were for it.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn succeeded(&self) -> Result<bool, Arithmetic> {
        let valid = add(self.against_votes, self.for_votes)?;
        Ok(self.for_votes >= PPM.share(valid, U256::from(QUOTA))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lpt(n: u64) -> Lpt {
        Lpt(U256::from(n))
    }

    #[test]
    fn a_delegator_overrides_its_orchestrator_whoever_votes_first() {
        let (orchestrator, delegator) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let mut before = Tally::default();
        before.cast(delegator, Support::Against, lpt(30), orchestrator).unwrap();
        before.cast(orchestrator, Support::For, lpt(100), orchestrator).unwrap();
        let mut after = Tally::default();
        after.cast(orchestrator, Support::For, lpt(100), orchestrator).unwrap();
        after.cast(delegator, Support::Against, lpt(30), orchestrator).unwrap();
        assert_eq!(before, after);
        assert_eq!((before.for_votes, before.against_votes), (U256::from(70), U256::from(30)));
        assert_eq!(after.cast(delegator, Support::For, lpt(30), orchestrator), Err(Refused::AlreadyCast));
    }

    #[test]
    fn half_of_those_who_take_a_side_win_if_a_third_took_part() {
        let mut tally = Tally::default();
        let who = Address::repeat_byte;
        tally.cast(who(1), Support::For, lpt(100), who(1)).unwrap();
        tally.cast(who(2), Support::Against, lpt(100), who(2)).unwrap();
        tally.cast(who(3), Support::Abstain, lpt(133), who(3)).unwrap();
        assert_eq!(tally.quorum_reached(lpt(1_000)), Ok(true));
        assert_eq!(tally.quorum_reached(lpt(1_003)), Ok(false));
        assert_eq!(tally.succeeded(), Ok(true));
    }

    #[test]
    fn a_hundred_tokens_are_needed_to_propose() {
        assert_eq!(PROPOSAL_THRESHOLD.to_string(), "100 LPT");
    }
}
