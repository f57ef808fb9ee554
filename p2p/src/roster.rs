//! The table of who is in the mesh.
//!
//! In flow verified records, the time, and who has proven stake; out flow what changed, pages for others and snapshots for this
//! node. Who has no stake is kept too, as long as there is room: the pool changes. Pure: it knows no socket, no clock and no
//! trust beyond what [`Verified`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use bytes::Bytes;
use protocol::{Hash, NodeRecord, PeerKey};

use crate::limits::{Bucket, FROM_KEY, ROSTER_PAGE_RECORDS};
use crate::wire::Verified;

/// Verified records by key, the newest of each, never more than its capacity.
#[derive(Debug)]
pub struct Roster {
    entries: BTreeMap<PeerKey, Entry>,
    /// How many entries without proven stake each network neighbourhood has.
    crowds: BTreeMap<Neighbourhood, usize>,
    /// Those with proven stake, who stay.
    staked: BTreeSet<PeerKey>,
    capacity: usize,
    /// Makes the choice of who stays, when there is no room, unpredictable for those who want to.
    salt: [u8; 32],
}

#[derive(Debug)]
struct Entry {
    verified: Verified<NodeRecord>,
    /// What this key may still change.
    changes: Bucket,
    neighbourhood: Neighbourhood,
}

/// An IPv4 /24 or an IPv6 /48: what one party gets cheaply.
type Neighbourhood = Option<[u8; 7]>;

/// What a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node that was not known.
    Joined,
    /// A node says something new.
    Updated,
    /// A node takes its leave.
    Left,
}

/// Why a verified record changed nothing. No fault of anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// We have this one or a newer one.
    #[error("not newer than the one that is known")]
    Old,
    /// Its node changes it too often.
    #[error("its node changes it too often")]
    TooOften,
    /// There is no room, and its neighbourhood has the most records already.
    #[error("the roster is full, and mostly with that node's neighbours")]
    Full,
}

/// Who is in the mesh, as others read it: verified and unexpired when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterView {
    /// The records, this node's own among them, in the order of their keys.
    pub records: Vec<Arc<NodeRecord>>,
    /// Those who relay for others and so have public addresses, in the order of their keys.
    pub relays: Vec<PeerKey>,
}

impl RosterView {
    /// The record of `peer`.
    #[must_use]
    pub fn get(&self, peer: PeerKey) -> Option<&Arc<NodeRecord>> {
        self.records.binary_search_by_key(&peer, |record| record.peer).ok().map(|at| &self.records[at])
    }

    /// The records of those who transcode.
    pub fn orchestrators(&self) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.records.iter().filter(|record| record.roles.orchestrator && record.work.is_some())
    }
}

impl Roster {
    /// An empty table for `capacity` records. `salt` should be random.
    #[must_use]
    pub fn new(capacity: usize, salt: [u8; 32]) -> Self {
        Self {
            entries: BTreeMap::new(),
            crowds: BTreeMap::new(),
            staked: BTreeSet::new(),
            capacity: capacity.max(1),
            salt,
        }
    }

    /// Takes a record in. `now_ms` is Unix time in milliseconds.
    ///
    /// # Errors
    /// [`Unchanged`] says why it was not taken.
    pub fn insert(&mut self, now_ms: u64, verified: Verified<NodeRecord>) -> Result<Change, Unchanged> {
        let peer = verified.record().peer;
        if let Some(entry) = self.entries.get_mut(&peer) {
            if verified.record().sequence <= entry.verified.record().sequence {
                return Err(Unchanged::Old);
            }
            if !entry.changes.take(now_ms, FROM_KEY) {
                return Err(Unchanged::TooOften);
            }
            return Ok(self.replace(peer, verified));
        }
        let neighbourhood = neighbourhood(verified.record());
        if self.entries.len() >= self.capacity {
            self.make_room(neighbourhood, peer)?;
        }
        let left = verified.is_withdrawal();
        let mut changes = Bucket::default();
        changes.take(now_ms, FROM_KEY);
        self.join_crowd(&peer, neighbourhood);
        self.entries.insert(peer, Entry { verified, changes, neighbourhood });
        Ok(if left { Change::Left } else { Change::Joined })
    }

    /// Says anew who has proven stake: their records stay when there is no room for everybody's. At most half of the table.
    pub fn prefer(&mut self, staked: BTreeSet<PeerKey>) {
        self.staked = staked.into_iter().take(self.capacity / 2).collect();
        self.crowds.clear();
        let places: Vec<_> = self.entries.iter().map(|(key, entry)| (*key, entry.neighbourhood)).collect();
        places.iter().for_each(|(key, at)| self.join_crowd(key, *at));
    }

    /// Forgets what `peer` said.
    pub fn forget(&mut self, peer: PeerKey) {
        self.remove(&peer);
    }

    /// Forgets what is void, returning the nodes that thereby left.
    pub fn expire(&mut self, now_ms: u64) -> Vec<PeerKey> {
        let void = |e: &Entry| e.verified.forget_at_ms() <= now_ms;
        let gone: Vec<PeerKey> = self.entries.iter().filter(|(_, e)| void(e)).map(|(key, _)| *key).collect();
        let mut left = Vec::new();
        for key in gone {
            if self.remove(&key).is_some_and(|entry| !entry.verified.is_withdrawal()) {
                left.push(key);
            }
        }
        left
    }

    /// The record of `peer`, unless it has left.
    #[must_use]
    pub fn get(&self, peer: PeerKey) -> Option<&Verified<NodeRecord>> {
        self.entries.get(&peer).map(|entry| &entry.verified).filter(|verified| !verified.is_withdrawal())
    }

    /// The sequence of the newest record of `peer`, its good-bye included.
    #[must_use]
    pub fn sequence(&self, peer: PeerKey) -> Option<u64> {
        self.entries.get(&peer).map(|entry| entry.verified.record().sequence)
    }

    /// Those who have not left, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Verified<NodeRecord>> {
        self.entries.values().map(|entry| &entry.verified).filter(|verified| !verified.is_withdrawal())
    }

    /// Records held, of those who left too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A page of the table for another node: the envelopes behind `after` in the order of keys, and whether more follow.
    #[must_use]
    pub fn page(&self, after: Option<PeerKey>) -> (Vec<Bytes>, bool) {
        let start = after.map_or(Unbounded, Excluded);
        let mut rest = self.entries.range((start, Unbounded)).map(|(_, entry)| &entry.verified);
        let page =
            rest.by_ref().take(ROSTER_PAGE_RECORDS).map(|verified| verified.envelope().clone()).collect();
        (page, rest.next().is_some())
    }

    /// The table as others read it, and only what is valid at `now_ms`.
    #[must_use]
    pub fn view(&self, now_ms: u64) -> RosterView {
        let valid = self.iter().filter(|verified| verified.record().expires.saturating_mul(1000) > now_ms);
        let mut view = RosterView::default();
        for verified in valid {
            view.records.push(verified.record().clone());
            if verified.reach().relay {
                view.relays.push(verified.record().peer);
            }
        }
        view
    }

    fn replace(&mut self, peer: PeerKey, verified: Verified<NodeRecord>) -> Change {
        let left = verified.is_withdrawal();
        let now_in = neighbourhood(verified.record());
        let entry = self.entries.get_mut(&peer).expect("the caller found it");
        let (was_in, had_left) = (entry.neighbourhood, entry.verified.is_withdrawal());
        // Whoever leaves stays counted where it was: a good-bye without addresses is no move.
        let now_in = if left { was_in } else { now_in };
        (entry.verified, entry.neighbourhood) = (verified, now_in);
        if was_in != now_in {
            self.leave_crowd(&peer, was_in);
            self.join_crowd(&peer, now_in);
        }
        match (left, had_left) {
            (true, _) => Change::Left,
            (false, true) => Change::Joined,
            (false, false) => Change::Updated,
        }
    }

    /// Drops one record of the most crowded neighbourhood, if that is not the newcomer's own; within it the choice is by a
    /// salted hash, so that coming first, last or often does not help. Proven stake does.
    fn make_room(&mut self, newcomer_in: Neighbourhood, newcomer: PeerKey) -> Result<(), Unchanged> {
        let most = self.crowds.values().copied().max().unwrap_or(0);
        let own = self.crowds.get(&newcomer_in).copied().unwrap_or(0);
        let staked = self.staked.contains(&newcomer);
        let crowded = if own >= most {
            newcomer_in
        } else {
            self.crowds.iter().find(|(_, count)| **count == most).map(|(at, _)| *at).ok_or(Unchanged::Full)?
        };
        let ordinary =
            |(key, entry): &(&PeerKey, &Entry)| entry.neighbourhood == crowded && !self.staked.contains(*key);
        let members = self.entries.iter().filter(ordinary);
        let victim = members.map(|(key, _)| *key).max_by_key(|key| self.lot(key)).ok_or(Unchanged::Full)?;
        if !staked && crowded == newcomer_in && self.lot(&newcomer) >= self.lot(&victim) {
            return Err(Unchanged::Full);
        }
        self.remove(&victim);
        Ok(())
    }

    fn lot(&self, key: &PeerKey) -> Hash {
        Hash::of(&[self.salt, key.0].concat())
    }

    fn remove(&mut self, key: &PeerKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.leave_crowd(key, entry.neighbourhood);
        Some(entry)
    }

    fn join_crowd(&mut self, key: &PeerKey, at: Neighbourhood) {
        if !self.staked.contains(key) {
            *self.crowds.entry(at).or_default() += 1;
        }
    }

    fn leave_crowd(&mut self, key: &PeerKey, at: Neighbourhood) {
        if self.staked.contains(key) {
            return;
        }
        if let Some(count) = self.crowds.get_mut(&at) {
            *count -= 1;
            if *count == 0 {
                self.crowds.remove(&at);
            }
        }
    }
}

/// Where a node says that it is; those without an address share one neighbourhood.
fn neighbourhood(record: &NodeRecord) -> Neighbourhood {
    let mut out = [0; 7];
    match record.control.first()?.ip() {
        IpAddr::V4(ip) => out[..4].copy_from_slice(&[4, ip.octets()[0], ip.octets()[1], ip.octets()[2]]),
        IpAddr::V6(ip) => {
            out[0] = 6;
            out[1..].copy_from_slice(&ip.octets()[..6]);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
