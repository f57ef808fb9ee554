//! What one side says of an account, under its node's signature. When two ledgers differ, both sides say this, and the
//! difference is found from the counts: tickets that did not arrive, or work whose receipt did not.

use alloy_primitives::{Address, FixedBytes};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::SessionId;
use super::entry::Side;
use crate::receipt::Receipt;
use crate::tickets::credit::Credit;
use crate::{Hash, PeerKey};

/// Separates statements from everything else that the same key signs.
const DOMAIN: &[u8] = b"livemesh/statement/1";

/// How an account stands in one side's books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Which account.
    pub session: SessionId,
    /// Whose books.
    pub side: Side,
    /// Who pays.
    pub sender: Address,
    /// Who is paid.
    pub recipient: Address,
    /// Tickets accepted, or sent and not written off.
    pub tickets: u64,
    /// What they are worth.
    pub credited: Credit,
    /// Segments whose work is paid.
    pub works: u64,
    /// What that work cost.
    pub debited: Credit,
    /// Their receipts, chained: see [`chain`].
    pub chain: Hash,
}

/// A statement with its ed25519 signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStatement {
    /// What is signed.
    pub statement: Statement,
    /// Signature over [`Statement::signing_bytes`].
    pub signature: FixedBytes<64>,
}

/// A statement that its supposed signer did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the statement's signature does not verify under the other node's key")]
pub struct ForeignStatement;

/// The chain of receipts after one more: keccak of the chain before and of what the receipt's signature covers.
#[must_use]
pub fn chain(before: Hash, receipt: &Receipt) -> Hash {
    Hash::of(&[before.0.as_slice(), &receipt.signing_bytes()].concat())
}

impl Statement {
    /// The bytes that are signed, every field fixed in width, integers big-endian.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(300);
        out.extend_from_slice(DOMAIN);
        out.extend_from_slice(&self.session.0);
        out.push(u8::from(self.side == Side::Recipient));
        out.extend_from_slice(self.sender.as_slice());
        out.extend_from_slice(self.recipient.as_slice());
        out.extend_from_slice(&self.tickets.to_be_bytes());
        out.extend_from_slice(&self.credited.0.to_be_bytes::<64>());
        out.extend_from_slice(&self.works.to_be_bytes());
        out.extend_from_slice(&self.debited.0.to_be_bytes::<64>());
        out.extend_from_slice(&self.chain.0);
        out
    }

    /// Signs with the node's key.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedStatement {
        let signature = FixedBytes(key.sign(&self.signing_bytes()).to_bytes());
        SignedStatement { statement: self, signature }
    }

    /// What is left in the account.
    #[must_use]
    pub fn balance(&self) -> Credit {
        self.credited.less(self.debited)
    }
}

impl SignedStatement {
    /// Checks the signature.
    ///
    /// # Errors
    /// [`ForeignStatement`] when `signer` is no key or did not sign this.
    pub fn verify(&self, signer: PeerKey) -> Result<&Statement, ForeignStatement> {
        let key = VerifyingKey::from_bytes(&signer.0).map_err(|_| ForeignStatement)?;
        key.verify(&self.statement.signing_bytes(), &Signature::from_bytes(&self.signature.0))
            .map_err(|_| ForeignStatement)?;
        Ok(&self.statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_statement_is_under_its_signature() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signer = PeerKey(key.verifying_key().to_bytes());
        let statement = Statement {
            session: SessionId([1; 16]),
            side: Side::Sender,
            sender: Address::repeat_byte(2),
            recipient: Address::repeat_byte(3),
            tickets: 4,
            credited: Credit::default(),
            works: 5,
            debited: Credit::default(),
            chain: Hash::default(),
        };
        let good = statement.sign(&key);
        assert!(good.verify(signer).is_ok());
        let changed = |change: fn(&mut Statement)| {
            let mut bad = good.clone();
            change(&mut bad.statement);
            bad.verify(signer).is_err()
        };
        assert!(changed(|s| s.session.0[0] ^= 1));
        assert!(changed(|s| s.side = Side::Recipient));
        assert!(changed(|s| s.sender.0[0] ^= 1));
        assert!(changed(|s| s.recipient.0[0] ^= 1));
        assert!(changed(|s| s.tickets += 1));
        assert!(changed(|s| s.credited.0 += alloy_primitives::U512::from(1)));
        assert!(changed(|s| s.works += 1));
        assert!(changed(|s| s.debited.0 += alloy_primitives::U512::from(1)));
        assert!(changed(|s| s.chain.0[0] ^= 1));
    }
}
