//! A beacon chain of the main preset to follow: committees of 512, one block an epoch, finality two epochs behind.

use alloy_primitives::{B256, keccak256};
use fixtures::devnet::beacon::{self, Beacon};
use lightclient::consensus::{Bootstrap, ExecHeader, FinalityUpdate, Header, Store, SyncCommittee, Update};
use lightclient::forks::{ChainSpec, Fork, Preset};

use crate::cli::Failure;

const SEED: u64 = 512;
/// Members of a hundred that sign, as on mainnet on an ordinary day.
const PARTICIPATION: u8 = 98;
pub(super) const FORK: Fork = Fork::Fulu;

/// What sources give a client that was away for so many periods.
pub(super) struct Chain {
    pub(super) spec: ChainSpec,
    pub(super) bootstrap: Bootstrap,
    /// One a period, oldest first, from the bootstrap's period on.
    pub(super) updates: Vec<Update>,
    pub(super) finality: FinalityUpdate,
    /// The slot that it is now.
    pub(super) now: u64,
}

pub(super) fn spec() -> ChainSpec {
    beacon::spec(Preset::MAINNET, SEED, 1_700_000_000, 12_000, &[(0, FORK)])
}

impl Chain {
    /// Makes `periods` whole periods after the one of the bootstrap, and a part of the next.
    pub(super) fn of_periods(periods: u64) -> Result<Self, Failure> {
        let mut beacon = Beacon::new(spec(), SEED);
        beacon.set_participation(PARTICIPATION);
        let spec = beacon.spec().clone();
        let preset = spec.preset;
        let mut bootstrap = None;
        let epochs = preset.epochs_per_sync_committee_period;
        for epoch in 0..epochs * periods + 8 {
            let root = beacon.advance(payload(epoch));
            (1..preset.slots_per_epoch).for_each(|_| beacon.skip());
            if epoch == 0 {
                bootstrap = beacon.bootstrap(root);
            }
        }
        let updates = (0..periods).map(|period| beacon.update(period).ok_or("a period without update"));
        let finality = beacon.finality_update().ok_or("a chain that is never final")?;
        Ok(Self {
            updates: updates.collect::<Result<_, _>>()?,
            now: finality.signature_slot,
            bootstrap: bootstrap.ok_or("no bootstrap of the first block")?,
            finality,
            spec,
        })
    }

    /// Follows everything from the bootstrap to the head.
    pub(super) fn catch_up(&self) -> Result<Store, Failure> {
        let mut store = self.store_after(&self.updates)?;
        let verified = store.verify_finality_update(&self.spec, &self.finality, self.now)?;
        store.apply(verified);
        Ok(store)
    }

    /// A store that has seen these updates and waits for what comes next.
    pub(super) fn store_after(&self, updates: &[Update]) -> Result<Store, Failure> {
        let mut store = start(&self.spec, &self.bootstrap)?;
        for update in updates {
            let verified = store.verify_update(&self.spec, update, self.now)?;
            store.apply(verified);
        }
        Ok(store)
    }

    /// Bytes of everything, as SSZ.
    pub(super) fn bytes(&self) -> usize {
        let updates: usize = self.updates.iter().map(|update| update.encode_ssz().len()).sum();
        self.bootstrap.encode_ssz().len() + updates + self.finality.encode_ssz().len()
    }
}

/// The committee that signs in the period after an update's.
pub(super) fn next_committee(update: &Update) -> Result<&SyncCommittee, Failure> {
    Ok(&update.next_committee.as_ref().ok_or("an update without committee")?.committee)
}

/// A store at the bootstrap, which is trusted: it is ours.
pub(super) fn start(spec: &ChainSpec, bootstrap: &Bootstrap) -> Result<Store, Failure> {
    Ok(Store::bootstrap(spec, Header::root(&bootstrap.header), bootstrap)?)
}

fn payload(number: u64) -> ExecHeader {
    ExecHeader {
        block_number: number,
        state_root: keccak256(number.to_be_bytes()),
        block_hash: B256::from(keccak256(number.to_le_bytes())),
        ..ExecHeader::default()
    }
}
