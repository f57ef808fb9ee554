//! The status, put together from what everybody knows.

use super::{Shared, lock};
use crate::consensus::Header;
use crate::sync::clock::{slot_at, start_of};
use crate::sync::status::{Head, Status};

impl Shared {
    pub(in crate::sync) fn status(&self) -> Status {
        let (now_ms, spec) = (self.now_ms(), &self.config.spec);
        let core = self.core();
        let (finalized, optimistic) = (core.finalized().cloned(), core.optimistic().cloned());
        let (phase, period) = (core.phase(now_ms), core.store().map(crate::consensus::Store::current_period));
        drop(core);
        let sources = self.crowd.status();
        let wall_slot = slot_at(spec, now_ms);
        Status {
            network: spec.name.clone(),
            phase,
            wall_slot,
            wall_period: spec.period_at(wall_slot),
            period,
            finalized: finalized.as_ref().map(|header| self.head(header)),
            optimistic: optimistic.as_ref().map(|header| self.head(header)),
            lag_slots: optimistic.as_ref().map(|header| wall_slot.saturating_sub(header.slot())),
            origin: lock(&self.origin).clone(),
            anchors: self.anchors.anchors(),
            requests: sources.iter().map(|source| source.health.answers + source.health.failures).sum(),
            sources,
            alarms: lock(&self.alarms).values().cloned().collect(),
        }
    }

    pub(in crate::sync) fn head(&self, header: &Header) -> Head {
        let slot = header.slot();
        let age_ms = self.now_ms().saturating_sub(start_of(&self.config.spec, slot));
        Head { slot, root: header.root(), age_s: age_ms / 1000, block: header.exec.block_number() }
    }
}
