//! What a node shows of its money as metrics. go-livepeer's names keep its unit, gwei, and its habit of naming sums without
//! `_total`, so that its dashboards find them.

use ledger::Summary;
use ledger::summary::Line;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use protocol::Wei;

/// Wei of a gwei.
const GWEI: f64 = 1e9;
/// Wei of an ether.
const ETH: f64 = 1e18;

type Float = Gauge<f64, std::sync::atomic::AtomicU64>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PaymentFigures {
    ticket_value_sent: Float,
    tickets_sent: Gauge,
    ticket_value_recv: Float,
    tickets_recv: Gauge,
    winning_tickets_recv: Gauge,
    value_redeemed: Float,
    redemption_errors: Gauge,
    redeemed: Gauge,
    expired: Gauge,
    waiting: Gauge,
    gas: Float,
    cost: Float,
    earned: Float,
    pixels_bought: Gauge,
    pixels_sold: Gauge,
    written_off: Float,
    unpaid: Family<Whose, Gauge>,
    sessions: Family<Whose, Gauge>,
    alarms: Family<Kind, Gauge>,
    stream_cost: Family<Stream, Float>,
}

/// Who owes, or holds sessions: this node as `sender` or `recipient` of tickets.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Whose {
    side: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Stream {
    stream: String,
}

impl PaymentFigures {
    pub(super) fn set<'a>(&self, summary: &Summary, alarms: impl Iterator<Item = &'a str>) {
        let (out, income) = (&summary.sender.all, &summary.recipient.all);
        self.ticket_value_sent.set(in_units(out.totals.credited.to_wei(), GWEI));
        self.tickets_sent.set(signed(out.totals.tickets));
        self.ticket_value_recv.set(in_units(income.totals.credited.to_wei(), GWEI));
        self.tickets_recv.set(signed(income.totals.tickets));
        self.winning_tickets_recv.set(signed(income.totals.won));
        self.value_redeemed.set(in_units(income.totals.redeemed_wei, GWEI));
        self.redemption_errors.set(signed(income.totals.lost));
        self.redeemed.set(signed(income.totals.redeemed));
        self.expired.set(signed(income.totals.expired));
        self.waiting.set(signed(summary.waiting()));
        self.gas.set(in_units(income.totals.gas, ETH));
        self.cost.set(in_units(out.totals.debited.to_wei(), ETH));
        self.earned.set(in_units(income.totals.debited.to_wei(), ETH));
        self.pixels_bought.set(signed(out.totals.pixels));
        self.pixels_sold.set(signed(income.totals.pixels));
        self.written_off.set(in_units(out.totals.written_off.to_wei(), ETH));
        for (side, line) in [("sender", out), ("recipient", income)] {
            self.side(side, line);
        }
        self.alarms.clear();
        for kind in alarms {
            self.alarms.get_or_create(&Kind { kind: kind.to_owned() }).inc();
        }
        self.stream_cost.clear();
        for (stream, line) in summary.sender.streams.iter().filter(|(_, line)| line.open > 0) {
            let cost = in_units(line.totals.debited.to_wei(), ETH);
            self.stream_cost.get_or_create(&Stream { stream: stream.to_string() }).set(cost);
        }
    }

    fn side(&self, side: &'static str, line: &Line) {
        self.unpaid.get_or_create(&Whose { side }).set(signed(line.unpaid));
        self.sessions.get_or_create(&Whose { side }).set(signed(line.open));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let theirs = registry.sub_registry_with_prefix("livepeer");
        let help = "Worth of the tickets sent: face value by probability, gwei";
        theirs.register("ticket_value_sent", help, self.ticket_value_sent.clone());
        theirs.register("tickets_sent", "Tickets sent", self.tickets_sent.clone());
        let help = "Worth of the tickets accepted: face value by probability, gwei";
        theirs.register("ticket_value_recv", help, self.ticket_value_recv.clone());
        theirs.register("tickets_recv", "Tickets accepted", self.tickets_recv.clone());
        let help = "Tickets accepted that won";
        theirs.register("winning_tickets_recv", help, self.winning_tickets_recv.clone());
        let help = "What redeemed winners brought, gwei";
        theirs.register("value_redeemed", help, self.value_redeemed.clone());
        let help = "Winners that will never be redeemed";
        theirs.register("ticket_redemption_errors", help, self.redemption_errors.clone());
        let ours = registry.sub_registry_with_prefix("livemesh");
        ours.register("tickets_redeemed", "Winners redeemed", self.redeemed.clone());
        ours.register("tickets_expired", "Winners whose rounds were over", self.expired.clone());
        let help = "Winners for which something is still to be done";
        ours.register("tickets_waiting", help, self.waiting.clone());
        ours.register("redemption_gas_eth", "What redemptions cost in transactions, ETH", self.gas.clone());
        ours.register("payments_cost_eth", "Cost of the work received, ETH", self.cost.clone());
        ours.register("payments_earned_eth", "Price of the work done, ETH", self.earned.clone());
        ours.register("payments_pixels_bought", "Pixels paid for", self.pixels_bought.clone());
        ours.register("payments_pixels_sold", "Pixels paid for by others", self.pixels_sold.clone());
        let help = "Worth of tickets that never arrived, ETH";
        ours.register("payments_written_off_eth", help, self.written_off.clone());
        let help = "Segments that were worked for and are not paid, by this node's side";
        ours.register("payments_unpaid_segments", help, self.unpaid.clone());
        let help = "Accounts that are open, by this node's side";
        ours.register("payments_sessions", help, self.sessions.clone());
        ours.register("payments_alarms", "Alarms that are on, by kind", self.alarms.clone());
        let help = "Cost so far of streams that are being paid, ETH";
        ours.register("payments_stream_cost_eth", help, self.stream_cost.clone());
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn in_units(wei: Wei, unit: f64) -> f64 {
    f64::from(wei.0) / unit
}

#[cfg(test)]
mod tests {
    use std::iter;

    use alloy_primitives::U256;
    use ledger::Ledger;
    use protocol::payments::SessionId;
    use protocol::payments::entry::{Entry, SessionOpened, Side, Work};
    use protocol::tickets::credit::Credit;
    use protocol::{Hash, PricePerPixel, Receipt, SegmentId};

    use super::super::Metrics;
    use super::*;

    #[test]
    fn money_has_go_livepeers_names_and_its_unit_and_a_stream_its_own_cost() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = Ledger::open(dir.path()).unwrap();
        let (session, price) = (SessionId([1; 16]), PricePerPixel { wei: 1000, pixels: 1 });
        let stream: protocol::StreamId = "me".parse().unwrap();
        let opened = SessionOpened {
            session,
            side: Side::Sender,
            stream: Some(stream.clone()),
            sender: alloy_primitives::Address::repeat_byte(1),
            recipient: alloy_primitives::Address::repeat_byte(2),
            price,
            at_ms: 1,
        };
        let segment = SegmentId { stream, seq: 0 };
        let receipt = Receipt { segment, source: Hash::of(b"source"), renditions: Vec::new() };
        let (pixels, cost) = (2_000_000_000, Credit::of_work(2_000_000_000, price));
        let work = Work { session, receipt, pixels, cost, at_ms: 2 };
        ledger.commit(vec![Entry::SessionOpened(opened), Entry::Receipt(work)]).wait().unwrap();
        let metrics = Metrics::new(1);
        ledger.summary(|summary| metrics.payments(summary, iter::once("deposit")));
        let text = metrics.text(0, 0, 0);
        for line in [
            "livepeer_tickets_sent 0",
            "livepeer_ticket_value_recv 0.0",
            "livemesh_payments_cost_eth 0.000002",
            "livemesh_payments_stream_cost_eth{stream=\"me\"} 0.000002",
            "livemesh_payments_pixels_bought 2000000000",
            "livemesh_payments_unpaid_segments{side=\"sender\"} 1",
            "livemesh_payments_sessions{side=\"sender\"} 1",
            "livemesh_payments_alarms{kind=\"deposit\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(in_units(Wei(U256::from(1_500_000_000_u64)), GWEI), 1.5);
        ledger.summary(|summary| metrics.payments(summary, iter::empty()));
        assert!(!metrics.text(0, 0, 0).contains("kind=\"deposit\""), "an alarm that is over is gone");
    }
}
