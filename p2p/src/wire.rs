//! Records on the wire: protobuf inside a signed envelope, at most 512 bytes.
//!
//! In flow bytes from strangers, out flow [`Verified`] records and nothing else: the type exists only after size, bounds,
//! signature and validity were checked. Which records to keep is the roster's business.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use prost::Message;
use protocol::certificate::BadCertificate;
use protocol::record::{Roles, Work};
use protocol::{NodeRecord, PeerKey, PricePerPixel};

use crate::Identity;
use crate::limits::{MAX_LIFETIME_SECS, MAX_RELAYS, MAX_SKEW_MS};

mod certificate;
pub mod redeemer;

/// The messages of `proto/control.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/livemesh.control.v1.rs"));
}

/// What a record's signature is about, so that it can be taken for nothing else.
const DOMAIN: &[u8] = b"livemesh node record v1\0";
/// Longest backend name, bytes.
const MAX_BACKEND: usize = 16;
/// Longest encoder name, bytes.
const MAX_ENCODER: usize = 32;
/// Longest network name, bytes.
pub const MAX_NETWORK: usize = 32;

/// How a node without a public address is reached, and whether it helps others to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Nodes that relay to it, at most [`MAX_RELAYS`].
    pub relays: Vec<PeerKey>,
    /// Whether it relays for others.
    pub relay: bool,
}

/// An encoded envelope of which nothing was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed(pub Bytes);

/// Something of which size, bounds, signature and validity were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: Arc<T>,
    reach: Reach,
    envelope: Bytes,
}

/// Why a record counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Larger than any record.
    #[error("a record of {0} bytes, over the limit of {max}", max = NodeRecord::MAX_BYTES)]
    TooLarge(usize),
    /// Not an envelope with a record, or a field out of its bounds.
    #[error("a malformed record: {0}")]
    Malformed(&'static str),
    /// Signed by another key, for another network, or changed on the way.
    #[error("the signature of {0:?}'s record does not verify for this network")]
    BadSignature(PeerKey),
    /// Valid once.
    #[error("{0:?}'s record expired")]
    Expired(PeerKey),
    /// Made in the future, or valid for longer than any record may be.
    #[error("{0:?}'s record is from the future or valid for too long: compare the two clocks")]
    TimeBounds(PeerKey),
    /// It speaks for stake without being allowed to.
    #[error("{claimer:?}'s record claims stake that is not its own: {why}")]
    Stake {
        /// Whose record it is; only its owner can have signed it.
        claimer: PeerKey,
        /// What is wrong with its certificate.
        why: BadCertificate,
    },
}

impl Refused {
    /// Whether only whoever passed it on can be to blame, since an honest node would not have.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::Malformed(_) | Self::BadSignature(_))
    }

    /// Whoever made a record that claims foreign stake. Those who pass it on may follow no chain and not know.
    #[must_use]
    pub fn claimer(&self) -> Option<PeerKey> {
        match self {
            Self::Stake { claimer, .. } => Some(*claimer),
            Self::TooLarge(_)
            | Self::Malformed(_)
            | Self::BadSignature(_)
            | Self::Expired(_)
            | Self::TimeBounds(_) => None,
        }
    }
}

impl Signed {
    /// Encodes and signs `record` as `identity` for `network`.
    ///
    /// # Errors
    /// [`Refused`] when a field is out of its bounds or the record is not `identity`'s own.
    pub fn new(
        record: &NodeRecord,
        reach: &Reach,
        identity: &Identity,
        network: &str,
    ) -> Result<Self, Refused> {
        if record.peer != identity.peer_key() {
            return Err(Refused::BadSignature(record.peer));
        }
        let message = encode(record, reach);
        decode(&message)?;
        let body = message.encode_to_vec();
        let signature = identity.signing_key().sign(&signing_bytes(network, &body)?).to_bytes();
        let envelope = proto::Envelope { body: body.into(), signature: Bytes::copy_from_slice(&signature) };
        let bytes: Bytes = envelope.encode_to_vec().into();
        if bytes.len() > NodeRecord::MAX_BYTES {
            return Err(Refused::TooLarge(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// Who made the record and its sequence, as it claims: for finding out cheaply that it is old news.
    #[must_use]
    pub fn peek(&self) -> Option<(PeerKey, u64)> {
        if self.0.len() > NodeRecord::MAX_BYTES {
            return None;
        }
        let envelope = proto::Envelope::decode(self.0.clone()).ok()?;
        let message = proto::Record::decode(envelope.body).ok()?;
        Some((decode_key(&message.peer).ok()?, message.sequence))
    }

    /// Checks everything that can be checked without knowing other records or the chain. `now_ms` is Unix time in
    /// milliseconds.
    ///
    /// # Errors
    /// [`Refused`] says what is wrong with it.
    pub fn verify(self, network: &str, now_ms: u64) -> Result<Verified<NodeRecord>, Refused> {
        if self.0.len() > NodeRecord::MAX_BYTES {
            return Err(Refused::TooLarge(self.0.len()));
        }
        let envelope =
            proto::Envelope::decode(self.0.clone()).map_err(|_| Refused::Malformed("not an envelope"))?;
        let message =
            proto::Record::decode(envelope.body.clone()).map_err(|_| Refused::Malformed("not a record"))?;
        let (record, reach) = decode(&message)?;
        check_time(&record, now_ms)?;
        check_signature(&record, &envelope, network)?;
        certificate::check_time(&record)?;
        Ok(Verified { value: Arc::new(record), reach, envelope: self.0 })
    }
}

impl Verified<NodeRecord> {
    /// The record.
    #[must_use]
    pub fn record(&self) -> &Arc<NodeRecord> {
        &self.value
    }

    /// How the node is reached.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Checks that its certificate, if it has one, was signed by the staker that it names, for the chain with this number.
    ///
    /// # Errors
    /// [`Refused::Stake`] when it claims what is not its own.
    pub fn check_stake(&self, chain_id: u64) -> Result<(), Refused> {
        let Some(signed) = &self.value.certificate else { return Ok(()) };
        signed.verify(chain_id).map_err(|why| Refused::Stake { claimer: self.value.peer, why })
    }

    /// The bytes that were verified, to pass on.
    #[must_use]
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// Whether the node takes its leave with it.
    #[must_use]
    pub fn is_withdrawal(&self) -> bool {
        is_withdrawal(&self.value)
    }

    /// Unix time in milliseconds after which the record need not even be remembered.
    #[must_use]
    pub fn forget_at_ms(&self) -> u64 {
        if self.is_withdrawal() {
            return self.value.sequence.saturating_add(MAX_LIFETIME_SECS * 1000);
        }
        self.value.expires.saturating_mul(1000)
    }
}

/// A record that was void when it was made says good-bye.
fn is_withdrawal(record: &NodeRecord) -> bool {
    record.expires <= record.sequence / 1000
}

fn check_time(record: &NodeRecord, now_ms: u64) -> Result<(), Refused> {
    let (made_ms, lifetime_ms) = (record.sequence, MAX_LIFETIME_SECS * 1000);
    if made_ms > now_ms.saturating_add(MAX_SKEW_MS) {
        return Err(Refused::TimeBounds(record.peer));
    }
    if is_withdrawal(record) {
        let remembered = made_ms.saturating_add(lifetime_ms) > now_ms;
        return if remembered { Ok(()) } else { Err(Refused::Expired(record.peer)) };
    }
    let expires_ms = record.expires.saturating_mul(1000);
    if expires_ms <= now_ms {
        return Err(Refused::Expired(record.peer));
    }
    if expires_ms - made_ms.min(expires_ms) > lifetime_ms + 1000 {
        return Err(Refused::TimeBounds(record.peer));
    }
    Ok(())
}

fn check_signature(record: &NodeRecord, envelope: &proto::Envelope, network: &str) -> Result<(), Refused> {
    let bad = || Refused::BadSignature(record.peer);
    let key = VerifyingKey::from_bytes(&record.peer.0).map_err(|_| bad())?;
    let signature = Signature::from_slice(&envelope.signature).map_err(|_| bad())?;
    key.verify_strict(&signing_bytes(network, &envelope.body)?, &signature).map_err(|_| bad())
}

fn signing_bytes(network: &str, body: &[u8]) -> Result<Vec<u8>, Refused> {
    if network.len() > MAX_NETWORK {
        return Err(Refused::Malformed("the network's name is longer than 32 bytes"));
    }
    let mut out = Vec::with_capacity(DOMAIN.len() + 1 + network.len() + body.len());
    out.extend_from_slice(DOMAIN);
    out.push(network.len() as u8);
    out.extend_from_slice(network.as_bytes());
    out.extend_from_slice(body);
    Ok(out)
}

fn encode(record: &NodeRecord, reach: &Reach) -> proto::Record {
    proto::Record {
        peer: Bytes::copy_from_slice(&record.peer.0),
        sequence: record.sequence,
        expires: record.expires,
        control: record.control.iter().map(encode_addr).collect(),
        media: record.media.iter().map(encode_addr).collect(),
        roles: encode_roles(record.roles),
        work: record.work.as_ref().map(encode_work),
        relays: reach.relays.iter().map(|key| Bytes::copy_from_slice(&key.0)).collect(),
        relay: reach.relay,
        certificate: record.certificate.as_ref().map(certificate::encode),
    }
}

fn decode(message: &proto::Record) -> Result<(NodeRecord, Reach), Refused> {
    let record = NodeRecord {
        peer: decode_key(&message.peer)?,
        sequence: message.sequence,
        expires: message.expires,
        control: decode_addrs(&message.control)?,
        media: decode_addrs(&message.media)?,
        roles: decode_roles(message.roles),
        work: message.work.as_ref().map(decode_work).transpose()?,
        certificate: match &message.certificate {
            Some(claim) => Some(certificate::decode(claim, decode_key(&message.peer)?)?),
            None => None,
        },
    };
    if message.relays.len() > MAX_RELAYS {
        return Err(Refused::Malformed("more than 2 relays"));
    }
    let relays = message.relays.iter().map(|key| decode_key(key)).collect::<Result<_, _>>()?;
    Ok((record, Reach { relays, relay: message.relay }))
}

/// Reads a key from the wire.
pub(crate) fn decode_key(bytes: &[u8]) -> Result<PeerKey, Refused> {
    bytes.try_into().map(PeerKey).map_err(|_| Refused::Malformed("a key that is not 32 bytes"))
}

/// Puts an address on the wire.
pub(crate) fn encode_addr(addr: &SocketAddr) -> Bytes {
    let mut out = Vec::with_capacity(18);
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
    out.into()
}

/// Reads at most four addresses from the wire.
pub(crate) fn decode_addrs(list: &[Bytes]) -> Result<Vec<SocketAddr>, Refused> {
    if list.len() > NodeRecord::MAX_ADDRS {
        return Err(Refused::Malformed("more than 4 addresses of a plane"));
    }
    list.iter().map(|bytes| decode_addr(bytes)).collect()
}

fn decode_addr(bytes: &[u8]) -> Result<SocketAddr, Refused> {
    let bad = Refused::Malformed("an address that nobody can be reached at");
    let Some((ip, port)) = bytes.split_last_chunk::<2>() else { return Err(bad) };
    let ip: IpAddr = match ip.len() {
        4 => <[u8; 4]>::try_from(ip).map_err(|_| bad.clone())?.into(),
        16 => <[u8; 16]>::try_from(ip).map_err(|_| bad.clone())?.into(),
        _ => return Err(bad),
    };
    let port = u16::from_be_bytes(*port);
    // Of IPv4 addresses that are written as IPv6 ones, too.
    let plain = ip.to_canonical();
    if port == 0 || plain.is_unspecified() || plain.is_multicast() {
        return Err(bad);
    }
    Ok(SocketAddr::new(ip, port))
}

fn encode_roles(roles: Roles) -> u32 {
    u32::from(roles.broadcaster) | u32::from(roles.orchestrator) << 1 | u32::from(roles.verifier) << 2
}

fn decode_roles(bits: u32) -> Roles {
    Roles { broadcaster: bits & 1 != 0, orchestrator: bits & 2 != 0, verifier: bits & 4 != 0 }
}

fn encode_work(work: &Work) -> proto::Work {
    proto::Work {
        price_wei: work.price.wei,
        price_pixels: work.price.pixels,
        capacity: work.capacity,
        load: work.load,
        backend: work.backend.clone(),
        encoder: work.encoder.clone(),
    }
}

fn decode_work(work: &proto::Work) -> Result<Work, Refused> {
    if work.price_pixels == 0 {
        return Err(Refused::Malformed("a price for no pixels"));
    }
    Ok(Work {
        price: PricePerPixel { wei: work.price_wei, pixels: work.price_pixels },
        capacity: work.capacity,
        load: work.load,
        backend: decode_name(&work.backend, MAX_BACKEND)?,
        encoder: decode_name(&work.encoder, MAX_ENCODER)?,
    })
}

/// Names end up in logs and on a page, so they are plain.
fn decode_name(name: &str, max: usize) -> Result<String, Refused> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b':');
    if name.len() > max || !name.bytes().all(plain) {
        return Err(Refused::Malformed("a backend or encoder name that is too long or not plain"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
