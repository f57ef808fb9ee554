//! The light client as the chain watcher sees it: health from its status, readings from one proven block, errors by what the
//! watcher does next. Translates only; believes and decides nothing.

use std::time::Duration;

use actors::chain_watcher::alarm::Cause;
use actors::chain_watcher::core::Config as Rules;
use actors::chain_watcher::view::{L1Head, SourceHealth, Tier};
use actors::ports::chain::{Ask, Chain, ChainFault, Health, Reading};
use alloy_primitives::Address;
use futures::future::BoxFuture;
use lightclient::livepeer::{self, Hint, Unreadable};
use lightclient::proven::{self, Accept};
use lightclient::source::crowd::SourceStatus;
use lightclient::source::score::Standing;
use lightclient::sync::{Alarm, Event, Head, LightClient, ReadError};
use tokio::sync::broadcast::error::RecvError;

use crate::config::chain as config;

mod reading;

/// Slots after which a proven state is older than the way of an honest one explains, by what is accepted: assertions are
/// confirmed after 6.4 days and made each hour or so; what is only sequenced is new each slot.
const STALE_CONFIRMED: u64 = 10 * 7200;
const STALE_PENDING: u64 = 1500;
const STALE_SEQUENCED: u64 = 150;
/// How near to the pool's last an own stake may be before it is told, percent.
const EVICTION_PERCENT: u64 = 5;

/// Times that a block is read: each goes on with what was proven of it before. Code of many proxies that is known by its hash
/// alone takes more questions than one read asks.
const TRIES: u32 = 4;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct ChainAdapter {
    client: LightClient,
    accept: Accept,
}

/// What the watcher minds on this chain.
pub(crate) fn rules(chain: &config::Chain, client: &LightClient) -> Rules {
    let slot_ms = client.config().spec.slot_ms;
    let slots = match chain.accept {
        Accept::Confirmed => STALE_CONFIRMED,
        Accept::Pending { l1_blocks } => STALE_PENDING.saturating_add(l1_blocks),
        Accept::Sequenced { .. } => STALE_SEQUENCED,
    };
    Rules {
        own: chain.orchestrator,
        watched: chain.watch.clone(),
        slot_ms,
        stale_after_ms: slots.saturating_mul(slot_ms),
        eviction_percent: EVICTION_PERCENT,
    }
}

impl ChainAdapter {
    pub(crate) fn new(client: LightClient, accept: Accept) -> Self {
        Self { client, accept }
    }

    fn l1(&self, head: &Head) -> Option<L1Head> {
        let spec = &self.client.config().spec;
        let since_genesis = head.slot.saturating_mul(spec.slot_ms);
        let at_ms = spec.genesis_time.saturating_mul(1000).saturating_add(since_genesis);
        head.block.map(|block| L1Head { block, at_ms, slot_ms: spec.slot_ms })
    }
}

impl Chain for ChainAdapter {
    fn health(&self) -> Health {
        let status = self.client.status();
        let taken = status.anchors.iter().filter(|anchor| self.accept.takes(anchor.tier));
        let heads = [status.optimistic.as_ref(), status.finalized.as_ref()];
        Health {
            anchor: taken.map(|anchor| anchor.l2_block).max(),
            l1: heads.into_iter().flatten().find_map(|head| self.l1(head)),
            alarms: status.alarms.iter().map(cause).collect(),
            sources: status.sources.iter().map(source).collect(),
        }
    }

    /// Listens from this call on, so that nothing between two looks is missed.
    fn changed(&self) -> BoxFuture<'static, ()> {
        let mut events = self.client.events();
        Box::pin(async move {
            loop {
                match events.recv().await {
                    Ok(Event::Verified { .. }) => {}
                    Ok(
                        Event::Phase(_)
                        | Event::Finalized(_)
                        | Event::Optimistic(_)
                        | Event::Assertion(_)
                        | Event::Alarm(_),
                    )
                    | Err(RecvError::Lagged(_)) => return,
                    // A client that has ended tells nothing more; its last state is looked at each slot.
                    Err(RecvError::Closed) => tokio::time::sleep(Duration::from_secs(3600)).await,
                }
            }
        })
    }

    fn read(&self, ask: Ask) -> BoxFuture<'static, Result<Reading, ChainFault>> {
        let (client, accept) = (self.client.clone(), self.accept);
        Box::pin(async move {
            let none = || ChainFault::NotNow("no Livepeer contracts are configured for this network".into());
            let contracts = client.config().contracts.clone().ok_or_else(none)?;
            let members = first_members(&client, accept, ask.members.clone()).await?;
            let facts = reading::Wish { contracts, members, ask };
            let mut tries = 1;
            let read = loop {
                let read =
                    client.read(accept, facts.keys(), |view, anchor| facts.read(view, anchor.nitro.l1_block));
                match read.await {
                    Err(ReadError::Endless) if tries < TRIES => tries += 1,
                    read => break read.map_err(fault)?,
                }
            };
            let (anchor, tier) = (read.anchor, tier(read.anchor.tier));
            Ok(read.value.at(tier, &anchor))
        })
    }
}

/// Who is probably a member: what was known, else what the pool alone says, so that the rest is one request.
async fn first_members(
    client: &LightClient,
    accept: Accept,
    known: Vec<Address>,
) -> Result<Vec<Address>, ChainFault> {
    if !known.is_empty() {
        return Ok(known);
    }
    let read = client.livepeer(accept, &livepeer::Ask::Pool, &Hint::default()).await.map_err(fault)?;
    Ok(match read.value {
        livepeer::Read::Pool(pool) => pool.members.iter().map(|member| member.address).collect(),
        livepeer::Read::Round(_)
        | livepeer::Read::Orchestrator(_)
        | livepeer::Read::Delegator(_)
        | livepeer::Read::Sender(_)
        | livepeer::Read::ServiceUri(_)
        | livepeer::Read::Inflation(_) => Vec::new(),
    })
}

const fn tier(tier: proven::Tier) -> Tier {
    match tier {
        proven::Tier::Confirmed => Tier::Confirmed,
        proven::Tier::Pending { l1_blocks } => Tier::Pending { l1_blocks },
        proven::Tier::Sequenced { agree, asked } => Tier::Sequenced { agree, asked },
    }
}

fn cause(alarm: &Alarm) -> Cause {
    let words = alarm.to_string();
    match alarm {
        Alarm::Conflict { .. } => Cause::Conflict(words),
        Alarm::Clock(_) => Cause::Clock(words),
        Alarm::Guard(_) => Cause::UnknownTarget(words),
        Alarm::Stalled { .. }
        | Alarm::OldCheckpoint(_)
        | Alarm::Store(_)
        | Alarm::Save(_)
        | Alarm::Anchor(_) => Cause::Client { kind: alarm.kind().into(), message: words },
    }
}

fn source(status: &SourceStatus) -> SourceHealth {
    let standing = match status.health.standing {
        Standing::Good => "good",
        Standing::Resting => "resting",
        Standing::Liar => "liar",
    };
    SourceHealth {
        name: status.name.clone(),
        standing: standing.into(),
        answers: status.health.answers,
        failures: status.health.failures,
        lies: u64::from(status.health.lies),
        lag_slots: status.health.lag_slots,
        latency_ms: status.health.latency_ms.map(|ms| ms.max(0.0) as u64),
        last_fault: status.last_fault.clone(),
    }
}

fn fault(error: ReadError<Unreadable>) -> ChainFault {
    let words = error.to_string();
    match error {
        ReadError::NotYet(_)
        | ReadError::Halted
        | ReadError::NoRollup
        | ReadError::Tier { .. }
        | ReadError::Nobody(_)
        | ReadError::Sequenced(_) => ChainFault::NotNow(words),
        ReadError::Guard(_) => ChainFault::UnknownTarget(words),
        ReadError::Unguarded(why) => refused(&why, words),
        ReadError::Path(_) | ReadError::L2(_) | ReadError::Endless => ChainFault::Unreadable(words),
        ReadError::Read(why) => refused(&why, words),
    }
}

fn refused(why: &Unreadable, words: String) -> ChainFault {
    match why {
        Unreadable::Unexpected(_) => ChainFault::UnknownTarget(words),
        Unreadable::Wanted(_)
        | Unreadable::Pool(_)
        | Unreadable::Text(_)
        | Unreadable::Arithmetic(_)
        | Unreadable::TooLarge { .. } => ChainFault::Unreadable(words),
    }
}
