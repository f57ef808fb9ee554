//! Every bound of the control plane, in one table: what may be held, how large it may be, how often it may come.
//!
//! In flow a time and a claim on a quota, out flows yes or no. Nothing here knows a peer, a socket or a clock.

use std::time::Duration;

/// Records that a node keeps. 4096 records of 512 bytes are 2 MiB, and ten times the orchestrators that Livepeer has.
pub const ROSTER_CAPACITY: usize = 4096;
/// Longest that a record may be valid, seconds: a node that died silently is forgotten by then.
pub const MAX_LIFETIME_SECS: u64 = 3600;
/// How far another node's clock may be ahead of ours, milliseconds.
pub const MAX_SKEW_MS: u64 = 60_000;
/// Relays that a record may name.
pub const MAX_RELAYS: usize = 2;

/// Bytes that a relay carries on one circuit, each way: two minutes of a 6 Mbit/s stream, its ladder and what is sent twice.
/// With libp2p's 16 circuits at most, 4 of one peer, a relay gives away no more than 4 GiB each way at a time.
pub const CIRCUIT_BYTES: u64 = 256 << 20;
/// How long a circuit may last.
pub const CIRCUIT_TIME: Duration = Duration::from_secs(600);

/// Largest request for a page of the table, bytes: a key, and the asker's own record.
pub const ROSTER_REQUEST_BYTES: usize = 1024;
/// Largest page of the table, bytes.
pub const ROSTER_PAGE_BYTES: usize = 256 * 1024;
/// Records in a page: 400 of at most 512 bytes and their framing stay below [`ROSTER_PAGE_BYTES`].
pub const ROSTER_PAGE_RECORDS: usize = 400;
/// Pages that one pull follows: enough for [`ROSTER_CAPACITY`] records, and an end for a peer that always says "more".
pub const ROSTER_PULL_PAGES: usize = ROSTER_CAPACITY.div_ceil(ROSTER_PAGE_RECORDS) + 1;
/// Time for a request and its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests of one connection in work at once.
pub const REQUEST_STREAMS: usize = 8;
/// Streams of one connection whose protocol is still being negotiated.
pub const NEGOTIATING_STREAMS: usize = 32;

/// Largest request for a proof, bytes: the storage keys of a whole orchestrator pool.
pub const PROOF_REQUEST_BYTES: usize = 64 * 1024;
/// Largest part of a proof in one answer, bytes; larger proofs come in several.
pub const PROOF_REPLY_BYTES: usize = 1 << 20;
/// Time for a request for a proof and its answer: a mebibyte at one megabit a second.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests and news that are being looked at, over all neighbours.
pub const PROOFS_AT_ONCE: usize = 64;
/// Largest news, bytes: a finality update of mainnet has 2 KiB.
pub const NEWS_BYTES: usize = 8 * 1024;
/// Topics: records, and each kind of news.
pub const TOPICS: usize = 3;
/// Requests for proofs of one neighbour: catching up over 14 days and reading everything takes some forty.
pub const PROOFS: Quota = Quota { burst: 64, every_ms: 250 };
/// News that one neighbour may bring: one a slot is twice what there can be.
pub const NEWS: Quota = Quota { burst: 16, every_ms: 1000 };

/// Winners that a node hands to its redeemer at once: some 36 KiB, below [`PROOF_REQUEST_BYTES`].
pub const WINNERS_AT_ONCE: usize = 64;
/// Tickets whose steps are asked for at once: their steps at most stay below [`PROOF_REPLY_BYTES`].
pub const ASKED_AT_ONCE: usize = 128;
/// Steps of one ticket that are told: each try is two, and what came before the last few is over.
pub const STEPS_OF_A_TICKET: usize = 16;
/// Longest reason in words, bytes.
pub const REASON_BYTES: usize = 256;

/// Largest gossip frame, bytes: a few dozen records, or the ids of a heartbeat.
pub const GOSSIP_FRAME_BYTES: usize = 64 * 1024;
/// What gossip adds to a record, bytes: topic name and framing.
pub const GOSSIP_OVERHEAD_BYTES: usize = 128;

/// Handshakes in progress, each way.
pub const MAX_PENDING: u32 = 128;
/// Connections to one peer: one each way, one relayed, and one that has died without having been noticed.
pub const MAX_PER_PEER: u32 = 4;
/// Connections that a full node takes for a moment beyond those it keeps, so that newcomers get the table from it.
pub const VISITORS: u32 = 32;
/// How long a visitor may stay, milliseconds: several round trips, of which taking the table needs three.
pub const VISIT_MS: u64 = 1000;
/// Peers that stay connected because someone asked for it.
pub const MAX_WANTED: usize = 64;
/// Neighbours whose conduct is remembered.
pub const MAX_REMEMBERED: usize = 2048;

/// Records of other nodes that one neighbour may bring before their signatures are even looked at. The burst covers a mesh
/// that starts all at once.
pub const FROM_NEIGHBOUR: Quota = Quota { burst: 1024, every_ms: 20 };
/// Changes of one node's record that are taken and passed on.
pub const FROM_KEY: Quota = Quota { burst: 6, every_ms: 1000 };
/// Changes of our own record that we send: below what others take from us.
pub const OWN_CHANGES: Quota = Quota { burst: 4, every_ms: 1500 };
/// Pages that one neighbour may ask for: a whole table twice, then one every two seconds.
pub const PAGES: Quota = Quota { burst: 2 * ROSTER_PULL_PAGES as u32, every_ms: 2000 };

/// So many at once, then one every so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Milliseconds in which one token comes back, at least 1.
    pub every_ms: u64,
}

/// A token bucket under a [`Quota`], kept as the time at which it will be full again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    full_at_ms: u64,
}

impl Bucket {
    /// Takes one token, if there is one. Times are milliseconds on any clock that does not run backwards for long.
    pub fn take(&mut self, now_ms: u64, quota: Quota) -> bool {
        let whole = u64::from(quota.burst) * quota.every_ms;
        // A clock that was set back must not lock anyone out for longer than an empty bucket does.
        let full_at = self.full_at_ms.clamp(now_ms, now_ms.saturating_add(whole));
        if full_at + quota.every_ms > now_ms.saturating_add(whole) {
            self.full_at_ms = full_at;
            return false;
        }
        self.full_at_ms = full_at + quota.every_ms;
        true
    }

    /// Milliseconds until a token is there.
    #[must_use]
    pub fn wait_ms(&self, now_ms: u64, quota: Quota) -> u64 {
        let whole = u64::from(quota.burst) * quota.every_ms;
        let full_at = self.full_at_ms.clamp(now_ms, now_ms.saturating_add(whole));
        (full_at + quota.every_ms).saturating_sub(now_ms.saturating_add(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Quota = Quota { burst: 3, every_ms: 10 };

    #[test]
    fn a_burst_is_granted_and_then_the_rate() {
        let mut bucket = Bucket::default();
        let granted = (0..5).filter(|_| bucket.take(1000, THREE)).count();
        assert_eq!(granted, 3);
        assert_eq!(bucket.wait_ms(1000, THREE), 10);
        assert!(bucket.take(1010, THREE) && !bucket.take(1010, THREE));
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut bucket = Bucket::default();
        while bucket.take(1_000_000, THREE) {}
        assert!(!bucket.take(0, THREE));
        assert!(bucket.take(10, THREE));
    }

    #[test]
    fn a_full_page_of_the_largest_records_fits_its_bound() {
        const {
            assert!(ROSTER_PAGE_RECORDS * (protocol::NodeRecord::MAX_BYTES + 3) + 2 <= ROSTER_PAGE_BYTES);
        };
        const { assert!(ROSTER_PAGE_RECORDS * ROSTER_PULL_PAGES > ROSTER_CAPACITY) };
    }
}
