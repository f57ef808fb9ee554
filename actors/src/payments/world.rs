//! What tests of both cores share: numbers that are easy to read, a broadcaster and an orchestrator that know of each other, and the
//! steps between them.

use alloy_primitives::{Address, B256, U256};
use ed25519_dalek::SigningKey;
use protocol::payments::entry::Winner;
use protocol::payments::{Entry, SessionId, SignedStatement};
use protocol::receipt::Receipt;
use protocol::tickets::batch::Batch;
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::Funds;
use protocol::{Hash, PricePerPixel, Round, SegmentId, Wei};

use super::contracts::{Contracts, REDEEM_COST, ether, wei};
use super::recipient::Refusal;
use super::recipient::core::{Accepted, Ask, Config as PayeeConfig, Core as Payee};
use super::sender::Unpayable;
use super::sender::core::{Config as PayerConfig, Core as Payer};
use super::sender::refusal::Disputed;
use crate::ports::payments::{ChainHead, SenderFacts};

pub(super) const PRICE: PricePerPixel = PricePerPixel { wei: 1200, pixels: 1 };
/// Of the largest segment.
pub(super) const PIXELS: u64 = 10_000_000;
pub(super) const ME: Address = Address::repeat_byte(0x0e);
pub(super) const SESSION: SessionId = SessionId([1; 16]);
/// The orchestrator's.
pub(super) const SECRET: B256 = B256::repeat_byte(9);

/// Block 1000 of a round that is far from its end.
pub(super) fn head() -> ChainHead {
    ChainHead {
        l1_block: 1000,
        round: Round(7),
        round_hash: B256::repeat_byte(7),
        round_end_block: 5000,
        pool_size: 4,
        next_pool_size: 4,
        active: true,
        active_next: true,
        redeem_cost: wei(REDEEM_COST),
        redeem_cost_on_average: wei(REDEEM_COST),
    }
}

/// A rich sender.
pub(super) fn facts() -> SenderFacts {
    SenderFacts {
        l2_block: 1,
        l1_block: 1000,
        round: Round(7),
        deposit: ether(1000),
        reserve: ether(1000),
        ..SenderFacts::default()
    }
}

pub(super) fn funds() -> Funds {
    Funds { deposit: ether(1000), reserve: ether(1000), withdraw_round: Round(0) }
}

/// What was made of a segment.
pub(super) fn receipt(seq: u64, pixels: u64) -> Receipt {
    let segment = SegmentId { stream: "s".parse().unwrap(), seq };
    Receipt { segment, source: Hash::of(b"in"), renditions: vec![(Hash::of(b"out"), pixels)] }
}

/// What so many pixels cost.
pub(super) fn cost(pixels: u64) -> Wei {
    Credit::of_work(pixels, PRICE).to_wei(PRICE)
}

/// One broadcaster and one orchestrator, each with its disk.
pub(super) struct World {
    pub(super) key: TicketKey,
    pub(super) payee: Payee,
    pub(super) payer: Payer,
    /// The orchestrator's.
    pub(super) disk: Vec<Entry>,
    /// The broadcaster's.
    pub(super) payer_disk: Vec<Entry>,
    /// What both were last told of the chain.
    seen: (ChainHead, SenderFacts, Funds),
}

impl World {
    /// Both know a chain of easy numbers.
    pub(super) fn new() -> Self {
        Self::seeing(3, head(), facts(), funds())
    }

    /// Both know the contracts as they are. The broadcaster's key is made of `key`.
    pub(super) fn over(key: u8, contracts: &Contracts) -> Self {
        let sender = sender(key);
        let (head, facts) = (contracts.head(ME), contracts.facts(sender, ME));
        Self::seeing(key, head, facts, contracts.funds(sender))
    }

    fn seeing(key: u8, head: ChainHead, facts: SenderFacts, funds: Funds) -> Self {
        let key = TicketKey::from_bytes(&[key; 32]).unwrap();
        let restored = Payee::restore(PayeeConfig::new(ME), &[], SECRET);
        let payer = Payer::restore(PayerConfig::new(PRICE, ether(1), ether(1)), key.clone(), &[]);
        let (payee, disk) = (restored.answer, restored.entries);
        let mut world = Self { key, payee, payer, disk, payer_disk: Vec::new(), seen: (head, facts, funds) };
        world.tell();
        world
    }

    fn tell(&mut self) {
        let (head, facts, funds) = self.seen;
        self.payee.on_head(head);
        self.payee.on_facts(self.key.address(), facts);
        self.payer.on_head(head);
        self.payer.on_funds(funds);
    }

    /// Both are told how the contracts are now.
    pub(super) fn look(&mut self, contracts: &Contracts) {
        let sender = self.key.address();
        self.seen = (contracts.head(ME), contracts.facts(sender, ME), contracts.funds(sender));
        self.tell();
    }

    /// The orchestrator dies, and comes back from its disk alone.
    pub(super) fn crash_payee(&mut self) {
        self.payee = Payee::restore(PayeeConfig::new(ME), &self.disk, B256::ZERO).answer;
        self.tell();
    }

    /// The broadcaster dies, and comes back from its disk alone.
    pub(super) fn crash_payer(&mut self) {
        let config = PayerConfig::new(PRICE, ether(1), ether(1));
        self.payer = Payer::restore(config, self.key.clone(), &self.payer_disk);
        self.tell();
    }

    pub(super) fn ask(&self, session: SessionId, price: PricePerPixel) -> Ask {
        Ask { session, sender: self.key.address(), stream: None, pixels: PIXELS, price }
    }

    pub(super) fn quote(&mut self) -> Quote {
        self.quote_for(SESSION)
    }

    pub(super) fn quote_for(&mut self, session: SessionId) -> Quote {
        let seed = U256::from(self.disk.len());
        let commit = self.payee.quote(0, &self.ask(session, PRICE), seed).unwrap();
        self.disk.extend(commit.entries);
        commit.answer
    }

    /// What the orchestrator says of the account.
    pub(super) fn statement(&self) -> SignedStatement {
        let said = self.payee.statement(self.key.address(), SESSION, 0).unwrap().0;
        said.sign(&SigningKey::from_bytes(&[9; 32]))
    }

    /// Tickets with the first nonces of a new quote.
    pub(super) fn batch(&mut self, count: u32) -> Batch {
        let quote = self.quote();
        Batch::sign(&quote, 1..=count, &self.key)
    }

    /// The same, with tickets that all win.
    pub(super) fn winning(&mut self, face: Wei, count: u32) -> Batch {
        let mut quote = self.quote();
        (quote.face_value, quote.win_prob) = (face, U256::MAX);
        Batch::sign(&quote.committed(&SECRET), 1..=count, &self.key)
    }

    pub(super) fn accept(&mut self, batch: &Batch) -> Result<Accepted, Refusal> {
        let commit = self.payee.accept(0, batch);
        self.disk.extend(commit.entries);
        commit.answer
    }

    /// Tickets for segment `seq`, sent and not yet taken.
    pub(super) fn pay(&mut self, seq: u64) -> Result<Option<Batch>, Unpayable> {
        let commit = self.payer.pay(0, SESSION, seq, PIXELS)?;
        self.payer_disk.extend(commit.entries);
        Ok(commit.answer.tickets)
    }

    /// Both open the account, and the first segment is ordered.
    pub(super) fn paid(&mut self) -> Batch {
        let quote = self.quote();
        let opened = self.payer.open(0, SESSION, None, ME, PRICE).unwrap();
        self.payer_disk.extend(opened.entries);
        self.payer.on_quote(quote).unwrap();
        self.pay(1).unwrap().unwrap()
    }

    /// The orchestrator takes tickets and makes the segment; its receipt.
    pub(super) fn made(&mut self, seq: u64, tickets: Option<&Batch>) -> Receipt {
        if let Some(batch) = tickets {
            self.accept(batch).unwrap();
        }
        self.payee.admit(self.key.address(), SESSION, seq, PIXELS).unwrap();
        let settled = self.payee.settle(0, SESSION, receipt(seq, PIXELS)).unwrap();
        self.disk.extend(settled.entries);
        receipt(seq, PIXELS)
    }

    /// The broadcaster takes a receipt.
    pub(super) fn receive(&mut self, receipt: Receipt) -> Result<Credit, Disputed> {
        let commit = self.payer.on_receipt(0, SESSION, receipt)?;
        self.payer_disk.extend(commit.entries);
        Ok(commit.answer)
    }

    /// Another sender opens an account with the same orchestrator, pays and is served.
    pub(super) fn others_go_on(&mut self) {
        let key = TicketKey::from_bytes(&[0x44; 32]).unwrap();
        let session = SessionId([0x44; 16]);
        let seq = self.payee.account(&session).map_or(1, |account| account.works + 1);
        self.payee.on_facts(key.address(), self.seen.1);
        let ask = Ask { sender: key.address(), ..self.ask(session, PRICE) };
        let quote = self.payee.quote(0, &ask, U256::from(seq)).unwrap().answer;
        let batch = Batch::sign(&quote, 1..=4, &key);
        assert_eq!(self.payee.accept(0, &batch).answer.unwrap().credited, [1, 2, 3, 4]);
        self.payee.admit(key.address(), session, seq, PIXELS).unwrap();
        drop(self.payee.settle(0, session, receipt(seq, PIXELS)).unwrap());
    }

    /// Winners that are on the orchestrator's disk.
    pub(super) fn winners(&self) -> Vec<Winner> {
        let winner = |entry: &Entry| match entry {
            Entry::Winner(winner) => Some(winner.clone()),
            _ => None,
        };
        self.disk.iter().filter_map(winner).collect()
    }
}

/// Whose tickets a key signs.
pub(super) fn sender(key: u8) -> Address {
    TicketKey::from_bytes(&[key; 32]).unwrap().address()
}
