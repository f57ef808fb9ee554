//! What a client sees of a chain that grows: every head compared with the chain's own, state proven at every finalized one.

use std::collections::BTreeSet;
use std::fmt;

use lightclient::forks::ChainSpec;
use lightclient::sync::{Event, Head, LightClient, Status};

use crate::world::World;

/// A way along the chain, from where a client stood when it was first synced.
pub(crate) struct Journey {
    spec: ChainSpec,
    begun: u64,
    first: u64,
    last: u64,
    heads: u32,
    proven: u32,
}

impl Journey {
    /// Begins where `client` stands; its checkpoint was the block of slot `begun`.
    pub(crate) fn from(client: &LightClient, world: &World, begun: u64) -> Self {
        let first = client.status().finalized.expect("who is synced has a finalized header").slot;
        Self { spec: world.spec.clone(), begun, first, last: first, heads: 0, proven: 0 }
    }

    /// Whether a fork and the end of a sync-committee period were finalized and heads followed since it began, two periods or
    /// more after the checkpoint.
    pub(crate) fn has_crossed_a_fork_and_a_period(&self) -> bool {
        let (first, last) = (self.first, self.last);
        self.spec.fork_at_slot(first) != self.spec.fork_at_slot(last)
            && self.spec.period_at(first) != self.spec.period_at(last)
            && self.spec.period_at(last) >= self.spec.period_at(self.begun) + 2
            && self.heads > 0
    }

    /// Takes the next event; panics when it is not what the chain's own software says.
    pub(crate) async fn take(&mut self, event: Event, client: &LightClient, world: &World) {
        match event {
            Event::Finalized(head) if head.slot > self.last => self.finalized(head, client, world).await,
            Event::Optimistic(head) => {
                assert_eq!(head.root, world.root_at(head.slot).await, "a false head");
                self.heads += 1;
            }
            Event::Alarm(alarm) => panic!("alarm: {alarm}"),
            Event::Finalized(_) | Event::Phase(_) | Event::Assertion(_) | Event::Verified { .. } => {}
        }
    }

    async fn finalized(&mut self, head: Head, client: &LightClient, world: &World) {
        assert_eq!(head.root, world.root_at(head.slot).await, "a false head");
        let proof = client.prove_l1(world.keys()).await.unwrap();
        world.assert_true(&proof.value, proof.anchor.l2_block).await;
        self.last = head.slot;
        self.proven += 1;
        println!("{self}: account and slots proven at block {}", proof.anchor.l2_block);
    }
}

impl fmt::Display for Journey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spec, first, last) = (&self.spec, self.first, self.last);
        let mut forks: Vec<_> = (self.begun..=last).map(|slot| spec.fork_at_slot(slot).name()).collect();
        forks.dedup();
        let periods: BTreeSet<_> = (self.begun..=last).map(|slot| spec.period_at(slot)).collect();
        write!(f, "finalized slot {last}")?;
        if last > first {
            write!(f, " (live since {first}, {} heads, {} blocks proven)", self.heads, self.proven)?;
        }
        write!(f, ", {} periods, forks {}", periods.len(), forks.join(" "))
    }
}

/// Requests that a client's sources got.
pub(crate) fn requests(status: &Status) -> u64 {
    status.sources.iter().filter_map(|source| source.budget.as_ref()).map(|budget| budget.counters.sent).sum()
}
