//! The actors' ledger over the one on disk.
//!
//! In flow entries, in the order of the calls; out flows that they are on disk. Knows nothing of what they say.

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
        committed.map(|done| done.map_err(|why| LedgerFault(why.to_string()))).boxed()
    }
}

impl Recall for DiskLedger {
    fn entries(&self) -> BoxFuture<'static, Result<Vec<Entry>, LedgerFault>> {
        let ledger = Arc::clone(&self.0);
        async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut all = Vec::new();
                ledger.each(0, |_, entry| all.push(entry.clone())).map(|()| all)
            });
            let fault = |why: &dyn std::fmt::Display| LedgerFault(why.to_string());
            read.await.map_err(|why| fault(&why))?.map_err(|why| fault(&why))
        }
        .boxed()
    }
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
}
