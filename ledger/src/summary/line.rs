//! One line of a sheet: what all sessions with somebody, or for something, come to; and a session by itself.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::payments::entry::{SessionOpened, Side};
use protocol::tickets::credit::Credit;
use protocol::{PricePerPixel, StreamId};
use serde::{Deserialize, Serialize};

use super::curve::{Curve, Point};
use crate::books::{Amount, Balance, Totals};

/// What several sessions come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Sessions that were opened.
    pub sessions: u64,
    /// Of them, those that are open.
    pub open: u64,
    /// Sums.
    pub totals: Totals,
    /// Segments that were worked for and are not paid.
    pub unpaid: u64,
    /// When its first session was opened, Unix milliseconds.
    pub since_ms: u64,
    /// Its last change, Unix milliseconds.
    pub last_ms: u64,
    /// What was earned over time.
    pub curve: Curve,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The stream, where it is known.
    pub stream: Option<StreamId>,
    /// Who is paid, in a sender's sheet; who pays, in a recipient's.
    pub counterpart: Address,
    /// For how much.
    pub price: PricePerPixel,
    /// Unix milliseconds.
    pub opened_ms: u64,
    /// Unix milliseconds.
    pub closed_ms: Option<u64>,
    /// Its last change, Unix milliseconds.
    pub last_ms: u64,
    /// Sums.
    pub totals: Totals,
    /// Segments that were worked for and are not paid.
    pub unpaid: u64,
    pub(super) last_cost: Credit,
}

impl Line {
    pub(super) fn opened(&mut self, at_ms: u64) {
        if self.sessions == 0 {
            self.since_ms = at_ms;
        }
        self.sessions += 1;
        self.open += 1;
        self.mark(at_ms);
    }

    /// Something changed.
    pub(super) fn mark(&mut self, at_ms: u64) {
        self.last_ms = at_ms;
        let totals = &self.totals;
        self.curve.mark(Point { at_ms, worked: totals.debited.to_wei(), redeemed: totals.redeemed_wei });
    }
}

impl Session {
    pub(super) fn new(opened: &SessionOpened) -> Self {
        let counterpart = match opened.side {
            Side::Sender => opened.recipient,
            Side::Recipient => opened.sender,
        };
        Self {
            stream: opened.stream.clone(),
            counterpart,
            price: opened.price,
            opened_ms: opened.at_ms,
            closed_ms: None,
            last_ms: opened.at_ms,
            totals: Totals::default(),
            unpaid: 0,
            last_cost: Credit::ZERO,
        }
    }

    /// What is left or owed.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let of = |amount: &Amount| amount.0.get(&self.price.pixels).copied().unwrap_or_default();
        let totals = &self.totals;
        Balance::of(of(&totals.credited), of(&totals.debited).plus(of(&totals.written_off)))
    }

    /// How many segments such as the last one are owed.
    pub(super) fn owed_segments(&self) -> u64 {
        match self.balance() {
            Balance::Left(_) => 0,
            Balance::Owed(owed) => owed.in_units_of(self.last_cost).unwrap_or(0),
        }
    }

    pub(super) fn whose(&self) -> (Option<StreamId>, Address) {
        (self.stream.clone(), self.counterpart)
    }
}

/// The line of a key. For a new one the longest silent makes room, if no session of it is open.
pub(super) fn busy<K: Ord + Clone>(lines: &mut BTreeMap<K, Line>, key: K, most: usize) -> &mut Line {
    if lines.len() >= most && !lines.contains_key(&key) {
        let silent = lines.iter().filter(|(_, line)| line.open == 0).min_by_key(|(_, line)| line.last_ms);
        if let Some(silent) = silent.map(|(key, _)| key.clone()) {
            lines.remove(&silent);
        }
    }
    lines.entry(key).or_default()
}
