//! The node's money as people see it: sums of the ledger, and alarms of whoever pays.
//!
//! In flow the ledger's own sums and, every few seconds, the payer's alarms; out flow the page's payments and metrics. Changes
//! nothing and reads no entry.

use std::sync::Arc;
use std::time::Duration;

use actors::payments::sender::alarm::Alarm;
use alloy_primitives::Address;
use ledger::Ledger;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::adapters::payments::purse::Purse;
use crate::http::payments::{self, Payments};
use crate::metrics::Metrics;

/// How often the payer is asked for its alarms; what they are about changes with blocks and segments.
const LOOK: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) alarms: watch::Receiver<Vec<Alarm>>,
    /// US dollars for an ether, where somebody said what they are.
    pub(crate) eth_usd: Option<f64>,
}

impl Books {
    /// What the page shows; `node` names the node for which an address vouches.
    pub(super) fn payments(&self, node: impl Fn(&Address) -> Option<String>) -> Payments {
        let alarms = self.alarms.borrow().iter().map(alarm).collect();
        let sums = self.ledger.summary(|summary| Payments::of(summary, node));
        Payments { usd_per_eth: self.eth_usd, alarms, ..sums }
    }

    /// Brings the metrics up to date.
    pub(super) fn measure(&self, metrics: &Metrics) {
        let alarms = self.alarms.borrow();
        self.ledger.summary(|summary| metrics.payments(summary, alarms.iter().map(kind)));
    }
}

/// Follows the alarms of whoever pays, where somebody does.
pub(crate) fn follow(purse: Option<&Arc<Purse>>) -> (watch::Receiver<Vec<Alarm>>, Option<JoinHandle<()>>) {
    let (told, alarms) = watch::channel(Vec::new());
    let task = purse.cloned().map(|purse| {
        tokio::spawn(async move {
            loop {
                // Books that are down say so elsewhere; what they said last stands.
                if let Ok(now) = purse.alarms().await {
                    told.send_replace(now);
                }
                tokio::time::sleep(LOOK).await;
            }
        })
    });
    (alarms, task)
}

fn alarm(alarm: &Alarm) -> payments::Alarm {
    payments::Alarm { kind: kind(alarm).to_owned(), message: alarm.to_string() }
}

const fn kind(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::Deposit { .. } => "deposit",
        Alarm::Reserve { .. } => "reserve",
        Alarm::Unlocking(_) => "unlocking",
        Alarm::Budget { .. } => "budget",
    }
}
