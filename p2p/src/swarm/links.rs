//! Who is connected, over which connections, and what they have shown of themselves.
//!
//! In flow what happened to connections and the time; out flow who is near, and who overstays or is too much. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use protocol::PeerKey;

use super::{Neighbour, Neighbours};

/// Two connections made within this time were dialed from both ends at once, milliseconds.
const SIMULTANEOUS_MS: u64 = 2000;
/// Time for a peer that was dialed to say what it listens to, milliseconds: it does so at once, unless its machine is busy.
const HELLO_MS: u64 = 2000;
/// A peer is greeted again at most this often, milliseconds.
const GREET_AGAIN_MS: u64 = 60_000;

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    pub(crate) outbound: bool,
    pub(crate) relayed: bool,
    pub(crate) addr: Option<SocketAddr>,
    pub(crate) since_ms: u64,
}

/// A connected peer.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    pub(crate) key: PeerKey,
    pub(crate) links: Vec<Link>,
    pub(crate) rtt: Option<Duration>,
    /// It said who it is, and is of this network and version.
    pub(crate) identified: bool,
    /// It listens to records.
    pub(crate) subscribed: bool,
    pub(crate) since_ms: u64,
}

/// All connected peers.
#[derive(Debug, Default)]
pub(crate) struct Links {
    near: BTreeMap<PeerId, Near>,
    /// Who was greeted again, and when.
    greeted: BTreeMap<PeerId, u64>,
}

impl Links {
    /// Adds a connection; says which other connections to the same peer are now superfluous.
    pub(crate) fn add(&mut self, me: &PeerId, peer: PeerId, key: PeerKey, link: Link) -> Vec<ConnectionId> {
        let near = self.near.entry(peer).or_insert_with(|| Near {
            key,
            links: Vec::new(),
            rtt: None,
            identified: false,
            subscribed: false,
            since_ms: link.since_ms,
        });
        let superfluous = superfluous(near, *me > peer, &link);
        near.links.push(link);
        superfluous
    }

    /// Removes a connection; says whether it was the peer's last.
    pub(crate) fn remove(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        let Some(near) = self.near.get_mut(peer) else { return false };
        near.links.retain(|link| link.id != id);
        let gone = near.links.is_empty();
        if gone {
            self.near.remove(peer);
        }
        gone
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Near> {
        self.near.get(peer)
    }

    pub(crate) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Near> {
        self.near.get_mut(peer)
    }

    pub(crate) fn len(&self) -> usize {
        self.near.len()
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.near.keys()
    }

    pub(crate) fn keys(&self) -> BTreeSet<PeerKey> {
        self.near.values().map(|near| near.key).collect()
    }

    /// Peers to which this node dialed.
    pub(crate) fn outbound(&self) -> usize {
        self.near.values().filter(|near| near.links.iter().any(|link| link.outbound)).count()
    }

    /// Those who did not show in time that they are nodes of this mesh.
    pub(crate) fn silent(&self, now_ms: u64, patience: Duration) -> Vec<PeerId> {
        let overdue = |near: &Near| {
            !(near.identified && near.subscribed) && now_ms >= near.since_ms + patience.as_millis() as u64
        };
        self.near.iter().filter(|(_, near)| overdue(near)).map(|(peer, _)| *peer).collect()
    }

    /// Peers that this node dialed and that say who they are, but not what they listen to: they take this node for the process
    /// that it was before it was restarted, to which they have said it. Connected anew they say it again. Each of them once.
    pub(crate) fn greet_anew(&mut self, now_ms: u64) -> Vec<PeerId> {
        self.greeted.retain(|_, at| now_ms < *at + GREET_AGAIN_MS);
        let mute = |near: &Near| {
            let said_who = near.identified && !near.subscribed && now_ms >= near.since_ms + HELLO_MS;
            said_who && !near.is_inbound()
        };
        let near = self.near.iter().filter(|(peer, near)| mute(near) && !self.greeted.contains_key(*peer));
        let again: Vec<PeerId> = near.map(|(peer, _)| *peer).collect();
        self.greeted.extend(again.iter().map(|peer| (*peer, now_ms)));
        again
    }

    /// Peers that dialed us.
    pub(crate) fn inbound(&self) -> usize {
        self.near.values().filter(|near| near.is_inbound()).count()
    }

    /// Peers that dialed us beyond `keep`, longest first, sparing those that `spare` says by name and by when they
    /// came; those that `last` says come last.
    pub(crate) fn surplus(
        &self,
        keep: usize,
        spare: impl Fn(PeerKey, u64) -> bool,
        last: impl Fn(&PeerId) -> bool,
    ) -> Vec<PeerId> {
        let mut out: Vec<(bool, u64, PeerId)> = self
            .near
            .iter()
            .filter(|(_, near)| near.is_inbound() && !spare(near.key, near.since_ms))
            .map(|(peer, near)| (last(peer), near.since_ms, *peer))
            .collect();
        out.sort();
        out.truncate(self.inbound().saturating_sub(keep));
        out.into_iter().map(|(.., peer)| peer).collect()
    }

    /// The neighbours as others see them: those that have said who they are.
    pub(crate) fn view(&self) -> Neighbours {
        let neighbour = |near: &Near| {
            let direct = near.links.iter().rev().find(|link| !link.relayed);
            Neighbour { rtt: near.rtt, direct: direct.is_some(), addr: direct.and_then(|link| link.addr) }
        };
        self.near.values().filter(|near| near.identified).map(|near| (near.key, neighbour(near))).collect()
    }
}

impl Near {
    fn is_inbound(&self) -> bool {
        self.links.iter().all(|link| !link.outbound)
    }
}

/// A direct connection makes relayed ones superfluous. Of two that were dialed from both ends at once, the end with the
/// greater name closes the one that it dialed; the other end does nothing, so exactly one stays. Whoever dials later has no
/// connection any more: an older one leads to a process that has gone.
fn superfluous(near: &Near, i_am_greater: bool, new: &Link) -> Vec<ConnectionId> {
    if new.relayed {
        return Vec::new();
    }
    let (relayed, direct): (Vec<&Link>, Vec<&Link>) = near.links.iter().partition(|link| link.relayed);
    let mut out: Vec<ConnectionId> = relayed.iter().map(|link| link.id).collect();
    let (at_once, older): (Vec<&Link>, Vec<&Link>) =
        direct.into_iter().partition(|link| new.since_ms < link.since_ms + SIMULTANEOUS_MS);
    if !new.outbound {
        out.extend(older.iter().map(|link| link.id));
    }
    let twin = at_once.into_iter().find(|link| link.outbound != new.outbound);
    if let Some(twin) = twin
        && i_am_greater
    {
        out.push(if twin.outbound { twin.id } else { new.id });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(id: usize, outbound: bool, since_ms: u64) -> Link {
        Link { id: ConnectionId::new_unchecked(id), outbound, relayed: false, addr: None, since_ms }
    }

    fn pair() -> (PeerId, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        (a.min(b), a.max(b))
    }

    #[test]
    fn of_two_connections_dialed_at_once_exactly_one_stays() {
        let (small, great) = pair();
        let key = PeerKey([0; 32]);
        let (mut at_small, mut at_great) = (Links::default(), Links::default());
        at_small.add(&small, great, key, link(1, true, 0));
        at_great.add(&great, small, key, link(2, true, 0));
        let by_small = at_small.add(&small, great, key, link(2, false, 1));
        let by_great = at_great.add(&great, small, key, link(1, false, 1));
        assert_eq!((by_small, by_great), (vec![], vec![ConnectionId::new_unchecked(2)]));
    }

    #[test]
    fn a_reconnection_after_a_while_closes_nothing() {
        let (small, great) = pair();
        let mut links = Links::default();
        links.add(&great, small, PeerKey([0; 32]), link(1, false, 0));
        assert_eq!(links.add(&great, small, PeerKey([0; 32]), link(2, true, SIMULTANEOUS_MS)), vec![]);
    }

    #[test]
    fn whoever_dials_again_has_lost_what_there_was() {
        let (me, peer) = pair();
        let mut links = Links::default();
        for (id, outbound) in [(1, false), (2, true)] {
            links.add(&me, peer, PeerKey([0; 32]), link(id, outbound, 0));
        }
        let lost = links.add(&me, peer, PeerKey([0; 32]), link(3, false, SIMULTANEOUS_MS));
        assert_eq!(lost, [ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2)]);
    }

    #[test]
    fn one_that_does_not_say_what_it_listens_to_is_greeted_again_once() {
        let (me, peer) = pair();
        let mut links = Links::default();
        let known = |links: &mut Links, id: usize, since_ms: u64| {
            links.add(&me, peer, PeerKey([0; 32]), link(id, true, since_ms));
            links.get_mut(&peer).unwrap().identified = true;
        };
        known(&mut links, 1, 0);
        assert_eq!((links.greet_anew(HELLO_MS - 1), links.greet_anew(HELLO_MS)), (vec![], vec![peer]));
        links.remove(&peer, ConnectionId::new_unchecked(1));
        known(&mut links, 2, 2 * HELLO_MS);
        assert_eq!(links.greet_anew(9 * HELLO_MS), vec![], "it has had its chance");
        links.get_mut(&peer).unwrap().subscribed = true;
        assert_eq!(links.greet_anew(2 * GREET_AGAIN_MS), vec![]);
    }

    #[test]
    fn a_direct_connection_ends_the_relayed_one() {
        let (me, peer) = pair();
        let mut links = Links::default();
        links.add(&me, peer, PeerKey([0; 32]), Link { relayed: true, ..link(1, true, 0) });
        let ended = links.add(&me, peer, PeerKey([0; 32]), link(2, true, 9000));
        assert_eq!(ended, [ConnectionId::new_unchecked(1)]);
    }

    #[test]
    fn a_neighbour_that_says_nothing_overstays() {
        let (me, peer) = pair();
        let mut links = Links::default();
        links.add(&me, peer, PeerKey([0; 32]), link(1, false, 1000));
        let patience = Duration::from_secs(1);
        assert_eq!((links.silent(1999, patience), links.silent(2000, patience)), (vec![], vec![peer]));
        assert!(links.view().is_empty(), "nobody is shown before it said who it is");
        let near = links.get_mut(&peer).unwrap();
        (near.identified, near.subscribed) = (true, true);
        assert_eq!(links.silent(2000, patience), vec![]);
        assert_eq!(links.view().len(), 1);
    }

    #[test]
    fn only_those_who_dialed_us_are_surplus() {
        let (me, ours) = pair();
        let mut links = Links::default();
        links.add(&me, ours, PeerKey([0; 32]), link(0, true, 0));
        let others: Vec<PeerId> = (1..=4).map(|_| PeerId::random()).collect();
        for (n, peer) in others.iter().enumerate() {
            links.add(&me, *peer, PeerKey([n as u8 + 1; 32]), link(n + 1, false, n as u64));
        }
        let (nobody, none) = (|_: PeerKey, _: u64| false, |_: &PeerId| false);
        assert_eq!(links.surplus(2, nobody, none), others[..2]);
        assert_eq!(links.surplus(2, |key, _| key == PeerKey([1; 32]), none), others[1..3]);
        assert_eq!(links.surplus(2, nobody, |peer| *peer == others[0]), others[1..3]);
        assert_eq!(links.surplus(0, nobody, none), others);
        assert!(links.surplus(4, nobody, none).is_empty());
    }
}
