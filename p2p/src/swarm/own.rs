//! This node's own record: when it is signed anew, and how long it holds.
//!
//! In flow drafts, addresses and the time; out flow signed records, each newer than the one before. Pure.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::{NodeRecord, SignedCertificate};

use super::RecordDraft;
use super::addr::advertised;
use crate::Identity;
use crate::limits::{Bucket, MAX_LIFETIME_SECS, OWN_CHANGES};
use crate::wire::{Reach, Refused, Signed};

/// A record lives for so many periods: three announcements may be lost.
const PERIODS: u32 = 4;
/// Shortest life of a record, seconds.
const MIN_LIFETIME_SECS: u64 = 60;

/// What goes into the record, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) draft: RecordDraft,
    pub(crate) external: Vec<SocketAddr>,
    pub(crate) listening: Vec<SocketAddr>,
    /// Where others see the media port through this node's NAT.
    pub(crate) media_seen: Vec<SocketAddr>,
    pub(crate) reach: Reach,
}

/// The record and when it is due.
#[derive(Debug)]
pub(crate) struct Own {
    identity: Identity,
    network: String,
    facts: Facts,
    sequence: u64,
    changed: bool,
    next_ms: u64,
    quota: Bucket,
}

impl Own {
    pub(crate) fn new(identity: Identity, network: String) -> Self {
        Self {
            identity,
            network,
            facts: Facts::default(),
            sequence: 0,
            changed: true,
            next_ms: 0,
            quota: Bucket::default(),
        }
    }

    /// What the record is made of.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Changes what the record is made of.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Facts)) {
        let before = self.facts.clone();
        change(&mut self.facts);
        self.changed |= before != self.facts;
    }

    /// Someone has a record of ours that is newer than what we remember: an earlier life, before the clock was set back.
    pub(crate) fn outbid(&mut self, sequence: u64) {
        if sequence > self.sequence {
            self.sequence = sequence;
            self.changed = true;
        }
    }

    /// When a record is due: at once for a change, if changes are not too many, else when the period is over.
    pub(crate) fn due_ms(&self, now_ms: u64) -> u64 {
        if self.changed { now_ms + self.quota.wait_ms(now_ms, OWN_CHANGES) } else { self.next_ms }
    }

    /// Signs the record anew if it is due. `jitter` is in 0..1.
    pub(crate) fn renew(
        &mut self,
        now_ms: u64,
        period: Duration,
        jitter: f64,
    ) -> Option<Result<Signed, Refused>> {
        if self.due_ms(now_ms) > now_ms {
            return None;
        }
        self.quota.take(now_ms, OWN_CHANGES);
        self.changed = false;
        self.next_ms = now_ms + (period.as_millis() as f64 * (0.8 + 0.4 * jitter)) as u64;
        let sequence = self.next_sequence(now_ms);
        let lifetime = (period * PERIODS).as_secs().clamp(MIN_LIFETIME_SECS, MAX_LIFETIME_SECS / 2);
        Some(self.sign(sequence, now_ms / 1000 + lifetime, &self.facts))
    }

    /// Signs the good-bye: void when made, without roles or addresses.
    pub(crate) fn withdraw(&mut self, now_ms: u64) -> Result<Signed, Refused> {
        let sequence = self.next_sequence(now_ms);
        self.sign(sequence, sequence / 1000, &Facts::default())
    }

    fn next_sequence(&mut self, now_ms: u64) -> u64 {
        self.sequence = now_ms.max(self.sequence + 1);
        self.sequence
    }

    fn sign(&self, sequence: u64, expires: u64, facts: &Facts) -> Result<Signed, Refused> {
        let mut record = NodeRecord {
            peer: self.identity.peer_key(),
            sequence,
            expires,
            control: advertised(&facts.external, &facts.listening, NodeRecord::MAX_ADDRS),
            media: media_addrs(facts),
            roles: facts.draft.roles,
            work: facts.draft.work.clone(),
            certificate: None,
        };
        // One that does not outlive the record is left out: with it, the record would be a false claim.
        let covers = |signed: &SignedCertificate| {
            signed.certificate.covers(record.peer, sequence / 1000, expires).is_ok()
        };
        record.certificate = facts.draft.certificate.filter(covers);
        loop {
            match Signed::new(&record, &facts.reach, &self.identity, &self.network) {
                Err(Refused::TooLarge(_)) if shed(&mut record) => {}
                signed => return signed,
            }
        }
    }
}

/// Leaves out the address that is missed least: a second one of the control plane, else the first of the media plane, of which
/// those that others see come last. Says whether there was one.
fn shed(record: &mut NodeRecord) -> bool {
    if record.control.len() > 1 {
        record.control.pop();
        return true;
    }
    if record.media.len() > 1 {
        record.media.remove(0);
        return true;
    }
    false
}

/// The media plane's addresses; one on an unspecified IP is at every IP at which the control plane is. Those seen through a
/// NAT come last: a neighbour behind the same one is sooner at the others.
fn media_addrs(facts: &Facts) -> Vec<SocketAddr> {
    let at = advertised(&facts.external, &facts.listening, NodeRecord::MAX_ADDRS);
    let mut out: Vec<SocketAddr> = Vec::new();
    let room = NodeRecord::MAX_ADDRS - facts.media_seen.len().min(NodeRecord::MAX_ADDRS);
    for media in &facts.draft.media {
        let fits = |control: &&SocketAddr| control.is_ipv4() == media.is_ipv4() || media.is_ipv6();
        let everywhere = at.iter().filter(fits).map(|control| SocketAddr::new(control.ip(), media.port()));
        let expanded: Vec<SocketAddr> =
            if media.ip().is_unspecified() { everywhere.collect() } else { vec![*media] };
        for addr in expanded.into_iter().filter(|addr| addr.port() != 0) {
            if !out.contains(&addr) && out.len() < room {
                out.push(addr);
            }
        }
    }
    for seen in facts.media_seen.iter().take(NodeRecord::MAX_ADDRS) {
        if !out.contains(seen) {
            out.push(*seen);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const PERIOD: Duration = Duration::from_secs(10);

    fn own() -> Own {
        let mut own = Own::new(Identity::from_seed([1; 32]), "t".into());
        own.change(|facts| facts.listening = vec!["127.0.0.1:7".parse().unwrap()]);
        own
    }

    fn renewed(own: &mut Own, now_ms: u64) -> Option<u64> {
        let signed = own.renew(now_ms, PERIOD, 0.5)?.unwrap();
        Some(signed.verify("t", now_ms).unwrap().record().sequence)
    }

    #[test]
    fn a_record_is_renewed_each_period_with_a_growing_sequence() {
        let mut own = own();
        assert_eq!(renewed(&mut own, NOW), Some(NOW));
        assert_eq!(renewed(&mut own, NOW + 9_999), None);
        assert_eq!(renewed(&mut own, NOW + 10_000), Some(NOW + 10_000));
    }

    #[test]
    fn a_change_is_told_at_once_and_many_changes_are_told_together() {
        let mut own = own();
        let mut told = 0;
        for ms in 0..3000 {
            own.change(|facts| facts.draft.roles.verifier = ms % 2 == 0);
            told += u32::from(renewed(&mut own, NOW + ms).is_some());
        }
        assert_eq!(told, OWN_CHANGES.burst + 1);
        assert!(own.due_ms(NOW + 3000) <= NOW + 3000 + OWN_CHANGES.every_ms);
    }

    #[test]
    fn the_sequence_grows_though_the_clock_was_set_back() {
        let mut own = own();
        own.outbid(NOW + 5000);
        assert_eq!(renewed(&mut own, NOW), Some(NOW + 5001));
    }

    #[test]
    fn the_good_bye_is_a_withdrawal_and_newer() {
        let mut own = own();
        renewed(&mut own, NOW);
        let gone = own.withdraw(NOW).unwrap().verify("t", NOW).unwrap();
        assert!(gone.is_withdrawal() && gone.record().sequence > NOW);
    }

    #[test]
    fn an_unspecified_media_address_is_told_as_the_addresses_of_the_machine() {
        let mut own = own();
        own.change(|facts| {
            facts.draft.media = vec!["0.0.0.0:99".parse().unwrap(), "10.0.0.1:98".parse().unwrap()]
        });
        let signed = own.renew(NOW, PERIOD, 0.5).unwrap().unwrap();
        let media = signed.verify("t", NOW).unwrap().record().media.clone();
        assert_eq!(media, ["127.0.0.1:99".parse().unwrap(), "10.0.0.1:98".parse().unwrap()]);
    }

    #[test]
    fn where_others_see_the_media_port_always_finds_room_and_comes_last() {
        let mut own = own();
        let seen: SocketAddr = "203.0.113.9:4936".parse().unwrap();
        own.change(|facts| {
            facts.draft.media = (1..=4).map(|n| SocketAddr::from(([10, 0, 0, n], 98))).collect();
            facts.media_seen = vec![seen];
        });
        let signed = own.renew(NOW, PERIOD, 0.5).unwrap().unwrap();
        let media = signed.verify("t", NOW).unwrap().record().media.clone();
        assert_eq!((media.len(), media.last()), (NodeRecord::MAX_ADDRS, Some(&seen)));
    }

    fn certificate(not_after_secs: u64) -> SignedCertificate {
        let peer = Identity::from_seed([1; 32]).peer_key();
        let certificate = protocol::Certificate {
            staker: Default::default(),
            peer,
            receipt_key: protocol::PeerKey([9; 32]),
            roles: protocol::record::Roles { orchestrator: true, ..Default::default() },
            not_before: NOW / 1000 - 1,
            not_after: not_after_secs,
            revocation: 0,
        };
        certificate.sign(1, &k256::ecdsa::SigningKey::from_slice(&[1; 32]).unwrap())
    }

    #[test]
    fn a_certificate_goes_into_the_record_until_it_would_not_outlive_it() {
        let mut own = own();
        own.change(|facts| facts.draft.certificate = Some(certificate(NOW / 1000 + 65)));
        let mut carried =
            |at| own.renew(at, PERIOD, 0.5).unwrap().unwrap().verify("t", at).unwrap().record().certificate;
        assert!(carried(NOW).is_some());
        assert!(carried(NOW + 10_000).is_none(), "the record lives for a minute");
    }

    #[test]
    fn a_record_that_would_be_too_large_leaves_addresses_out() {
        let mut own = own();
        let v6 = |n: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 4001));
        let seen = v6(99);
        own.change(|facts| {
            facts.external = (1..=4).map(v6).collect();
            facts.draft.media = (11..=14).map(v6).collect();
            facts.media_seen = vec![seen];
            facts.reach.relays = vec![protocol::PeerKey([1; 32]), protocol::PeerKey([2; 32])];
            facts.draft.certificate = Some(certificate(NOW / 1000 + 9999));
            facts.draft.work = Some(protocol::record::Work {
                price: protocol::PricePerPixel { wei: u64::MAX, pixels: u64::MAX },
                capacity: u32::MAX,
                load: u32::MAX,
                backend: "b".repeat(16),
                encoder: "e".repeat(32),
            });
        });
        let record = own.renew(NOW, PERIOD, 0.5).unwrap().unwrap().verify("t", NOW).unwrap().record().clone();
        assert!(record.certificate.is_some() && !record.control.is_empty());
        assert_eq!(record.media.last(), Some(&seen));
    }
}
