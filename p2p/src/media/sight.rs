//! Where others see this node's media port: each peer that it dials tells from which address the packets come.
//!
//! In flow what peers saw; out flow the addresses on which they agree, which is where a packet of anybody can come in while
//! the NAT lets it. A NAT that shows every peer another port leaves nothing to agree on. Knows no socket.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use protocol::PeerKey;

use super::fault::MediaError;
use super::wire::proto;
use crate::wire::{decode_addrs, encode_addr};

/// Peers whose word is remembered.
const MOST: usize = 64;

/// What each peer saw.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Mutex<BTreeMap<PeerKey, SocketAddr>>);

impl Sightings {
    /// `by`, which this node has dialled, sees it at `at`.
    pub(crate) fn saw(&self, by: PeerKey, at: SocketAddr) {
        let mut seen = self.seen();
        if seen.len() < MOST || seen.contains_key(&by) {
            seen.insert(by, at);
        }
    }

    /// The address of each IP family at which all see this node; those to whom there is no connection any more, which
    /// `lives` says, have seen a mapping that may be gone.
    pub(crate) fn agreed(&self, lives: impl Fn(PeerKey) -> bool) -> Vec<SocketAddr> {
        let mut seen = self.seen();
        seen.retain(|by, _| lives(*by));
        [true, false].into_iter().filter_map(|v4| unanimous(seen.values(), v4)).collect()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<PeerKey, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanimous<'a>(seen: impl Iterator<Item = &'a SocketAddr>, v4: bool) -> Option<SocketAddr> {
    let mut of_family = seen.filter(|at| at.is_ipv4() == v4 && is_public(at.ip()));
    let first = of_family.next()?;
    of_family.all(|at| at == first).then_some(*first)
}

/// Whether packets to `ip` may leave for the Internet: what strangers name is never looked for on this node's own LAN.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(a == 0
                || shared
                || ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast())
        }
        // Global unicast, RFC 4291 2.4.
        IpAddr::V6(ip) => ip.segments()[0] & 0xe000 == 0x2000,
    }
}

/// The frame that says where a peer is seen.
pub(crate) fn encode_seen(at: SocketAddr) -> proto::Seen {
    proto::Seen { at: encode_addr(&canonical(at)) }
}

/// Reads where this node is seen.
pub(crate) fn decode_seen(frame: proto::Seen) -> Result<SocketAddr, MediaError> {
    let addrs = decode_addrs(&[frame.at]).map_err(|e| MediaError::Protocol(e.to_string()))?;
    addrs.first().copied().ok_or_else(|| MediaError::Protocol("an address is missing".into()))
}

/// The frame that says where a node is to be met.
pub(crate) fn encode_meeting(at: &[SocketAddr]) -> proto::Meeting {
    proto::Meeting { at: at.iter().take(protocol::NodeRecord::MAX_ADDRS).map(encode_addr).collect() }
}

/// Reads where a peer is to be met: public addresses only, at most four.
pub(crate) fn decode_meeting(frame: &proto::Meeting) -> Result<Vec<SocketAddr>, MediaError> {
    let list: &[Bytes] = &frame.at;
    let mut at = decode_addrs(list).map_err(|e| MediaError::Protocol(e.to_string()))?;
    at.retain(|addr| is_public(addr.ip()));
    Ok(at)
}

fn canonical(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn key(n: u8) -> PeerKey {
        PeerKey([n; 32])
    }

    #[test]
    fn a_port_on_which_two_peers_agree_is_where_others_come_in() {
        let seen = Sightings::default();
        seen.saw(key(1), at("203.0.113.5:4936"));
        assert_eq!(seen.agreed(|_| true), [at("203.0.113.5:4936")]);
        seen.saw(key(2), at("203.0.113.5:4936"));
        seen.saw(key(3), at("[2001:db8::1]:4936"));
        assert_eq!(seen.agreed(|_| true), [at("203.0.113.5:4936"), at("[2001:db8::1]:4936")]);
    }

    #[test]
    fn a_nat_that_shows_every_peer_another_port_leaves_nothing_to_agree_on() {
        let seen = Sightings::default();
        seen.saw(key(1), at("203.0.113.5:40001"));
        seen.saw(key(2), at("203.0.113.5:40002"));
        assert_eq!(seen.agreed(|_| true), []);
        assert_eq!(seen.agreed(|by| by == key(2)), [at("203.0.113.5:40002")], "the first one is gone");
    }

    #[test]
    fn strangers_send_nobody_into_this_nodes_lan() {
        for ip in [
            "10.0.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "::1",
            "fe80::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        let named = encode_meeting(&[at("192.168.1.1:53"), at("203.0.113.9:7"), at("[::ffff:10.0.0.1]:7")]);
        assert_eq!(decode_meeting(&named).unwrap(), [at("203.0.113.9:7")]);
    }

    #[test]
    fn a_sighting_and_a_meeting_survive_the_wire_and_nonsense_does_not() {
        let seen = at("[2001:db8::7]:9");
        assert_eq!(decode_seen(encode_seen(seen)).unwrap(), seen);
        assert_eq!(decode_seen(encode_seen(at("[::ffff:203.0.113.9]:9"))).unwrap(), at("203.0.113.9:9"));
        assert!(decode_seen(proto::Seen { at: Bytes::from_static(&[1, 2, 3]) }).is_err());
        let five = proto::Meeting { at: vec![encode_addr(&seen); 5] };
        assert!(decode_meeting(&five).is_err());
    }
}
