//! Winning tickets on a devnet, redeemed with real transactions by proven state, with what goes wrong on a real one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use actors::clock::Clock;
use actors::redeemer::actor::Redeemer;
use actors::redeemer::core::Config;
use actors::redeemer::messages::{GetStanding, Standing, Stop, Won};
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use fixtures::devnet::{Config as DevnetConfig, Devnet, Pace};
use ledger::Ledger;
use lightclient::source::beacon::BeaconSource;
use lightclient::source::execution::ExecutionSource;
use lightclient::source::{Layer, Source, http};
use lightclient::sync::{Checkpoint, Config as Client, Trust};
use protocol::Round;
use protocol::chain::abi::decode;
use protocol::chain::call::{Broker as BrokerCall, Redemption};
use protocol::chain::{Call as ChainCall, Contract};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption as Step};
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{Ticket, rand_hash};

use super::*;
use crate::adapters::ledger::DiskLedger;
use crate::adapters::witness::ChainWitness;

mod fees;

/// Wei of one ticket: four hundred of them are the first sender's deposit.
const FACE: u64 = 2_500_000_000_000_000;

fn winner(
    key: &TicketKey,
    recipient: Address,
    nonce: u64,
    (round, hash): (Round, B256),
    until: u64,
) -> Winner {
    let recipient_rand = U256::from(nonce + 1);
    let ticket = Ticket {
        recipient,
        sender: key.address(),
        face_value: U256::from(FACE),
        win_prob: U256::MAX,
        sender_nonce: U256::from(nonce),
        recipient_rand_hash: rand_hash(recipient_rand),
        aux_data: Ticket::aux(round, hash),
    };
    Winner {
        session: SessionId([1; 16]),
        signature: key.sign(&ticket),
        ticket,
        recipient_rand,
        expiration_block: until,
        creation_round: round,
        credited: true,
        at_ms: 0,
    }
}

#[test]
fn calldata_is_what_the_contract_reads() {
    let key = TicketKey::from_bytes(&[3; 32]).unwrap();
    let at = (Round(5), B256::repeat_byte(6));
    let all: Vec<Winner> = (0..3).map(|n| winner(&key, Address::repeat_byte(1), n, at, 0)).collect();
    let redemption = |one: &Winner| Redemption {
        ticket: one.ticket.clone(),
        signature: one.signature.to_vec().into(),
        recipient_rand: one.recipient_rand,
    };
    let single = decode(Contract::TicketBroker, &calldata::redeem(&all[..1])).unwrap();
    assert_eq!(single, ChainCall::Broker(BrokerCall::Redeem(Box::new(redemption(&all[0])))));
    let batch = decode(Contract::TicketBroker, &calldata::redeem(&all)).unwrap();
    assert_eq!(batch, ChainCall::Broker(BrokerCall::RedeemBatch(all.iter().map(redemption).collect())));
}

/// Moves without this thread, so that actors and chains do not wait for each other.
struct Elsewhere {
    runtime: Option<tokio::runtime::Runtime>,
    devnet: Arc<Devnet>,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Elsewhere {
    async fn start(round_length: u64, history: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut config = DevnetConfig { history, pace: Pace::Wall, ..DevnetConfig::default() };
        (config.settings.slot_ms, config.settings.round_length) = (500, round_length);
        let devnet = runtime.spawn(Devnet::start(config)).await.unwrap().unwrap();
        Self { runtime: Some(runtime), devnet: Arc::new(devnet) }
    }

    async fn client(&self) -> (LightClient, Arc<ChainWitness>) {
        let devnet = Arc::clone(&self.devnet);
        let started = self.runtime.as_ref().unwrap().spawn(async move {
            let trust = Trust::Given(Checkpoint { root: devnet.checkpoint, slot: None });
            let config = Client {
                rollup: Some(devnet.rollup.clone()),
                contracts: Some(devnet.contracts.clone()),
                ..Client::new(devnet.spec.clone(), trust)
            };
            let (l1, l2) = (http::Settings::new(&devnet.l1_url), http::Settings::new(&devnet.l2_url));
            let spec = Some(Arc::new(devnet.spec.clone()));
            let sources: Vec<Arc<dyn Source>> = vec![
                Arc::new(BeaconSource::new(http::Settings::new(&devnet.beacon_url), spec).unwrap()),
                Arc::new(ExecutionSource::new(l1, Layer::L1, None).unwrap()),
                Arc::new(ExecutionSource::new(l2, Layer::L2, None).unwrap()),
            ];
            let client = LightClient::start(config, sources.clone()).unwrap();
            client.wait_anchored().await.unwrap();
            let witness = Arc::new(ChainWitness::new(client.clone(), sources));
            (client, witness)
        });
        started.await.unwrap()
    }

    /// Deposit and reserve of a sender.
    fn purse(&self, of: Address) -> (U256, U256) {
        self.devnet.with(|world| {
            let broker = &world.livepeer.chain.broker;
            (broker.senders.at(&of).deposit, broker.reserve_funds.at(&of))
        })
    }
}

fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut all = Vec::new();
    ledger.each(0, |_, entry| all.push(entry.clone())).unwrap();
    all
}

fn redeemer(
    chains: &Elsewhere,
    (client, witness): (LightClient, Arc<ChainWitness>),
    dir: &Path,
    ledger: &Arc<Ledger>,
    recipient: Address,
) -> Addr<Redeemer> {
    let devnet = &chains.devnet;
    let gas_key = devnet.with(|world| world.livepeer.funded[3].secret);
    let signer: Signer = PrivateKeySigner::from_bytes(&gas_key).unwrap().into();
    let settings = Settings {
        agree: 1,
        poll: Duration::from_millis(200),
        poll_included: Duration::from_millis(500),
        escalate_after: Duration::from_secs(4),
        ..Settings::default()
    };
    // The first of them is dead.
    let l2 = ["http://127.0.0.1:9".to_owned(), devnet.l2_url.clone()];
    let contracts = (devnet.contracts.clone(), recipient);
    let chain = (client, Accept::Sequenced { agree: 1 });
    let broker = ChainBroker::open(dir, signer, chain, contracts, &l2, witness, settings).unwrap();
    let config = Config { max_orders: 24, ..Config::default() };
    let disk = Arc::new(DiskLedger::new(Arc::clone(ledger)));
    let pace = Duration::from_millis(500);
    Redeemer::new(config, entries(ledger), Arc::new(broker), disk, Clock::new(), pace).start()
}

async fn until(
    redeemer: &Addr<Redeemer>,
    what: &str,
    limit: Duration,
    enough: impl Fn(&Standing) -> bool,
) -> Standing {
    let began = Instant::now();
    loop {
        let standing = redeemer.send(GetStanding).await.unwrap();
        if enough(&standing) {
            return standing;
        }
        assert!(began.elapsed() < limit, "{what}: {standing:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// What the ledger says: tickets redeemed, from deposits, from reserves, gas; and those lost.
fn sums(entries: &[Entry], sender: Address) -> (u64, U256, U256, u64) {
    let mut sums = (0, U256::ZERO, U256::ZERO, 0);
    let mine: std::collections::BTreeSet<B256> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Winner(w) if w.ticket.sender == sender => Some(w.id()),
            _ => None,
        })
        .collect();
    for entry in entries {
        let Entry::Redemption { ticket, step, .. } = entry else { continue };
        if !mine.contains(ticket) {
            continue;
        }
        match step {
            Step::Redeemed { from_deposit, from_reserve, gas, .. } => {
                sums.0 += 1;
                sums.1 += from_deposit.0;
                sums.2 += from_reserve.0;
                assert!(gas.0 < from_deposit.0 + from_reserve.0, "a redemption at a loss");
            }
            Step::Expired | Step::Dropped { .. } => sums.3 += 1,
            Step::Queued | Step::Sent { .. } | Step::Reopened => {}
        }
    }
    sums
}

/// So many tickets of two senders through dear gas, a reorganisation, a dead endpoint and a restart.
async fn redeemed(each: u64, round_length: u64, limit: Duration) {
    let chains = Elsewhere::start(round_length, 40).await;
    let devnet = Arc::clone(&chains.devnet);
    let client = chains.client().await;
    let recipient = devnet.with(|world| world.livepeer.orchestrators[0].address);
    let keys: Vec<TicketKey> = devnet.with(|world| {
        world.livepeer.senders.iter().map(|s| TicketKey::from_bytes(&s.secret.0).unwrap()).collect()
    });
    let before: Vec<(U256, U256)> = keys.iter().map(|key| chains.purse(key.address())).collect();
    let (made, l1) = devnet.with(|world| {
        let chain = &world.livepeer.chain;
        let round = *chain.rounds.last_initialized_round;
        ((round, chain.rounds.block_hash_for_round.at(&round)), world.l1.chain.next_number())
    });
    let winners: Vec<Winner> =
        keys.iter().flat_map(|key| (0..each).map(|n| winner(key, recipient, n, made, l1))).collect();
    let dir = tempfile::tempdir().unwrap();
    let (books, _) = Ledger::open(&dir.path().join("ledger")).unwrap();
    let books = Arc::new(books);
    let wallets = dir.path().join("wallet");
    // Gas costs a tenth of a ticket at first: no loss, and not cheap.
    devnet.set_base_fee(FACE / 224_000 / 10);
    let began = Instant::now();
    let first = redeemer(&chains, client.clone(), &wallets, &books, recipient);
    for one in &winners {
        books.commit(vec![Entry::Winner(one.clone())]).wait().unwrap();
        first.send(Won(one.clone())).await.unwrap();
    }
    let all = winners.len() as u64;
    let standing = until(&first, "queued", limit, |s| s.waiting + s.in_flight == all).await;
    assert_eq!(standing.redeemed, 0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(first.send(GetStanding).await.unwrap().in_flight, 0, "dear gas is waited out");
    // Nothing gets into a block until the restart, so that orders are under way in it on any machine.
    devnet.hold_transactions(true);
    devnet.set_base_fee(10_000_000);
    until(&first, "under way", limit, |s| s.in_flight > 0).await;
    first.send(Stop).await.unwrap();
    drop(first);
    tokio::time::sleep(Duration::from_millis(500)).await;
    devnet.hold_transactions(false);
    let second = redeemer(&chains, client, &wallets, &books, recipient);
    until(&second, "first ones", limit, |s| s.redeemed > 0).await;
    println!("{} L2 blocks taken back", devnet.reorg_l2(2));
    let standing = until(&second, "all", limit, |s| s.waiting + s.in_flight == 0).await;
    println!("{all} tickets in {:?}; since the restart {standing:?}", began.elapsed());
    let entries = entries(&books);
    for (key, (deposit, reserve)) in keys.iter().zip(before) {
        let (redeemed, from_deposit, from_reserve, lost) = sums(&entries, key.address());
        println!("{}: {redeemed} redeemed, {from_deposit} + {from_reserve} wei, {lost} lost", key.address());
        assert_eq!((redeemed, lost), (each, 0));
        assert_eq!(from_deposit + from_reserve, U256::from(FACE) * U256::from(each), "all in full");
        assert_eq!(
            chains.purse(key.address()),
            (deposit - from_deposit, reserve - from_reserve),
            "to the wei"
        );
    }
}

#[actix::test]
async fn winners_are_redeemed_through_a_fee_spike_a_reorganisation_a_dead_endpoint_and_a_restart() {
    redeemed(30, 400, Duration::from_secs(180)).await;
}
