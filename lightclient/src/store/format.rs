//! The bytes of a stored state: magic, version, chain, length, body, keccak-256 of all before it. Every count
//! and length in the body is bounded before anything is allocated, and nothing may follow the end.

use alloy_primitives::{B256, keccak256};
use thiserror::Error;

/// Finalized roots kept as fallback checkpoints: 30 epochs, a little over three hours of mainnet, so that a
/// source which lost the newest bootstrap can still serve an older one.
pub const FINALIZED_KEPT: usize = 30;

/// A whole file: two committees of 512 keys are 49 KB, 200 pending assertions less than 120 KB.
pub const MAX_FILE: usize = 2 << 20;

/// Assertions kept: 6.4 days at one in 15 minutes.
const MAX_ASSERTIONS: usize = 1024;
/// One assertion as its maker encodes it.
const MAX_ASSERTION: usize = 2048;

/// Places pinned: a rollup has two.
const MAX_PINS: usize = 64;
/// One pin as its maker encodes it.
const MAX_PIN: usize = 128;

/// Bootstraps, and updates one a period, kept for others, and a pool.
const MAX_UPDATES: usize = 32;
/// One update as its maker encodes it: 27 KB of mainnet's as SSZ; a pool of a thousand has 20 KB.
const MAX_UPDATE: usize = 64 << 10;

const MAGIC: &[u8; 8] = b"LMLIGHT\n";
const UPDATES_MAGIC: &[u8; 8] = b"LMUPDAT\n";
const VERSION: u16 = 1;
const HEAD: usize = 8 + 2 + 32 + 4;
const CHECKSUM: usize = 32;

/// Everything that survives a restart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// The consensus store as it encodes itself.
    pub consensus: Vec<u8>,
    /// Finalized slots and block roots, oldest first, at most [`FINALIZED_KEPT`]; the last one is what was
    /// promised.
    pub finalized: Vec<(u64, B256)>,
    /// Newest slot whose header a sync committee verifiably signed: no honest clock is far behind it.
    pub newest_signed: u64,
    /// Rollup assertions from the confirmed one on, each as its owner encodes it, oldest first.
    pub assertions: Vec<Vec<u8>>,
    /// Contents of guarded places that were pinned when first seen, each as its owner encodes it.
    pub pins: Vec<Vec<u8>>,
}

/// Why bytes are not a state of this chain.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FormatError {
    /// Not a file of ours.
    #[error("is not a light client's state (its first bytes are another program's)")]
    Magic,
    /// Written by a newer program.
    #[error(
        "has format {found}, this program reads {VERSION}: use the newer program, or move the file away and sync anew"
    )]
    Version {
        /// The format in the file.
        found: u16,
    },
    /// Another network's.
    #[error(
        "belongs to the chain with genesis validators root {found}, not {expected}: give each chain its own data directory"
    )]
    Foreign {
        /// The chain in the file.
        found: B256,
        /// The chain wanted.
        expected: B256,
    },
    /// Cut off, or with bytes too many.
    #[error("is torn: {have} bytes where {want} belong")]
    Torn {
        /// Bytes there.
        have: usize,
        /// Bytes that should be there.
        want: usize,
    },
    /// The checksum differs.
    #[error("is damaged: its checksum does not fit its bytes")]
    Checksum,
    /// A part is larger than any honest one, or ends early.
    #[error("has an impossible {part}")]
    Part {
        /// Which part.
        part: &'static str,
    },
}

impl Saved {
    /// The finalized slot that this state promises; zero before the first.
    #[must_use]
    pub fn finalized_slot(&self) -> u64 {
        self.finalized.last().map_or(0, |(slot, _)| *slot)
    }

    /// The bytes to write for the chain with this genesis validators root. Roots and assertions beyond the
    /// bounds are left out, oldest first.
    #[must_use]
    pub fn encode(&self, chain: B256) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.consensus.len() + 64 * FINALIZED_KEPT);
        put_bytes(&mut body, &self.consensus);
        body.extend_from_slice(&self.newest_signed.to_be_bytes());
        let roots = newest(&self.finalized, FINALIZED_KEPT);
        body.extend_from_slice(&(roots.len() as u16).to_be_bytes());
        for (slot, root) in roots {
            body.extend_from_slice(&slot.to_be_bytes());
            body.extend_from_slice(root.as_slice());
        }
        put_list(&mut body, newest(&self.assertions, MAX_ASSERTIONS));
        put_list(&mut body, newest(&self.pins, MAX_PINS));
        seal(MAGIC, chain, &body)
    }

    /// Reads what [`Self::encode`] wrote for the same chain.
    ///
    /// # Errors
    /// [`FormatError`], which says what is wrong with the file and what to do.
    pub fn decode(chain: B256, bytes: &[u8]) -> Result<Self, FormatError> {
        let mut body = Reader(open(MAGIC, chain, bytes)?);
        let consensus = body.bytes(MAX_FILE, "consensus store")?.to_vec();
        let newest_signed = body.u64("newest signed slot")?;
        let roots = usize::from(body.u16("number of finalized roots")?);
        if roots > FINALIZED_KEPT {
            return Err(FormatError::Part { part: "number of finalized roots" });
        }
        let mut finalized = Vec::with_capacity(roots);
        for _ in 0..roots {
            let slot = body.u64("finalized slot")?;
            let root = B256::from_slice(body.take(32, "finalized root")?);
            if finalized.last().is_some_and(|(before, _)| *before >= slot) {
                return Err(FormatError::Part { part: "order of finalized slots" });
            }
            finalized.push((slot, root));
        }
        let assertions = body.list(MAX_ASSERTIONS, MAX_ASSERTION, "list of assertions")?;
        let pins = body.list(MAX_PINS, MAX_PIN, "list of pins")?;
        if body.0.is_empty() {
            Ok(Self { consensus, finalized, newest_signed, assertions, pins })
        } else {
            Err(FormatError::Part { part: "end" })
        }
    }
}

/// Bootstraps and updates that were verified and others may want, each as its owner encodes it, oldest first: the bytes to write. What is
/// beyond the bounds is left out.
pub(super) fn encode_updates(chain: B256, updates: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    let fitting: Vec<Vec<u8>> = updates.iter().filter(|update| update.len() <= MAX_UPDATE).cloned().collect();
    put_list(&mut body, newest(&fitting, MAX_UPDATES));
    seal(UPDATES_MAGIC, chain, &body)
}

/// Reads what [`encode_updates`] wrote for the same chain.
pub(super) fn decode_updates(chain: B256, bytes: &[u8]) -> Result<Vec<Vec<u8>>, FormatError> {
    let mut body = Reader(open(UPDATES_MAGIC, chain, bytes)?);
    let updates = body.list(MAX_UPDATES, MAX_UPDATE, "list of updates")?;
    if body.0.is_empty() { Ok(updates) } else { Err(FormatError::Part { part: "end" }) }
}

fn newest<T>(all: &[T], most: usize) -> &[T] {
    &all[all.len().saturating_sub(most)..]
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_list(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    out.extend_from_slice(&(list.len() as u16).to_be_bytes());
    list.iter().for_each(|bytes| put_bytes(out, bytes));
}

fn seal(magic: &[u8; 8], chain: B256, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + body.len() + CHECKSUM);
    out.extend_from_slice(magic);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(chain.as_slice());
    put_bytes(&mut out, body);
    let sum = keccak256(&out);
    out.extend_from_slice(sum.as_slice());
    out
}

/// The body, once magic, version, chain, length and checksum are right, in this order: the first that is
/// wrong is the most telling.
fn open<'a>(magic: &[u8; 8], chain: B256, bytes: &'a [u8]) -> Result<&'a [u8], FormatError> {
    let torn = |want| FormatError::Torn { have: bytes.len(), want };
    if !bytes.starts_with(&magic[..bytes.len().min(magic.len())]) {
        return Err(FormatError::Magic);
    }
    let mut head = Reader(bytes.get(magic.len()..).ok_or_else(|| torn(HEAD + CHECKSUM))?);
    let found = head.u16("version").map_err(|_| torn(HEAD + CHECKSUM))?;
    if found != VERSION {
        return Err(FormatError::Version { found });
    }
    let found = B256::from_slice(head.take(32, "chain").map_err(|_| torn(HEAD + CHECKSUM))?);
    if found != chain {
        return Err(FormatError::Foreign { found, expected: chain });
    }
    let length = head.u32("length").map_err(|_| torn(HEAD + CHECKSUM))? as usize;
    if length > MAX_FILE {
        return Err(FormatError::Part { part: "length" });
    }
    let want = HEAD + length + CHECKSUM;
    if bytes.len() != want {
        return Err(torn(want));
    }
    let (sealed, sum) = bytes.split_at(want - CHECKSUM);
    if keccak256(sealed).as_slice() != sum {
        return Err(FormatError::Checksum);
    }
    Ok(&sealed[HEAD..])
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, part: &'static str) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FormatError::Part { part })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], FormatError> {
        self.take(N, part)?.try_into().map_err(|_| FormatError::Part { part })
    }

    fn u16(&mut self, part: &'static str) -> Result<u16, FormatError> {
        self.array(part).map(u16::from_be_bytes)
    }

    fn u32(&mut self, part: &'static str) -> Result<u32, FormatError> {
        self.array(part).map(u32::from_be_bytes)
    }

    fn u64(&mut self, part: &'static str) -> Result<u64, FormatError> {
        self.array(part).map(u64::from_be_bytes)
    }

    fn bytes(&mut self, most: usize, part: &'static str) -> Result<&'a [u8], FormatError> {
        let length = self.u32(part)? as usize;
        if length > most {
            return Err(FormatError::Part { part });
        }
        self.take(length, part)
    }

    fn list(&mut self, most: usize, longest: usize, part: &'static str) -> Result<Vec<Vec<u8>>, FormatError> {
        let count = usize::from(self.u16(part)?);
        if count > most {
            return Err(FormatError::Part { part });
        }
        (0..count).map(|_| self.bytes(longest, part).map(<[u8]>::to_vec)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAIN: B256 = B256::repeat_byte(7);

    fn some() -> Saved {
        Saved {
            consensus: vec![1; 5000],
            finalized: (0..30u64).map(|i| (i * 32, B256::repeat_byte(i as u8))).collect(),
            newest_signed: 1000,
            assertions: vec![vec![2; 300]; 20],
            pins: vec![vec![3; 85]; 2],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for state in [some(), Saved::default()] {
            assert_eq!(Saved::decode(CHAIN, &state.encode(CHAIN)), Ok(state));
        }
    }

    #[test]
    fn updates_come_back_the_newest_of_them_and_no_state_is_taken_for_updates() {
        let updates: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 27_000]).collect();
        let bytes = encode_updates(CHAIN, &updates);
        assert_eq!(decode_updates(CHAIN, &bytes).unwrap(), updates[8..]);
        assert!((0..bytes.len()).step_by(97).all(|cut| decode_updates(CHAIN, &bytes[..cut]).is_err()));
        assert_eq!(decode_updates(CHAIN, &some().encode(CHAIN)), Err(FormatError::Magic));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let bytes = some().encode(CHAIN);
        for cut in 0..bytes.len() {
            assert!(Saved::decode(CHAIN, &bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(Saved::decode(CHAIN, &flipped).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn another_chains_state_is_called_foreign_and_a_newer_format_newer() {
        let bytes = some().encode(CHAIN);
        let other = B256::repeat_byte(8);
        assert_eq!(Saved::decode(other, &bytes), Err(FormatError::Foreign { found: CHAIN, expected: other }));
        let mut newer = bytes;
        newer[9] = 2;
        assert_eq!(Saved::decode(CHAIN, &newer), Err(FormatError::Version { found: 2 }));
        assert_eq!(Saved::decode(CHAIN, b"#!/bin/sh"), Err(FormatError::Magic));
    }

    #[test]
    fn more_than_the_bounds_is_left_out_oldest_first() {
        let state = Saved { finalized: (0..100).map(|i| (i, B256::ZERO)).collect(), ..Saved::default() };
        let read = Saved::decode(CHAIN, &state.encode(CHAIN)).unwrap();
        assert_eq!(read.finalized.len(), FINALIZED_KEPT);
        assert_eq!(read.finalized_slot(), 99);
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic_or_allocate_by_claims(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            // Sealed correctly, so that the body itself is reached.
            let _ = Saved::decode(CHAIN, &seal(MAGIC, CHAIN, &body));
            let _ = decode_updates(CHAIN, &seal(UPDATES_MAGIC, CHAIN, &body));
        }
    }
}
