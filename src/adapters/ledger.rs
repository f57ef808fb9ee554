//! The actors' ledger over the one on disk.
//!
//! In flow entries, in the order of the calls; out flows that they are on disk, and all of them again for whoever makes its books
//! anew. Knows nothing of what they say.

use std::sync::Arc;

use actors::ports::payments::{Ledger as Port, LedgerFault, Recall};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::Ledger;
use protocol::payments::Entry;

/// A ledger on disk as actors want it.
#[derive(Clone, Debug)]
pub(crate) struct DiskLedger(Arc<Ledger>);

impl DiskLedger {
    /// Over an open ledger, which others may ask at the same time.
    pub(crate) const fn new(ledger: Arc<Ledger>) -> Self {
        Self(ledger)
    }
}

impl Port for DiskLedger {
    fn commit(&self, entries: Vec<Entry>) -> BoxFuture<'static, Result<(), LedgerFault>> {
        // The place in the order is taken here, before anybody polls.
        let committed = self.0.commit(entries);
        committed.map(|done| done.map_err(fault)).boxed()
    }
}

impl Recall for DiskLedger {
    fn entries(&self) -> BoxFuture<'static, Result<Vec<Entry>, LedgerFault>> {
        let ledger = Arc::clone(&self.0);
        // Its place behind all earlier commits is taken here, as theirs are.
        let settled = ledger.settled();
        async move {
            settled.await.map_err(fault)?;
            let read = tokio::task::spawn_blocking(move || ledger.recall());
            read.await.map_err(fault)?.map_err(fault)
        }
        .boxed()
    }
}

fn fault(why: impl std::fmt::Display) -> LedgerFault {
    LedgerFault(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};

    #[tokio::test]
    async fn what_an_actor_committed_is_there_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let (recipient, secret) = (Address::repeat_byte(1), B256::repeat_byte(2));
        let (ledger, _) = Ledger::open(dir.path()).unwrap();
        let port = DiskLedger::new(Arc::new(ledger));
        port.commit(vec![Entry::ParamsSecret { recipient, secret }]).await.unwrap();
        assert!(port.commit(Vec::new()).await.is_err(), "nothing was asked for");
        drop(port);
        let (ledger, _) = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.secret(recipient), Some(secret));
    }

    #[tokio::test]
    async fn books_are_made_again_from_all_that_was_given_before_even_if_nobody_waited_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = Ledger::open(dir.path()).unwrap();
        let port = DiskLedger::new(Arc::new(ledger));
        let secret =
            |n: u8| Entry::ParamsSecret { recipient: Address::repeat_byte(n), secret: B256::repeat_byte(n) };
        let given: Vec<Entry> = (0..200).map(secret).collect();
        let committed: Vec<_> = given.iter().map(|entry| port.commit(vec![entry.clone()])).collect();
        let refused = port.commit(Vec::new());
        let recalled = port.entries();
        let later = port.commit(vec![secret(201)]);
        let recalled = recalled.await.unwrap();
        assert!(recalled.starts_with(&given), "all that was given before, in its order");
        futures::future::try_join_all(committed).await.unwrap();
        assert!(refused.await.is_err());
        later.await.unwrap();
        assert_eq!(port.entries().await.unwrap().len(), 201);
    }
}
