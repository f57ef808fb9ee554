//! `ServiceRegistry`: one string an address, whatever it says and whoever writes it. Staking has no part in it.

use alloy_primitives::Address;

use super::{Chain, Contract, Event};
use crate::journal::{Map, journaled};

/// Its storage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceRegistry {
    /// Where an address says that it serves.
    pub service_uri: Map<Address, String>,
}

journaled!(ServiceRegistry { service_uri });

impl Chain {
    pub(super) fn set_service_uri(&mut self, from: Address, uri: String) {
        self.registry.service_uri.set(&from, uri.clone());
        let event = Event::ServiceURIUpdate { addr: from, service_uri: uri };
        self.emit(Contract::ServiceRegistry, event);
    }
}
