//! From a call to its transaction: what it will do by proven state, what it costs, a yes, and the way to finality. Refuses
//! what the contracts would refuse before a password is asked for.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use futures::StreamExt;
use protocol::Wei;
use protocol::chain::{Call, Chain};
use protocol::predict::calldata::{Doors, encode};
use protocol::predict::{Effect, Forecast, predict};
use serde_json::json;
use wallet::{Id, Intent, Keystore, Outcome, Progress, Settings, Until, Wallet, Witness};

use super::keys::password;
use crate::adapters::witness::ChainWitness;
use crate::chain::plan;
use crate::cli::Failure;
use crate::cli::chain::open::{Opened, PeerArgs};
use crate::cli::vote::proposals::wait;
use crate::config::NodeArgs;
use crate::config::chain::{Chain as Configured, ChainArgs};

/// Time between two looks at why a transaction is not proven yet.
const LOOK: Duration = Duration::from_secs(10);

/// Whose transactions, and how they are sent.
#[derive(clap::Args, Debug)]
pub(in crate::cli) struct AccountArgs {
    /// Whose key signs
    #[arg(long, global = true, env = "LIVEMESH_FROM", value_name = "ADDRESS")]
    pub(in crate::cli) from: Option<Address>,
    /// Directory of encrypted keys [default: keystore in the data directory]
    #[arg(long, global = true, value_name = "DIR")]
    keystore: Option<PathBuf>,
    /// File whose first line is the password; else LIVEMESH_PASSWORD or a prompt
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Sends to this endpoint; may be repeated [default: the chain's L2 sources]
    #[arg(long, global = true, value_name = "URL")]
    rpc: Vec<url::Url>,
    /// Does not ask
    #[arg(long, global = true)]
    yes: bool,
    /// Says what would happen and sends nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Says costs in US dollars too, at so many for an ether
    #[arg(long, global = true, value_name = "RATE")]
    eth_usd: Option<f64>,
    /// How far to wait; Ctrl-C leaves safely at any time
    #[arg(long, global = true, value_enum, default_value_t = Wanted::Sequenced)]
    until: Wanted,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    peers: PeerArgs,
}

/// See [`AccountArgs::until`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Wanted {
    /// In a block, by what endpoints agree on
    Sequenced,
    /// In a block that an assertion on Ethereum names
    Proven,
    /// In a block that Ethereum has confirmed
    Confirmed,
}

impl Wanted {
    const fn until(self) -> Until {
        match self {
            Self::Sequenced => Until::Sequenced,
            Self::Proven => Until::Proven,
            Self::Confirmed => Until::Confirmed,
        }
    }
}

impl AccountArgs {
    /// The node's data directory.
    pub(super) fn data_dir(&self) -> Result<PathBuf, Failure> {
        let args = NodeArgs { data_dir: self.chain.data_dir.clone(), ..NodeArgs::default() };
        Ok(args.data_dir()?)
    }

    /// Where keys lie.
    pub(super) fn keystore_dir(&self) -> Result<PathBuf, Failure> {
        match &self.keystore {
            Some(dir) => Ok(dir.clone()),
            None => Ok(beside(&crate::config::chain(&self.chain)?, "keystore")),
        }
    }

    /// A client at the head.
    pub(in crate::cli) async fn read_chain(&self, json: bool) -> Result<Opened, Failure> {
        Opened::new(&self.chain, &self.peers, json).await
    }

    /// A cost in dollars, where somebody said what they are.
    fn in_dollars(&self, wei: U256) -> String {
        let dollars = self.eth_usd.map(|rate| wei.saturating_to::<u128>() as f64 / 1e18 * rate);
        dollars.map_or_else(String::new, |dollars| format!(", {dollars:.4} USD"))
    }

    fn from(&self) -> Result<Address, Failure> {
        self.from.ok_or_else(|| {
            "whose transaction? give --from ADDRESS; `livemesh stake keys list` shows what there is".into()
        })
    }

    /// The account's transactions, with its key unlocked; what becomes of them is proven by the client.
    async fn wallet(&self, opened: &Opened) -> Result<Wallet, Failure> {
        let configured = &opened.chain;
        let me = self.from()?;
        let keystore = Keystore::open(&self.keystore_dir()?)?;
        let password = password(self, false)?;
        let signer = tokio::task::spawn_blocking(move || keystore.unlock(me, &password)).await??;
        let plan = plan(configured, true).await?;
        let rollup = plan.config.rollup.as_ref().ok_or("this network has no L2 to send to")?;
        let endpoints = if self.rpc.is_empty() {
            plan.l2.iter().map(|text| text.parse::<url::Url>()).collect::<Result<Vec<_>, _>>()?
        } else {
            self.rpc.clone()
        };
        let dir = beside(configured, "wallet").join(format!("{}-{me}", rollup.chain_id));
        let witness: Arc<dyn Witness> = Arc::new(ChainWitness::new(opened.client().clone(), plan.sources));
        Ok(Wallet::open(&dir, rollup.chain_id, signer, endpoints, Some(witness), Settings::default())?)
    }
}

/// A folder of the data directory.
fn beside(configured: &Configured, name: &str) -> PathBuf {
    configured.data_dir.parent().unwrap_or(&configured.data_dir).join(name)
}

/// One command's view of the chain and its account.
pub(in crate::cli) struct Act<'a> {
    account: &'a AccountArgs,
    opened: Opened,
    /// Whose transactions.
    pub(in crate::cli) me: Address,
    json: bool,
}

impl<'a> Act<'a> {
    /// Follows the chain to its head.
    pub(in crate::cli) async fn open(account: &'a AccountArgs, json: bool) -> Result<Self, Failure> {
        let me = account.from()?;
        Ok(Self { account, opened: account.read_chain(json).await?, me, json })
    }

    /// What the account's calls touch, proven.
    pub(in crate::cli) async fn situation(&self, others: &[Address]) -> Result<Chain, Failure> {
        self.opened.situation(self.me, others, None).await
    }

    /// As [`Self::situation`], with what votes on these proposals touch.
    pub(in crate::cli) async fn ballot(&self, proposals: &[U256]) -> Result<Chain, Failure> {
        self.opened.situation(self.me, &[], Some(proposals)).await
    }

    /// Ends the client.
    pub(in crate::cli) async fn close(self) {
        self.opened.stop().await;
    }

    /// Says, asks, sends and follows: each call after the one before it.
    pub(in crate::cli) async fn run(
        &self,
        mut state: Chain,
        calls: Vec<Call>,
        says: &str,
    ) -> Result<(), Failure> {
        let forecasts = foresee(&mut state, self.me, calls, says)?;
        self.tell(says, &forecasts, &state)?;
        self.send(forecasts.iter().map(|forecast| forecast.call.clone()).collect(), &state, says).await
    }

    /// As [`Self::run`], where no state says what will happen: the endpoints' simulation decides.
    pub(in crate::cli) async fn run_blind(
        &self,
        state: &Chain,
        call: Call,
        says: &str,
    ) -> Result<(), Failure> {
        if !self.json {
            println!("{says}\n  {}", self.opened.known());
        }
        self.send(vec![call], state, says).await
    }

    fn tell(&self, says: &str, forecasts: &[Forecast], state: &Chain) -> Result<(), Failure> {
        if self.json {
            let value =
                json!({ "does": says, "from": self.me, "known": self.opened.known(), "steps": forecasts });
            println!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(());
        }
        println!("{says}, as {}", self.me);
        println!("  by state {}", self.opened.known());
        for forecast in forecasts {
            for effect in &forecast.effects {
                println!("  {effect}");
                if let Effect::Lock { withdraw_round, .. } = effect {
                    let slot_ms = self.opened.client().config().spec.slot_ms;
                    println!("    that is {}", wait(state, *withdraw_round, slot_ms));
                }
            }
            forecast.warnings.iter().for_each(|warning| println!("  CAREFUL: {warning}"));
        }
        Ok(())
    }

    async fn send(&self, calls: Vec<Call>, state: &Chain, says: &str) -> Result<(), Failure> {
        if self.account.dry_run {
            return Ok(());
        }
        if !self.account.yes && !std::io::stdin().is_terminal() {
            return Err("there is no terminal to ask: give --yes to send, or --dry-run to look".into());
        }
        let contracts = self.opened.client().config().contracts.clone().ok_or("no contracts")?;
        let doors =
            Doors { rounds_manager: contracts.rounds_manager, service_registry: contracts.service_registry };
        let wallet = self.account.wallet(&self.opened).await?;
        let steps = calls.len();
        for (at, call) in calls.into_iter().enumerate() {
            let (to, data) =
                encode(&call, &state.addresses, &doors).ok_or("nobody but its owner calls this")?;
            let call = wallet::Call { to, value: U256::ZERO, data, gas_limit: None };
            let simulated = wallet.simulate(&call).await?;
            let cost = U256::from(simulated.gas).saturating_mul(U256::from(wallet.base_fee().await?));
            eprintln!(
                "  step {} of {steps}: {} gas, about {} ({cost} wei){}",
                at + 1,
                simulated.gas,
                Wei(cost),
                self.account.in_dollars(cost)
            );
            if at == 0 && !self.account.yes && !confirmed()? {
                return Err("not sent".into());
            }
            let key = format!("{says} {:032x}", rand::random::<u128>());
            let id = wallet.send(Intent { key, call, what: says.to_owned(), max_cost: None }).await?;
            follow(&wallet, id, self.account.until.until(), self.json).await?;
        }
        Ok(())
    }
}

/// What calls will do one after the other, done on `state`; or why one of them would fail.
pub(in crate::cli) fn foresee(
    state: &mut Chain,
    me: Address,
    calls: Vec<Call>,
    says: &str,
) -> Result<Vec<Forecast>, Failure> {
    let mut forecasts = Vec::new();
    for call in calls {
        let forecast = predict(state, me, U256::ZERO, call)
            .map_err(|revert| format!("to {says} would fail, and nothing was sent: {revert}"))?;
        state.apply(me, U256::ZERO, forecast.call.clone())?;
        forecasts.push(forecast);
    }
    Ok(forecasts)
}

fn confirmed() -> Result<bool, Failure> {
    eprint!("Send this? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Shows how far a transaction is until it is far enough, or somebody presses Ctrl-C.
async fn follow(wallet: &Wallet, id: Id, until: Until, json: bool) -> Result<(), Failure> {
    let mut news = std::pin::pin!(wallet.follow(id));
    let (mut look, mut lacked) = (tokio::time::interval(LOOK), None);
    loop {
        let progress = tokio::select! {
            progress = news.next() => progress,
            _ = look.tick() => {
                say_what_is_lacking(wallet, id, &mut lacked);
                continue;
            }
            _ = tokio::signal::ctrl_c() => {
                eprintln!("left: the transaction is on disk; `livemesh stake pending` goes on with it");
                return Ok(());
            }
        };
        let Some(progress) = progress else { return Err("the transaction is no longer followed".into()) };
        if json {
            println!("{}", serde_json::to_string(&progress)?);
        }
        let reached = match &progress {
            Progress::Sequenced(outcome) => Some((Until::Sequenced, outcome)),
            Progress::Proven(outcome) => Some((Until::Proven, outcome)),
            Progress::Confirmed(outcome) => Some((Until::Confirmed, outcome)),
            Progress::Settled(outcome) => return settled(outcome, until, json),
            Progress::Displaced => {
                return Err("another transaction with the same nonce took its place".into());
            }
            Progress::Refused { why } => {
                eprintln!("  refused, and tried again: {why}");
                None
            }
            other => {
                tracing::debug!(?other, "transaction");
                None
            }
        };
        let Some((stage, outcome)) = reached else { continue };
        if !json {
            println!(
                "  {stage:?}: block {}, {} gas, transaction {}",
                outcome.block, outcome.gas_used, outcome.hash
            );
        }
        if stage >= until {
            return ended(outcome);
        }
    }
}

/// Says why a transaction is not proven yet, once for each reason.
fn say_what_is_lacking(wallet: &Wallet, id: Id, said: &mut Option<String>) {
    let lacks = wallet.pending().into_iter().find(|view| view.id == id).and_then(|view| view.lacks);
    if let Some(why) = lacks.as_ref().filter(|_| lacks != *said) {
        eprintln!("  {why}");
    }
    *said = lacks;
}

/// A transaction under so many blocks that it is followed no further: nothing here has proven it, and nobody says so.
fn settled(outcome: &Outcome, until: Until, json: bool) -> Result<(), Failure> {
    if !json {
        println!(
            "  Settled, by what endpoints say: block {}, {} gas, transaction {}",
            outcome.block, outcome.gas_used, outcome.hash
        );
    }
    ended(outcome)?;
    if until == Until::Sequenced {
        return Ok(());
    }
    Err(format!("transaction {} is deep in the chain by what endpoints say; it was not proven", outcome.hash)
        .into())
}

fn ended(outcome: &Outcome) -> Result<(), Failure> {
    if outcome.success {
        return Ok(());
    }
    Err(format!("transaction {} is in block {} and reverted: its gas is spent", outcome.hash, outcome.block)
        .into())
}

/// `livemesh stake pending`: what is under way goes on.
pub(super) async fn pending(account: &AccountArgs, json: bool) -> Result<(), Failure> {
    let opened = account.read_chain(json).await?;
    let followed = go_on(account, &opened, json).await;
    opened.stop().await;
    followed
}

async fn go_on(account: &AccountArgs, opened: &Opened, json: bool) -> Result<(), Failure> {
    let wallet = account.wallet(opened).await?;
    for view in wallet.pending() {
        if json {
            println!("{}", serde_json::to_string(&view)?);
        } else {
            println!("{}: nonce {}, {}", view.what, view.nonce, view.hash);
        }
    }
    for id in wallet.resume() {
        follow(&wallet, id, account.until.until(), json).await?;
    }
    Ok(())
}
