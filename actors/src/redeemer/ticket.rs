//! One winning ticket on its way: where it stands, when it ends, and whether it can be redeemed at all by what it says itself.

use alloy_primitives::{B256, U256};
use protocol::payments::entry::Winner;
use protocol::tickets::rand_hash;
use protocol::{Round, Wei};

use crate::ports::redeemer::Situation;

/// Rounds in which a ticket may be redeemed, its own counted (`ticketValidityPeriod`).
pub(super) const VALIDITY_ROUNDS: u64 = 2;

/// Where a ticket stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits.
    #[default]
    Waiting,
    /// It is in an order, and in this transaction once that is known.
    Ordered {
        /// The order's count of attempts: what becomes of an earlier one says nothing of this one.
        attempt: u32,
        /// As far as is known.
        transaction: Option<B256>,
    },
}

/// A ticket that is not done with.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) winner: Winner,
    pub(super) stage: Stage,
    /// Transactions with it that came to nothing.
    pub(super) attempt: u32,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// L1 block before which it is not tried again.
    pub(super) not_before: u64,
    /// Why it would lose money, when it was last looked at.
    pub(super) loss: Option<Loss>,
}

/// A redemption that costs more than it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("to the end its gas cost {cost}, and it would have been paid {payable}")]
pub(super) struct Loss {
    pub(super) cost: Wei,
    pub(super) payable: Wei,
}

impl Held {
    pub(super) const fn new(winner: Winner) -> Self {
        let stage = Stage::Waiting;
        Self { winner, stage, attempt: 0, refusals: 0, not_before: 0, loss: None }
    }

    pub(super) const fn face(&self) -> U256 {
        self.winner.ticket.face_value
    }

    pub(super) const fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    /// Whether it is in an order of this count of attempts.
    pub(super) const fn is_in(&self, order: u32) -> bool {
        matches!(self.stage, Stage::Ordered { attempt, .. } if attempt == order)
    }

    /// The first round in which it is too late.
    pub(super) const fn over_in(&self, closes: Option<Round>) -> Round {
        let over = self.winner.creation_round.0.saturating_add(VALIDITY_ROUNDS);
        match closes {
            Some(closes) if closes.0 < over => closes,
            _ => Round(over),
        }
    }
}

/// The L1 block at which a round begins, as far as lengths do not change.
pub(super) const fn starts(situation: &Situation, round: Round) -> u64 {
    let rounds = round.0.saturating_sub(situation.round.0);
    situation.round_start.saturating_add(rounds.saturating_mul(situation.round_length))
}

/// Why a ticket can never be redeemed, by itself: what a contract or an endpoint says of these things is not needed.
pub(super) fn flaw(winner: &Winner) -> Option<String> {
    let Winner { ticket, signature, recipient_rand, creation_round, .. } = winner;
    let round = ticket.creation().map(|(round, _)| Round::from_word(round));
    match () {
        () if ticket.recipient.is_zero() || ticket.sender.is_zero() => Some("it names nobody".into()),
        () if round != Some(*creation_round) => Some("its auxiliary data name another round".into()),
        () if ticket.creation().is_some_and(|(_, hash)| hash.is_zero()) => {
            Some("ticket creationRound does not have a block hash".into())
        }
        () if rand_hash(*recipient_rand) != ticket.recipient_rand_hash => {
            Some("recipientRand does not match recipientRandHash".into())
        }
        () => match ticket.is_signed_by_sender(signature.as_slice()) {
            Err(bad) => Some(bad.to_string()),
            Ok(false) => Some("invalid signature over ticket hash".into()),
            Ok(true) if !ticket.wins(signature.as_slice(), *recipient_rand) => {
                Some("ticket did not win".into())
            }
            Ok(true) => None,
        },
    }
}
