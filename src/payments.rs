//! The money of a node: opens its ledger, starts the books of the sides that it is on, and feeds them with what is proven. Composition
//! only.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use actors::clock::Clock;
use actors::handover::actor::Handover;
use actors::payments::recipient::actor::{Parts as PayeeParts, Payee};
use actors::payments::recipient::core::Config as PayeeConfig;
use actors::payments::recipient::messages::Redeemed;
use actors::payments::sender::actor::{Parts as PayerParts, Payer};
use actors::payments::sender::core::Config as PayerConfig;
use actors::ports::SharedMesh;
use actors::ports::handover::SharedRemote;
use actors::ports::payments::{Ledger as Port, LedgerFault, SharedLedger};
use actors::ports::redeemer::SharedBroker;
use actors::redeemer::actor::Redeemer;
use actors::redeemer::core::Config as RedeemerConfig;
use actors::redeemer::messages::Won;
use actors::supervise::{Group, Slot};
use actors::transcoder::till::Till;
use alloy_primitives::Address;
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::Ledger;
use lightclient::livepeer::Contracts;
use lightclient::sync::LightClient;
use p2p::payment::Counter;
use p2p::pinned::{Pinned, PinnedConfig};
use p2p::{Control, Identity};
use protocol::PricePerPixel;
use protocol::payments::Entry;
use protocol::payments::entry::Winner;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wallet::{Settings, Witness};

use crate::adapters::duties;
use crate::adapters::handover::Remote;
use crate::adapters::ledger::DiskLedger;
use crate::adapters::payments::counter::{self, Desk};
use crate::adapters::payments::facts::{self, Readers, Source};
use crate::adapters::payments::purse::Purse;
use crate::adapters::redeemer::ChainBroker;
use crate::cli::Failure;
use crate::config::Config;
use crate::config::redeemer::RedeemerAt;

/// Directory of the ledger in the data directory.
const LEDGER: &str = "ledger";
/// Directory of the transactions of the key that redeems.
const REDEMPTIONS: &str = "redemptions";
/// Winners that wait for the redeemer; it finds others in the ledger at its next start.
const WINNERS: usize = 64;
/// Time between two questions to a redeemer elsewhere.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What all books of a node share.
pub(crate) struct Money<'a> {
    pub(crate) config: &'a Config,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) control: Control,
    /// The node's own key: signs statements.
    pub(crate) node: Arc<SigningKey>,
    /// Signs receipts, and an orchestrator's statements.
    pub(crate) receipts: Arc<SigningKey>,
    pub(crate) clock: Clock,
}

/// The chain that the money is on.
pub(crate) struct OnChain {
    pub(crate) client: LightClient,
    pub(crate) contracts: Contracts,
    pub(crate) l2: Vec<String>,
    pub(crate) witness: Arc<dyn Witness>,
}

/// What the rest of the node needs of it.
#[derive(Default)]
pub(crate) struct Sides {
    /// Where an orchestrator's work is paid.
    pub(crate) till: Option<Till>,
    /// Who pays for a broadcaster.
    pub(crate) purse: Option<Arc<Purse>>,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

/// Opens the ledger of a node, made first where there is none.
pub(crate) fn open(data_dir: &Path) -> Result<Arc<Ledger>, Failure> {
    let dir = data_dir.join(LEDGER);
    std::fs::create_dir_all(&dir)?;
    let (ledger, _) = Ledger::open(&dir)?;
    Ok(Arc::new(ledger))
}

/// Starts the books of whichever side this node is on.
pub(crate) async fn start(money: Money<'_>, chain: OnChain, group: &Group) -> Result<Sides, Failure> {
    let mut sides = Sides::default();
    let Money { config, .. } = money;
    let Some(accept) = config.chain.as_ref().map(|chain| chain.accept) else { return Ok(sides) };
    let me = config.chain.as_ref().and_then(|chain| chain.orchestrator).filter(|_| config.roles.orchestrator);
    let payee = me.map(|me| (payee(&money, me, group), me));
    let payer = match config.payments.tickets.as_ref().filter(|_| config.roles.broadcaster) {
        Some(key) => {
            let tickets = duties::unlock(key).await?.ticket_key();
            Some((payer(&money, tickets, group), key.address))
        }
        None => None,
    };
    let source = Source { client: chain.client.clone(), accept, contracts: chain.contracts.clone() };
    let readers =
        Readers { payer: payer.clone(), payee: payee.as_ref().map(|((slot, _), me)| (slot.clone(), *me)) };
    let (wants, feeding) = facts::start(source, readers);
    sides.tasks.push(feeding);
    if let Some((slot, sender)) = payer {
        sides.purse = Some(Arc::new(Purse::new(slot, sender, money.control.clone())));
    }
    if let Some(((books, winners), me)) = payee {
        if !config.prices.broadcasters.is_empty() {
            tracing::warn!(asked = %config.orchestrator.price, "price.broadcasters is not quoted yet: all are asked the same");
        }
        let desk = Desk { books: books.clone(), price: config.orchestrator.price, facts: wants };
        sides.tasks.push(tokio::spawn(counter::serve(Counter::open(&money.control)?, desk)));
        sides.tasks.extend(redeemer(&money, chain, me, &books, winners, group).await?);
        sides.till = Some(Till {
            order: books.recipient(),
            settle: books.recipient(),
            release: books.recipient(),
            own: crate::keys::public(&money.node),
            unpaid: config.mesh.allow_unstaked,
        });
    }
    Ok(sides)
}

/// Closes accounts of an earlier run as their orchestrators are met. Ends by itself.
pub(crate) fn close_old(purse: &Arc<Purse>, mesh: SharedMesh, clock: Clock) -> JoinHandle<()> {
    let now_ms = u64::try_from(clock.now().as_millis()).unwrap_or(u64::MAX);
    tokio::spawn(Arc::clone(purse).close_old(mesh, now_ms))
}

fn payer(money: &Money<'_>, tickets: protocol::tickets::sign::TicketKey, group: &Group) -> Slot<Payer> {
    let payments = &money.config.payments;
    let any = PricePerPixel { wei: u64::MAX, pixels: 1 };
    let max_price = money.config.broadcast.max_price.unwrap_or(any);
    let mut rules = PayerConfig::new(max_price, payments.budget_per_stream, payments.budget_per_day);
    rules.terms.max_ticket = payments.max_ticket;
    rules.terms.max_batch = payments.max_segment;
    let disk = Arc::new(DiskLedger::new(Arc::clone(&money.ledger)));
    let parts = PayerParts {
        ledger: disk.clone(),
        recall: disk,
        tickets,
        key: Arc::clone(&money.node),
        clock: money.clock,
    };
    group.keep("payer", move || Payer::new(rules, parts.clone()))
}

fn payee(money: &Money<'_>, me: Address, group: &Group) -> (Slot<Payee>, mpsc::Receiver<Winner>) {
    let payments = &money.config.payments;
    let rules = PayeeConfig {
        max_expected: payments.max_ticket,
        multiplier: payments.multiplier,
        ..PayeeConfig::new(me)
    };
    let disk = Arc::new(DiskLedger::new(Arc::clone(&money.ledger)));
    let (winners, won) = mpsc::channel(WINNERS);
    let parts = PayeeParts {
        ledger: disk.clone(),
        recall: disk,
        key: Arc::clone(&money.receipts),
        winners,
        clock: money.clock,
    };
    (group.keep("payee", move || Payee::new(rules, parts.clone())), won)
}

/// Redeems winners with the key that is configured for it, or hands them to a redeemer elsewhere; without either they stay in the
/// ledger until there is.
async fn redeemer(
    money: &Money<'_>,
    chain: OnChain,
    me: Address,
    books: &Slot<Payee>,
    winners: mpsc::Receiver<Winner>,
    group: &Group,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let config = money.config;
    if let Some(at) = config.orchestrator.redeemer {
        if config.payments.redeemer.is_some() {
            return Err("orchestrator.redeemer and payments.redeemer_key are both given: \
                        winners go to one redeemer, elsewhere or here"
                .into());
        }
        return Ok(Some(pass_on(winners, hand_over(money, at, books, group).await?)));
    }
    let (Some(key), Some(rules)) = (&config.payments.redeemer, &config.chain) else {
        if config.orchestrator.price.wei > 0 {
            tracing::warn!(
                "neither payments.redeemer_key nor orchestrator.redeemer is given: winning tickets wait, \
                 and end after two rounds"
            );
        }
        return Ok(None);
    };
    if rules.caller.as_ref().is_some_and(|caller| caller.address == key.address) {
        return Err(
            "payments.redeemer_key is chain.reward_key: give each its own, that their transactions do not \
                    stand in each other's way"
                .into(),
        );
    }
    let slot_ms = chain.client.config().spec.slot_ms;
    let poll = Duration::from_millis((slot_ms / 12).clamp(20, 1000));
    let broker: SharedBroker = Arc::new(ChainBroker::open(
        &config.data_dir.join(REDEMPTIONS),
        duties::unlock(key).await?,
        (chain.client, rules.accept),
        (chain.contracts, me),
        &chain.l2,
        chain.witness,
        Settings { poll, ..Settings::default() },
    )?);
    let told = told(money, books);
    let (ledger, clock, pace) = (Arc::clone(&money.ledger), money.clock, Duration::from_millis(slot_ms));
    let slot = group.keep("redeemer", move || {
        let rules = RedeemerConfig::default();
        Redeemer::new(rules, entries(&ledger), Arc::clone(&broker), Arc::clone(&told), clock, pace)
    });
    Ok(Some(pass_on(winners, slot.recipient())))
}

/// Keeps winners until a redeemer elsewhere has them on its disk, and asks what became of them.
async fn hand_over(
    money: &Money<'_>,
    at: RedeemerAt,
    books: &Slot<Payee>,
    group: &Group,
) -> Result<Recipient<Won>, Failure> {
    let config = PinnedConfig { listen: None, peers: [(at.peer, Some(at.addr))].into() };
    let identity = Identity::from_signing_key(money.node.as_ref().clone());
    let (line, _) = Pinned::start(config, identity).await?;
    let remote: SharedRemote = Arc::new(Remote::new(line, at.peer));
    let (told, ledger, clock) = (told(money, books), Arc::clone(&money.ledger), money.clock);
    let slot = group.keep("handover", move || {
        Handover::new(entries(&ledger), Arc::clone(&remote), Arc::clone(&told), clock, ASK_EVERY)
    });
    Ok(slot.recipient())
}

fn told(money: &Money<'_>, books: &Slot<Payee>) -> SharedLedger {
    let disk = DiskLedger::new(Arc::clone(&money.ledger));
    Arc::new(Told { disk, payee: books.recipient() })
}

/// Nothing is redeemed by half a ledger: whoever supervises tries again.
fn entries(ledger: &Ledger) -> Vec<Entry> {
    ledger.recall().expect("the open ledger can be read")
}

fn pass_on(mut winners: mpsc::Receiver<Winner>, won: Recipient<Won>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(winner) = winners.recv().await {
            // One that does not arrive is in the ledger, where the next start finds it.
            let _ = won.send(Won(winner)).await;
        }
    })
}

/// The ledger as the redeemer writes it: steps that are on disk are told to the books, which count on what is not paid yet.
#[derive(Debug)]
struct Told {
    disk: DiskLedger,
    payee: Recipient<Redeemed>,
}

impl Port for Told {
    fn commit(&self, entries: Vec<Entry>) -> BoxFuture<'static, Result<(), LedgerFault>> {
        let steps: Vec<Redeemed> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Redemption { ticket, step, .. } => Some(Redeemed(*ticket, step.clone())),
                _ => None,
            })
            .collect();
        let (written, payee) = (self.disk.commit(entries), self.payee.clone());
        async move {
            written.await?;
            for step in steps {
                if payee.try_send(step).is_err() {
                    tracing::debug!("the books hear of a redemption when they are read again");
                }
            }
            Ok(())
        }
        .boxed()
    }
}
