//! What `/api/v1/payments` says: tickets, work and winners, by stream, counterpart and session; earnings over time; alarms.
//! Wei are decimal strings, rounded up where they are a fraction; beside them stands the exact amount, in the ledger's units.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use ledger::Summary;
use ledger::books::{Balance, Totals};
use ledger::summary::{self, Curve};
use protocol::payments::SessionId;
use protocol::{PricePerPixel, StreamId, Wei};
use serde::{Deserialize, Serialize};

/// Most lines of each kind, the last busy ones: more of them nobody reads at once.
const LINES: usize = 64;

/// Everything at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payments {
    /// Entries of the ledger that are in these sums.
    pub entries: u64,
    /// US dollars for an ether, where somebody said what they are.
    pub usd_per_eth: Option<f64>,
    /// What this node pays.
    pub sender: Sheet,
    /// What it is paid.
    pub recipient: Sheet,
    /// Winners for which something is still to be done.
    pub waiting: u64,
    /// What a person must know.
    pub alarms: Vec<Alarm>,
}

/// One side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sheet {
    /// Everything since the ledger began.
    pub all: Line,
    /// By stream. Who is paid may not know streams.
    pub streams: Vec<Of<StreamId>>,
    /// By who is paid, or who pays.
    pub counterparts: Vec<Of<Address>>,
    /// Sessions.
    pub sessions: Vec<Session>,
}

/// A line and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Of<T> {
    /// A stream's name, or an address.
    pub id: T,
    /// Hex key of the node for which this address vouches, where it is known.
    pub node: Option<String>,
    /// What it comes to.
    pub line: Line,
}

/// What several sessions come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Sessions that were opened.
    pub sessions: u64,
    /// Of them, those that are open.
    pub open: u64,
    /// Unix milliseconds.
    pub since_unix_ms: u64,
    /// Last change, Unix milliseconds.
    pub last_unix_ms: u64,
    /// Segments that were worked for and are not paid.
    pub unpaid_segments: u64,
    /// Sums, exact.
    pub totals: Totals,
    /// Those of them that are fractions of a wei.
    pub wei: Rounded,
    /// Earnings over time.
    pub curve: Curve,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Its name.
    pub id: SessionId,
    /// The stream, where it is known.
    pub stream: Option<StreamId>,
    /// Who is paid, or who pays.
    pub counterpart: Address,
    /// For how much.
    pub price: PricePerPixel,
    /// Unix milliseconds.
    pub opened_unix_ms: u64,
    /// Unix milliseconds.
    pub closed_unix_ms: Option<u64>,
    /// Last change, Unix milliseconds.
    pub last_unix_ms: u64,
    /// Segments that were worked for and are not paid.
    pub unpaid_segments: u64,
    /// What is paid ahead.
    pub left: Wei,
    /// What is worked ahead.
    pub owed: Wei,
    /// Sums, exact.
    pub totals: Totals,
    /// Those of them that are fractions of a wei.
    pub wei: Rounded,
}

/// Wei, rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rounded {
    /// Worth of the tickets sent or accepted.
    pub credited: Wei,
    /// Cost of the work.
    pub debited: Wei,
    /// Worth of tickets that never arrived.
    pub written_off: Wei,
}

/// What a person must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    /// One word for it.
    pub kind: String,
    /// What happened, and what to do.
    pub message: String,
}

impl Payments {
    /// What the ledger's sums say. `node` names the node for which an address vouches.
    pub(crate) fn of(summary: &Summary, node: impl Fn(&Address) -> Option<String>) -> Self {
        Self {
            entries: summary.entries,
            sender: Sheet::of(&summary.sender, &node),
            recipient: Sheet::of(&summary.recipient, &node),
            waiting: summary.waiting(),
            ..Self::default()
        }
    }
}

impl Sheet {
    fn of(sheet: &summary::Sheet, node: impl Fn(&Address) -> Option<String>) -> Self {
        let sessions = busiest(&sheet.sessions, |session| session.last_ms);
        Self {
            all: Line::of(&sheet.all),
            streams: lines(&sheet.streams, |_| None),
            counterparts: lines(&sheet.counterparts, node),
            sessions: sessions.into_iter().map(|(id, session)| Session::of(*id, session)).collect(),
        }
    }
}

fn lines<T: Clone>(all: &BTreeMap<T, summary::Line>, node: impl Fn(&T) -> Option<String>) -> Vec<Of<T>> {
    let of = |(id, line): (&T, &summary::Line)| Of { id: id.clone(), node: node(id), line: Line::of(line) };
    busiest(all, |line| line.last_ms).into_iter().map(of).collect()
}

/// The last busy ones, latest first.
fn busiest<K, V>(all: &BTreeMap<K, V>, last_ms: impl Fn(&V) -> u64) -> Vec<(&K, &V)> {
    let mut found: Vec<_> = all.iter().collect();
    found.sort_by_key(|(_, value)| std::cmp::Reverse(last_ms(value)));
    found.truncate(LINES);
    found
}

impl Line {
    fn of(line: &summary::Line) -> Self {
        Self {
            sessions: line.sessions,
            open: line.open,
            since_unix_ms: line.since_ms,
            last_unix_ms: line.last_ms,
            unpaid_segments: line.unpaid,
            wei: Rounded::of(&line.totals),
            totals: line.totals.clone(),
            curve: line.curve.clone(),
        }
    }
}

impl Session {
    fn of(id: SessionId, session: &summary::Session) -> Self {
        let (left, owed) = match session.balance() {
            Balance::Left(credit) => (credit.to_wei(session.price), Wei::default()),
            Balance::Owed(credit) => (Wei::default(), credit.to_wei(session.price)),
        };
        Self {
            id,
            stream: session.stream.clone(),
            counterpart: session.counterpart,
            price: session.price,
            opened_unix_ms: session.opened_ms,
            closed_unix_ms: session.closed_ms,
            last_unix_ms: session.last_ms,
            unpaid_segments: session.unpaid,
            left,
            owed,
            wei: Rounded::of(&session.totals),
            totals: session.totals.clone(),
        }
    }
}

impl Rounded {
    fn of(totals: &Totals) -> Self {
        Self {
            credited: totals.credited.to_wei(),
            debited: totals.debited.to_wei(),
            written_off: totals.written_off.to_wei(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};
    use ledger::Ledger;
    use protocol::payments::entry::{Entry, SessionOpened, Side, TicketsAccepted};
    use protocol::tickets::credit::Credit;

    use super::*;

    /// A ledger in which so many broadcasters sent one ticket each, worth a third of a wei.
    fn paid_by(senders: u8) -> Payments {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = Ledger::open(dir.path()).unwrap();
        let price = PricePerPixel { wei: 1, pixels: 1 };
        for n in 0..senders {
            let session = SessionId([n; 16]);
            let opened = SessionOpened {
                session,
                side: Side::Recipient,
                stream: None,
                sender: Address::repeat_byte(n),
                recipient: Address::repeat_byte(0xff),
                price,
                at_ms: 1000,
            };
            let accepted = TicketsAccepted {
                session,
                rand_hash: B256::repeat_byte(n),
                nonces: vec![1],
                expiration_block: 5,
                credit: Credit::of_ticket(Wei(U256::ONE), U256::MAX / U256::from(3), price),
                at_ms: 2000 + u64::from(n),
            };
            let entries = vec![Entry::SessionOpened(opened), Entry::TicketsAccepted(accepted)];
            ledger.commit(entries).wait().unwrap();
        }
        let node = |address: &Address| (*address == Address::repeat_byte(1)).then(|| "key".to_owned());
        ledger.summary(|summary| Payments::of(summary, node))
    }

    #[test]
    fn a_third_of_a_wei_is_said_exactly_and_rounded_up() {
        let said = serde_json::to_value(paid_by(2)).unwrap();
        let line = &said["recipient"]["counterparts"][0];
        let third = format!("{:#x}", U256::MAX / U256::from(3));
        assert_eq!(
            (&line["id"], &line["node"]),
            (&Address::repeat_byte(1).to_string().to_lowercase().into(), &"key".into())
        );
        assert_eq!(line["line"]["wei"]["credited"], "1");
        assert_eq!(line["line"]["totals"]["credited"], serde_json::json!({ "1": third }));
        assert_eq!(said["recipient"]["all"]["wei"]["credited"], "1", "two thirds");
        assert_eq!(said["sender"]["all"]["totals"]["tickets"], 0);
    }

    #[test]
    fn lists_have_the_last_busy_ones_first_and_an_end() {
        let said = paid_by(70);
        let ids: Vec<_> = said.recipient.counterparts.iter().map(|of| of.id).collect();
        assert_eq!(ids, (6..70).rev().map(Address::repeat_byte).collect::<Vec<_>>());
        assert_eq!((said.recipient.sessions.len(), said.recipient.all.open), (LINES, 70));
    }

    #[test]
    fn what_was_written_is_read_as_the_same() {
        let said = paid_by(3);
        let text = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<Payments>(&text).unwrap(), said);
    }
}
