//! A ledger as lines for people and their spreadsheets: every amount in and out, with the number of the entry that says so.
//!
//! Written entry by entry, so that a ledger of any length fits in memory. Secrets stay inside: a recipient's secret and the
//! numbers of winners are left out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use alloy_primitives::{Address, B256, U256};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption, Side};
use protocol::tickets::credit::Credit;
use protocol::{PricePerPixel, StreamId, Wei};
use serde::Serialize;
use thiserror::Error;

use crate::segments::SegmentsError;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a head line.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Why an export ended early.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] SegmentsError),
    /// Where the lines go.
    #[error("the lines cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// One line. Credits are exact, in units of 1 / ((2^256 - 1) * `unit_pixels`) wei; wei are rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Row {
    seq: u64,
    at_ms: Option<u64>,
    side: &'static str,
    kind: &'static str,
    session: Option<SessionId>,
    stream: Option<StreamId>,
    sender: Option<Address>,
    recipient: Option<Address>,
    segment: Option<u64>,
    pixels: Option<u64>,
    tickets: Option<u64>,
    unit_pixels: Option<u64>,
    credit_in: Option<String>,
    credit_out: Option<String>,
    wei_in: Option<Wei>,
    wei_out: Option<Wei>,
    ticket: Option<B256>,
    transaction: Option<B256>,
    note: Option<String>,
}

/// Head line, in the order of [`Row::cells`].
const HEAD: &str = "seq,at_ms,side,kind,session,stream,sender,recipient,segment,pixels,tickets,unit_pixels,credit_in,\
                    credit_out,wei_in,wei_out,ticket,transaction,note";

/// Writes a whole ledger, which another process may be using; says how many entries it had.
///
/// # Errors
/// [`ExportError`].
pub fn export(dir: &Path, format: Format, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut terms = BTreeMap::new();
    let (mut count, mut written) = (0, Ok(()));
    if format == Format::Csv {
        writeln!(out, "{HEAD}")?;
    }
    crate::store::read(dir, u64::MAX, |seq, entry| {
        if written.is_ok() {
            let row = row(seq, entry, &mut terms);
            written = match format {
                Format::Csv => writeln!(out, "{}", row.cells().join(",")),
                Format::Json => serde_json::to_writer(&mut *out, &row)
                    .map_err(io::Error::from)
                    .and_then(|()| writeln!(out)),
            };
            count += 1;
        }
    })?;
    written?;
    out.flush()?;
    Ok(count)
}

/// What a row repeats of its account.
#[derive(Clone, Debug)]
struct Terms {
    stream: Option<StreamId>,
    sender: Address,
    recipient: Address,
    price: PricePerPixel,
}

type Accounts = BTreeMap<(Side, SessionId), Terms>;

fn row(seq: u64, entry: &Entry, accounts: &mut Accounts) -> Row {
    let row = Row { seq, ..Row::default() };
    match entry {
        Entry::ParamsSecret { recipient, .. } => {
            Row { kind: "secret drawn", side: side(Side::Recipient), recipient: Some(*recipient), ..row }
        }
        Entry::SessionOpened(opened) => {
            let terms = Terms {
                stream: opened.stream.clone(),
                sender: opened.sender,
                recipient: opened.recipient,
                price: opened.price,
            };
            accounts.insert((opened.side, opened.session), terms);
            let note = Some(format!("{} wei for {} pixels", opened.price.wei, opened.price.pixels));
            Row { kind: "opened", at_ms: Some(opened.at_ms), note, ..row }.of(
                opened.side,
                opened.session,
                accounts,
            )
        }
        Entry::SessionClosed { session, side, at_ms } => {
            Row { kind: "closed", at_ms: Some(*at_ms), ..row }.of(*side, *session, accounts)
        }
        Entry::NonceReserved { session, up_to, .. } => {
            let note = Some(format!("up to {up_to}"));
            Row { kind: "nonces reserved", note, ..row }.of(Side::Sender, *session, accounts)
        }
        Entry::TicketsSent(order) => {
            let (tickets, credit) =
                order.tickets.as_ref().map_or((0, Credit::ZERO), |sent| (sent.count, sent.credit));
            let (segment, pixels) = (Some(order.seq), Some(order.pixels));
            let tickets = Some(tickets.into());
            Row { kind: "sent", at_ms: Some(order.at_ms), segment, pixels, tickets, ..row }
                .of(Side::Sender, order.session, accounts)
                .money_in(credit)
        }
        Entry::TicketsAccepted(tickets) => {
            let count = Some(tickets.nonces.len() as u64);
            Row { kind: "accepted", at_ms: Some(tickets.at_ms), tickets: count, ..row }
                .of(Side::Recipient, tickets.session, accounts)
                .money_in(tickets.credit)
        }
        Entry::Winner(winner) => {
            let note = Some(format!("face value {} wei", winner.ticket.face_value));
            Row { kind: "won", at_ms: Some(winner.at_ms), ticket: Some(winner.id()), note, ..row }.of(
                Side::Recipient,
                winner.session,
                accounts,
            )
        }
        Entry::Debit(work) | Entry::Receipt(work) => {
            let (kind, side) = match entry {
                Entry::Debit(_) => ("worked", Side::Recipient),
                _ => ("received", Side::Sender),
            };
            let (segment, pixels) = (Some(work.receipt.segment.seq), Some(work.pixels));
            Row { kind, at_ms: Some(work.at_ms), segment, pixels, ..row }
                .of(side, work.session, accounts)
                .money_out(work.cost)
        }
        Entry::Statement { statement, at_ms } => {
            let ours = statement.statement.side.other();
            Row { kind: "statement", at_ms: Some(*at_ms), ..row }.of(
                ours,
                statement.statement.session,
                accounts,
            )
        }
        Entry::WrittenOff { session, credit, tickets, at_ms } => {
            Row { kind: "written off", at_ms: Some(*at_ms), tickets: Some(*tickets), ..row }
                .of(Side::Sender, *session, accounts)
                .money_out(*credit)
        }
        Entry::Redemption { ticket, step, at_ms } => {
            let row = Row { at_ms: Some(*at_ms), side: side(Side::Recipient), ticket: Some(*ticket), ..row };
            row.redemption(step)
        }
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Sender => "sender",
        Side::Recipient => "recipient",
    }
}

impl Row {
    fn of(self, whose: Side, session: SessionId, accounts: &Accounts) -> Self {
        let row = Self { side: side(whose), session: Some(session), ..self };
        let Some(terms) = accounts.get(&(whose, session)) else { return row };
        Self {
            stream: terms.stream.clone(),
            sender: Some(terms.sender),
            recipient: Some(terms.recipient),
            unit_pixels: Some(terms.price.pixels),
            ..row
        }
    }

    /// The price of wei does not matter here, only its unit.
    fn wei(&self, credit: Credit) -> Option<Wei> {
        self.unit_pixels.map(|pixels| credit.to_wei(PricePerPixel { wei: 0, pixels }))
    }

    fn money_in(self, credit: Credit) -> Self {
        Self { wei_in: self.wei(credit), credit_in: Some(credit.to_string()), ..self }
    }

    fn money_out(self, credit: Credit) -> Self {
        Self { wei_out: self.wei(credit), credit_out: Some(credit.to_string()), ..self }
    }

    fn redemption(self, step: &Redemption) -> Self {
        match step {
            Redemption::Queued => Self { kind: "queued", ..self },
            Redemption::Sent { transaction, attempt } => Self {
                kind: "redemption sent",
                transaction: Some(*transaction),
                note: Some(format!("attempt {attempt}")),
                ..self
            },
            Redemption::Redeemed { transaction, block, from_deposit, from_reserve, gas } => Self {
                kind: "redeemed",
                transaction: Some(*transaction),
                wei_in: Some(Wei(from_deposit.0.saturating_add(from_reserve.0))),
                wei_out: Some(*gas).filter(|gas| gas.0 != U256::ZERO),
                note: Some(format!("block {block}, {} wei of it from the reserve", from_reserve.0)),
                ..self
            },
            Redemption::Reopened => Self { kind: "reopened", ..self },
            Redemption::Expired => Self { kind: "expired", ..self },
            Redemption::Dropped { reason } => Self { kind: "dropped", note: Some(reason.clone()), ..self },
        }
    }

    fn cells(&self) -> [String; 19] {
        fn text<T: ToString>(cell: Option<&T>) -> String {
            cell.map_or_else(String::new, T::to_string)
        }
        let wei = |cell: Option<Wei>| text(cell.map(|wei| wei.0).as_ref());
        [
            self.seq.to_string(),
            text(self.at_ms.as_ref()),
            self.side.to_owned(),
            self.kind.to_owned(),
            text(self.session.as_ref()),
            text(self.stream.as_ref()),
            text(self.sender.as_ref()),
            text(self.recipient.as_ref()),
            text(self.segment.as_ref()),
            text(self.pixels.as_ref()),
            text(self.tickets.as_ref()),
            text(self.unit_pixels.as_ref()),
            self.credit_in.clone().unwrap_or_default(),
            self.credit_out.clone().unwrap_or_default(),
            wei(self.wei_in),
            wei(self.wei_out),
            text(self.ticket.as_ref()),
            text(self.transaction.as_ref()),
            self.note.as_deref().map_or_else(String::new, quoted),
        ]
    }
}

/// A cell of free text. One that a spreadsheet would run as a formula is made text.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}
