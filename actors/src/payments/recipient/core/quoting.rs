//! What an orchestrator asks of tickets: parameters that are good for a few minutes, at a price that is fixed with the first ones.

use alloy_primitives::{Address, B256, U256};
use protocol::payments::entry::{SessionOpened, Side};
use protocol::payments::{Entry, SessionId};
use protocol::tickets::check::Invalid;
use protocol::tickets::credit::Credit;
use protocol::tickets::params::{Costs, Refused, face_value, win_prob};
use protocol::tickets::quote::{LIFETIME_BLOCKS, Quote};
use protocol::{PricePerPixel, StreamId, Wei};

use super::Core;
use crate::payments::Commit;
use crate::payments::recipient::cover::cover;
use crate::payments::recipient::refusal::Refusal;
use crate::ports::payments::ChainHead;

/// Accounts that one sender may have open: a stream each, and no sender of one key has more streams on one orchestrator.
pub const SESSIONS_OF_A_SENDER: usize = 64;
/// Time after which an unused account makes room for another one of the same sender, milliseconds.
const IDLE_MS: u64 = 3_600_000;
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
impl Core {
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
}
