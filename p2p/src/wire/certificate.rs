//! Certificates inside records: without what the record says already, the key of its peer.
//!
//! In flow bytes of strangers, out flow certificates within their bounds. Whether the staker signed them is asked elsewhere,
//! since that takes knowing the chain.

use alloy_primitives::Address;
use bytes::Bytes;
use protocol::{Certificate, NodeRecord, PeerKey, SignedCertificate};

use super::{Refused, decode_key, decode_roles, encode_roles, proto};

/// Puts a certificate on the wire.
pub(super) fn encode(signed: &SignedCertificate) -> proto::Certificate {
    let Certificate { staker, peer, receipt_key, roles, not_before, not_after, revocation } =
        signed.certificate;
    let own = receipt_key == peer;
    proto::Certificate {
        staker: Bytes::copy_from_slice(staker.as_slice()),
        signature: Bytes::copy_from_slice(&signed.compact_signature()),
        receipt_key: if own { Bytes::new() } else { Bytes::copy_from_slice(&receipt_key.0) },
        roles: encode_roles(roles),
        not_before,
        lifetime: not_after.saturating_sub(not_before),
        revocation,
    }
}

/// Reads the certificate in the record of `peer`.
pub(super) fn decode(claim: &proto::Certificate, peer: PeerKey) -> Result<SignedCertificate, Refused> {
    let signature = claim.signature.as_ref().try_into();
    let signature = signature.map_err(|_| Refused::Malformed("a signature that is not 64 bytes"))?;
    let staker = Address::try_from(claim.staker.as_ref());
    let staker = staker.map_err(|_| Refused::Malformed("a staker that is not 20 bytes"))?;
    if claim.lifetime > Certificate::MAX_LIFETIME {
        return Err(Refused::Malformed("a certificate that is valid for too long"));
    }
    // A role that is not known here would be missing from what was signed.
    if encode_roles(decode_roles(claim.roles)) != claim.roles {
        return Err(Refused::Malformed("a certificate for an unknown role"));
    }
    let certificate = Certificate {
        staker,
        peer,
        receipt_key: if claim.receipt_key.is_empty() { peer } else { decode_key(&claim.receipt_key)? },
        roles: decode_roles(claim.roles),
        not_before: claim.not_before,
        not_after: claim.not_before.saturating_add(claim.lifetime),
        revocation: claim.revocation,
    };
    Ok(SignedCertificate::from_compact(certificate, signature))
}

/// A record must not speak for stake before its certificate begins or after it ends.
pub(super) fn check_time(record: &NodeRecord) -> Result<(), Refused> {
    let Some(signed) = &record.certificate else { return Ok(()) };
    let covered = signed.certificate.covers(record.peer, record.sequence / 1000, record.expires);
    covered.map_err(|why| Refused::Stake { claimer: record.peer, why })
}
