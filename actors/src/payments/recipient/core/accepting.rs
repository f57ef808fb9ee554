//! Which tickets an orchestrator credits: its own parameters, in time, signed, not seen before, and sure to be paid if they win.

use alloy_primitives::{FixedBytes, U256};
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::{TicketsAccepted, Winner};
use protocol::tickets::batch::Batch;
use protocol::tickets::check::{self, Invalid};
use protocol::tickets::credit::Credit;
use protocol::tickets::{Ticket, rand_hash};

use super::Core;
use crate::payments::Commit;
use crate::payments::recipient::cover::{Cover, cover};
use crate::payments::recipient::nonces::{KEPT_AFTER, Nonces};
use crate::payments::recipient::refusal::Refusal;

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
impl Core {
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
