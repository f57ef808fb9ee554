//! Where work for others is paid: an offer is booked before its work begins, and its receipt leaves when the work is paid.

use actix::Recipient;
use actix::prelude::Message;
use protocol::payments::SessionId;
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::receipt::Receipt;
use protocol::{Declined, Failed, Offer, PeerKey, SignedReceipt};

use crate::budget;
use crate::payments::recipient::messages::{Denied, Order, Release, Settle};

/// The way to this orchestrator's books.
#[derive(Clone, Debug)]
pub struct Till {
    /// Takes payments in.
    pub order: Recipient<Order>,
    /// Pays finished work.
    pub settle: Recipient<Settle>,
    /// Gives back what was set aside.
    pub release: Recipient<Release>,
    /// This node, which pays itself nothing.
    pub own: PeerKey,
    /// Whether work is done too for others who send no payment.
    pub unpaid: bool,
}

/// Credit that is set aside for one segment. Dropped before it is settled, it is free again.
#[derive(Debug)]
pub(super) struct Booking {
    till: Till,
    session: SessionId,
    seq: u64,
    over: bool,
}

impl Till {
    /// Books what an offer may cost; nothing to book is no fault where work is free.
    pub(super) async fn book(&self, from: PeerKey, offer: &Offer) -> Result<Option<Booking>, Declined> {
        let Some(payment) = offer.payment.clone() else {
            if from == self.own || self.unpaid || offer.price.wei == 0 {
                return Ok(None);
            }
            let words = format!("this orchestrator asks {} and no payment came with the offer", offer.price);
            return Err(Unpaid::new(Cause::Missing, words).into());
        };
        let (session, seq) = (payment.session, offer.segment.seq);
        let order = Order {
            sender: payment.sender,
            session,
            seq,
            pixels: offer.most_pixels(),
            tickets: payment.tickets,
        };
        match ask(&self.order, order).await {
            Some(Ok(_)) => Ok(Some(Booking { till: self.clone(), session, seq, over: false })),
            Some(Err(denied)) => Err(Unpaid::from(&denied).into()),
            None => Err(Unpaid::new(Cause::NotReady, "this orchestrator's books are down").into()),
        }
    }
}

impl Booking {
    /// Pays the work and gives the receipt, which may leave then.
    pub(super) async fn settle(mut self, receipt: Receipt) -> Result<SignedReceipt, Failed> {
        let settled = ask(&self.till.settle, Settle { session: self.session, receipt }).await;
        let down = || Err(Failed::Internal("this orchestrator's books are down".into()));
        let receipt = settled.map_or_else(down, |settled| {
            settled.map_err(|denied: Denied| Failed::Internal(denied.to_string()))
        })?;
        self.over = true;
        Ok(receipt)
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        let Self { session, seq, .. } = *self;
        if !self.over && self.till.release.try_send(Release { session, seq }).is_err() {
            tracing::warn!(
                ?session,
                seq,
                "the books are down: a segment stays set aside until they are read again"
            );
        }
    }
}

async fn ask<M>(books: &Recipient<M>, message: M) -> Option<M::Result>
where
    M: Message + Send,
    M::Result: Send,
{
    tokio::time::timeout(budget::ASK, books.send(message)).await.ok()?.ok()
}
