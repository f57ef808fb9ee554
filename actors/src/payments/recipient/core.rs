//! An orchestrator's books: what stands in them, and what the chain proves of those who pay. In flow proven facts, asks, tickets
//! and receipts; out flow answers, each with the entries that must be on disk before. It never waits and never reads a clock
//! or draws a number.
//!
//! A session goes through three files: it is [quoted](quoting) for, its tickets are [accepted](accepting), and its work is
//! [settled](settling) from what they were worth.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use protocol::Wei;
use protocol::payments::entry::{Redemption, Side};
use protocol::payments::{Entry, SessionId};
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::LIFETIME_BLOCKS;

use super::account::Account;
use super::cover::{Uncovered, cover};
use super::nonces::Nonces;
use crate::payments::Commit;
use crate::ports::payments::{ChainHead, SenderFacts};

pub mod accepting;
pub mod quoting;
pub mod settling;

pub use accepting::Accepted;
pub use quoting::Ask;

/// What an orchestrator wants of tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The orchestrator that tickets pay.
    pub recipient: Address,
    /// What a ticket is worth when an ask does not say how large its segments are, wei.
    pub expected: Wei,
    /// What it is worth at most, wei: senders refuse more than Livepeer's limit, and probabilities are rounded up, so one wei less.
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
            max_expected: Wei(U256::from(2_999_999_999_999_u64)),
            tickets_per_segment: 4,
            multiplier: 100,
            max_face: Wei::default(),
        }
    }
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

    /// What this sender's winners that are not paid yet come to, wei.
    #[must_use]
    pub fn held(&self, sender: Address) -> Wei {
        let faces = self.winners.values().filter(|held| held.sender == sender).map(|held| held.face.0);
        Wei(faces.fold(U256::ZERO, U256::saturating_add))
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
