//! One committee's signatures over BLS12-381 (consensus-specs `FastAggregateVerify`).
//!
//! In: a proven committee, participation bits, a signature, the signed root. Out: yes or no. The cost of a yes is that of one
//! signature: the sum of those who signed is the committee's own aggregate minus those who did not, and a key is decompressed
//! when it is first subtracted. Only the safe interface of `blst` is used, on the caller's thread.
//!
//! Why no subgroup check of the committee's keys: the committee is proven by a Merkle branch from a beacon state that a trusted
//! root or two thirds of a known committee vouch for. That state's transition only admits keys with a proof of possession,
//! which includes the subgroup check, and computes the aggregate from them (consensus-specs `apply_deposit`,
//! `get_next_sync_committee`). Sums of points of the subgroup stay in it. The signature comes from a stranger and is checked.

use std::sync::OnceLock;

use alloy_primitives::B256;
use blst::min_pk::{AggregatePublicKey, PublicKey as Point, Signature};
use blst::{BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine};
use thiserror::Error;

use super::types::{PublicKey, SyncAggregate, SyncCommittee};

/// The ciphersuite of Ethereum's consensus layer (consensus-specs `beacon-chain.md`, BLS signatures).
const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// A public key that is no point of the curve.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("public key {0} is no point of the curve")]
pub struct BadKey(pub PublicKey);

/// A committee that is ready to check signatures.
pub struct Committee {
    keys: SyncCommittee,
    root: B256,
    aggregate: OnceLock<Point>,
    points: Vec<OnceLock<Point>>,
}

impl Committee {
    /// Takes a committee whose membership in a state was proven. Decompresses nothing yet.
    #[must_use]
    pub fn new(keys: SyncCommittee) -> Self {
        let root = keys.root();
        Self::with_root(keys, root)
    }

    /// The same when the root is known already.
    pub(super) fn with_root(keys: SyncCommittee, root: B256) -> Self {
        let points = keys.pubkeys.iter().map(|_| OnceLock::new()).collect();
        Self { keys, root, aggregate: OnceLock::new(), points }
    }

    /// The keys as they came.
    #[must_use]
    pub const fn keys(&self) -> &SyncCommittee {
        &self.keys
    }

    /// `hash_tree_root(SyncCommittee)`.
    #[must_use]
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// Members.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.keys.pubkeys.len()
    }

    /// Decompresses every key now, so that no later check does (about 15 us a key).
    ///
    /// # Errors
    /// [`BadKey`] names the first one that is no point.
    pub fn prepare(&self) -> Result<(), BadKey> {
        self.whole()?;
        (0..self.size()).try_for_each(|index| self.member(index).map(|_| ()))
    }

    /// Whether the members whose bits are set signed `message`.
    ///
    /// # Errors
    /// [`BadKey`] when a key that is needed is no point.
    pub fn verify(&self, message: &B256, aggregate: &SyncAggregate) -> Result<bool, BadKey> {
        if aggregate.size() != self.size() || aggregate.participants() == 0 {
            return Ok(false);
        }
        let Ok(signature) = Signature::uncompress(aggregate.signature.as_slice()) else { return Ok(false) };
        let signers = self.signers(aggregate)?;
        Ok(signed(&signers, message, &signature))
    }

    /// The sum of the keys whose bits are set, by whichever way adds fewer points.
    fn signers(&self, aggregate: &SyncAggregate) -> Result<Point, BadKey> {
        let present = aggregate.participants();
        if present == self.size() {
            return self.whole().copied();
        }
        if present <= self.size() / 2 {
            let sum = self.sum((0..self.size()).filter(|index| aggregate.has(*index)))?;
            return Ok(sum.map_or_else(Point::default, |sum| sum.to_public_key()));
        }
        let mut sum = AggregatePublicKey::from_public_key(self.whole()?);
        if let Some(absent) = self.sum((0..self.size()).filter(|index| !aggregate.has(*index)))? {
            sum.sub_aggregate(&absent);
        }
        Ok(sum.to_public_key())
    }

    /// Members may be the same key more than once; `blst` doubles where the points are equal.
    fn sum(&self, mut members: impl Iterator<Item = usize>) -> Result<Option<AggregatePublicKey>, BadKey> {
        let Some(first) = members.next() else { return Ok(None) };
        let mut sum = AggregatePublicKey::from_public_key(self.member(first)?);
        for index in members {
            let key = self.member(index)?;
            sum.add_public_key(key, false).map_err(|_| BadKey(self.keys.pubkeys[index]))?;
        }
        Ok(Some(sum))
    }

    fn whole(&self) -> Result<&Point, BadKey> {
        decompressed(&self.aggregate, self.keys.aggregate_pubkey)
    }

    fn member(&self, index: usize) -> Result<&Point, BadKey> {
        decompressed(&self.points[index], self.keys.pubkeys[index])
    }
}

impl std::fmt::Debug for Committee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committee")
            .field("root", &self.root)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

fn decompressed(cell: &OnceLock<Point>, key: PublicKey) -> Result<&Point, BadKey> {
    if let Some(point) = cell.get() {
        return Ok(point);
    }
    let point = Point::uncompress(key.as_slice()).map_err(|_| BadKey(key))?;
    Ok(cell.get_or_init(|| point))
}

/// One pairing check on this thread; `blst`'s own `verify` would hand it to a pool.
fn signed(signers: &Point, message: &B256, signature: &Signature) -> bool {
    let signers: &blst_p1_affine = signers.into();
    let signature: &blst_p2_affine = signature.into();
    let mut pairing = Pairing::new(true, DST);
    let taken = pairing.aggregate(signers, false, signature, true, message.as_slice(), &[]);
    if taken != BLST_ERROR::BLST_SUCCESS {
        return false;
    }
    pairing.commit();
    pairing.finalverify(None)
}
