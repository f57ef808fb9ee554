//! Where trust begins: a finalized block root that a person gave, that was compiled in, or that independent
//! sources name alike. Its age is bounded, because validators that have left can sign another history without
//! losing anything. In: text, claims, the time. Out: a root, or why not. Knows no source and no network.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use alloy_primitives::B256;
use serde::Serialize;
use thiserror::Error;

use super::clock::{self, ClockBehind, start_of};
use crate::forks::ChainSpec;

/// Oldest checkpoint by default. The weak-subjectivity period with at least 8.4 million ETH staked is 15.7
/// days (consensus-specs Electra, `weak-subjectivity.md`); a light client cannot see balances, so it keeps a
/// margin instead.
pub const MAX_AGE: Duration = Duration::from_secs(14 * 24 * 3600);

/// A block that is taken for finalized.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Root of its beacon block header.
    pub root: B256,
    /// Its slot where known beforehand; the bootstrap says and proves it in any case.
    pub slot: Option<u64>,
}

/// Which checkpoint to begin with, when no state is on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// One that a person checked.
    Given(Checkpoint),
    /// The one that was built into this program (`LIVEMESH_CHECKPOINT` when it was compiled), if it is for
    /// this network.
    BuiltIn,
    /// The newest finalized block that at least this many of the sources name alike, two or more. Whoever
    /// controls so many sources chooses the chain, so status says that it was so.
    Agreed {
        /// Least number of sources that agree.
        least: u16,
    },
}

/// How old a checkpoint may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Freshness {
    /// Greatest age by the wall clock.
    pub max_age: Duration,
    /// Whether an older one is refused, or used with an alarm.
    pub strict: bool,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { max_age: MAX_AGE, strict: true }
    }
}

/// Why no checkpoint can be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CheckpointError {
    /// Too old to be safe.
    #[error(
        "checkpoint {root} of slot {slot} is {} days old, more than {} are not safe: take a newer finalized root from places that you trust",
        age.as_secs() / 86_400, max_age.as_secs() / 86_400
    )]
    TooOld {
        /// Its root.
        root: B256,
        /// Its slot.
        slot: u64,
        /// Its age.
        age: Duration,
        /// What is allowed.
        max_age: Duration,
    },
    /// The bootstrap shows another slot than the checkpoint names.
    #[error("checkpoint {root} is of slot {found}, not {named}: one of the two was copied wrongly")]
    OtherSlot {
        /// The root.
        root: B256,
        /// Slot in the checkpoint.
        named: u64,
        /// Slot under the root.
        found: u64,
    },
    /// It is of a slot that has not come by this machine's clock.
    #[error("checkpoint: {0}")]
    Clock(#[from] ClockBehind),
    /// Nothing was compiled in.
    #[error(
        "this program was built without a checkpoint for {network}: give one (--checkpoint), as 0xROOT or 0xROOT@SLOT. A beacon node that \
         you trust names it at /eth/v1/beacon/headers/finalized; compare the root with a second place that you trust"
    )]
    NoneBuiltIn {
        /// The network.
        network: String,
    },
    /// A single voice is no agreement.
    #[error("at least 2 sources must agree on a checkpoint, not {least}")]
    OneVoice {
        /// What was configured.
        least: u16,
    },
    /// The sources do not agree.
    #[error("only {agree} of {asked} sources name one finalized block alike, {least} must: {said}")]
    Disagreement {
        /// The largest group.
        agree: usize,
        /// Sources that answered.
        asked: usize,
        /// What was configured.
        least: u16,
        /// Who said what.
        said: String,
    },
}

/// What a checkpoint's text must be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{0:?} is no checkpoint: write the block root as 0x and 64 hex digits, and the slot behind an @ if you know it"
)]
pub struct BadCheckpoint(String);

impl FromStr for Checkpoint {
    type Err = BadCheckpoint;

    fn from_str(text: &str) -> Result<Self, BadCheckpoint> {
        let bad = || BadCheckpoint(text.chars().take(100).collect());
        let (root, slot) = text.split_once('@').map_or((text, None), |(root, slot)| (root, Some(slot)));
        let slot = slot.map(|slot| slot.parse().map_err(|_| bad())).transpose()?;
        let digits = root.strip_prefix("0x").ok_or_else(bad)?;
        Ok(Self { root: digits.parse().map_err(|_| bad())?, slot })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot {
            Some(slot) => write!(f, "{}@{slot}", self.root),
            None => write!(f, "{}", self.root),
        }
    }
}

impl Checkpoint {
    /// The checkpoint that was compiled in for this network: `LIVEMESH_CHECKPOINT=mainnet=0xROOT@SLOT` at
    /// build time, several separated by commas.
    ///
    /// # Errors
    /// [`CheckpointError::NoneBuiltIn`].
    pub fn built_in(spec: &ChainSpec) -> Result<Self, CheckpointError> {
        let all = option_env!("LIVEMESH_CHECKPOINT").unwrap_or_default();
        find(all, &spec.name).ok_or_else(|| CheckpointError::NoneBuiltIn { network: spec.name.clone() })
    }
}

fn find(all: &str, network: &str) -> Option<Checkpoint> {
    let mut entries = all.split(',').filter_map(|entry| entry.trim().split_once('='));
    entries.find(|(name, _)| *name == network).and_then(|(_, text)| text.parse().ok())
}

impl Freshness {
    /// Whether a block of this slot is young enough to begin with, and has been at all.
    ///
    /// # Errors
    /// [`CheckpointError::Clock`]; [`CheckpointError::TooOld`], also where not strict: the caller decides
    /// what becomes of it.
    pub fn check(&self, spec: &ChainSpec, root: B256, slot: u64, now_ms: u64) -> Result<(), CheckpointError> {
        clock::check(spec, now_ms, slot)?;
        let age = Duration::from_millis(now_ms.saturating_sub(start_of(spec, slot)));
        if age > self.max_age {
            return Err(CheckpointError::TooOld { root, slot, age, max_age: self.max_age });
        }
        Ok(())
    }
}

/// One source's word on the finalized block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) by: String,
    pub(super) root: B256,
    pub(super) slot: u64,
}

/// The newest block that enough sources name, and who did.
pub(super) fn agree(words: &[Word], least: u16) -> Result<(Checkpoint, Vec<String>), CheckpointError> {
    if least < 2 {
        return Err(CheckpointError::OneVoice { least });
    }
    let mut groups: BTreeMap<(u64, B256), Vec<String>> = BTreeMap::new();
    for word in words {
        let group = groups.entry((word.slot, word.root)).or_default();
        if !group.contains(&word.by) {
            group.push(word.by.clone());
        }
    }
    let enough = groups.iter().rev().find(|(_, by)| by.len() >= usize::from(least));
    if let Some(((slot, root), by)) = enough {
        return Ok((Checkpoint { root: *root, slot: Some(*slot) }, by.clone()));
    }
    let said: Vec<String> =
        words.iter().take(8).map(|w| format!("{}: {}@{}", w.by, w.root, w.slot)).collect();
    Err(CheckpointError::Disagreement {
        agree: groups.values().map(Vec::len).max().unwrap_or(0),
        asked: words.len(),
        least,
        said: if said.is_empty() { "nobody answered".to_owned() } else { said.join(", ") },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: B256 = B256::repeat_byte(0xaa);
    const B: B256 = B256::repeat_byte(0xbb);

    fn word(by: &str, root: B256, slot: u64) -> Word {
        Word { by: by.to_owned(), root, slot }
    }

    #[test]
    fn a_checkpoint_reads_as_it_is_written() {
        for checkpoint in [Checkpoint { root: A, slot: None }, Checkpoint { root: B, slot: Some(9_000_000) }]
        {
            assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        }
        for bad in ["", "0x12", &format!("{A}@x"), &format!("{A}@"), &A.to_string()[2..]] {
            assert!(bad.parse::<Checkpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fourteen_days_are_fresh_and_a_slot_more_is_not() {
        let spec = ChainSpec::mainnet();
        let now = start_of(&spec, 200_000);
        let oldest = 200_000 - 14 * 7200;
        assert_eq!(Freshness::default().check(&spec, A, oldest, now), Ok(()));
        let error = Freshness::default().check(&spec, A, oldest - 1, now).unwrap_err();
        assert!(error.to_string().contains("14 days old"), "{error}");
    }

    #[test]
    fn a_checkpoint_of_the_future_convicts_the_clock() {
        let spec = ChainSpec::mainnet();
        let error = Freshness::default().check(&spec, A, 100, 0).unwrap_err();
        assert_eq!(error, CheckpointError::Clock(ClockBehind { wall_slot: 0, signed_slot: 100 }));
    }

    #[test]
    fn the_newest_block_that_enough_name_wins_and_its_friends_are_named() {
        let words = [word("a", A, 64), word("b", A, 64), word("c", B, 96), word("d", A, 64)];
        let (checkpoint, by) = agree(&words, 2).unwrap();
        assert_eq!((checkpoint.root, checkpoint.slot, by.len()), (A, Some(64), 3));
    }

    #[test]
    fn one_source_that_speaks_twice_does_not_agree_with_itself() {
        let words = [word("liar", B, 96), word("liar", B, 96), word("honest", A, 64)];
        let error = agree(&words, 2).unwrap_err();
        assert!(matches!(error, CheckpointError::Disagreement { agree: 1, asked: 3, .. }), "{error}");
        assert!(error.to_string().contains("liar: 0xbb"), "{error}");
    }

    #[test]
    fn one_voice_is_no_agreement() {
        assert_eq!(agree(&[word("a", A, 1)], 1), Err(CheckpointError::OneVoice { least: 1 }));
    }

    #[test]
    fn what_is_built_in_is_found_by_network() {
        let all = format!("sepolia={A}@5, mainnet={B}");
        assert_eq!(find(&all, "mainnet"), Some(Checkpoint { root: B, slot: None }));
        assert_eq!(find(&all, "sepolia"), Some(Checkpoint { root: A, slot: Some(5) }));
        assert_eq!(find(&all, "hoodi"), None);
    }
}
