//! What a transaction's tickets were paid, by logs that are proven: all receipts of its block, from whoever has them, must hash to
//! the root of a header that the witness proves.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actors::ports::redeemer::Paid;
use alloy_primitives::{Address, B256, U256, keccak256};
use protocol::Wei;
use protocol::payments::entry::Winner;
use serde_json::{Value, json};
use url::Url;
use wallet::inclusion::{Claim, shown};
use wallet::rpc::Endpoint;
use wallet::rpc::value::{bytes, fixed};
use wallet::{Outcome, Witness};

use crate::cli::Failure;

static CLAIMED: LazyLock<B256> = LazyLock::new(|| keccak256("ReserveClaimed(address,address,uint256)"));
static TRANSFER: LazyLock<B256> =
    LazyLock::new(|| keccak256("WinningTicketTransfer(address,address,uint256)"));
static REDEEMED: LazyLock<B256> = LazyLock::new(|| {
    keccak256("WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)")
});

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

/// What the broker says that each ticket was paid. What comes from the reserve is said first, then the whole, then the ticket.
pub(super) fn paid(receipt: &Value, broker: Address, winners: &[Winner]) -> BTreeMap<B256, Paid> {
    let (mut all, mut reserve, mut whole) = (BTreeMap::new(), U256::ZERO, U256::ZERO);
    for log in receipt["logs"].as_array().into_iter().flatten() {
        let Some((topic, data)) = read(log, broker) else { continue };
        let amount = |at: usize| data.get(at * 32..at * 32 + 32).map(U256::from_be_slice).unwrap_or_default();
        if topic == *CLAIMED {
            reserve = amount(1);
        } else if topic == *TRANSFER {
            whole = amount(0);
        } else if topic == *REDEEMED {
            let named = winners.iter().find(|winner| {
                let ticket = &winner.ticket;
                fixed::<B256>(&log["topics"][1]) == Some(ticket.sender.into_word())
                    && (amount(0), amount(1)) == (ticket.face_value, ticket.win_prob)
                    && (amount(2), amount(3)) == (ticket.sender_nonce, winner.recipient_rand)
            });
            if let Some(winner) = named {
                let from_deposit = Wei(whole.saturating_sub(reserve));
                all.insert(winner.id(), Paid { from_deposit, from_reserve: Wei(reserve) });
            }
            (reserve, whole) = (U256::ZERO, U256::ZERO);
        }
    }
    all
}

fn read(log: &Value, broker: Address) -> Option<(B256, Vec<u8>)> {
    let ours = fixed::<Address>(&log["address"])? == broker;
    ours.then_some((fixed(&log["topics"][0])?, bytes(&log["data"])?.to_vec()))
}
