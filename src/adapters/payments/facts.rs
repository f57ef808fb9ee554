//! What payments have to know of the chain, kept up to date: the round, this node's place in it, and what stands behind senders.
//!
//! In flow proven reads at the tier that money accepts; out flow heads and facts for the books of either side. When tiers
//! contradict each other, both sides are told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actors::budget;
use actors::payments::recipient::actor::Payee;
use actors::payments::recipient::messages as payee;
use actors::payments::sender::actor::Payer;
use actors::payments::sender::messages as payer;
use actors::ports::payments::{ChainHead, SenderFacts};
use actors::redeemer::core::Gas;
use actors::supervise::Slot;
use alloy_primitives::{Address, B256, U256};
use lightclient::arbitrum::L2Anchor;
use lightclient::livepeer::layout::bonding_manager;
use lightclient::livepeer::round::{self, Round as RoundRead};
use lightclient::livepeer::sender;
use lightclient::livepeer::{Contracts, Hint, Unreadable};
use lightclient::proven::Accept;
use lightclient::state::{Keys, StateView};
use lightclient::sync::{Alarm, LightClient, ReadError};
use protocol::tickets::terms::Funds;
use protocol::{Round, Wei};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, timeout};

use crate::adapters::redeemer::situation;

/// Senders that may wait to be read; more are told to come again.
const WAITING: usize = 64;
/// Senders that are read at once: each is about ten words with their proofs.
const AT_ONCE: usize = 64;
/// Times that a block is read: each goes on with what was proven of it before.
const TRIES: u32 = 4;
/// Least and most time between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(6));

/// Whom the facts are for.
#[derive(Debug)]
pub(crate) struct Readers {
    /// A broadcaster's books, and the address that its tickets name.
    pub(crate) payer: Option<(Slot<Payer>, Address)>,
    /// An orchestrator's books, and the address that is paid.
    pub(crate) payee: Option<(Slot<Payee>, Address)>,
}

/// Where the facts are from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) client: LightClient,
    /// What is enough for money.
    pub(crate) accept: Accept,
    pub(crate) contracts: Contracts,
}

/// Asks for a sender to be read soon. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Wants(mpsc::Sender<(Address, oneshot::Sender<()>)>);

/// All of it at one block.
#[derive(Clone, Debug, Default)]
struct Found {
    head: ChainHead,
    senders: BTreeMap<Address, SenderFacts>,
}

impl Wants {
    /// Resolves when the sender was read, or could not be.
    pub(crate) async fn read(&self, sender: Address) {
        let (done, wait) = oneshot::channel();
        if self.0.try_send((sender, done)).is_ok() {
            let _ = wait.await;
        }
    }
}

/// Starts to read; the task ends when it is aborted.
pub(crate) fn start(source: Source, readers: Readers) -> (Wants, tokio::task::JoinHandle<()>) {
    let (want, wanted) = mpsc::channel(WAITING);
    let feed = Feed { source, readers: Arc::new(readers), last: None };
    (Wants(want), tokio::spawn(feed.run(wanted)))
}

struct Feed {
    source: Source,
    readers: Arc<Readers>,
    /// What was told last, and of which L2 block.
    last: Option<(u64, Found)>,
}

impl Feed {
    async fn run(mut self, mut wanted: mpsc::Receiver<(Address, oneshot::Sender<()>)>) {
        let slot = Duration::from_millis(self.source.client.config().spec.slot_ms);
        let mut look = tokio::time::interval((slot / 2).clamp(LOOK.0, LOOK.1));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut waiting = Vec::new();
            tokio::select! {
                _ = look.tick() => {}
                // On a side that never asks, nobody holds the other end.
                Some(want) = wanted.recv() => waiting.push(want),
            }
            while let Some(want) = wanted.try_recv().ok().filter(|_| waiting.len() < AT_ONCE) {
                waiting.push(want);
            }
            let asked = waiting.iter().map(|(sender, _)| *sender).collect();
            self.look(asked).await;
            for (_, done) in waiting {
                let _ = done.send(());
            }
        }
    }

    async fn look(&mut self, asked: BTreeSet<Address>) {
        let status = self.source.client.status();
        if let Some(conflict) = status.alarms.iter().find(|alarm| matches!(alarm, Alarm::Conflict { .. })) {
            tracing::error!(%conflict, "payments stop");
            self.last = None;
            return self.readers.doubt().await;
        }
        let heads = [status.optimistic.as_ref(), status.finalized.as_ref()];
        let l1_now = heads.into_iter().flatten().filter_map(|head| head.block).max().unwrap_or(0);
        let takes = status.anchors.iter().filter(|anchor| self.source.accept.takes(anchor.tier));
        let newest = takes.map(|anchor| anchor.l2_block).max();
        let senders: BTreeSet<Address> = self.readers.senders().await.union(&asked).copied().collect();
        let known = |found: &Found| senders.iter().all(|sender| found.senders.contains_key(sender));
        match &mut self.last {
            Some((block, found)) if newest.is_none_or(|newest| newest <= *block) && known(found) => {
                if found.head.l1_block < l1_now {
                    found.head.l1_block = l1_now;
                    self.readers.head(found.head).await;
                }
            }
            _ => match self.source.read(self.readers.me(), &senders).await {
                Ok((block, mut found)) => {
                    found.head.l1_block = found.head.l1_block.max(l1_now);
                    self.readers.tell(&found).await;
                    self.last = Some((block, found));
                }
                Err(error) => tracing::debug!(%error, "payments wait for proven state"),
            },
        }
    }
}

impl Readers {
    fn me(&self) -> Option<Address> {
        self.payee.as_ref().map(|(_, me)| *me)
    }

    /// Whose funds the books depend on.
    async fn senders(&self) -> BTreeSet<Address> {
        let mut all: BTreeSet<Address> = self.payer.iter().map(|(_, own)| *own).collect();
        if let Some((payee, _)) = &self.payee {
            let asked = timeout(budget::ASK, payee.recipient().send(payee::Senders)).await;
            all.extend(asked.ok().and_then(Result::ok).into_iter().flatten());
        }
        all
    }

    async fn tell(&self, found: &Found) {
        self.head(found.head).await;
        if let Some((payer, own)) = &self.payer
            && let Some(facts) = found.senders.get(own)
        {
            let SenderFacts { deposit, reserve, withdraw_round, .. } = *facts;
            let funds = payer::Proven(Funds { deposit, reserve, withdraw_round });
            let _ = timeout(budget::ASK, payer.recipient().send(funds)).await;
        }
        if let Some((payee, _)) = &self.payee {
            for (sender, facts) in &found.senders {
                let proven = payee::Proven(*sender, *facts);
                let _ = timeout(budget::ASK, payee.recipient().send(proven)).await;
            }
        }
    }

    async fn head(&self, head: ChainHead) {
        if let Some((payer, _)) = &self.payer {
            let _ = timeout(budget::ASK, payer.recipient().send(payer::Head(head))).await;
        }
        if let Some((payee, _)) = &self.payee {
            let _ = timeout(budget::ASK, payee.recipient().send(payee::Head(head))).await;
        }
    }

    async fn doubt(&self) {
        if let Some((payer, _)) = &self.payer {
            let _ = timeout(budget::ASK, payer.recipient().send(payer::Doubt)).await;
        }
        if let Some((payee, _)) = &self.payee {
            let _ = timeout(budget::ASK, payee.recipient().send(payee::Doubt)).await;
        }
    }
}

impl Source {
    /// Reads everything at one block; its number comes with it.
    async fn read(
        &self,
        me: Option<Address>,
        senders: &BTreeSet<Address>,
    ) -> Result<(u64, Found), ReadError<Unreadable>> {
        let mut tries = 1;
        loop {
            let mut keys = round::keys(&self.contracts, &Hint::default());
            for address in senders {
                for (contract, slots) in sender::keys(&self.contracts, *address, me, &Hint::default()) {
                    keys.entry(contract).or_default().extend(slots);
                }
            }
            let contracts = &self.contracts;
            let read = self.client.read(self.accept, keys, |view, anchor| {
                found(view, anchor, contracts, me, senders).map(|found| (anchor.header.number, found))
            });
            match read.await {
                Err(ReadError::Endless) if tries < TRIES => tries += 1,
                read => return read.map(|proven| proven.value),
            }
        }
    }
}

fn found(
    view: &dyn StateView,
    anchor: &L2Anchor,
    contracts: &Contracts,
    me: Option<Address>,
    senders: &BTreeSet<Address>,
) -> Result<Found, Unreadable> {
    let (l1_block, l2_block) = (anchor.nitro.l1_block, anchor.header.number);
    let round = round::read(view, contracts, l1_block)?;
    let (active, active_next) = match me {
        Some(me) => activity(view, contracts, me, &round)?,
        None => (false, false),
    };
    let bonding = |slot| word(view, contracts.bonding_manager, slot);
    let cost =
        U256::from(Gas::default().single).saturating_mul(U256::from(anchor.header.base_fee.unwrap_or(0)));
    let (number, hash) = begun(&round);
    let head = ChainHead {
        l1_block,
        round: number,
        round_hash: hash,
        round_end_block: round.end_block,
        pool_size: bonding(bonding_manager::POOL_SIZE)?.saturating_to(),
        next_pool_size: bonding(bonding_manager::POOL_MAX_SIZE)?.saturating_to(),
        active,
        active_next,
        redeem_cost: Wei(cost),
        redeem_cost_on_average: Wei(cost),
    };
    let mut all = BTreeMap::new();
    for address in senders {
        let read = sender::read(view, contracts, *address, me, l1_block)?;
        all.insert(*address, situation::facts(&read, l1_block, l2_block));
    }
    Ok(Found { head, senders: all })
}

/// The round that tickets can name: the current one, or the one before while nobody has begun it. No hash, no tickets.
fn begun(round: &RoundRead) -> (Round, B256) {
    if round.paused {
        return (round.number, B256::ZERO);
    }
    let before = round.last_initialized;
    match (round.initialized, before.next() == round.number) {
        (true, _) => (round.number, round.block_hash.unwrap_or_default()),
        (false, true) => (before, round.previous_block_hash.unwrap_or_default()),
        (false, false) => (round.number, B256::ZERO),
    }
}

/// Whether this orchestrator is active in the round that tickets name, and in the next.
fn activity(
    view: &dyn StateView,
    contracts: &Contracts,
    me: Address,
    round: &RoundRead,
) -> Result<(bool, bool), Unreadable> {
    let slots = bonding_manager::transcoder(me);
    let bonding = |slot| word(view, contracts.bonding_manager, slot);
    let (from, until) = (bonding(slots.activation_round())?, bonding(slots.deactivation_round())?);
    let (made, _) = begun(round);
    let at = |round: Round| from <= round.to_word() && round.to_word() < until;
    Ok((at(made), at(made.next())))
}

fn word(view: &dyn StateView, contract: Address, slot: B256) -> Result<U256, Unreadable> {
    view.storage(contract, slot).map_err(|missing| {
        let mut keys = Keys::new();
        missing.ask(&mut keys);
        Unreadable::Wanted(keys)
    })
}
