//! Who counts as an orchestrator: whose certificate names stake that the chain proves active.
//!
//! In flow records whose certificates verified, what the chain watcher proved, and the time; out flows for each node the stake
//! that it speaks for, or in words why it speaks for none. Pure: it knows no mesh, no file, no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use alloy_primitives::Address;
use protocol::{Certificate, Lpt, NodeRecord, PeerKey};
use serde::{Deserialize, Serialize};

use crate::chain_watcher::view::{ChainView, Known, Tier};

pub mod revocations;

pub use revocations::Revocations;

/// Nodes that one staker may have working for it: a handful of machines. They share its stake, so it counts once however many
/// there are; without a bound one staker could fill every list of candidates.
pub const NODES_OF_A_STAKER: usize = 8;
/// Rounds for which stake stays locked after its owner lets go of it (`BondingManager.unbondingPeriod`). Who was proven active
/// in a round still answers for it that long, so what was proven counts for as long when the chain falls silent, and then no
/// more: there may be nothing left to lose.
pub const LOCKED_ROUNDS: u64 = 7;
/// Longest time that confirmed state may be behind when it is read, milliseconds: an assertion stands 6.4 days before the
/// rollup confirms it. Who accepts nothing weaker has chosen to see stake that late.
const CONFIRMED_LATE_MS: u64 = 7 * 86_400_000;

/// Stake that stands behind a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Whose it is.
    pub staker: Address,
    /// All of it.
    pub amount: Lpt,
    /// Nodes that share it, this one included.
    pub shared_by: u32,
}

/// Why no stake stands behind a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It names no staker.
    NoCertificate,
    /// Its staker lets it do other things.
    NotForThis,
    /// This node has not proven anything yet.
    NothingProven,
    /// What was proven is older than stake stays locked.
    TooOld {
        /// How old it may be, milliseconds.
        limit_ms: u64,
    },
    /// The staker is not in the active set.
    NotActive {
        /// Whose stake it should be.
        staker: Address,
        /// The round that was proven.
        round: u64,
    },
    /// The staker has made a certificate with a larger number.
    Revoked {
        /// Whose stake it should be.
        staker: Address,
        /// The number of this one.
        own: u64,
        /// The largest that was seen.
        newest: u64,
    },
    /// The staker has newer certificates for as many nodes as count.
    TooMany {
        /// Whose stake it is.
        staker: Address,
    },
}

/// What an orchestrator is in this node's eyes.
pub type Standing = Result<Stake, Refusal>;

/// Everybody's standing at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Of those that transcode, by key.
    pub nodes: BTreeMap<PeerKey, Standing>,
    /// Round that the stakes were proven in.
    pub round: Option<u64>,
    /// Time of the block in which they were proven, Unix milliseconds.
    pub proven_at_ms: Option<u64>,
}

impl Standings {
    /// Judges every orchestrator among `records`. `block_ms` is the time from L1 block to L1 block, `now_ms` Unix time.
    #[must_use]
    pub fn judge(
        records: &[Arc<NodeRecord>],
        view: &ChainView,
        revocations: &Revocations,
        block_ms: u64,
        now_ms: u64,
    ) -> Self {
        let orchestrators = records.iter().filter(|record| record.roles.orchestrator);
        let mut nodes = BTreeMap::new();
        let mut of_staker: BTreeMap<Address, Vec<Certificate>> = BTreeMap::new();
        for record in orchestrators {
            match vouched(record, view, revocations, block_ms, now_ms) {
                Ok(certificate) => of_staker.entry(certificate.staker).or_default().push(certificate),
                Err(refusal) => drop(nodes.insert(record.peer, Err(refusal))),
            }
        }
        for (staker, mut certificates) in of_staker {
            // The newest come first; equally new ones in an order that nobody chooses by being early.
            certificates.sort_by_key(|c| (std::cmp::Reverse(c.not_before), c.peer));
            let shared_by = certificates.len().min(NODES_OF_A_STAKER) as u32;
            let amount = Lpt(view.members.get(&staker).map(|member| member.stake).unwrap_or_default());
            for (place, certificate) in certificates.iter().enumerate() {
                let counts = place < NODES_OF_A_STAKER;
                let stake = Stake { staker, amount, shared_by };
                let standing = if counts { Ok(stake) } else { Err(Refusal::TooMany { staker }) };
                nodes.insert(certificate.peer, standing);
            }
        }
        let round = view.round.as_ref().map(|round| round.number.0);
        Self { nodes, round, proven_at_ms: view.known.map(|known| known.at_ms) }
    }

    /// The stake behind `peer`, if it counts.
    #[must_use]
    pub fn stake(&self, peer: PeerKey) -> Option<Stake> {
        self.nodes.get(&peer)?.as_ref().ok().copied()
    }

    /// What people are told of `peer`, and whether it is admitted by its stake. `now_ms` is Unix time.
    #[must_use]
    pub fn told(&self, peer: PeerKey, now_ms: u64) -> Option<Told> {
        let standing = self.nodes.get(&peer)?;
        let mut words = match (standing, self.round) {
            (Ok(stake), Some(round)) => format!("{stake}, active at round {round}"),
            (Ok(stake), None) => stake.to_string(),
            (Err(refusal), _) => refusal.to_string(),
        };
        let by_proof = matches!(standing, Ok(_) | Err(Refusal::NotActive { .. } | Refusal::TooOld { .. }));
        if let Some(at) = self.proven_at_ms.filter(|_| by_proof) {
            words.push_str(&format!(", proven {} ago", Age(now_ms.saturating_sub(at))));
        }
        Some(Told { admitted: standing.is_ok(), words })
    }
}

/// See [`Standings::told`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whether its stake admits it.
    pub admitted: bool,
    /// Why, or why not.
    pub words: String,
}

/// How old these facts may be, milliseconds, where rounds have `length` L1 blocks.
#[must_use]
pub fn limit_ms(known: &Known, length: u64, block_ms: u64) -> u64 {
    let late = match known.tier {
        Tier::Confirmed => known.read_at_ms.saturating_sub(known.at_ms).min(CONFIRMED_LATE_MS),
        Tier::Pending { .. } | Tier::Sequenced { .. } => 0,
    };
    length.saturating_mul(LOCKED_ROUNDS).saturating_mul(block_ms).saturating_add(late)
}

/// The certificate of a node whose staker is active and has not taken it back.
fn vouched(
    record: &NodeRecord,
    view: &ChainView,
    revocations: &Revocations,
    block_ms: u64,
    now_ms: u64,
) -> Result<Certificate, Refusal> {
    let certificate = record.certificate.ok_or(Refusal::NoCertificate)?.certificate;
    let staker = certificate.staker;
    if !certificate.roles.orchestrator {
        return Err(Refusal::NotForThis);
    }
    if let Some(newest) = revocations.voids(&certificate) {
        return Err(Refusal::Revoked { staker, own: certificate.revocation, newest });
    }
    let (Some(round), Some(known)) = (&view.round, &view.known) else {
        return Err(Refusal::NothingProven);
    };
    let age_ms = now_ms.saturating_sub(known.at_ms);
    let limit_ms = limit_ms(known, round.length, block_ms);
    if age_ms > limit_ms {
        return Err(Refusal::TooOld { limit_ms });
    }
    if view.active(&staker) != Some(true) {
        return Err(Refusal::NotActive { staker, round: round.number.0 });
    }
    Ok(certificate)
}

impl fmt::Display for Stake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { staker, amount, shared_by } = self;
        match shared_by {
            0 | 1 => write!(f, "{amount} of {staker}"),
            nodes => write!(f, "{amount} of {staker}, shared by {nodes} nodes"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("no certificate: nobody's stake stands behind it"),
            Self::NotForThis => f.write_str("its certificate is not for an orchestrator"),
            Self::NothingProven => f.write_str("nothing is proven of the chain yet"),
            Self::TooOld { limit_ms } => {
                write!(f, "stake stays locked for {} and may be gone", Age(*limit_ms))
            }
            Self::NotActive { staker, round } => write!(f, "{staker} is not active at round {round}"),
            Self::Revoked { staker, own, newest } => {
                write!(
                    f,
                    "revoked: its certificate has number {own}, and {staker} has signed number {newest}"
                )
            }
            Self::TooMany { staker } => {
                write!(f, "{staker} has newer certificates for {NODES_OF_A_STAKER} other nodes")
            }
        }
    }
}

/// A time as people say it.
struct Age(u64);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1000 {
            secs @ 0..120 => write!(f, "{secs} s"),
            secs @ 120..7_200 => write!(f, "{} min", secs / 60),
            secs @ 7_200..172_800 => write!(f, "{} h", secs / 3_600),
            secs => write!(f, "{} days", secs / 86_400),
        }
    }
}

#[cfg(test)]
mod tests;
