//! The receipt of a transaction, proven: all receipts of its block, from whoever has them, must hash to
//! the root of a header that the witness proves.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::U256;
use protocol::Wei;
use serde_json::{Value, json};
use url::Url;
use wallet::inclusion::{Claim, shown};
use wallet::rpc::Endpoint;
use wallet::{Outcome, Witness};

use crate::cli::Failure;

/// Endpoints that have receipts, and who proves them.
#[derive(Debug)]
pub(super) struct Receipts {
    endpoints: Vec<Endpoint>,
    witness: Arc<dyn Witness>,
}

impl Receipts {
    pub(super) fn new(urls: Vec<Url>, witness: Arc<dyn Witness>, timeout: Duration) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().timeout(timeout).build()?;
        let endpoints = urls.into_iter().map(|url| Endpoint::new(url, client.clone(), timeout)).collect();
        Ok(Self { endpoints, witness })
    }

    /// The proven receipt of a transaction, and what its gas cost; or why there is none now.
    pub(super) async fn of(&self, outcome: &Outcome) -> Result<(Value, Wei), String> {
        let block = self.witness.receipts_root(outcome.block_hash).await.map_err(|why| why.to_string())?;
        let mut last = "no endpoint is configured".to_owned();
        for endpoint in &self.endpoints {
            let asked = tokio::try_join!(
                endpoint.ask("eth_getTransactionReceipt", json!([outcome.hash])),
                endpoint.ask("eth_getBlockReceipts", json!([outcome.block_hash])),
                endpoint.ask("eth_getBlockByHash", json!([outcome.block_hash, true])),
            );
            let found = asked.map_err(|why| why.to_string()).and_then(|(own, all, whole)| {
                let claim = Claim::from_receipt(&own, outcome.hash).ok_or("it gives no receipt")?;
                let claim = shown(&claim, &block, &all, &whole).map_err(|why| why.to_string())?;
                let at = usize::try_from(claim.index).unwrap_or(usize::MAX);
                let receipt = all.get(at).cloned().ok_or("it gives no receipt")?;
                let price = block.base_fee.map(U256::from);
                let price = price.or_else(|| wallet::rpc::value::uint(&own["effectiveGasPrice"]));
                let price = price.ok_or("nobody says what gas cost")?;
                Ok((receipt, Wei(price.saturating_mul(U256::from(claim.gas_used)))))
            });
            match found {
                Ok(found) => return Ok(found),
                Err(why) => last = format!("{}: {why}", endpoint.name()),
            }
        }
        Err(last)
    }
}
