//! The wallet as the chain watcher sees it: a duty in, what became of its transaction out. Names each duty so that the wallet
//! sends it once, whatever happens in between; believes endpoints only as far as that a later proven reading shows it done.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::ports::chain::{Called, Duties, Duty, DutyFault};
use alloy_primitives::{Address, Bytes, U256};
use futures::future::BoxFuture;
use lightclient::livepeer::Contracts;
use protocol::Wei;
use protocol::chain::abi::{self, Value};
use url::Url;
use wallet::{
    Call, Intent, Keystore, Outcome, Password, Settings, Signer, SimulateError, Until, Wallet, WalletError,
    Witness,
};

use crate::cli::Failure;
use crate::config::chain::Caller;

/// Looks at a transaction in the time of one L1 block.
const LOOKS_A_BLOCK: u64 = 12;
/// Least and most time between two looks, milliseconds.
const POLL_MS: (u64, u64) = (20, 1000);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct WalletDuties {
    wallet: Wallet,
    contracts: Contracts,
}

/// Unlocks the key that calls duties. Takes a second, on a thread of its own.
pub(crate) async fn unlock(caller: &Caller) -> Result<Signer, Failure> {
    let Caller { address, keystore, password_file } = caller.clone();
    let unlocked = tokio::task::spawn_blocking(move || {
        let password = Password::from_file(&password_file)?;
        Keystore::open(&keystore)?.unlock(address, &password)
    });
    Ok(unlocked.await??)
}

impl WalletDuties {
    /// Opens the caller's transactions below `dir` and goes on with those that were under way.
    pub(crate) fn open(
        dir: &Path,
        signer: Signer,
        contracts: Contracts,
        l2: &[String],
        slot_ms: u64,
        witness: Arc<dyn Witness>,
    ) -> Result<Self, Failure> {
        let endpoints: Vec<Url> = l2.iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
        let poll = (slot_ms / LOOKS_A_BLOCK).clamp(POLL_MS.0, POLL_MS.1);
        let settings = Settings { poll: Duration::from_millis(poll), ..Settings::default() };
        let dir = dir.join(signer.address().to_string());
        let wallet = Wallet::open(&dir, contracts.chain_id, signer, endpoints, Some(witness), settings)?;
        let open = wallet.resume().len();
        if open > 0 {
            tracing::info!(open, "transactions of an earlier run go on");
        }
        Ok(Self { wallet, contracts })
    }

    fn intent(&self, duty: Duty, attempt: u32) -> Intent {
        let caller = self.wallet.address();
        let (to, data, what) = match duty {
            Duty::Initialize { round } => (
                self.contracts.rounds_manager,
                abi::call("initializeRound()", &[]),
                format!("initialize round {}", round.0),
            ),
            Duty::Reward { round, own } if own == caller => (
                self.contracts.bonding_manager,
                abi::call("reward()", &[]),
                format!("call the reward of round {}", round.0),
            ),
            Duty::Reward { round, own } => (
                self.contracts.bonding_manager,
                abi::call("rewardForTranscoder(address)", &[Value::Address(own)]),
                format!("call the reward of round {} for {own}", round.0),
            ),
        };
        let again = if attempt == 0 { String::new() } else { format!("/{attempt}") };
        let call = Call { to, value: U256::ZERO, data: Bytes::from(data), gas_limit: None };
        Intent { key: format!("{}{again}", duty.key(caller)), call, what, max_cost: None }
    }
}

impl Duties for WalletDuties {
    fn caller(&self) -> Address {
        self.wallet.address()
    }

    fn call(&self, duty: Duty, attempt: u32) -> BoxFuture<'static, Result<Called, DutyFault>> {
        let (wallet, intent) = (self.wallet.clone(), self.intent(duty, attempt));
        Box::pin(async move {
            let id = match wallet.send(intent).await {
                Ok(id) => id,
                Err(error) => return refused(&error),
            };
            match wallet.wait(id, Until::Sequenced).await {
                Ok(outcome) => ended(&outcome),
                Err(error) => refused(&error),
            }
        })
    }
}

fn ended(outcome: &Outcome) -> Result<Called, DutyFault> {
    let Outcome { hash, block, success, cancelled, .. } = outcome;
    if *success && !*cancelled {
        Ok(Called::Done(format!("transaction {hash} in block {block}")))
    } else {
        Err(DutyFault::Reverted(format!("transaction {hash} in block {block} changed nothing")))
    }
}

fn refused(error: &WalletError) -> Result<Called, DutyFault> {
    match error {
        WalletError::Simulate(SimulateError::Reverts(why)) => Ok(Called::NotNeeded(why.clone())),
        WalletError::Funds { needs, holds } => {
            Err(DutyFault::NoGas { balance: Wei(*holds), needed: Wei(*needs) })
        }
        WalletError::Displaced(_) => Err(DutyFault::Reverted(error.to_string())),
        WalletError::Journal(_)
        | WalletError::Dir { .. }
        | WalletError::History { .. }
        | WalletError::Refused(_)
        | WalletError::NoEndpoint
        | WalletError::Http(_)
        | WalletError::Unreachable { .. }
        | WalletError::TooDear(_)
        | WalletError::Gas { .. }
        | WalletError::Simulate(SimulateError::Disagree(_) | SimulateError::Unreachable(_))
        | WalletError::Sign(_)
        | WalletError::AtCeiling(_)
        | WalletError::NotFollowed(_)
        | WalletError::Unprovable => Err(DutyFault::Passing(error.to_string())),
    }
}
