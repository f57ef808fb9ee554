//! Where an intent's transactions are: endpoints claim, the witness proves, and what is neither is not believed.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use serde_json::{Value, json};

use super::ask::reached;
use super::shared::Shared;
use super::{How, Outcome};
use crate::inclusion::{Claim, NotShown, shown};
use crate::pending::core::Record;
use crate::rpc::value::u64;
use crate::rpc::{Endpoint, RpcError, ask_all};
use crate::witness::{ProvenBlock, Tier, Witness, WitnessError};

/// Most of an intent's transactions that are asked for, newest first.
const MAX_ASKED: usize = 16;

/// Where an intent stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// In a block; nothing can change it any more if `last`. With why it is not known better, where somebody says so.
    Included { outcome: Outcome, last: bool, lacks: Option<String> },
    /// In none, by enough endpoints.
    Absent,
    /// Its nonce is used, and by none of its transactions.
    Displaced { proven: bool },
    /// Too few say anything.
    Unknown,
}

/// What one endpoint says.
enum Heard {
    Claim(Claim),
    Nothing,
    Silent,
}

impl Shared {
    /// Where an intent stands, given where it stood.
    pub(super) async fn look(&self, record: &Record, before: Option<Outcome>) -> Standing {
        if let Some(standing) = self.look_again(before).await {
            return standing;
        }
        let endpoints = self.endpoints().await;
        let (claims, nothing) = hear(&endpoints, record).await;
        for (claim, agree) in &claims {
            if let Some((claim, how, lacks)) = self.how(claim, *agree, record.nonce, &endpoints).await {
                let outcome = outcome(&claim, how, record);
                let last = self.is_last(&outcome, &endpoints).await;
                return Standing::Included { outcome, last, lacks };
            }
        }
        if nothing < self.least() { Standing::Unknown } else { self.absent(record, &endpoints).await }
    }

    /// What was proven once is asked only of the witness. None when all must be asked again.
    async fn look_again(&self, before: Option<Outcome>) -> Option<Standing> {
        let before = before.filter(|outcome| matches!(outcome.how, How::Receipts { .. }))?;
        let witness = self.witness.as_ref()?;
        match witness.receipts_root(before.block_hash).await {
            Ok(ProvenBlock { tier, .. }) => {
                let outcome = Outcome { how: How::Receipts { tier }, ..before };
                Some(Standing::Included { outcome, last: tier == Tier::Confirmed, lacks: None })
            }
            Err(WitnessError::Elsewhere(_)) => None,
            // What was proven once stays so until something else is.
            Err(why @ (WitnessError::NotYet(_) | WitnessError::Unavailable(_))) => {
                Some(Standing::Included { outcome: before, last: false, lacks: Some(why.to_string()) })
            }
        }
    }

    /// How a claim is known, if it is; with the proven values in place of the claimed ones where there are such.
    async fn how(
        &self,
        claim: &Claim,
        agree: usize,
        nonce: u64,
        endpoints: &[Endpoint],
    ) -> Option<(Claim, How, Option<String>)> {
        let agreed = How::Agreed { agree, of: self.endpoints.len() };
        let enough = |lacks| (agree >= self.least()).then_some((*claim, agreed, lacks));
        let Some(witness) = &self.witness else { return enough(None) };
        match witness.receipts_root(claim.block_hash).await {
            Ok(block) if block.hash == claim.block_hash => {
                match show(claim, &block, endpoints).await {
                    Ok(claim) => Some((claim, How::Receipts { tier: block.tier }, None)),
                    // The block is whole and it is not there, whatever they agree on.
                    Err(NotShown::Absent) => None,
                    Err(why) => {
                        let how = self.by_nonce(witness.as_ref(), nonce, agree, block.tier).await;
                        let known = enough(Some(why.to_string()));
                        known.map(|(claim, agreed, lacks)| (claim, how.unwrap_or(agreed), lacks))
                    }
                }
            }
            Err(WitnessError::Elsewhere(_)) => None,
            Ok(_) => enough(None),
            Err(why @ (WitnessError::NotYet(_) | WitnessError::Unavailable(_))) => {
                enough(Some(why.to_string()))
            }
        }
    }

    /// The way where nobody gives whole blocks.
    async fn by_nonce(&self, witness: &dyn Witness, nonce: u64, agree: usize, tier: Tier) -> Option<How> {
        let account = witness.account(self.signer.address()).await.ok()?;
        let tier = tier.min(account.tier);
        (account.nonce > nonce).then_some(How::NonceAndAgreed { tier, agree, of: self.endpoints.len() })
    }

    async fn is_last(&self, outcome: &Outcome, endpoints: &[Endpoint]) -> bool {
        if self.witness.is_some() {
            return outcome.how.tier() == Tier::Confirmed;
        }
        let heads = ask_all(endpoints, "eth_blockNumber", &json!([])).await;
        let head = reached(self.least(), &heads, u64).unwrap_or(0);
        head >= outcome.block.saturating_add(self.settings.settled_after)
    }

    /// No endpoint has a receipt: has the nonce gone to somebody else?
    async fn absent(&self, record: &Record, endpoints: &[Endpoint]) -> Standing {
        if let Some(witness) = &self.witness {
            let account = witness.account(self.signer.address()).await;
            let used =
                account.is_ok_and(|account| account.nonce > record.nonce && account.tier >= Tier::Pending);
            return if used { Standing::Displaced { proven: true } } else { Standing::Absent };
        }
        let counts =
            ask_all(endpoints, "eth_getTransactionCount", &json!([self.signer.address(), "latest"])).await;
        match reached(self.least(), &counts, u64) {
            Some(used) if used > record.nonce => Standing::Displaced { proven: false },
            _ => Standing::Absent,
        }
    }
}

/// What the endpoints say, most agreed first, and how many have nothing.
async fn hear(endpoints: &[Endpoint], record: &Record) -> (Vec<(Claim, usize)>, usize) {
    let hashes: Vec<B256> = record.hashes().into_iter().rev().take(MAX_ASKED).collect();
    let heard = endpoints.iter().map(|endpoint| receipt(endpoint, &hashes));
    let (mut claims, mut nothing) = (BTreeMap::<Claim, usize>::new(), 0);
    for heard in futures::future::join_all(heard).await {
        match heard {
            Heard::Claim(claim) => *claims.entry(claim).or_default() += 1,
            Heard::Nothing => nothing += 1,
            Heard::Silent => {}
        }
    }
    let mut claims: Vec<(Claim, usize)> = claims.into_iter().collect();
    claims.sort_by_key(|(_, agree)| std::cmp::Reverse(*agree));
    (claims, nothing)
}

async fn receipt(endpoint: &Endpoint, hashes: &[B256]) -> Heard {
    for hash in hashes {
        match endpoint.ask("eth_getTransactionReceipt", json!([hash])).await {
            Ok(Value::Null) => {}
            Ok(receipt) => return Claim::from_receipt(&receipt, *hash).map_or(Heard::Silent, Heard::Claim),
            Err(_) => return Heard::Silent,
        }
    }
    Heard::Nothing
}

/// Looks for an endpoint that gives the whole block. What is proven of it does not depend on who gave it.
async fn show(claim: &Claim, block: &ProvenBlock, endpoints: &[Endpoint]) -> Result<Claim, NotShown> {
    let mut fault = NotShown::Missing("receipts");
    for endpoint in endpoints {
        match fetch(endpoint, block).await {
            Ok((receipts, transactions)) => match shown(claim, block, &receipts, &transactions) {
                Ok(claim) => return Ok(claim),
                Err(NotShown::Absent) => return Err(NotShown::Absent),
                Err(why) => {
                    tracing::debug!(endpoint = endpoint.name(), %why, "a block that proves nothing");
                    fault = why;
                }
            },
            Err(error) => tracing::debug!(endpoint = endpoint.name(), %error, "no whole block"),
        }
    }
    Err(fault)
}

async fn fetch(endpoint: &Endpoint, block: &ProvenBlock) -> Result<(Value, Value), RpcError> {
    tokio::try_join!(
        endpoint.ask("eth_getBlockReceipts", json!([block.hash])),
        endpoint.ask("eth_getBlockByHash", json!([block.hash, true])),
    )
}

fn outcome(claim: &Claim, how: How, record: &Record) -> Outcome {
    Outcome {
        hash: claim.hash,
        block: claim.block,
        block_hash: claim.block_hash,
        success: claim.success,
        cancelled: record.signed.iter().any(|signed| signed.hash == claim.hash && signed.cancels),
        gas_used: claim.gas_used,
        how,
    }
}
