//! Whether the state that is read knows the account's own newest transactions. What comes after them is foreseen wrongly where it
//! does not: a stake that is bonded already would be bonded again.

use std::time::Duration;

use alloy_primitives::Address;
use lightclient::proven::Accept;
use lightclient::state::{Keys, StateView};
use serde_json::json;
use tokio::time::{Instant, sleep};
use wallet::rpc::Endpoint;
use wallet::rpc::value::u64 as number;

use crate::chain::plan;
use crate::cli::Failure;
use crate::cli::chain::open::Opened;

/// How long an endpoint may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a head that endpoints agree on may lag behind the newest block of one of them.
const LAG: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Endpoints that must say that there is something newer: one alone could keep everybody waiting.
const AGREE: usize = 2;

/// Waits until the state that is read knows all that the account has done.
///
/// # Errors
/// Where that takes longer than a moment: an assertion comes once an hour.
pub(super) async fn wait(opened: &Opened, who: Address) -> Result<(), Failure> {
    let done = transactions(opened, who).await?;
    let begun = Instant::now();
    loop {
        let known = known(opened, who).await?;
        if known >= done {
            return Ok(());
        }
        let soon = matches!(opened.chain.accept, Accept::Sequenced { .. });
        if !soon || begun.elapsed() > LAG {
            return Err(format!(
                "{} transactions of {who} are newer than the proven state, so what would happen cannot be said: wait \
                 until an assertion covers them, or give --accept sequenced:{AGREE}",
                done - known
            )
            .into());
        }
        sleep(PAUSE).await;
    }
}

/// Transactions that the account has made, as enough endpoints say.
async fn transactions(opened: &Opened, who: Address) -> Result<u64, Failure> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut said = Vec::new();
    for url in plan(&opened.chain, true).await?.l2 {
        let endpoint = Endpoint::new(url.parse()?, client.clone(), PATIENCE);
        let answer = endpoint.ask("eth_getTransactionCount", json!([who, "latest"])).await;
        said.extend(answer.ok().as_ref().and_then(number));
    }
    said.sort_unstable_by(|a, b| b.cmp(a));
    Ok(said.get(AGREE - 1).or(said.last()).copied().unwrap_or(0))
}

/// Transactions that the account has made, by proven state.
async fn known(opened: &Opened, who: Address) -> Result<u64, Failure> {
    let keys = Keys::from([(who, Default::default())]);
    let proven = opened.client().prove(opened.chain.accept, keys).await?;
    Ok(proven.value.account(who)?.map_or(0, |account| account.nonce))
}
