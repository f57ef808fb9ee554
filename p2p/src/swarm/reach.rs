//! Being reached: what others find out about this node's addresses, and relays for when it has none.
//!
//! In flow probes' results and relays' answers; out flow this node's addresses and relays, for its record. What passes through
//! relays is not known here.

use std::collections::BTreeMap;

use libp2p::core::transport::ListenerId;
use libp2p::{Multiaddr, autonat, relay};
use protocol::PeerKey;

use super::Reachability;
use super::addr::{reserve_at, udp};
use super::run::Mesh;
use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::MAX_RELAYS;

/// Failed probes, with none that succeeded, after which a node takes itself for unreachable. libp2p has every address tried
/// once, and a node behind a NAT has one that others see: to wait for more would be to wait for ever.
const PROBES: u32 = 1;

/// What is known of this node's reachability.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    failed_probes: u32,
    private: bool,
    asked: BTreeMap<PeerKey, ListenerId>,
}

impl Mesh {
    pub(super) fn on_probe(&mut self, event: &autonat::v2::client::Event) {
        if event.result.is_ok() {
            self.relays.failed_probes = 0;
            return;
        }
        self.relays.failed_probes += 1;
        if self.relays.failed_probes >= PROBES && self.own.facts().external.is_empty() {
            if !self.relays.private {
                tracing::info!("others cannot reach this node directly: asking relays");
            }
            self.relays.private = true;
            self.show_reachability(Reachability::Private);
        }
    }

    pub(super) fn on_reachable_at(&mut self, address: &Multiaddr, reachable: bool) {
        let Some(addr) = udp(address) else { return };
        self.own.change(|facts| {
            facts.external.retain(|known| *known != addr);
            if reachable {
                facts.external.push(addr);
            }
        });
        if reachable {
            self.relays.private = false;
            self.show_reachability(Reachability::Public);
        }
    }

    /// Asks known relays for a reservation while this node is unreachable without.
    pub(super) fn ask_relays(&mut self) {
        if !self.relays.private || self.relays.asked.len() >= MAX_RELAYS {
            return;
        }
        let known = self.roster.iter().filter(|verified| verified.reach().relay);
        let free = known.filter(|verified| !self.relays.asked.contains_key(&verified.record().peer));
        let at = free.filter_map(|v| v.record().control.first().map(|addr| (v.record().peer, *addr)));
        let chosen: Vec<_> = at.take(MAX_RELAYS - self.relays.asked.len()).collect();
        for (key, addr) in chosen {
            match self.swarm.listen_on(reserve_at(peer_id_of(key), &addr)) {
                Ok(listener) => {
                    self.relays.asked.insert(key, listener);
                }
                Err(error) => tracing::debug!(relay = ?key, %error, "no reservation"),
            }
        }
    }

    pub(super) fn on_relay(&mut self, event: relay::client::Event) {
        let relay::client::Event::ReservationReqAccepted { relay_peer_id, renewal: false, .. } = event else {
            return;
        };
        let Some(key) = peer_key_of(&relay_peer_id) else { return };
        tracing::info!(relay = ?key, "reachable through a relay");
        self.own.change(|facts| {
            facts.reach.relays.retain(|known| *known != key);
            facts.reach.relays.push(key);
            facts.reach.relays.truncate(MAX_RELAYS);
        });
    }

    pub(super) fn on_relay_lost(&mut self, listener: ListenerId) {
        let lost: Vec<PeerKey> =
            self.relays.asked.iter().filter(|(_, asked)| **asked == listener).map(|(key, _)| *key).collect();
        for key in lost {
            self.relays.asked.remove(&key);
            self.own.change(|facts| facts.reach.relays.retain(|known| *known != key));
        }
    }
}
