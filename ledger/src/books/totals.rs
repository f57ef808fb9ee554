//! Sums over many entries: of a day, of a stream, with one counterpart, of everything.
//!
//! Each kind of entry adds itself in one function, so that every sum counts alike. None of them looks at an account; nothing is
//! changed back but the step of a redemption that a reorganisation undid.

use alloy_primitives::U256;
use protocol::payments::entry::{Redemption, TicketsAccepted, TicketsSent, Work};
use protocol::tickets::credit::Credit;
use protocol::{PricePerPixel, Wei};
use serde::{Deserialize, Serialize};

use super::Amount;

/// What entries come to. Functions that add answer with none when a sum no longer fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Segments that a sender ordered, with tickets or from what was left.
    pub orders: u64,
    /// Tickets sent or accepted.
    pub tickets: u64,
    /// Face value of those sent. Who accepts tickets learns it of winners only.
    pub face_value: Wei,
    /// What they are worth.
    pub credited: Amount,
    /// Segments that are paid.
    pub works: u64,
    /// Pixels that are paid.
    pub pixels: u64,
    /// What they cost.
    pub debited: Amount,
    /// Tickets that never arrived.
    pub written_off_tickets: u64,
    /// What they were worth.
    pub written_off: Amount,
    /// Tickets that won.
    pub won: u64,
    /// Their face value.
    pub won_face: Wei,
    /// Tickets redeemed, less those that a reorganisation undid.
    pub redeemed: u64,
    /// Wei that came for them from deposits and reserves.
    pub redeemed_wei: Wei,
    /// Wei that their transactions cost.
    pub gas: Wei,
    /// Winners that came to nothing.
    pub lost: u64,
    /// Of them, those whose rounds were over.
    pub expired: u64,
    /// Face value of all that came to nothing.
    pub lost_face: Wei,
}

impl Totals {
    /// A segment and the tickets that go with it.
    pub(crate) fn ordered(&mut self, price: PricePerPixel, order: &TicketsSent) -> Option<()> {
        self.orders += 1;
        let Some(sent) = &order.tickets else { return Some(()) };
        self.tickets += u64::from(sent.count);
        let faces = sent.quote.face_value.0.checked_mul(U256::from(sent.count))?;
        self.face_value = more(self.face_value, faces)?;
        self.credited.add(price, sent.credit)
    }

    /// Tickets taken.
    pub(crate) fn accepted(&mut self, price: PricePerPixel, accepted: &TicketsAccepted) -> Option<()> {
        self.tickets += accepted.nonces.len() as u64;
        self.credited.add(price, accepted.credit)
    }

    /// A segment that is paid.
    pub(crate) fn worked(&mut self, price: PricePerPixel, work: &Work) -> Option<()> {
        self.works += 1;
        self.pixels = self.pixels.checked_add(work.pixels)?;
        self.debited.add(price, work.cost)
    }

    /// Tickets that never arrived.
    pub(crate) fn wrote_off(&mut self, price: PricePerPixel, credit: Credit, tickets: u64) -> Option<()> {
        self.written_off_tickets += tickets;
        self.written_off.add(price, credit)
    }

    /// A ticket that won.
    pub(crate) fn won(&mut self, face: U256) -> Option<()> {
        self.won += 1;
        self.won_face = more(self.won_face, face)?;
        Some(())
    }

    /// How far a winner of this face value is.
    pub(crate) fn settle(&mut self, step: &Redemption, face: U256) -> Option<()> {
        match step {
            Redemption::Redeemed { from_deposit, from_reserve, gas, .. } => {
                self.redeemed += 1;
                self.redeemed_wei = more(more(self.redeemed_wei, from_deposit.0)?, from_reserve.0)?;
                self.gas = more(self.gas, gas.0)?;
            }
            Redemption::Expired | Redemption::Dropped { .. } => {
                self.lost += 1;
                self.expired += u64::from(*step == Redemption::Expired);
                self.lost_face = more(self.lost_face, face)?;
            }
            Redemption::Queued | Redemption::Sent { .. } | Redemption::Reopened => {}
        }
        Some(())
    }

    /// Undoes [`Self::settle`], but for the gas, which is spent.
    pub(crate) fn take_back(&mut self, step: &Redemption, face: U256) -> Option<()> {
        match step {
            Redemption::Redeemed { from_deposit, from_reserve, .. } => {
                self.redeemed = self.redeemed.checked_sub(1)?;
                self.redeemed_wei = less(less(self.redeemed_wei, from_deposit.0)?, from_reserve.0)?;
            }
            Redemption::Expired | Redemption::Dropped { .. } => {
                self.lost = self.lost.checked_sub(1)?;
                self.expired = self.expired.checked_sub(u64::from(*step == Redemption::Expired))?;
                self.lost_face = less(self.lost_face, face)?;
            }
            Redemption::Queued | Redemption::Sent { .. } | Redemption::Reopened => {}
        }
        Some(())
    }
}

fn more(all: Wei, one: U256) -> Option<Wei> {
    all.0.checked_add(one).map(Wei)
}

fn less(all: Wei, one: U256) -> Option<Wei> {
    all.0.checked_sub(one).map(Wei)
}
