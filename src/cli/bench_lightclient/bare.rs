//! The work that nobody can leave out, without anything around it: one signature from its bytes against a key that is summed
//! already, and the tree hash of a committee.

use blst::min_pk::{AggregatePublicKey, PublicKey, Signature};
use blst::{BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine};
use ethereum_hashing::hash32_concat;
use lightclient::consensus::{Header, SyncAggregate, SyncCommittee};
use lightclient::forks::ChainSpec;

const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// A signature and what it signs.
pub(super) struct Signed {
    signers: PublicKey,
    message: [u8; 32],
    signature: [u8; 96],
}

impl Signed {
    /// A header's signature by a committee.
    pub(super) fn of(
        spec: &ChainSpec,
        committee: &SyncCommittee,
        header: &Header,
        aggregate: &SyncAggregate,
    ) -> Self {
        let keys = &committee.pubkeys;
        let signers: Vec<PublicKey> = (0..keys.len())
            .filter(|index| aggregate.has(*index))
            .map(|index| PublicKey::uncompress(keys[index].as_slice()).expect("a committee's key"))
            .collect();
        let signers: Vec<&PublicKey> = signers.iter().collect();
        let sum = AggregatePublicKey::aggregate(&signers, false).expect("signers");
        let domain = spec.sync_committee_domain(spec.epoch_at(header.beacon.slot));
        Self {
            signers: sum.to_public_key(),
            message: hash32_concat(header.root().as_slice(), domain.as_slice()),
            signature: aggregate.signature.0,
        }
    }

    /// Decompresses the signature, checks its subgroup, hashes the message to the curve, and pairs twice.
    pub(super) fn verify(&self) -> bool {
        let Ok(signature) = Signature::uncompress(&self.signature) else { return false };
        let (signers, signature): (&blst_p1_affine, &blst_p2_affine) =
            ((&self.signers).into(), (&signature).into());
        let mut pairing = Pairing::new(true, DST);
        if pairing.aggregate(signers, false, signature, true, &self.message, &[]) != BLST_ERROR::BLST_SUCCESS
        {
            return false;
        }
        pairing.commit();
        pairing.finalverify(None)
    }
}

/// `hash_tree_root(SyncCommittee)`, by nothing but hashing pairs.
pub(super) fn committee_root(committee: &SyncCommittee) -> [u8; 32] {
    let key = |key: &[u8]| {
        let mut end = [0; 32];
        end[..16].copy_from_slice(&key[32..]);
        hash32_concat(&key[..32], &end)
    };
    let mut level: Vec<[u8; 32]> = committee.pubkeys.iter().map(|pubkey| key(pubkey.as_slice())).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| hash32_concat(&pair[0], &pair[1])).collect();
    }
    hash32_concat(&level[0], &key(committee.aggregate_pubkey.as_slice()))
}
