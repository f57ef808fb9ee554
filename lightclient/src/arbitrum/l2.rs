//! The L2 header that an assertion or agreeing sources name, with its tier: what L2 proofs start from. In: raw RLP of
//! anybody, which must hash to what is proven.

use alloy_primitives::B256;
use thiserror::Error;

use super::Rollup;
use super::path::Link;
use super::sequenced::Agreed;
use crate::exec::header::{ExecHeader, HeaderError, Nitro};
use crate::proven::{Anchor, Tier};
use crate::state::{Missing, StateView};

/// An L2 header and how it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct L2Anchor {
    /// The header.
    pub header: ExecHeader,
    /// What Arbitrum packs into it; the EVM's block number is `nitro.l1_block`.
    pub nitro: Nitro,
    /// How strongly it is bound to L1.
    pub tier: Tier,
    /// Slot of the beacon header from which its proof starts.
    pub l1_slot: u64,
    /// The assertion that commits to it, where one does.
    pub assertion: Option<B256>,
}

/// Why a header is not the L2 header that is proven.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum L2Error {
    /// It cannot be read, or is another one.
    #[error("L2 header: {0}")]
    Header(#[from] HeaderError),
    /// Assertion and header name different roots of messages to L1.
    #[error("L2 block {number} has send root {found}, its assertion {expected}")]
    SendRoot {
        /// The L2 block.
        number: u64,
        /// What the assertion says.
        expected: B256,
        /// What the header says.
        found: B256,
    },
    /// The outbox does not know the header.
    #[error("L2 block {number} is not confirmed: the outbox holds {found} under its send root, not {hash}")]
    NotInOutbox {
        /// The L2 block.
        number: u64,
        /// Its hash.
        hash: B256,
        /// What the outbox holds; zero where nothing.
        found: B256,
    },
    /// The rollup has no known outbox.
    #[error("no outbox is known of the rollup at chain {0}: read its assertions")]
    NoOutbox(u64),
    /// The outbox's slot is not proven.
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl L2Anchor {
    /// The header to which an assertion commits. `raw` is its RLP, from anybody.
    ///
    /// # Errors
    /// [`L2Error`] when `raw` is not that header.
    pub fn asserted(link: &Link, tier: Tier, raw: &[u8], l1_slot: u64) -> Result<Self, L2Error> {
        let header = ExecHeader::verify(raw, link.assertion.block_hash)?;
        let nitro = header.nitro()?;
        if nitro.send_root != link.assertion.send_root {
            return Err(L2Error::SendRoot {
                number: header.number,
                expected: link.assertion.send_root,
                found: nitro.send_root,
            });
        }
        Ok(Self { header, nitro, tier, l1_slot, assertion: Some(link.hash) })
    }

    /// A header that the outbox has on record: confirmed, by one slot of L1 state ([`Rollup::outbox_slot`] of its send root).
    ///
    /// # Errors
    /// [`L2Error`] when the outbox does not hold this header.
    pub fn in_outbox(
        rollup: &Rollup,
        view: &dyn StateView,
        raw: &[u8],
        l1_slot: u64,
    ) -> Result<Self, L2Error> {
        let outbox = rollup.outbox.ok_or(L2Error::NoOutbox(rollup.chain_id))?;
        let header = ExecHeader::decode(raw)?;
        let nitro = header.nitro()?;
        let found = B256::from(view.storage(outbox, rollup.outbox_slot(nitro.send_root))?);
        if found != header.hash {
            return Err(L2Error::NotInOutbox { number: header.number, hash: header.hash, found });
        }
        Ok(Self { header, nitro, tier: Tier::Confirmed, l1_slot, assertion: None })
    }

    /// A header that sources agree on. `l1_slot` is that of the L1 state against which it was compared.
    ///
    /// # Errors
    /// [`L2Error::Header`] when it is no Arbitrum header.
    pub fn sequenced(agreed: Agreed, l1_slot: u64) -> Result<Self, L2Error> {
        let nitro = agreed.header.nitro()?;
        Ok(Self { header: agreed.header, nitro, tier: agreed.tier, l1_slot, assertion: None })
    }

    /// What values read under this header carry.
    #[must_use]
    pub const fn anchor(&self) -> Anchor {
        Anchor {
            tier: self.tier,
            l1_slot: self.l1_slot,
            l2_block: self.header.number,
            timestamp: self.header.timestamp,
        }
    }
}
