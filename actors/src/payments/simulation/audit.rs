//! What may never come twice, and what may be lost: kept from everything that both sides ever wrote, also when their disks have
//! forgotten it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use protocol::payments::entry::{Redemption, Side};
use protocol::payments::{Entry, SessionId};
use protocol::{PricePerPixel, Wei};

use crate::payments::contracts::plus;

const DAY_MS: u64 = 86_400_000;

/// Counts and sets over all disks.
#[derive(Default)]
pub(super) struct Audit {
    /// Tickets that were sent, by hash and nonce.
    pub(super) sent: BTreeSet<(B256, u32)>,
    /// Tickets that were credited.
    pub(super) accepted: BTreeSet<(B256, u32)>,
    prices: BTreeMap<SessionId, (PricePerPixel, [u8; 40])>,
    /// What a sender wrote off with a recipient on a day, wei.
    lost: BTreeMap<([u8; 40], u64), Wei>,
    /// Face values of winners that got credit, until they are paid.
    owed: BTreeMap<B256, Wei>,
    /// What winners that got credit were not paid.
    pub(super) unpaid: Wei,
    /// Steps by which they ended.
    pub(super) unpaid_by: Vec<Redemption>,
}

impl Audit {
    /// Counts what is on a disk now.
    pub(super) fn wrote(&mut self, entries: &[Entry]) {
        entries.iter().for_each(|entry| self.entry(entry));
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::SessionOpened(opened) if opened.side == Side::Sender => {
                let mut pair = [0; 40];
                pair[..20].copy_from_slice(opened.sender.as_slice());
                pair[20..].copy_from_slice(opened.recipient.as_slice());
                self.prices.insert(opened.session, (opened.price, pair));
            }
            Entry::TicketsSent(sent) => {
                for tickets in sent.tickets.iter() {
                    for nonce in tickets.first..tickets.first + tickets.count {
                        let new = self.sent.insert((tickets.quote.recipient_rand_hash, nonce));
                        assert!(new, "a nonce was reused");
                    }
                }
            }
            Entry::TicketsAccepted(accepted) => {
                for nonce in &accepted.nonces {
                    let ticket = (accepted.rand_hash, *nonce);
                    assert!(self.accepted.insert(ticket), "a ticket was accepted twice");
                    assert!(
                        self.sent.contains(&ticket),
                        "a ticket was accepted that nobody wrote that he sent"
                    );
                }
            }
            Entry::WrittenOff { session, credit, at_ms, .. } => {
                let (price, pair) = self.prices[session];
                let lost = self.lost.entry((pair, at_ms / DAY_MS)).or_default();
                *lost = plus(*lost, credit.to_wei(price));
            }
            Entry::Winner(winner) if winner.credited => {
                self.owed.insert(winner.id(), Wei(winner.ticket.face_value));
            }
            Entry::Redemption { ticket, step, .. } => self.step(ticket, step),
            _ => {}
        }
    }

    fn step(&mut self, ticket: &B256, step: &Redemption) {
        let Some(face) = self.owed.get(ticket).copied().filter(|_| step.is_final()) else { return };
        self.owed.remove(ticket);
        let paid = match step {
            Redemption::Redeemed { from_deposit, from_reserve, .. } => plus(*from_deposit, *from_reserve),
            _ => Wei::default(),
        };
        if paid < face {
            self.unpaid.0 += face.0 - paid.0;
            self.unpaid_by.push(step.clone());
        }
    }

    /// Winners that got credit and are not paid yet.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// The most that a sender lost to a recipient in a day.
    pub(super) fn worst_loss(&self) -> Wei {
        self.lost.values().copied().max().unwrap_or_default()
    }
}
