//! Segments paid through the actors of both sides, each with a ledger of its own: what an order, its credit, its settling and its
//! receipt add to the work itself.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use actors::clock::Clock;
use actors::payments::recipient::actor::{Parts as PayeeParts, Payee};
use actors::payments::recipient::core::{Ask, Config as PayeeConfig};
use actors::payments::recipient::messages as payee;
use actors::payments::sender::actor::{Parts as PayerParts, Payer};
use actors::payments::sender::core::Config as PayerConfig;
use actors::payments::sender::messages as payer;
use alloy_primitives::Address;
use ed25519_dalek::SigningKey;
use ledger::{GROUP_EVERY, Ledger};
use protocol::receipt::Receipt;
use protocol::tickets::terms::Funds;
use protocol::{Hash, PeerKey, Round, SegmentId};
use tokio::sync::mpsc;

use super::tickets::{PIXELS, PRICE, RECIPIENT, SESSION, ether, funds, head, key};
use crate::adapters::ledger::DiskLedger;
use crate::cli::Failure;

/// The work itself takes longer than this, so that a ledger is never met in the rest between two of its groups.
const WORK: Duration = Duration::from_millis(GROUP_EVERY.as_millis() as u64 + 2);

/// What payments added to each segment, ascending.
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// The time that this share of all segments did not exceed.
    pub(super) fn at(&self, share: f64) -> Duration {
        let place = (share * self.0.len() as f64).ceil() as usize;
        self.0[place.clamp(1, self.0.len()) - 1]
    }
}

struct Sides {
    payer: Addr<Payer>,
    payee: Addr<Payee>,
    sender: Address,
    signer: PeerKey,
    _winners: mpsc::Receiver<protocol::payments::entry::Winner>,
}

/// Pays segments one after the other; ledgers lie in `dir`.
pub(super) async fn paid(dir: &Path, segments: u32) -> Result<Times, Failure> {
    let sides = Sides::start(dir).await?;
    let mut times = Vec::new();
    for seq in 1..=u64::from(segments) {
        times.push(sides.segment(seq).await?);
    }
    times.sort_unstable();
    Ok(Times(times))
}

impl Sides {
    async fn start(dir: &Path) -> Result<Self, Failure> {
        let ledger = |name| {
            Ledger::open(&dir.join(name)).map(|(ledger, _)| Arc::new(DiskLedger::new(Arc::new(ledger))))
        };
        let (ours, theirs) = (ledger("payer")?, ledger("payee")?);
        let tickets = key()?;
        let sender = tickets.address();
        let key = Arc::new(SigningKey::from_bytes(&[4; 32]));
        let signer = PeerKey(key.verifying_key().to_bytes());
        let (winners, _winners) = mpsc::channel(64);
        let clock = Clock::new();
        let parts = PayerParts { ledger: ours.clone(), recall: ours, tickets, key: key.clone(), clock };
        let payer = Payer::new(PayerConfig::new(PRICE, ether(), ether()), parts).start();
        let parts = PayeeParts { ledger: theirs.clone(), recall: theirs, key, winners, clock };
        let payee = Payee::new(PayeeConfig::new(RECIPIENT), parts).start();
        let sides = Self { payer, payee, sender, signer, _winners };
        sides.open().await?;
        Ok(sides)
    }

    /// Tells both what is proven, once they have read their books, and opens the account.
    async fn open(&self) -> Result<(), Failure> {
        self.payer.send(payer::Head(head())).await?;
        let funds_of_sender = Funds { deposit: ether(), reserve: ether(), withdraw_round: Round(0) };
        self.payer.send(payer::Proven(funds_of_sender)).await?;
        let open =
            payer::Open { session: SESSION, stream: "bench".parse()?, recipient: RECIPIENT, price: PRICE };
        while let Err(payer::Denied::Unready(_)) = self.payer.send(open.clone()).await? {
            tokio::time::sleep(WORK).await;
        }
        self.payee.send(payee::Head(head())).await?;
        let compare = payee::Compare { sender: self.sender, session: SESSION, theirs: None };
        while let Err(payee::Denied::Unready(_)) = self.payee.send(compare.clone()).await? {
            tokio::time::sleep(WORK).await;
        }
        self.payee.send(payee::Proven(self.sender, funds())).await?;
        Ok(())
    }

    async fn segment(&self, seq: u64) -> Result<Duration, Failure> {
        tokio::time::sleep(WORK).await;
        let begun = Instant::now();
        if self.payer.send(payer::WantsQuote(SESSION)).await? {
            self.quote().await?;
        }
        let paid = self.payer.send(payer::Pay { session: SESSION, seq, pixels: PIXELS }).await??;
        let (sender, session, tickets) = (self.sender, SESSION, paid.tickets);
        self.payee.send(payee::Order { sender, session, seq, pixels: PIXELS, tickets }).await??;
        let ordered = begun.elapsed();
        tokio::time::sleep(WORK).await;
        let begun = Instant::now();
        let segment = SegmentId { stream: "bench".parse()?, seq };
        let receipt =
            Receipt { segment, source: Hash::of(b"in"), renditions: vec![(Hash::of(b"out"), PIXELS)] };
        let receipt = self.payee.send(payee::Settle { session, receipt }).await??;
        let signer = self.signer;
        self.payer.send(payer::Received { session, receipt, signer }).await??;
        Ok(ordered + begun.elapsed())
    }

    async fn quote(&self) -> Result<(), Failure> {
        let ask = Ask { session: SESSION, sender: self.sender, stream: None, pixels: PIXELS, price: PRICE };
        let quote = self.payee.send(payee::AskQuote(ask)).await??;
        Ok(self.payer.send(payer::Quoted(quote)).await??)
    }
}
