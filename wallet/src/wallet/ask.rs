//! What the wallet needs to know before it signs: nonces, base fee, balance, by endpoints that agree and by proof.

use alloy_primitives::U256;
use serde_json::{Value, json};

use super::error::WalletError;
use super::shared::Shared;
use crate::fees;
use crate::rpc::value::{u64, u128, uint};
use crate::rpc::{Endpoint, RpcError, ask_all};

/// Answers to one question.
pub(super) type Answers<'a> = Vec<(&'a Endpoint, Result<Value, RpcError>)>;

impl Shared {
    /// The endpoints of the right chain. One that says another chain is never asked again; one that is silent is tried next time.
    pub(super) async fn endpoints(&self) -> Vec<Endpoint> {
        let asked = self.endpoints.iter().map(|(endpoint, right)| async move {
            let asked = right.get_or_try_init(|| async {
                let said = endpoint.ask("eth_chainId", json!([])).await.map_err(|_| ())?;
                let said = u64(&said).ok_or(())?;
                if said != self.chain_id {
                    tracing::warn!(
                        endpoint = endpoint.name(),
                        said,
                        ours = self.chain_id,
                        "serves another chain"
                    );
                }
                Ok::<bool, ()>(said == self.chain_id)
            });
            asked.await.is_ok_and(|right| *right).then(|| endpoint.clone())
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// How many endpoints must say the same.
    pub(super) fn least(&self) -> usize {
        self.settings.agree.clamp(1, self.endpoints.len().max(1))
    }

    /// Transactions that the account has made: the most that is proven or that enough endpoints reach.
    pub(super) async fn used_nonces(&self, endpoints: &[Endpoint]) -> Result<u64, WalletError> {
        let params = json!([self.signer.address(), "latest"]);
        let answers = ask_all(endpoints, "eth_getTransactionCount", &params).await;
        let said = reached(self.least(), &answers, u64);
        let proven = match &self.witness {
            Some(witness) => witness.account(self.signer.address()).await.ok().map(|account| account.nonce),
            None => None,
        };
        said.max(proven).ok_or_else(|| self.unreachable("the account's nonce", &answers))
    }

    /// What the account holds by enough endpoints, wei.
    pub(super) async fn balance(&self, endpoints: &[Endpoint]) -> Result<U256, WalletError> {
        let answers = ask_all(endpoints, "eth_getBalance", &json!([self.signer.address(), "latest"])).await;
        reached(self.least(), &answers, uint)
            .ok_or_else(|| self.unreachable("the account's balance", &answers))
    }

    /// The base fee, wei, and whether the chain has none.
    pub(super) async fn base_fee(&self) -> Result<(u128, bool), WalletError> {
        let endpoints = self.endpoints().await;
        let answers = ask_all(&endpoints, "eth_getBlockByNumber", &json!(["latest", false])).await;
        let said: Vec<u128> = fees_of(&answers);
        let proven = match &self.witness {
            Some(witness) => witness.base_fee().await,
            None => None,
        };
        if let Some(base) = fees::base_fee(&said, proven) {
            return Ok((base, false));
        }
        let answers = ask_all(&endpoints, "eth_gasPrice", &json!([])).await;
        let said: Vec<u128> =
            answers.iter().filter_map(|(_, answer)| answer.as_ref().ok().and_then(u128)).collect();
        let base =
            fees::base_fee(&said, None).ok_or_else(|| self.unreachable("the price of gas", &answers))?;
        Ok((base, true))
    }

    pub(super) fn unreachable(&self, what: &'static str, answers: &Answers<'_>) -> WalletError {
        let failed = answers.iter().find_map(|(endpoint, answer)| {
            answer.as_ref().err().map(|error| format!("{}: {error}", endpoint.name()))
        });
        WalletError::Unreachable {
            what,
            agree: answers.iter().filter(|(_, answer)| answer.is_ok()).count(),
            of: self.endpoints.len(),
            least: self.least(),
            why: failed.unwrap_or_else(|| "they are silent, serve another chain, or differ".to_owned()),
        }
    }
}

fn fees_of(answers: &Answers<'_>) -> Vec<u128> {
    answers.iter().filter_map(|(_, answer)| u128(&answer.as_ref().ok()?["baseFeePerGas"])).collect()
}

/// The highest number that so many endpoints reach: fewer liars cannot raise it, nor lower it while so many are honest.
pub(super) fn reached<T: Copy + Ord>(
    least: usize,
    answers: &Answers<'_>,
    read: fn(&Value) -> Option<T>,
) -> Option<T> {
    let mut said: Vec<T> =
        answers.iter().filter_map(|(_, answer)| answer.as_ref().ok().and_then(read)).collect();
    said.sort_unstable();
    said.len().checked_sub(least).and_then(|at| said.get(at)).copied()
}
