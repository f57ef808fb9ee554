//! Addresses as people and records write them, and as libp2p does.

use std::net::{IpAddr, SocketAddr};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// The libp2p QUIC address of a UDP address.
pub(crate) fn quic(addr: &SocketAddr) -> Multiaddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty().with(ip).with(Protocol::Udp(addr.port())).with(Protocol::QuicV1)
}

/// The UDP address of a direct QUIC address; `None` for anything else.
pub(crate) fn udp(addr: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = addr.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let Protocol::Udp(port) = parts.next()? else { return None };
    let direct = !is_relayed(addr) && addr.iter().any(|part| part == Protocol::QuicV1);
    direct.then(|| SocketAddr::new(ip, port))
}

/// Whether the address leads through a relay.
pub(crate) fn is_relayed(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The address of `peer` behind a relay.
pub(crate) fn behind(relay: PeerId, at: &SocketAddr, peer: PeerId) -> Multiaddr {
    reserve_at(relay, at).with(Protocol::P2p(peer))
}

/// The address on which to ask a relay for a reservation.
pub(crate) fn reserve_at(relay: PeerId, at: &SocketAddr) -> Multiaddr {
    quic(at).with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}

/// The addresses that a node tells others, best first: those that are known to work from outside, else where it listens;
/// loopback only where there is nothing else. At most `max`.
pub(crate) fn advertised(external: &[SocketAddr], listening: &[SocketAddr], max: usize) -> Vec<SocketAddr> {
    let usable =
        |addr: &&SocketAddr| addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast();
    let mut out: Vec<SocketAddr> = Vec::new();
    let outside: Vec<&SocketAddr> = listening.iter().filter(|addr| !addr.ip().is_loopback()).collect();
    let chosen: Vec<&SocketAddr> = match (external.is_empty(), outside.is_empty()) {
        (false, _) => external.iter().collect(),
        (true, false) => outside,
        (true, true) => listening.iter().collect(),
    };
    for addr in chosen.into_iter().filter(usable) {
        if !out.contains(addr) && out.len() < max {
            out.push(*addr);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_udp_address_and_its_quic_address_are_the_same() {
        for text in ["10.0.0.1:4001", "[2001:db8::1]:9"] {
            assert_eq!(udp(&quic(&at(text))), Some(at(text)));
        }
        let (relay, peer) = (PeerId::random(), PeerId::random());
        let through = behind(relay, &at("10.0.0.1:4001"), peer);
        assert_eq!((udp(&through), is_relayed(&through)), (None, true));
        assert!(through.to_string().ends_with(&peer.to_string()));
    }

    #[test]
    fn loopback_is_told_only_where_there_is_nothing_else() {
        let (lo, lan, wan) = (at("127.0.0.1:1"), at("192.168.0.2:1"), at("203.0.113.9:1"));
        assert_eq!(advertised(&[], &[lo], 4), [lo]);
        assert_eq!(advertised(&[], &[lo, lan, lan], 4), [lan]);
        assert_eq!(advertised(&[wan], &[lo, lan], 4), [wan]);
        assert_eq!(advertised(&[], &[at("0.0.0.0:1"), at("10.0.0.1:0")], 4), []);
    }
}
