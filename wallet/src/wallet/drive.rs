//! Brings one intent to its end: sends, looks, raises the price, and looks on until Ethereum stands behind it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::look::Standing;
use super::shared::Shared;
use super::{Outcome, Progress, WalletError};
use crate::pending::Id;
use crate::pending::entry::{End, Entry};
use crate::rpc::ask_all;
use crate::rpc::refusal::{Meaning, of_sending};
use crate::witness::Tier;

/// Looks in a row by which endpoints must say that a nonce went to somebody else, where nothing is proven.
const DISPLACED_LOOKS: u32 = 5;

/// What is known of an intent between two looks.
struct Following {
    shared: Arc<Shared>,
    id: Id,
    included: Option<Outcome>,
    /// When the newest transaction was first offered.
    offered: Instant,
    /// Whether endpoints want more at once.
    cheap: bool,
    displaced: u32,
}

/// Follows an intent to its end.
pub(super) async fn drive(shared: Arc<Shared>, id: Id) {
    let mut following =
        Following { shared, id, included: None, offered: Instant::now(), cheap: false, displaced: 0 };
    following.offer().await;
    while let Some(pause) = following.step().await {
        sleep(pause).await;
    }
    following.shared.end(id);
}

impl Following {
    /// One look and what follows from it; none when it is over.
    async fn step(&mut self) -> Option<Duration> {
        let record = self.shared.open_record(self.id)?;
        let standing = self.shared.look(&record, self.included).await;
        if !matches!(standing, Standing::Displaced { .. }) {
            self.displaced = 0;
        }
        match standing {
            Standing::Included { outcome, last, lacks } => {
                self.included_in(outcome);
                self.shared.lacks(self.id, lacks);
                if last && self.end(End::Included { outcome }).await {
                    let confirmed = outcome.how.tier() == Tier::Confirmed;
                    let last = if confirmed { Progress::Confirmed } else { Progress::Settled };
                    self.shared.tell(self.id, last(outcome));
                    return None;
                }
            }
            Standing::Displaced { proven } => {
                self.displaced += 1;
                if (proven || self.displaced >= DISPLACED_LOOKS) && self.end(End::Displaced).await {
                    tracing::warn!(
                        nonce = record.nonce,
                        "a nonce was used by a transaction that is not ours"
                    );
                    self.shared.tell(self.id, Progress::Displaced);
                    return None;
                }
            }
            Standing::Absent => self.absent().await,
            Standing::Unknown => {}
        }
        let settings = &self.shared.settings;
        Some(if self.included.is_some() { settings.poll_included } else { settings.poll })
    }

    fn included_in(&mut self, outcome: Outcome) {
        if let Some(was) = self.included.filter(|was| was.block_hash != outcome.block_hash) {
            self.shared.tell(self.id, Progress::Reorged { block_hash: was.block_hash });
        }
        if self.included != Some(outcome) {
            self.shared.tell(
                self.id,
                match outcome.how.tier() {
                    Tier::Sequenced => Progress::Sequenced(outcome),
                    // That it is confirmed is told once it is on disk.
                    Tier::Pending | Tier::Confirmed => Progress::Proven(outcome),
                },
            );
        }
        self.included = Some(outcome);
    }

    /// It is in no block: it is sent again, for more once its time is over.
    async fn absent(&mut self) {
        if let Some(was) = self.included.take() {
            self.shared.tell(self.id, Progress::Reorged { block_hash: was.block_hash });
            self.offered = Instant::now();
        } else if self.cheap || self.offered.elapsed() >= self.shared.settings.escalate_after {
            self.raise().await;
        }
        self.offer().await;
        let endpoints = self.shared.endpoints().await;
        if let Ok(used) = self.shared.used_nonces(&endpoints).await {
            let nonces = self.shared.gap(used);
            if !nonces.is_empty() {
                self.shared.tell(self.id, Progress::Gap { nonces });
            }
        }
    }

    async fn raise(&mut self) {
        match self.shared.replace(self.id, false).await {
            Ok(_) => self.offered = Instant::now(),
            Err(WalletError::AtCeiling(_)) => {
                if let Some(record) = self.shared.open_record(self.id) {
                    self.shared.tell(self.id, Progress::AtCeiling { max_fee: record.newest().price.max_fee });
                }
                self.offered = Instant::now();
            }
            Err(error) => self.shared.tell(self.id, Progress::Refused { why: error.to_string() }),
        }
    }

    /// Sends the newest transaction to all.
    async fn offer(&mut self) {
        let Some(record) = self.shared.open_record(self.id) else { return };
        let signed = record.newest();
        let endpoints = self.shared.endpoints().await;
        let answers = ask_all(&endpoints, "eth_sendRawTransaction", &json!([signed.raw])).await;
        let meanings: Vec<Meaning> = answers.iter().map(|(_, answer)| of_sending(answer)).collect();
        let taken = meanings.iter().filter(|meaning| **meaning == Meaning::Taken).count();
        self.cheap = taken == 0 && meanings.contains(&Meaning::TooCheap);
        if taken > 0 {
            let of = self.shared.endpoints.len();
            self.shared.tell(self.id, Progress::Sent { hash: signed.hash, taken, of });
            return;
        }
        // That a nonce is used is found out by looking; that it is too cheap, by offering more.
        let asked = !meanings.iter().any(|meaning| matches!(meaning, Meaning::NonceUsed | Meaning::TooCheap));
        let why = meanings.into_iter().find_map(|meaning| match meaning {
            Meaning::Final(why) | Meaning::Passing(why) => Some(why),
            Meaning::Taken | Meaning::NonceUsed | Meaning::TooCheap => None,
        });
        if asked {
            let why = why.unwrap_or_else(|| "no endpoint of this chain answers".to_owned());
            self.shared.tell(self.id, Progress::Refused { why });
        }
    }

    /// Writes down that it is over; whether that worked.
    async fn end(&self, end: End) -> bool {
        let written = self.shared.write(Entry::Final { id: self.id, end }).await;
        if let Err(error) = &written {
            tracing::error!(%error, "the end of a transaction is not on disk: it is followed on");
        }
        written.is_ok()
    }
}
