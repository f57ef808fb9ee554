//! The largest certificate number of each staker that this node has seen, for as long as a smaller one could still be valid.
//!
//! In flow certificates that verified and whose stakers are in the pool, which bounds them; out flows which others they void.
//! It can be written down and read again: a restart must not bring a revoked node back.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::Certificate;
use serde::{Deserialize, Serialize};

/// Stakers remembered: ten times Livepeer's pool. Beyond them, the one forgotten first is the one that ends first.
const MOST: usize = 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revocations {
    of_staker: BTreeMap<Address, Newest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    /// The largest number.
    number: u64,
    /// Unix time in seconds after which everything that it voids has ended by itself.
    until: u64,
}

impl Revocations {
    /// Notes the number of a verified certificate; says whether that is news. `now` is Unix time in seconds.
    pub fn note(&mut self, certificate: &Certificate, now: u64) -> bool {
        let seen = Newest { number: certificate.revocation, until: certificate.remember_until() };
        // Nothing is below zero; what has ended needs no memory.
        if seen.number == 0 || seen.until < now {
            return false;
        }
        let known = self.of_staker.get(&certificate.staker).copied();
        let newest = known.map_or(seen, |known| match known.number.cmp(&seen.number) {
            std::cmp::Ordering::Less => seen,
            std::cmp::Ordering::Equal => Newest { until: known.until.max(seen.until), ..known },
            std::cmp::Ordering::Greater => known,
        });
        if known == Some(newest) {
            return false;
        }
        self.of_staker.insert(certificate.staker, newest);
        self.forget(now);
        true
    }

    /// The number by which a certificate is void, if it is.
    #[must_use]
    pub fn voids(&self, certificate: &Certificate) -> Option<u64> {
        let newest = self.of_staker.get(&certificate.staker)?;
        (certificate.revocation < newest.number).then_some(newest.number)
    }

    fn forget(&mut self, now: u64) {
        self.of_staker.retain(|_, newest| newest.until >= now);
        while self.of_staker.len() > MOST {
            let first =
                self.of_staker.iter().min_by_key(|(_, newest)| newest.until).map(|(staker, _)| *staker);
            first.map(|staker| self.of_staker.remove(&staker));
        }
    }
}
