//! An unlocked key: signs transactions' hashes and EIP-712 digests. The key itself is never shown.

use std::fmt;

use alloy_primitives::{Address, B256, Signature};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use protocol::tickets::sign::TicketKey;
use thiserror::Error;

/// An unlocked key. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Signer {
    key: PrivateKeySigner,
}

/// The key does not sign.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the key of {0} does not sign: unlock it again")]
pub struct SignError(pub Address);

/// Which address does what. Staking moves stake and stays cold; rewards may only call for it; the redeemer holds gas alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keys {
    /// Owns the stake.
    pub staking: Option<Address>,
    /// Calls `rewardForTranscoder`.
    pub rewards: Option<Address>,
    /// Redeems tickets.
    pub redeemer: Option<Address>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.address()).finish()
    }
}

impl From<PrivateKeySigner> for Signer {
    fn from(key: PrivateKeySigner) -> Self {
        Self { key }
    }
}

impl Signer {
    /// Whose signatures these are.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.key.address()
    }

    /// The same key for tickets, of which many a second are signed.
    #[must_use]
    pub fn ticket_key(&self) -> TicketKey {
        TicketKey::from_bytes(&self.key.to_bytes().0).expect("it is a key already")
    }

    /// Signs an EIP-712 digest as it is: r, s, v with v 27 or 28.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_digest(&self, digest: B256) -> Result<[u8; 65], SignError> {
        self.sign(digest).map(|signature| signature.as_bytes())
    }

    /// Signs a hash as it is.
    pub(crate) fn sign(&self, hash: B256) -> Result<Signature, SignError> {
        self.key.sign_hash_sync(&hash).map_err(|_| SignError(self.address()))
    }
}
