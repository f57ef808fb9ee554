//! Both shells over one ledger in memory that can fail: a segment from quote to receipt, and what a full disk does.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix::prelude::*;
use alloy_primitives::Address;
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use protocol::PeerKey;
use protocol::payments::Entry;
use protocol::tickets::sign::TicketKey;
use tokio::sync::mpsc;

use super::Unready;
use super::contracts::ether;
use super::recipient::actor::{Parts as PayeeParts, Payee};
use super::recipient::core::{Ask, Config as PayeeConfig};
use super::recipient::messages as payee;
use super::sender::Unpayable;
use super::sender::actor::{Parts as PayerParts, Payer};
use super::sender::core::Config as PayerConfig;
use super::sender::messages as payer;
use super::world::{ME, PIXELS, PRICE, SESSION, facts, funds, head, receipt};
use crate::clock::Clock;
use crate::ports::payments::{Ledger, LedgerFault, Recall};

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
        let parts = PayerParts {
            ledger: payer_disk.clone(),
            recall: payer_disk.clone(),
            tickets,
            key: key.clone(),
            clock,
        };
        let payer = Payer::new(PayerConfig::new(PRICE, ether(1000), ether(1000)), parts).start();
        let parts =
            PayeeParts { ledger: payee_disk.clone(), recall: payee_disk.clone(), key, winners, clock };
        let payee = Payee::new(PayeeConfig::new(ME), parts).start();
        payer.send(payer::Head(head())).await.unwrap();
        payer.send(payer::Proven(funds())).await.unwrap();
        payee.send(payee::Head(head())).await.unwrap();
        payee.send(payee::Proven(sender, facts())).await.unwrap();
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
        payee::Settle { session: SESSION, receipt: receipt(seq, PIXELS) }
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

#[actix::test]
async fn a_replayed_ticket_is_refused_in_its_own_words_and_the_next_order_is_served() {
    let world = World::new().await;
    world.open().await;
    let pay = |seq| payer::Pay { session: SESSION, seq, pixels: PIXELS };
    let tickets = world.payer.send(pay(1)).await.unwrap().unwrap().tickets;
    let order = |seq| payee::Order {
        sender: world.sender,
        session: SESSION,
        seq,
        pixels: PIXELS,
        tickets: tickets.clone(),
    };
    world.payee.send(order(1)).await.unwrap().unwrap();
    let receipt = world.payee.send(World::settle(1)).await.unwrap().unwrap();
    let refused = world.payee.send(order(2)).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("already seen 1"), "{refused}");
    let received = payer::Received { session: SESSION, receipt, signer: world.signer };
    world.payer.send(received).await.unwrap().unwrap();
    world.order(2).await.unwrap();
}

#[actix::test]
async fn what_an_orchestrator_keeps_is_not_ordered_from_it_again() {
    let world = World::new().await;
    world.open().await;
    world.order(1).await.unwrap();
    let receipt = world.payee.send(World::settle(1)).await.unwrap().unwrap();
    world.payer.send(payer::Withheld { session: SESSION, seq: 1 }).await.unwrap();
    let compare = payee::Compare { sender: world.sender, session: SESSION, theirs: None };
    let (theirs, receipts) = world.payee.send(compare).await.unwrap().unwrap();
    assert_eq!(receipts, [receipt]);
    let forged = payer::Compared { theirs: theirs.clone(), receipts: vec![], signer: PeerKey([7; 32]) };
    assert_eq!(world.payer.send(forged).await.unwrap(), Err(payer::Denied::Foreign));
    let compared = payer::Compared { theirs, receipts, signer: world.signer };
    world.payer.send(compared).await.unwrap().unwrap();
    let pay = payer::Pay { session: SESSION, seq: 2, pixels: PIXELS };
    let refused = world.payer.send(pay).await.unwrap().unwrap_err();
    assert!(matches!(refused, payer::Denied::Unpayable(Unpayable::Distrusted { .. })), "{refused}");
}
