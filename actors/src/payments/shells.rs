//! Both shells over one ledger in memory that can fail: a segment from quote to receipt, and what a full disk does.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix::prelude::*;
use alloy_primitives::{Address, B256, U256};
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::Funds;
use protocol::{Hash, PeerKey, PricePerPixel, Round, SegmentId, Wei};
use tokio::sync::mpsc;

use super::Unready;
use super::recipient::actor::{Parts as PayeeParts, Payee};
use super::recipient::core::{Ask, Config as PayeeConfig};
use super::recipient::messages as payee;
use super::sender::actor::{Parts as PayerParts, Payer};
use super::sender::core::Config as PayerConfig;
use super::sender::messages as payer;
use crate::clock::Clock;
use crate::ports::payments::{ChainHead, Ledger, LedgerFault, Recall, SenderFacts};

const PRICE: PricePerPixel = PricePerPixel { wei: 1200, pixels: 1 };
const PIXELS: u64 = 1_000_000;
const ME: Address = Address::repeat_byte(0x0e);
const SESSION: SessionId = SessionId([1; 16]);

#[derive(Debug, Default)]
struct Memory {
    entries: Mutex<Vec<Entry>>,
    full: AtomicBool,
}

impl Ledger for Memory {
    fn commit(&self, entries: Vec<Entry>) -> BoxFuture<'static, Result<(), LedgerFault>> {
        if self.full.load(Ordering::Relaxed) {
            return futures::future::ready(Err(LedgerFault("the disk is full".into()))).boxed();
        }
        self.entries.lock().unwrap().extend(entries);
        futures::future::ready(Ok(())).boxed()
    }
}

impl Recall for Memory {
    fn entries(&self) -> BoxFuture<'static, Result<Vec<Entry>, LedgerFault>> {
        futures::future::ready(Ok(self.entries.lock().unwrap().clone())).boxed()
    }
}

fn head() -> ChainHead {
    let cost = Wei(U256::from(12_000_000_000_000_u64));
    ChainHead {
        l1_block: 1000,
        round: Round(7),
        round_hash: B256::repeat_byte(7),
        round_end_block: 5000,
        pool_size: 4,
        next_pool_size: 4,
        active: true,
        active_next: true,
        redeem_cost: cost,
        redeem_cost_on_average: cost,
    }
}

struct World {
    payer: Addr<Payer>,
    payee: Addr<Payee>,
    sender: Address,
    payer_disk: Arc<Memory>,
    payee_disk: Arc<Memory>,
    signer: PeerKey,
    _winners: mpsc::Receiver<protocol::payments::entry::Winner>,
}

impl World {
    async fn new() -> Self {
        let (payer_disk, payee_disk) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
        let tickets = TicketKey::from_bytes(&[3; 32]).unwrap();
        let sender = tickets.address();
        let key = Arc::new(SigningKey::from_bytes(&[4; 32]));
        let signer = PeerKey(key.verifying_key().to_bytes());
        let (winners, _winners) = mpsc::channel(4);
        let clock = Clock::new();
        let ether = Wei(U256::from(10_u64).pow(U256::from(18)));
        let parts = PayerParts {
            ledger: payer_disk.clone(),
            recall: payer_disk.clone(),
            tickets,
            key: key.clone(),
            clock,
        };
        let payer = Payer::new(PayerConfig::new(PRICE, ether, ether), parts).start();
        let parts =
            PayeeParts { ledger: payee_disk.clone(), recall: payee_disk.clone(), key, winners, clock };
        let payee = Payee::new(PayeeConfig::new(ME), parts).start();
        let funds = Funds { deposit: ether, reserve: ether, withdraw_round: Round(0) };
        let facts = SenderFacts {
            l1_block: 1000,
            round: Round(7),
            deposit: ether,
            reserve: ether,
            ..Default::default()
        };
        payer.send(payer::Head(head())).await.unwrap();
        payer.send(payer::Proven(funds)).await.unwrap();
        payee.send(payee::Head(head())).await.unwrap();
        payee.send(payee::Proven(sender, facts)).await.unwrap();
        Self { payer, payee, sender, payer_disk, payee_disk, signer, _winners }
    }

    async fn open(&self) {
        let stream = "s".parse().unwrap();
        let open = payer::Open { session: SESSION, stream, recipient: ME, price: PRICE };
        self.payer.send(open).await.unwrap().unwrap();
        let ask = Ask { session: SESSION, sender: self.sender, stream: None, pixels: PIXELS, price: PRICE };
        let quote = self.payee.send(payee::AskQuote(ask)).await.unwrap().unwrap();
        self.payer.send(payer::Quoted(quote)).await.unwrap().unwrap();
    }

    async fn order(&self, seq: u64) -> Result<(), payee::Denied> {
        let paid =
            self.payer.send(payer::Pay { session: SESSION, seq, pixels: PIXELS }).await.unwrap().unwrap();
        let order = payee::Order {
            sender: self.sender,
            session: SESSION,
            seq,
            pixels: PIXELS,
            tickets: paid.tickets,
        };
        self.payee.send(order).await.unwrap().map(|_| ())
    }

    fn settle(seq: u64) -> payee::Settle {
        let segment = SegmentId { stream: "s".parse().unwrap(), seq };
        let renditions = vec![(Hash::of(b"out"), PIXELS)];
        payee::Settle { session: SESSION, receipt: Receipt { segment, source: Hash::of(b"in"), renditions } }
    }
}

#[actix::test]
async fn a_segment_goes_from_quote_to_receipt_and_both_disks_know_of_it() {
    let world = World::new().await;
    world.open().await;
    world.order(1).await.unwrap();
    let receipt = world.payee.send(World::settle(1)).await.unwrap().unwrap();
    let received = payer::Received { session: SESSION, receipt: receipt.clone(), signer: world.signer };
    let foreign = payer::Received { signer: PeerKey([7; 32]), ..received.clone() };
    assert_eq!(world.payer.send(foreign).await.unwrap(), Err(payer::Denied::Foreign));
    world.payer.send(received).await.unwrap().unwrap();
    let of = |disk: &Memory, what: fn(&Entry) -> bool| disk.entries.lock().unwrap().iter().any(what);
    assert!(of(&world.payer_disk, |entry| matches!(entry, Entry::Receipt(_))));
    assert!(of(&world.payee_disk, |entry| matches!(entry, Entry::Debit(_))));
    let ours = world.payer.send(payer::State(SESSION)).await.unwrap().unwrap();
    let compare =
        payee::Compare { sender: world.sender, session: SESSION, theirs: Some((ours.clone(), world.signer)) };
    let (theirs, lacking) = world.payee.send(compare).await.unwrap().unwrap();
    assert_eq!((theirs.statement.credited, lacking.len()), (ours.statement.credited, 0));
}

#[actix::test]
async fn a_full_disk_credits_nothing_and_the_books_go_on_from_what_was_written() {
    tokio::time::pause();
    let world = World::new().await;
    world.open().await;
    world.payee_disk.full.store(true, Ordering::Relaxed);
    let denied = world.order(1).await.unwrap_err();
    assert!(matches!(denied, payee::Denied::Unready(Unready::Ledger(_))), "{denied}");
    world.payee_disk.full.store(false, Ordering::Relaxed);
    let compare = payee::Compare { sender: world.sender, session: SESSION, theirs: None };
    let (theirs, _) = loop {
        match world.payee.send(compare.clone()).await.unwrap() {
            Err(payee::Denied::Unready(_)) => {
                tokio::time::advance(std::time::Duration::from_millis(500)).await
            }
            other => break other.unwrap(),
        }
    };
    assert_eq!(theirs.statement.tickets, 0, "what was not written was not credited");
    world.payer.send(payer::Lost { session: SESSION, seq: 1 }).await.unwrap();
    let compared = payer::Compared { theirs, receipts: vec![], signer: world.signer };
    let healed = world.payer.send(compared).await.unwrap().unwrap();
    assert!(matches!(healed, super::sender::core::Healed::Resend(_)));
}
