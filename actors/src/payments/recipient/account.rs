//! One session in an orchestrator's books.

use std::collections::VecDeque;

use protocol::Hash;
use protocol::payments::entry::{SessionOpened, Side, TicketsAccepted, Work};
use protocol::payments::statement::{Statement, chain};
use protocol::receipt::Receipt;
use protocol::tickets::credit::Credit;

/// Receipts that are kept to be shown again: a sender misses at most one, and one more while statements cross.
pub const RECEIPTS_KEPT: usize = 4;

/// An account: sums only ever grow, what is left is their difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who, for how much.
    pub opened: SessionOpened,
    /// Tickets credited.
    pub tickets: u64,
    /// What they are worth.
    pub credited: Credit,
    /// Segments paid.
    pub works: u64,
    /// What they cost.
    pub debited: Credit,
    /// Their receipts.
    pub chain: Hash,
    /// The last segment that was paid.
    pub last_seq: Option<u64>,
    /// The last receipts, oldest first.
    pub receipts: VecDeque<Receipt>,
    /// The segment in work. Lost in a crash, as the work is.
    pub hold: Option<Hold>,
    /// When something last happened, Unix milliseconds.
    pub touched_ms: u64,
}

/// Credit that is set aside for a segment in work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The segment.
    pub seq: u64,
    /// Most pixels that it may come to.
    pub pixels: u64,
    /// What those cost.
    pub cost: Credit,
}

impl Account {
    /// An empty one.
    #[must_use]
    pub fn new(opened: SessionOpened) -> Self {
        let touched_ms = opened.at_ms;
        Self {
            opened,
            tickets: 0,
            credited: Credit::ZERO,
            works: 0,
            debited: Credit::ZERO,
            chain: Hash::default(),
            last_seq: None,
            receipts: VecDeque::new(),
            hold: None,
            touched_ms,
        }
    }

    /// What is left and not set aside.
    #[must_use]
    pub fn balance(&self) -> Credit {
        let held = self.hold.map_or(Credit::ZERO, |hold| hold.cost);
        self.credited.less(self.debited).less(held)
    }

    /// Counts tickets in.
    pub fn credit(&mut self, accepted: &TicketsAccepted) {
        self.tickets += accepted.nonces.len() as u64;
        self.credited = self.credited.plus(accepted.credit);
        self.touched_ms = accepted.at_ms;
    }

    /// Counts work out.
    pub fn debit(&mut self, work: &Work) {
        self.works += 1;
        self.debited = self.debited.plus(work.cost);
        self.chain = chain(self.chain, &work.receipt);
        self.last_seq = self.last_seq.max(Some(work.receipt.segment.seq));
        self.receipts.push_back(work.receipt.clone());
        if self.receipts.len() > RECEIPTS_KEPT {
            self.receipts.pop_front();
        }
        self.touched_ms = work.at_ms;
    }

    /// Takes over what the sender signed, where that is to its disadvantage: it knows of more work than these books.
    pub fn concede(&mut self, theirs: &Statement) {
        if theirs.side == Side::Sender && theirs.debited > self.debited {
            (self.works, self.debited, self.chain) = (theirs.works, theirs.debited, theirs.chain);
            self.receipts.clear();
        }
    }

    /// How it stands.
    #[must_use]
    pub fn statement(&self) -> Statement {
        Statement {
            session: self.opened.session,
            side: Side::Recipient,
            sender: self.opened.sender,
            recipient: self.opened.recipient,
            tickets: self.tickets,
            credited: self.credited,
            works: self.works,
            debited: self.debited,
            chain: self.chain,
        }
    }

    /// Receipts that somebody does not have who has seen only the first `known` works; as many as are kept.
    #[must_use]
    pub fn receipts_after(&self, known: u64) -> Vec<Receipt> {
        let missing = usize::try_from(self.works.saturating_sub(known)).unwrap_or(usize::MAX);
        let skip = self.receipts.len().saturating_sub(missing);
        self.receipts.iter().skip(skip).cloned().collect()
    }
}
