//! The newest tier: headers on which sources agree. In: headers that sources gave. Out: the newest one that enough of them
//! name, or that they contradict each other or what L1 shows. Only the sequencer and the absence of a common lie stand
//! behind it, so a header is audited later, when an assertion covers it: [`follow`] leads from the one to the other.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use thiserror::Error;

use crate::exec::ExecHeader;
use crate::proven::Tier;

/// What one source says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Which source; one voice each, however often it speaks.
    pub source: u32,
    /// A header that it calls its chain's.
    pub header: ExecHeader,
}

/// A header that enough sources name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// The header.
    pub header: ExecHeader,
    /// Always [`Tier::Sequenced`].
    pub tier: Tier,
    /// Sources that name another header of the same height.
    pub dissent: Vec<u32>,
}

/// Why sources do not settle the newest header.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SequencedError {
    /// Too few name the same one.
    #[error("at most {agree} of {asked} sources name one header, {least} must")]
    TooFew {
        /// Most voices that any header has.
        agree: u16,
        /// Sources that were asked.
        asked: u16,
        /// Voices needed.
        least: u16,
    },
    /// Two headers of one height have enough voices each: the sequencer or many sources lie.
    #[error("block {number} is {one} to some sources and {other} to others, with enough voices each")]
    Split {
        /// The height.
        number: u64,
        /// One header's hash.
        one: B256,
        /// The other's.
        other: B256,
    },
    /// Enough sources name a header that contradicts an assertion.
    #[error(
        "sources name {found} as block {number}, an assertion on L1 {asserted}: nothing newer can be believed"
    )]
    AgainstL1 {
        /// The height.
        number: u64,
        /// What L1 shows.
        asserted: B256,
        /// What sources say.
        found: B256,
    },
}

impl SequencedError {
    /// Whether two things that both should be true exclude each other; payments stop then.
    #[must_use]
    pub const fn is_contradiction(&self) -> bool {
        !matches!(self, Self::TooFew { .. })
    }
}

/// The newest header that at least `least` of `asked` sources name. `asserted` are headers that L1 commits to.
///
/// # Errors
/// [`SequencedError`].
pub fn agree(
    claims: &[Claim],
    asked: u16,
    least: u16,
    asserted: &[&ExecHeader],
) -> Result<Agreed, SequencedError> {
    let voices = voices(claims);
    let mut enough: BTreeMap<u64, B256> = BTreeMap::new();
    for ((number, hash), (sources, _)) in &voices {
        if count(sources) < least.max(1) {
            continue;
        }
        if let Some(known) = asserted.iter().find(|known| known.number == *number && known.hash != *hash) {
            return Err(SequencedError::AgainstL1 { number: *number, asserted: known.hash, found: *hash });
        }
        if let Some(one) = enough.insert(*number, *hash) {
            return Err(SequencedError::Split { number: *number, one, other: *hash });
        }
    }
    let Some((number, hash)) = enough.pop_last() else {
        let agree = voices.values().map(|(sources, _)| count(sources)).max().unwrap_or(0);
        return Err(SequencedError::TooFew { agree, asked, least });
    };
    let (sources, header) = &voices[&(number, hash)];
    let rivals = voices.iter().filter(|((height, other), _)| *height == number && *other != hash);
    let dissent: BTreeSet<u32> = rivals.flat_map(|(_, (sources, _))| sources.iter().copied()).collect();
    Ok(Agreed {
        header: (*header).clone(),
        tier: Tier::Sequenced { agree: count(sources), asked },
        dissent: dissent.into_iter().collect(),
    })
}

type Voices<'a> = BTreeMap<(u64, B256), (BTreeSet<u32>, &'a ExecHeader)>;

/// Who names which header.
fn voices(claims: &[Claim]) -> Voices<'_> {
    let mut voices = Voices::new();
    for Claim { source, header } in claims {
        let (sources, _) = voices.entry((header.number, header.hash)).or_insert((BTreeSet::new(), header));
        sources.insert(*source);
    }
    voices
}

fn count(sources: &BTreeSet<u32>) -> u16 {
    u16::try_from(sources.len()).unwrap_or(u16::MAX)
}

/// A header does not follow the one before it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("block {number} names {found} as its parent, the block before it is {expected}")]
pub struct BrokenLink {
    /// The block that does not follow.
    pub number: u64,
    /// Hash of the block before it.
    pub expected: B256,
    /// What it names.
    pub found: B256,
}

/// Follows headers upwards from one that is known: each names the one before it and is one higher.
///
/// # Errors
/// [`BrokenLink`] at the first that does not.
pub fn follow<'a>(
    from: &'a ExecHeader,
    headers: impl IntoIterator<Item = &'a ExecHeader>,
) -> Result<&'a ExecHeader, BrokenLink> {
    headers.into_iter().try_fold(from, |last, next| {
        if next.parent_hash == last.hash && Some(next.number) == last.number.checked_add(1) {
            Ok(next)
        } else {
            Err(BrokenLink { number: next.number, expected: last.hash, found: next.parent_hash })
        }
    })
}
