//! How much one peer, one address and all strangers together may hold of this endpoint. Counts only; a permit gives back
//! what it counted when it is dropped.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::PeerKey;

/// The bounds of a media endpoint towards strangers.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Segments that one peer may have here at a time, over all its connections.
    pub streams_per_peer: usize,
    /// Bytes of segments that one peer may have here at a time.
    pub bytes_per_peer: u64,
    /// Connections of one peer: one, one that is about to be replaced, and the same again for a node behind two addresses.
    pub connections_per_peer: usize,
    /// Connections from one IPv4 address or IPv6 /64, handshakes included. Loopback is exempt.
    pub connections_per_address: usize,
    /// Connections in all.
    pub connections: usize,
    /// Handshakes at a time; beyond, connections are refused.
    pub handshakes: usize,
    /// Handshakes at a time from which on an address must first be proven (QUIC Retry).
    pub retry_above: usize,
    /// Offers that may wait for this node to look at them.
    pub waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            streams_per_peer: 16,
            bytes_per_peer: 64 << 20,
            connections_per_peer: 4,
            connections_per_address: 32,
            connections: 512,
            handshakes: 64,
            retry_above: 16,
            waiting: 64,
        }
    }
}

/// Counts against [`Bounds`]. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) bounds: Bounds,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    peers: BTreeMap<PeerKey, Load>,
    addresses: BTreeMap<IpAddr, usize>,
    connections: usize,
    handshakes: usize,
}

#[derive(Debug, Default)]
struct Load {
    connections: usize,
    streams: usize,
    bytes: u64,
}

/// What to do with a connection attempt.
#[derive(Debug)]
pub(crate) enum Knock {
    /// Go on with the handshake.
    Enter(AddressPermit),
    /// Have the address proven first.
    Prove,
    /// Refuse.
    Refuse,
}

/// A connection of an address; a handshake until [`AddressPermit::established`].
#[derive(Debug)]
pub(crate) struct AddressPermit {
    gate: Gate,
    address: Option<IpAddr>,
    handshake: bool,
}

/// A connection of a peer.
#[derive(Debug)]
pub(crate) struct PeerPermit {
    gate: Gate,
    peer: PeerKey,
}

/// A stream of a peer and the bytes of its segment.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    gate: Gate,
    peer: PeerKey,
    bytes: u64,
}

impl Gate {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, held: Arc::default() }
    }

    /// Somebody wants to connect.
    pub(crate) fn knock(&self, from: IpAddr, proven: bool) -> Knock {
        let mut held = self.held();
        let address = bucket(from);
        let of_address = address.map_or(0, |a| held.addresses.get(&a).copied().unwrap_or(0));
        if held.connections >= self.bounds.connections
            || held.handshakes >= self.bounds.handshakes
            || of_address >= self.bounds.connections_per_address
        {
            return Knock::Refuse;
        }
        if held.handshakes >= self.bounds.retry_above && !proven {
            return Knock::Prove;
        }
        held.connections += 1;
        held.handshakes += 1;
        if let Some(address) = address {
            *held.addresses.entry(address).or_default() += 1;
        }
        Knock::Enter(AddressPermit { gate: self.clone(), address, handshake: true })
    }

    /// A connection has proved to be `peer`'s.
    pub(crate) fn connection(&self, peer: PeerKey) -> Option<PeerPermit> {
        let mut held = self.held();
        let load = held.peers.entry(peer).or_default();
        if load.connections >= self.bounds.connections_per_peer {
            return None;
        }
        load.connections += 1;
        Some(PeerPermit { gate: self.clone(), peer })
    }

    /// A stream of `peer` has come.
    pub(crate) fn stream(&self, peer: PeerKey) -> Option<StreamPermit> {
        let mut held = self.held();
        let load = held.peers.entry(peer).or_default();
        if load.streams >= self.bounds.streams_per_peer {
            return None;
        }
        load.streams += 1;
        Some(StreamPermit { gate: self.clone(), peer, bytes: 0 })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Counting cannot panic, so a poisoned lock holds whole numbers.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AddressPermit {
    /// The handshake is over.
    pub(crate) fn established(&mut self) {
        if std::mem::take(&mut self.handshake) {
            self.gate.held().handshakes -= 1;
        }
    }
}

impl StreamPermit {
    /// Counts a segment's bytes; `false` when the peer has too many here already.
    #[must_use]
    pub(crate) fn bytes(&mut self, bytes: u64) -> bool {
        let mut held = self.gate.held();
        let most = self.gate.bounds.bytes_per_peer;
        let load = held.peers.entry(self.peer).or_default();
        if load.bytes.saturating_add(bytes) > most {
            return false;
        }
        load.bytes += bytes;
        self.bytes += bytes;
        true
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        self.established();
        let mut held = self.gate.held();
        held.connections -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = held.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                held.addresses.remove(&address);
            }
        }
    }
}

impl Held {
    fn release(&mut self, peer: PeerKey, give: impl FnOnce(&mut Load)) {
        let Some(load) = self.peers.get_mut(&peer) else { return };
        give(load);
        if load.connections == 0 && load.streams == 0 {
            self.peers.remove(&peer);
        }
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        self.gate.held().release(self.peer, |load| load.connections -= 1);
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.gate.held().release(self.peer, |load| {
            load.streams -= 1;
            load.bytes -= bytes;
        });
    }
}

/// What counts as one address: an IPv6 host owns its /64. Loopback is this machine, where there is nobody to keep out.
fn bucket(ip: IpAddr) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(knock: Knock) -> AddressPermit {
        match knock {
            Knock::Enter(permit) => permit,
            other => panic!("not let in: {other:?}"),
        }
    }

    #[test]
    fn one_address_cannot_take_every_connection() {
        let gate = Gate::new(Bounds { connections_per_address: 2, ..Bounds::default() });
        let (one, two) = ("2001:db8::1".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        let first = enter(gate.knock(one, false));
        let _second = enter(gate.knock("2001:db8::ffff".parse().unwrap(), false));
        assert!(matches!(gate.knock(one, true), Knock::Refuse));
        assert!(matches!(gate.knock(two, true), Knock::Enter(_)));
        drop(first);
        assert!(matches!(gate.knock(one, true), Knock::Enter(_)));
    }

    #[test]
    fn many_handshakes_make_addresses_prove_themselves() {
        let gate = Gate::new(Bounds { retry_above: 1, handshakes: 2, ..Bounds::default() });
        let from = "192.0.2.1".parse().unwrap();
        let mut first = enter(gate.knock(from, false));
        assert!(matches!(gate.knock(from, false), Knock::Prove));
        let _proven = enter(gate.knock(from, true));
        assert!(matches!(gate.knock(from, true), Knock::Refuse));
        first.established();
        assert!(matches!(gate.knock(from, false), Knock::Prove));
        assert!(matches!(gate.knock(from, true), Knock::Enter(_)));
    }

    #[test]
    fn a_peer_has_its_share_of_streams_and_bytes_and_gets_it_back() {
        let gate = Gate::new(Bounds { streams_per_peer: 2, bytes_per_peer: 100, ..Bounds::default() });
        let (a, b) = (PeerKey([1; 32]), PeerKey([2; 32]));
        let mut first = gate.stream(a).unwrap();
        let mut second = gate.stream(a).unwrap();
        assert!(gate.stream(a).is_none() && gate.stream(b).is_some());
        assert!(first.bytes(60) && !second.bytes(60) && second.bytes(40) && !second.bytes(u64::MAX));
        drop(first);
        assert!(gate.stream(a).unwrap().bytes(60));
        drop(second);
        assert!(gate.held().peers.is_empty());
    }
}
