//! Builds what `livemesh redeemer` runs: a light client, a wallet with a key that holds only gas, a ledger of its own, and a door
//! for the nodes that are pinned. Composition only.

use std::sync::Arc;
use std::time::Duration;

use actors::clock::Clock;
use actors::ports::redeemer::SharedBroker;
use actors::redeemer::actor::Redeemer;
use actors::redeemer::core::Config;
use actors::redeemer::messages::{GetStanding, Standing, Stop};
use actors::supervise::{Group, Policy, Slot};
use alloy_primitives::Address;
use ledger::{Ledger, SegmentsError};
use lightclient::sync::LightClient;
use p2p::Identity;
use p2p::pinned::{self, Pinned, PinnedConfig};
use protocol::payments::Entry;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::desk::{Desk, Steps};
use crate::adapters::duties;
use crate::adapters::ledger::DiskLedger;
use crate::adapters::redeemer::{self as broker, ChainBroker};
use crate::adapters::witness::ChainWitness;
use crate::cli::Failure;
use crate::config::redeemer::Redeemer as Settings;
use crate::keys;

mod desk;

/// Least and most time between two looks at the chain.
const PACE_MS: (u64, u64) = (100, 12_000);

/// Where a started redeemer can be reached. The first line of `livemesh redeemer --json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ready {
    /// What a node's `orchestrator.redeemer` must say.
    pub(crate) address: String,
    /// Its own peer id.
    pub(crate) peer_id: String,
    /// For whom it redeems.
    pub(crate) recipient: Address,
    /// The key that pays gas.
    pub(crate) key: Address,
    /// The network whose chain is followed.
    pub(crate) chain: String,
}

/// A running redeemer.
pub(crate) struct Running {
    pub(crate) ready: Ready,
    /// Changes to a reason when it could not be kept alive.
    pub(crate) fatal: watch::Receiver<Option<String>>,
    redeemer: Slot<Redeemer>,
    group: Group,
    client: LightClient,
    door: JoinHandle<()>,
}

/// Starts everything that `settings` ask for.
pub(crate) async fn start(settings: Settings) -> Result<Running, Failure> {
    let identity = Identity::from_signing_key(keys::load_or_create(&settings.data_dir)?);
    if settings.nodes.is_empty() {
        return Err(format!(
            "no node may hand over winners: name them with --node (livemesh node prints its peer id); this redeemer's is {}",
            identity.peer_id()
        )
        .into());
    }
    let (books, opened) = Ledger::open(&settings.data_dir.join("ledger"))?;
    tracing::info!(entries = opened.entries, "ledger opened");
    let books = Arc::new(books);
    let signer = duties::unlock(&settings.key).await?;
    let plan = crate::chain::plan(&settings.chain, true).await?;
    let contracts = plan.config.contracts.clone().ok_or("this network has no Livepeer contracts")?;
    let (network, slot_ms) = (plan.config.spec.name.clone(), plan.config.spec.slot_ms);
    let client = LightClient::start(plan.config, plan.sources.clone())?;
    let witness = Arc::new(ChainWitness::new(client.clone(), plan.sources));
    let broker: SharedBroker = Arc::new(ChainBroker::open(
        &settings.data_dir.join("wallet"),
        signer,
        (client.clone(), settings.chain.accept),
        (contracts, settings.recipient),
        &plan.l2,
        witness,
        broker::wallet_settings(slot_ms, settings.chain.accept),
    )?);

    let steps = Steps::new(DiskLedger::new(Arc::clone(&books)), &entries(&books)?);
    let pace = Duration::from_millis(slot_ms.clamp(PACE_MS.0, PACE_MS.1));
    let (fatal, fatal_seen) = watch::channel(None);
    let group = Group::new("redeemer", Policy::default(), move |why| {
        fatal.send_replace(Some(why.to_string()));
    });
    let (clock, disk) = (Clock::new(), steps.clone());
    let redeemer = group.keep("redeemer", move || {
        let entries = entries(&books).expect("a ledger that was opened can be read");
        let (broker, disk) = (Arc::clone(&broker), Arc::new(disk.clone()));
        Redeemer::new(Config::default(), entries, broker, disk, clock, pace)
    });

    let peers = settings.nodes.iter().map(|node| (*node, None)).collect();
    let config = PinnedConfig { listen: Some(settings.listen), peers };
    let (line, asked) = Pinned::start(config, identity.clone()).await?;
    let at = line.local_addr().unwrap_or(settings.listen);
    let desk = Desk { recipient: settings.recipient, steps, redeemer: redeemer.recipient() };
    let door = tokio::spawn(async move {
        desk.serve(asked).await;
        drop(line);
    });
    let ready = Ready {
        address: pinned::address(identity.peer_key(), &at).to_string(),
        peer_id: identity.peer_id().to_string(),
        recipient: settings.recipient,
        key: settings.key.address,
        chain: network,
    };
    Ok(Running { ready, fatal: fatal_seen, redeemer, group, client, door })
}

impl Running {
    /// How it goes; none while it is being restarted.
    pub(crate) async fn standing(&self) -> Option<Standing> {
        self.redeemer.recipient().send(GetStanding).await.ok()
    }

    /// Takes nothing more, and returns when nothing is being written any more. What was signed may still happen; the next start
    /// goes on with it.
    pub(crate) async fn stop(self) {
        self.door.abort();
        // An error means that it is down.
        let _ = self.redeemer.recipient().send(Stop).await;
        self.group.stop().await;
        self.client.stop().await;
    }
}

fn entries(books: &Ledger) -> Result<Vec<Entry>, SegmentsError> {
    let mut all = Vec::new();
    books.each(0, |_, entry| all.push(entry.clone()))?;
    Ok(all)
}
