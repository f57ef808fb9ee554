//! What people look at: sums by session, stream and counterpart, kept up to date entry by entry.
//!
//! In flow entries that are on disk; out flow sums that are read at any time without reading entries or waiting for the disk.
//! Everything is bounded: open sessions, those that closed last, and the streams and counterparts that were busy last. The books
//! know all of them.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption, SessionOpened, Side, Winner};
use protocol::tickets::credit::Credit;
use protocol::{PricePerPixel, StreamId};
use serde::{Deserialize, Serialize};

mod curve;
mod line;

pub use self::curve::{Curve, POINTS, Point, STEP_MS};
pub use self::line::{Line, Session};

use crate::books::Totals;

/// What a part of a balance begins with that holds a piece of a summary. Parts of the books are lists of JSON.
const MARK: u8 = b's';
/// A piece of a summary in a balance is at most this long, bytes: well below what a frame takes.
const PIECE: usize = 256 << 10;

/// Streams, and counterparts, that are kept on each side; one with an open session always is.
pub const LINES: usize = 256;
/// Sessions that are kept on each side after they were closed.
pub const CLOSED: usize = 64;
/// Winners that are kept after they were redeemed, in case a reorganisation undoes that.
pub const SETTLED: usize = 1024;

/// Both sides of a node's money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Entries that it reflects.
    pub entries: u64,
    /// What the node pays.
    pub sender: Sheet,
    /// What it is paid.
    pub recipient: Sheet,
    winners: BTreeMap<B256, Winning>,
}

/// One side's sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Everything there ever was.
    pub all: Line,
    /// By stream, where the stream is known.
    pub streams: BTreeMap<StreamId, Line>,
    /// By who is paid, or who pays.
    pub counterparts: BTreeMap<Address, Line>,
    /// Sessions.
    pub sessions: BTreeMap<SessionId, Session>,
}

/// A ticket that won, and whose sums it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Winning {
    session: SessionId,
    stream: Option<StreamId>,
    sender: Address,
    face: U256,
    step: Option<Redemption>,
    at_ms: u64,
}

impl Summary {
    /// One side's sums.
    #[must_use]
    pub const fn sheet(&self, side: Side) -> &Sheet {
        match side {
            Side::Sender => &self.sender,
            Side::Recipient => &self.recipient,
        }
    }

    /// Winners for which something is still to be done.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.winners.values().filter(|winning| winning.is_open()).count() as u64
    }

    /// Counts an entry in that fits those before it.
    pub(crate) fn take(&mut self, entry: &Entry) {
        self.entries += 1;
        match entry {
            Entry::SessionOpened(opened) => self.sheet_mut(opened.side).open(opened),
            Entry::SessionClosed { session, side, at_ms } => self.sheet_mut(*side).close(*session, *at_ms),
            Entry::TicketsSent(order) => {
                self.sender.change(order.session, order.at_ms, |price, totals| totals.ordered(price, order));
            }
            Entry::TicketsAccepted(tickets) => {
                let accept = |price, totals: &mut Totals| totals.accepted(price, tickets);
                self.recipient.change(tickets.session, tickets.at_ms, accept);
            }
            Entry::Debit(work) | Entry::Receipt(work) => {
                let side = if matches!(entry, Entry::Debit(_)) { Side::Recipient } else { Side::Sender };
                let sheet = self.sheet_mut(side);
                sheet.cost(work.session, work.cost);
                sheet.change(work.session, work.at_ms, |price, totals| totals.worked(price, work));
            }
            Entry::WrittenOff { session, credit, tickets, at_ms } => {
                let write_off = |price, totals: &mut Totals| totals.wrote_off(price, *credit, *tickets);
                self.sender.change(*session, *at_ms, write_off);
            }
            Entry::Winner(winner) => self.won(winner),
            Entry::Redemption { ticket, step, at_ms } => self.redemption(*ticket, step, *at_ms),
            Entry::ParamsSecret { .. } | Entry::NonceReserved { .. } | Entry::Statement { .. } => {}
        }
    }

    /// Whether a part of a balance is a summary's.
    pub(crate) fn is_part(part: &[u8]) -> bool {
        part.first() == Some(&MARK)
    }

    /// The summary of so many entries from its parts of a balance; none when it is not understood.
    pub(crate) fn load(parts: &[Vec<u8>], entries: u64) -> Option<Self> {
        let text: Vec<u8> = parts.iter().flat_map(|part| &part[1..]).copied().collect();
        let summary: Self = serde_json::from_slice(&text).ok()?;
        (summary.entries == entries).then_some(summary)
    }

    /// All of it in parts, to be carried forward.
    pub(crate) fn balance(&self) -> Vec<Vec<u8>> {
        let text = serde_json::to_vec(self).expect("sums have a text form");
        text.chunks(PIECE).map(|piece| [&[MARK], piece].concat()).collect()
    }

    const fn sheet_mut(&mut self, side: Side) -> &mut Sheet {
        match side {
            Side::Sender => &mut self.sender,
            Side::Recipient => &mut self.recipient,
        }
    }

    fn won(&mut self, winner: &Winner) {
        let id = winner.id();
        if self.winners.contains_key(&id) {
            return;
        }
        let stream = self.recipient.sessions.get(&winner.session).and_then(|known| known.stream.clone());
        let winning = Winning {
            session: winner.session,
            stream,
            sender: winner.ticket.sender,
            face: winner.ticket.face_value,
            step: None,
            at_ms: winner.at_ms,
        };
        self.recipient.of_winner(&winning, winner.at_ms, |totals| totals.won(winning.face));
        self.winners.insert(id, winning);
    }

    fn redemption(&mut self, ticket: B256, step: &Redemption, at_ms: u64) {
        let Some(winning) = self.winners.get_mut(&ticket) else { return };
        if winning.step.as_ref().is_some_and(|before| step.repeats(before)) {
            return;
        }
        let before = winning.step.replace(step.clone());
        winning.at_ms = at_ms;
        let settle = |totals: &mut Totals| {
            if let Some(before) = &before {
                totals.take_back(before, winning.face)?;
            }
            totals.settle(step, winning.face)
        };
        self.recipient.of_winner(winning, at_ms, settle);
        if step.is_final() {
            self.forget_settled();
        }
    }

    fn forget_settled(&mut self) {
        let settled = self.winners.iter().filter(|(_, winning)| !winning.is_open());
        if settled.clone().count() > SETTLED
            && let Some(oldest) = settled.min_by_key(|(_, winning)| winning.at_ms).map(|(id, _)| *id)
        {
            self.winners.remove(&oldest);
        }
    }
}

impl Winning {
    fn is_open(&self) -> bool {
        !self.step.as_ref().is_some_and(Redemption::is_final)
    }
}

impl Sheet {
    fn open(&mut self, opened: &SessionOpened) {
        // One that was closed is over: the same name begins another one.
        if self.sessions.get(&opened.session).is_some_and(|known| known.closed_ms.is_none()) {
            return;
        }
        let session = Session::new(opened);
        let at_ms = opened.at_ms;
        self.all.opened(at_ms);
        line::busy(&mut self.counterparts, session.counterpart, LINES).opened(at_ms);
        if let Some(stream) = session.stream.clone() {
            line::busy(&mut self.streams, stream, LINES).opened(at_ms);
        }
        self.sessions.insert(opened.session, session);
    }

    fn close(&mut self, session: SessionId, at_ms: u64) {
        let Some(known) = self.sessions.get_mut(&session).filter(|known| known.closed_ms.is_none()) else {
            return;
        };
        known.closed_ms = Some(at_ms);
        let (stream, counterpart) = known.whose();
        self.each_line(stream.as_ref(), counterpart, |line| line.open = line.open.saturating_sub(1));
        let closed = self.sessions.iter().filter_map(|(id, known)| Some((known.closed_ms?, *id)));
        if closed.clone().count() > CLOSED
            && let Some((_, oldest)) = closed.min()
        {
            self.sessions.remove(&oldest);
        }
    }

    /// What the last work of a session cost: by it unpaid segments are counted.
    fn cost(&mut self, session: SessionId, cost: Credit) {
        if let Some(known) = self.sessions.get_mut(&session) {
            known.last_cost = cost;
        }
    }

    /// Changes the sums that a session is in.
    fn change(
        &mut self,
        session: SessionId,
        at_ms: u64,
        add: impl Fn(PricePerPixel, &mut Totals) -> Option<()>,
    ) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let (price, before) = (known.price, known.unpaid);
        // What does not fit the books never comes here.
        let _ = add(price, &mut known.totals);
        known.unpaid = known.owed_segments();
        known.last_ms = at_ms;
        let (after, (stream, counterpart)) = (known.unpaid, known.whose());
        self.each_line(stream.as_ref(), counterpart, |line| {
            let _ = add(price, &mut line.totals);
            line.unpaid = (line.unpaid + after).saturating_sub(before);
            line.mark(at_ms);
        });
    }

    fn of_winner(&mut self, winning: &Winning, at_ms: u64, add: impl Fn(&mut Totals) -> Option<()>) {
        if let Some(known) = self.sessions.get_mut(&winning.session) {
            let _ = add(&mut known.totals);
        }
        self.each_line(winning.stream.as_ref(), winning.sender, |line| {
            let _ = add(&mut line.totals);
            line.mark(at_ms);
        });
    }

    fn each_line(&mut self, stream: Option<&StreamId>, counterpart: Address, change: impl Fn(&mut Line)) {
        let stream = stream.and_then(|stream| self.streams.get_mut(stream));
        let counterpart = self.counterparts.get_mut(&counterpart);
        [Some(&mut self.all), stream, counterpart].into_iter().flatten().for_each(change);
    }
}
