//! What the demo's segments were paid: from the ledgers of both sides, read when all nodes have ended.

use std::collections::BTreeSet;

use ledger::Ledger;
use ledger::agree::compare;
use protocol::payments::entry::{Entry, Redemption};
use serde::Serialize;

use super::process::Home;
use crate::cli::Failure;

/// What `livemesh demo --json` adds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Paid {
    /// Tickets that the broadcaster signed and sent.
    tickets_sent: u64,
    /// Those of them that won.
    won: u64,
    /// Winners that were redeemed while it ran; the others are not old enough yet.
    redeemed: u64,
    /// Winners that can never be redeemed.
    expired: u64,
    /// What the broadcaster paid beyond what both sides' books say the work cost.
    overpaid_wei: u64,
    /// Segments of orchestrators that signed for them, and that were not paid.
    unpaid_segments: u64,
}

/// Reads the ledgers. `receipts` is the number of segments that came with a receipt.
pub(crate) fn read(
    home: &Home,
    broadcaster: &str,
    orchestrators: &[String],
    receipts: u64,
) -> Result<Paid, Failure> {
    let open = |name: &str| -> Result<Ledger, Failure> {
        let (ledger, _) = Ledger::open(&home.path(name).join("ledger"))?;
        ledger.reconcile()?;
        Ok(ledger)
    };
    let payer = open(broadcaster)?.accounts();
    let mut paid =
        Paid { tickets_sent: payer.iter().map(|account| account.tickets).sum(), ..Paid::default() };
    let mut books = Vec::new();
    for name in orchestrators {
        let ledger = open(name)?;
        paid.count(&ledger)?;
        books.extend(ledger.accounts());
    }
    let agreed = compare(&payer, &books)
        .map_err(|why| format!("after the demo the books of the two sides do not agree: {why}"))?;
    // To the unit the same: nothing is left to be overpaid.
    paid.unpaid_segments = receipts.saturating_sub(agreed.works);
    Ok(paid)
}

impl Paid {
    /// Counts winners and what became of them.
    fn count(&mut self, ledger: &Ledger) -> Result<(), Failure> {
        let (mut won, mut redeemed, mut over) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        ledger.each(0, |_, entry| match entry {
            Entry::Winner(winner) => _ = won.insert(winner.id()),
            Entry::Redemption { ticket, step: Redemption::Redeemed { .. }, .. } => {
                _ = redeemed.insert(*ticket)
            }
            Entry::Redemption { ticket, step: Redemption::Reopened, .. } => _ = redeemed.remove(ticket),
            Entry::Redemption { ticket, step: Redemption::Expired | Redemption::Dropped { .. }, .. } => {
                over.insert(*ticket);
            }
            _ => {}
        })?;
        self.won += won.len() as u64;
        self.redeemed += redeemed.len() as u64;
        self.expired += over.len() as u64;
        Ok(())
    }

    /// Whether everything that was made was paid, and nothing else.
    pub(crate) const fn is_exact(&self) -> bool {
        self.tickets_sent > 0 && self.expired == 0 && self.overpaid_wei == 0 && self.unpaid_segments == 0
    }
}
