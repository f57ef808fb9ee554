//! The order for a segment (`Livepeer-Segment`), signed by whoever pays. Its signature covers the stream, the number, the bytes and
//! the *names* of the outputs, and nothing else: sizes, rates and the session can be changed on the way unseen.

use alloy_primitives::{Address, B256, FixedBytes, keccak256};
use bytes::Bytes;
use protocol::Hash;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{BadSignature, recover};

use super::profile::Format;
use super::{
    AuthToken, Capabilities, Malformed, Profile, bad, message, net, signature, signing, to_header, unwrap,
    word,
};

/// Longest name of a stream, bytes.
const MAX_MANIFEST: usize = 256;
/// Most outputs.
const MAX_PROFILES: usize = 64;
/// Longest segment, milliseconds.
const MAX_DURATION: i32 = 300_000;
/// What a length of nothing means, milliseconds.
const DEFAULT_DURATION: u32 = 2_000;
/// Trips nodes that are too old to read anything else.
const TRIPWIRE: &[u8] = b"invalid";

/// An order for one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The stream.
    pub manifest_id: Bytes,
    /// Number of the segment.
    pub seq: u64,
    /// Keccak-256 of its bytes.
    pub hash: Hash,
    /// Its length, milliseconds.
    pub duration: u32,
    /// What the job needs.
    pub capabilities: Option<Capabilities>,
    /// The session.
    pub auth_token: Option<AuthToken>,
    /// The outputs.
    pub profiles: Vec<Profile>,
    /// The payer's signature.
    pub signature: FixedBytes<65>,
}

impl Order {
    /// What is under the signature, before it is hashed.
    #[must_use]
    pub fn flat(&self) -> Vec<u8> {
        let names = self.profiles.iter().map(|profile| hex(&keccak256(&profile.name)[..4]));
        let seq = B256::left_padding_from(&self.seq.to_be_bytes());
        [&self.manifest_id[..], &seq[..], &self.hash.0, names.collect::<String>().as_bytes()].concat()
    }

    /// Signs it for the payer.
    #[must_use]
    pub fn sign(mut self, key: &TicketKey) -> Self {
        self.signature = key.sign_digest(signing::digest(&self.flat()));
        self
    }

    /// Who signed it.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn signer(&self) -> Result<Address, BadSignature> {
        recover(signing::digest(&self.flat()), self.signature.as_slice())
    }

    /// Its header.
    #[must_use]
    pub fn to_header(&self) -> String {
        let all: Vec<_> = self.profiles.iter().map(Profile::encode).collect();
        let plain = self.profiles.iter().all(Profile::is_plain);
        let ts = self.profiles.iter().all(|profile| profile.format == Format::MpegTs);
        let (full_profiles, full_profiles2, full_profiles3) = match (plain, ts) {
            (true, true) => (all, vec![], vec![]),
            (true, false) => (vec![], all, vec![]),
            (false, _) => (vec![], vec![], all),
        };
        to_header(&net::SegData {
            manifest_id: self.manifest_id.clone(),
            seq: i64::try_from(self.seq).unwrap_or(i64::MAX),
            hash: self.hash.0.to_vec().into(),
            profiles: Bytes::from_static(TRIPWIRE),
            sig: self.signature.to_vec().into(),
            duration: i32::try_from(self.duration).unwrap_or(i32::MAX),
            capabilities: self.capabilities.as_ref().map(Capabilities::encode),
            auth_token: self.auth_token.as_ref().map(AuthToken::encode),
            full_profiles,
            full_profiles2,
            full_profiles3,
        })
    }

    /// Reads a header. Its signature is still to be compared with who pays.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_header(header: &str) -> Result<Self, Malformed> {
        Self::from_bytes(&unwrap(header)?)
    }

    /// Reads the message by itself.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let from: net::SegData = message(bytes)?;
        if from.manifest_id.len() > MAX_MANIFEST {
            return Err(bad("manifestId", "longer than 256 bytes"));
        }
        let duration = match from.duration {
            0 => DEFAULT_DURATION,
            1..=MAX_DURATION => from.duration.unsigned_abs(),
            _ => return Err(bad("duration", "invalid duration")),
        };
        let newest_first = [from.full_profiles3, from.full_profiles2, from.full_profiles];
        let profiles = newest_first.into_iter().find(|list| !list.is_empty()).unwrap_or_default();
        if profiles.is_empty() || profiles.len() > MAX_PROFILES {
            return Err(bad("profiles", "an order has 1 to 64 outputs"));
        }
        Ok(Self {
            manifest_id: from.manifest_id,
            seq: u64::try_from(from.seq).map_err(|_| bad("seq", "negative"))?,
            hash: Hash(word(&from.hash, "hash")?.0),
            duration,
            capabilities: from.capabilities.map(Capabilities::decode).transpose()?,
            auth_token: from.auth_token.map(AuthToken::decode).transpose()?,
            profiles: profiles.iter().map(Profile::decode).collect::<Result<_, _>>()?,
            signature: signature(&from.sig, "sig")?,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode(bytes)
}
