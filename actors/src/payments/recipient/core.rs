//! What an orchestrator quotes, credits and admits. In flow proven facts, asks, tickets and receipts; out flow answers, each
//! with the entries that must be on disk before. It never waits and never reads a clock or draws a number.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, FixedBytes, U256};
use protocol::payments::entry::{Redemption, SessionOpened, Side, TicketsAccepted, Winner, Work};
use protocol::payments::statement::{SignedStatement, Statement};
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::batch::Batch;
use protocol::tickets::check::{self, Invalid};
use protocol::tickets::credit::Credit;
use protocol::tickets::params::{Costs, Refused, face_value, win_prob};
use protocol::tickets::quote::{LIFETIME_BLOCKS, Quote};
use protocol::tickets::{Ticket, rand_hash};
use protocol::{PricePerPixel, StreamId, Wei};

use super::account::{Account, Hold};
use super::cover::{Cover, Uncovered, cover};
use super::nonces::{KEPT_AFTER, Nonces};
use super::refusal::Refusal;
use crate::payments::Commit;
use crate::ports::payments::{ChainHead, SenderFacts};

/// Accounts that one sender may have open: a stream each, and no sender of one key has more streams on one orchestrator.
pub const SESSIONS_OF_A_SENDER: usize = 64;
/// Time after which an unused account makes room for another one of the same sender, milliseconds.
const IDLE_MS: u64 = 3_600_000;

/// What an orchestrator wants of tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The orchestrator that tickets pay.
    pub recipient: Address,
    /// What a ticket is worth when an ask does not say how large its segments are, wei.
    pub expected: Wei,
    /// What it is worth at most, wei: senders refuse more.
    pub max_expected: Wei,
    /// Tickets that should pay for the largest segment: the fewer, the more of a ticket may be left over when a stream ends.
    pub tickets_per_segment: u64,
    /// A win pays this many times what its redemption costs.
    pub multiplier: u64,
    /// Most that a win may pay, wei; zero for no limit.
    pub max_face: Wei,
}

impl Config {
    /// Livepeer's numbers.
    #[must_use]
    pub fn new(recipient: Address) -> Self {
        Self {
            recipient,
            expected: Wei(U256::from(8_000_000_000_u64)),
            max_expected: Wei(U256::from(3_000_000_000_000_u64)),
            tickets_per_segment: 4,
            multiplier: 100,
            max_face: Wei::default(),
        }
    }
}

/// Somebody wants to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Into which account.
    pub session: SessionId,
    /// Whose tickets.
    pub sender: Address,
    /// For which stream, when it says so.
    pub stream: Option<StreamId>,
    /// Most pixels of one of its segments.
    pub pixels: u64,
    /// What this orchestrator asks of this sender now. An open account keeps its own price.
    pub price: PricePerPixel,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Nonces that were credited.
    pub credited: Vec<u32>,
    /// Nonces that were not, and why.
    pub refused: Vec<(u32, Refusal)>,
    /// Tickets that won.
    pub winners: usize,
    /// What the account has now.
    pub balance: Credit,
}

/// An orchestrator's books.
#[derive(Debug)]
pub struct Core {
    config: Config,
    secret: B256,
    head: Option<ChainHead>,
    /// The newest L1 block that was ever known.
    l1_block: u64,
    facts: BTreeMap<Address, SenderFacts>,
    accounts: BTreeMap<SessionId, Account>,
    nonces: Nonces,
    winners: BTreeMap<B256, Held>,
}

/// A winner that is not paid yet.
#[derive(Clone, Copy, Debug)]
struct Held {
    sender: Address,
    face: Wei,
    /// The L2 block in which it was paid: it counts until the sender's funds are proven at that block.
    paid_at: Option<u64>,
}

impl Core {
    /// Books as their entries left them. `fresh` becomes the secret when there was none; write the entries first.
    pub fn restore<'a>(
        config: Config,
        entries: impl IntoIterator<Item = &'a Entry>,
        fresh: B256,
    ) -> Commit<Self> {
        let mut core = Self {
            config,
            secret: B256::ZERO,
            head: None,
            l1_block: 0,
            facts: BTreeMap::new(),
            accounts: BTreeMap::new(),
            nonces: Nonces::default(),
            winners: BTreeMap::new(),
        };
        entries.into_iter().for_each(|entry| core.apply(entry));
        if !core.secret.is_zero() {
            return Commit::nothing(core);
        }
        let entry = Entry::ParamsSecret { recipient: config.recipient, secret: fresh };
        core.apply(&entry);
        Commit { entries: vec![entry], answer: core }
    }

    /// Where the chain stands. The L1 block never goes back, so that no nonce is forgotten and then taken again.
    pub fn on_head(&mut self, mut head: ChainHead) {
        head.l1_block = head.l1_block.max(self.l1_block);
        self.l1_block = head.l1_block;
        self.nonces.forget(head.l1_block);
        self.head = Some(head);
    }

    /// What is known of the chain contradicts itself: no ticket is asked for or credited until it is known again.
    pub const fn on_doubt(&mut self) {
        self.head = None;
    }

    /// What is proven of a sender. Older proofs than the last are ignored.
    pub fn on_facts(&mut self, sender: Address, facts: SenderFacts) {
        let known = self.facts.entry(sender).or_default();
        if facts.l2_block < known.l2_block {
            return;
        }
        *known = facts;
        let seen = |paid: Option<u64>| paid.is_some_and(|block| block <= facts.l2_block);
        self.winners.retain(|_, held| held.sender != sender || !seen(held.paid_at));
    }

    /// A step of a winner's redemption, to be called when its entry is on disk.
    pub fn on_redemption(&mut self, ticket: B256, step: &Redemption) {
        match step {
            Redemption::Redeemed { block, .. } => {
                if let Some(held) = self.winners.get_mut(&ticket) {
                    held.paid_at = Some(*block);
                }
            }
            Redemption::Reopened => {
                if let Some(held) = self.winners.get_mut(&ticket) {
                    held.paid_at = None;
                }
            }
            Redemption::Expired | Redemption::Dropped { .. } => {
                self.winners.remove(&ticket);
            }
            Redemption::Queued | Redemption::Sent { .. } => {}
        }
    }

    /// Quotes parameters for the next minutes. `seed` is drawn at random.
    ///
    /// # Errors
    /// [`Refusal`], in words for the sender.
    pub fn quote(&mut self, now_ms: u64, ask: &Ask, seed: U256) -> Result<Commit<Quote>, Refusal> {
        let head = self.head.filter(|head| !head.round_hash.is_zero()).ok_or(Refusal::NoHead)?;
        let price = match self.accounts.get(&ask.session) {
            Some(account) if account.opened.sender == ask.sender => account.opened.price,
            Some(_) => return Err(Invalid::Session(ask.session).into()),
            None => ask.price,
        };
        let expiration_block = head.l1_block + LIFETIME_BLOCKS;
        let (face_value, win_prob) = self.terms(ask, price, &head, expiration_block)?;
        let mut entries = Vec::new();
        if !self.accounts.contains_key(&ask.session) {
            entries = self.open(now_ms, ask, price)?;
        }
        let quote = Quote {
            session: ask.session,
            sender: ask.sender,
            recipient: self.config.recipient,
            face_value,
            win_prob,
            recipient_rand_hash: B256::ZERO,
            seed,
            expiration_block,
            creation_round: head.round,
            creation_round_hash: head.round_hash,
            price,
        };
        Ok(Commit { entries, answer: quote.committed(&self.secret) })
    }

    fn terms(
        &self,
        ask: &Ask,
        price: PricePerPixel,
        head: &ChainHead,
        expires: u64,
    ) -> Result<(Wei, U256), Refusal> {
        if price.wei == 0 {
            return Ok((Wei::default(), U256::ZERO));
        }
        let cover = cover(self.facts.get(&ask.sender), head, head.round, expires)?;
        let per_segment = Credit::of_work(ask.pixels, price).to_wei(price).0;
        let wanted = per_segment.div_ceil(U256::from(self.config.tickets_per_segment.max(1)));
        let wanted = if wanted.is_zero() { self.config.expected.0 } else { wanted };
        let expected = Wei(wanted.min(self.config.max_expected.0));
        let face = face_value(Costs {
            redeem: head.redeem_cost,
            redeem_on_average: head.redeem_cost_on_average,
            multiplier: self.config.multiplier,
            expected,
            max_float: cover.float(self.held(ask.sender)),
            max_face: self.config.max_face,
        })?;
        if face <= expected {
            return Err(Refused::InsufficientReserve.into());
        }
        Ok((face, win_prob(face, expected)?))
    }

    fn open(&mut self, now_ms: u64, ask: &Ask, price: PricePerPixel) -> Result<Vec<Entry>, Refusal> {
        let mut entries = Vec::new();
        let of_sender = || self.accounts.values().filter(|account| account.opened.sender == ask.sender);
        let open = of_sender().count();
        if open >= SESSIONS_OF_A_SENDER {
            let oldest = of_sender().filter(|account| account.hold.is_none()).min_by_key(|a| a.touched_ms);
            let idle = oldest.filter(|a| a.touched_ms.saturating_add(IDLE_MS) <= now_ms);
            let session = idle.ok_or(Refusal::TooManySessions { open })?.opened.session;
            entries.push(Entry::SessionClosed { session, side: Side::Recipient, at_ms: now_ms });
        }
        entries.push(Entry::SessionOpened(SessionOpened {
            session: ask.session,
            side: Side::Recipient,
            stream: ask.stream.clone(),
            sender: ask.sender,
            recipient: self.config.recipient,
            price,
            at_ms: now_ms,
        }));
        entries.iter().for_each(|entry| self.apply(entry));
        Ok(entries)
    }

    /// Credits the good tickets of a batch, each by itself: one bad ticket does not spoil the others. A ticket that won is kept
    /// even when it is not credited.
    ///
    /// # Errors
    /// [`Refusal`] when no ticket of these parameters can be credited. It comes with the winners to write, if any.
    pub fn accept(&mut self, now_ms: u64, batch: &Batch) -> Commit<Result<Accepted, Refusal>> {
        let rand = match self.open_batch(batch) {
            Ok(rand) => rand,
            Err(refusal) => return Commit::nothing(Err(refusal)),
        };
        let cover = self.creditable(batch);
        if let Err(refusal) = &cover
            && !self.may_still_win(batch, refusal)
        {
            return Commit::nothing(Err(refusal.clone()));
        }
        let (mut credited, mut refused, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for (nonce, ticket, signature) in batch.iter() {
            if let Err(reason) = self.check_ticket(nonce, &ticket, signature) {
                refused.push((nonce, reason.into()));
                continue;
            }
            let good = self.covered(&cover, &ticket);
            if ticket.wins(signature.as_slice(), rand) {
                let credited = good.is_ok();
                let entry = Entry::Winner(winner(now_ms, batch, ticket, *signature, rand, credited));
                self.apply(&entry);
                entries.push(entry);
            }
            match good {
                Ok(()) => credited.push(nonce),
                Err(reason) => refused.push((nonce, reason)),
            }
        }
        let winners = entries.len();
        if !credited.is_empty() {
            let entry = Entry::TicketsAccepted(accepted(now_ms, batch, &credited));
            self.apply(&entry);
            entries.push(entry);
        }
        let answer = match cover {
            Err(refusal) => Err(refusal),
            Ok(_) => Ok(Accepted { credited, refused, winners, balance: self.balance(&batch.quote.session) }),
        };
        Commit { entries, answer }
    }

    /// The number behind a batch that is this recipient's own.
    fn open_batch(&self, batch: &Batch) -> Result<U256, Refusal> {
        batch.shape()?;
        let quote = &batch.quote;
        let account = self.accounts.get(&quote.session).filter(|a| a.opened.sender == quote.sender);
        let account = account.ok_or(Invalid::Session(quote.session))?;
        if account.opened.price != quote.price {
            return Err(Invalid::Price { agreed: account.opened.price, claimed: quote.price }.into());
        }
        Ok(check::open(quote, self.config.recipient, &self.secret)?)
    }

    /// What stands behind a batch, if it is in time.
    fn creditable(&self, batch: &Batch) -> Result<Cover, Refusal> {
        let head = self.head.as_ref().ok_or(Refusal::NoHead)?;
        let quote = &batch.quote;
        check::in_time(quote, head.l1_block, head.round)?;
        let facts = self.facts.get(&quote.sender);
        Ok(cover(facts, head, quote.creation_round, quote.expiration_block)?)
    }

    /// Whether tickets that are not credited are worth a look: a win among them is a gift, as long as its nonce is remembered.
    fn may_still_win(&self, batch: &Batch, refusal: &Refusal) -> bool {
        let late = self.head.map_or(u64::MAX, |head| head.l1_block);
        let remembered = batch.quote.expiration_block.saturating_add(KEPT_AFTER) > late;
        remembered && !matches!(refusal, Refusal::NoHead | Refusal::Invalid(Invalid::WrongRound { .. }))
    }

    fn check_ticket(&self, nonce: u32, ticket: &Ticket, signature: &FixedBytes<65>) -> Result<(), Invalid> {
        if Nonces::is_out_of_range(nonce) {
            return Err(Invalid::NonceRange { nonce });
        }
        if self.nonces.has(&ticket.recipient_rand_hash, nonce) {
            return Err(Invalid::NonceSeen { nonce });
        }
        check::signed(ticket, signature.as_slice())
    }

    fn covered(&self, cover: &Result<Cover, Refusal>, ticket: &Ticket) -> Result<(), Refusal> {
        let cover = cover.as_ref().map_err(Clone::clone)?;
        Ok(cover.pays(Wei(ticket.face_value), self.held(ticket.sender))?)
    }

    /// What this sender's winners that are not paid yet come to, wei.
    #[must_use]
    pub fn held(&self, sender: Address) -> Wei {
        let faces = self.winners.values().filter(|held| held.sender == sender).map(|held| held.face.0);
        Wei(faces.fold(U256::ZERO, U256::saturating_add))
    }

    /// Takes a segment into work if the account covers it.
    ///
    /// # Errors
    /// [`Refusal`]: no account, a segment in work, one that was done, or too little credit.
    pub fn admit(
        &mut self,
        sender: Address,
        session: SessionId,
        seq: u64,
        pixels: u64,
    ) -> Result<Hold, Refusal> {
        let account = self.accounts.get_mut(&session).filter(|account| account.opened.sender == sender);
        let account = account.ok_or(Invalid::Session(session))?;
        if let Some(hold) = account.hold {
            return Err(Refusal::InWork { seq: hold.seq });
        }
        if let Some(done) = account.last_seq.filter(|done| *done >= seq) {
            return Err(Refusal::Done { done });
        }
        let cost = Credit::of_work(pixels, account.opened.price);
        let balance = account.balance();
        if balance < cost {
            return Err(Refusal::Credit { seq, missing: cost.less(balance) });
        }
        let hold = Hold { seq, pixels, cost };
        account.hold = Some(hold);
        Ok(hold)
    }

    /// Work is done: pays it from the account. The receipt may leave when the entry is on disk.
    ///
    /// # Errors
    /// [`Refusal::NotAdmitted`].
    pub fn settle(
        &mut self,
        now_ms: u64,
        session: SessionId,
        receipt: Receipt,
    ) -> Result<Commit<Credit>, Refusal> {
        let seq = receipt.segment.seq;
        let account = self.accounts.get(&session);
        let held = account.and_then(|account| Some((account.hold.filter(|h| h.seq == seq)?, account)));
        let (hold, account) = held.ok_or(Refusal::NotAdmitted { session, seq })?;
        let made = receipt.renditions.iter().fold(0_u64, |sum, (_, pixels)| sum.saturating_add(*pixels));
        let pixels = made.min(hold.pixels);
        let cost = Credit::of_work(pixels, account.opened.price);
        let entry = Entry::Debit(Work { session, receipt, pixels, cost, at_ms: now_ms });
        self.apply(&entry);
        Ok(Commit { entries: vec![entry], answer: cost })
    }

    /// Work came to nothing: what was set aside is free again.
    pub fn release(&mut self, session: SessionId, seq: u64) {
        if let Some(account) = self.accounts.get_mut(&session) {
            account.hold = account.hold.filter(|hold| hold.seq != seq);
        }
    }

    /// How an account stands, and the receipts that somebody lacks who knows of `known` works.
    ///
    /// While a segment is in work there is nothing to say: it may be paid in a moment.
    ///
    /// # Errors
    /// [`Invalid::Session`], [`Refusal::InWork`].
    pub fn statement(
        &self,
        sender: Address,
        session: SessionId,
        known: u64,
    ) -> Result<(Statement, Vec<Receipt>), Refusal> {
        let account = self.accounts.get(&session).filter(|account| account.opened.sender == sender);
        let account = account.ok_or(Invalid::Session(session))?;
        match account.hold {
            Some(hold) => Err(Refusal::InWork { seq: hold.seq }),
            None => Ok((account.statement(), account.receipts_after(known))),
        }
    }

    /// The sender's own statement, its signature checked. Where it admits more work than these books know, it is believed.
    pub fn on_statement(&mut self, now_ms: u64, theirs: &SignedStatement) -> Commit<()> {
        let said = &theirs.statement;
        let known = self.accounts.get(&said.session).filter(|account| account.opened.sender == said.sender);
        if !known.is_some_and(|account| said.side == Side::Sender && said.debited > account.debited) {
            return Commit::nothing(());
        }
        let entry = Entry::Statement { statement: theirs.clone(), at_ms: now_ms };
        self.apply(&entry);
        Commit { entries: vec![entry], answer: () }
    }

    /// An account, for whoever shows it.
    #[must_use]
    pub fn account(&self, session: &SessionId) -> Option<&Account> {
        self.accounts.get(session)
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Senders whose funds have to be proven: those of all accounts.
    pub fn senders(&self) -> impl Iterator<Item = Address> {
        self.accounts.values().map(|account| account.opened.sender)
    }

    /// What is proven of senders.
    pub fn proven(&self) -> impl Iterator<Item = (Address, SenderFacts)> {
        self.facts.iter().map(|(sender, facts)| (*sender, *facts))
    }

    /// Why a sender's tickets would not be paid now, if so.
    #[must_use]
    pub fn doubts(&self, sender: Address) -> Option<Uncovered> {
        let head = self.head.as_ref()?;
        cover(self.facts.get(&sender), head, head.round, head.l1_block + LIFETIME_BLOCKS).err()
    }

    fn balance(&self, session: &SessionId) -> Credit {
        self.accounts.get(session).map_or(Credit::ZERO, Account::balance)
    }

    /// Counts one entry in; what is not of this side is nothing.
    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::ParamsSecret { recipient, secret } if *recipient == self.config.recipient => {
                self.secret = *secret;
            }
            Entry::SessionOpened(opened) if opened.side == Side::Recipient => {
                self.accounts.entry(opened.session).or_insert_with(|| Account::new(opened.clone()));
            }
            Entry::SessionClosed { session, side: Side::Recipient, .. } => {
                self.accounts.remove(session);
            }
            Entry::TicketsAccepted(accepted) => {
                for nonce in &accepted.nonces {
                    self.nonces.insert(accepted.rand_hash, *nonce, accepted.expiration_block);
                }
                if let Some(account) = self.accounts.get_mut(&accepted.session) {
                    account.credit(accepted);
                }
            }
            Entry::Winner(winner) => {
                let (sender, face) = (winner.ticket.sender, Wei(winner.ticket.face_value));
                self.winners.insert(winner.id(), Held { sender, face, paid_at: None });
                let nonce = winner.ticket.sender_nonce.saturating_to();
                self.nonces.insert(winner.ticket.recipient_rand_hash, nonce, winner.expiration_block);
            }
            Entry::Debit(work) => {
                if let Some(account) = self.accounts.get_mut(&work.session) {
                    account.hold = account.hold.filter(|hold| hold.seq != work.receipt.segment.seq);
                    account.debit(work);
                }
            }
            Entry::Statement { statement, .. } => {
                if let Some(account) = self.accounts.get_mut(&statement.statement.session) {
                    account.concede(&statement.statement);
                }
            }
            Entry::Redemption { ticket, step, .. } => self.on_redemption(*ticket, step),
            Entry::ParamsSecret { .. }
            | Entry::SessionOpened(_)
            | Entry::SessionClosed { .. }
            | Entry::NonceReserved { .. }
            | Entry::TicketsSent(_)
            | Entry::Receipt(_)
            | Entry::WrittenOff { .. } => {}
        }
    }
}

fn winner(
    at_ms: u64,
    batch: &Batch,
    ticket: Ticket,
    signature: FixedBytes<65>,
    rand: U256,
    credited: bool,
) -> Winner {
    debug_assert_eq!(rand_hash(rand), ticket.recipient_rand_hash, "the number was opened for this quote");
    Winner {
        session: batch.quote.session,
        ticket,
        signature,
        recipient_rand: rand,
        expiration_block: batch.quote.expiration_block,
        creation_round: batch.quote.creation_round,
        credited,
        at_ms,
    }
}

fn accepted(at_ms: u64, batch: &Batch, credited: &[u32]) -> TicketsAccepted {
    TicketsAccepted {
        session: batch.quote.session,
        rand_hash: batch.quote.recipient_rand_hash,
        nonces: credited.to_vec(),
        expiration_block: batch.quote.expiration_block,
        credit: batch.quote.ticket_credit().times(credited.len() as u64),
        at_ms,
    }
}
