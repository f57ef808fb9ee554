//! From a call to its transaction: what it will do by proven state, what it costs, a yes, and the way to finality. Refuses
//! what the contracts would refuse before a password is asked for.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use lightclient::livepeer::{Ask, Read};
use protocol::chain::{Call, Chain};
use protocol::predict::calldata::{Doors, encode};
use protocol::predict::{Effect, Forecast, predict};
use protocol::{Round, Wei};
use serde_json::{Value, json};
use wallet::{Intent, Keystore, Settings, Until, Wallet, Witness};

use super::follow::{Followed, finish, follow};
use super::keys::password;
use super::newest;
use super::rehearse::rehearse;
use crate::adapters::witness::ChainWitness;
use crate::chain::{plan, staking_chain_id};
use crate::cli::Failure;
use crate::cli::chain::open::{Opened, PeerArgs, Purse};
use crate::cli::vote::proposals::wait;
use crate::config::NodeArgs;
use crate::config::chain::{Chain as Configured, ChainArgs};

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
    #[arg(long, global = true, env = "LIVEMESH_ETH_USD", value_name = "RATE")]
    pub(in crate::cli) eth_usd: Option<f64>,
    /// How far to wait; Ctrl-C leaves safely at any time
    #[arg(long, global = true, value_enum, default_value_t = Wanted::Sequenced)]
    pub(super) until: Wanted,
    #[command(flatten)]
    pub(in crate::cli) chain: ChainArgs,
    #[command(flatten)]
    peers: PeerArgs,
}

/// See [`AccountArgs::until`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Wanted {
    /// In a block, by what endpoints agree on
    Sequenced,
    /// In a block that an assertion on Ethereum names
    Proven,
    /// In a block that Ethereum has confirmed
    Confirmed,
}

impl Wanted {
    pub(super) const fn until(self) -> Until {
        match self {
            Self::Sequenced => Until::Sequenced,
            Self::Proven => Until::Proven,
            Self::Confirmed => Until::Confirmed,
        }
    }
}

impl AccountArgs {
    /// The node's data directory.
    pub(in crate::cli) fn data_dir(&self) -> Result<PathBuf, Failure> {
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

    /// The chain that holds the stake; none where nobody stakes on the network.
    pub(super) async fn chain_id(&self) -> Result<Option<u64>, Failure> {
        staking_chain_id(&crate::config::chain(&self.chain)?).await
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
    pub(super) async fn wallet(&self, opened: &Opened) -> Result<Wallet, Failure> {
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
        let opened = account.read_chain(json).await?;
        if let Err(why) = newest::wait(&opened, me).await {
            opened.stop().await;
            return Err(why);
        }
        Ok(Self { account, opened, me, json })
    }

    /// What the account's calls touch, proven.
    pub(in crate::cli) async fn situation(&self, others: &[Address]) -> Result<Chain, Failure> {
        self.opened.situation(self.me, others, None).await
    }

    /// As [`Self::situation`], with what votes on these proposals touch.
    pub(in crate::cli) async fn ballot(&self, proposals: &[U256]) -> Result<Chain, Failure> {
        self.opened.situation(self.me, &[], Some(proposals)).await
    }

    /// The chain that is read.
    pub(in crate::cli) const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Adds where the account says that it serves.
    pub(in crate::cli) async fn read_service_uri(&self, state: &mut Chain) -> Result<(), Failure> {
        if let Read::ServiceUri(said) = self.opened.read(&Ask::ServiceUri(self.me)).await? {
            state.registry.service_uri.set(&self.me, said.uri.unwrap_or_default());
        }
        Ok(())
    }

    /// As [`Self::situation`], with the account's money in the ticket broker.
    pub(in crate::cli) async fn purse(&self) -> Result<Purse, Failure> {
        self.opened.purse(self.me).await
    }

    /// How long it is until a round begins, in words.
    pub(in crate::cli) fn wait(&self, state: &Chain, round: Round) -> String {
        wait(state, round, self.opened.client().config().spec.slot_ms)
    }

    /// Ends the client.
    pub(in crate::cli) async fn close(self) {
        self.opened.stop().await;
    }

    /// Says, asks, sends and follows: each call after the one before it.
    pub(in crate::cli) async fn run(
        &self,
        state: Chain,
        calls: Vec<Call>,
        says: &str,
    ) -> Result<(), Failure> {
        self.run_planned(state, calls, says, None).await
    }

    /// As [`Self::run`], of a plan that programs are told too.
    pub(in crate::cli) async fn run_planned(
        &self,
        mut state: Chain,
        calls: Vec<Call>,
        says: &str,
        plan: Option<Value>,
    ) -> Result<(), Failure> {
        let forecasts = foresee(&mut state, self.me, calls, says)?;
        self.tell(says, &forecasts, &state, plan)?;
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

    fn tell(
        &self,
        says: &str,
        forecasts: &[Forecast],
        state: &Chain,
        plan: Option<Value>,
    ) -> Result<(), Failure> {
        if self.json {
            let known = self.opened.known();
            let mut value = json!({ "does": says, "from": self.me, "known": known, "steps": forecasts });
            if let Some(plan) = plan {
                value["plan"] = plan;
            }
            println!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(());
        }
        println!("{says}, as {}", self.me);
        println!("  by state {}", self.opened.known());
        if forecasts.is_empty() {
            println!("  that is so already: nothing is missing");
        }
        for forecast in forecasts {
            for effect in &forecast.effects {
                println!("  {effect}");
                if let Effect::Lock { withdraw_round, .. } | Effect::Unlocking { withdraw_round } = effect {
                    println!("    that is {}", self.wait(state, *withdraw_round));
                }
            }
            forecast.warnings.iter().for_each(|warning| println!("  CAREFUL: {warning}"));
        }
        Ok(())
    }

    async fn send(&self, calls: Vec<Call>, state: &Chain, says: &str) -> Result<(), Failure> {
        if calls.is_empty() {
            return Ok(());
        }
        let steps = self.steps(calls, state)?;
        let rehearsed = rehearse(self.opened.client(), self.opened.chain.accept, self.me, &steps).await?;
        if self.json {
            println!("{}", json!({ "simulation": rehearsed.says() }));
        } else {
            println!("  {}", rehearsed.says());
        }
        if self.account.dry_run {
            return Ok(());
        }
        if !self.account.yes && !std::io::stdin().is_terminal() {
            return Err("there is no terminal to ask: give --yes to send, or --dry-run to look".into());
        }
        let wallet = self.account.wallet(&self.opened).await?;
        if finish(&wallet, self.json).await? {
            return Err(
                "an earlier command was not over when this one was typed, and changed what it was to do: \
                 type it again"
                    .into(),
            );
        }
        let all = steps.len();
        for (at, (to, value, data)) in steps.into_iter().enumerate() {
            let call = wallet::Call { to, value, data, gas_limit: None };
            let simulated = wallet.simulate(&call).await.map_err(|why| half_done(at, all, &why.into()))?;
            let cost = U256::from(simulated.gas).saturating_mul(U256::from(wallet.base_fee().await?));
            eprintln!(
                "  step {} of {all}: {} gas, about {} ({cost} wei){}",
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
            if follow(&wallet, id, self.account.until.until(), self.json).await? == Followed::Left {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Calls as transactions carry them.
    fn steps(&self, calls: Vec<Call>, state: &Chain) -> Result<Vec<(Address, U256, Bytes)>, Failure> {
        let contracts = self.opened.client().config().contracts.clone().ok_or("no contracts")?;
        let doors =
            Doors { rounds_manager: contracts.rounds_manager, service_registry: contracts.service_registry };
        let step = |call: Call| -> Result<_, Failure> {
            let (to, data) =
                encode(&call, &state.addresses, &doors).ok_or("nobody but owners and redeemers call this")?;
            Ok((to, call.named_value(), data))
        };
        calls.into_iter().map(step).collect()
    }
}

/// Says of a failure after how many steps it came, and that those are kept.
fn half_done(done: usize, steps: usize, why: &Failure) -> Failure {
    if done == 0 {
        return why.to_string().into();
    }
    format!(
        "{done} of {steps} steps are done, the next one fails: {why}. Type the same command again to go on"
    )
    .into()
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
        let value = call.named_value();
        let forecast = predict(state, me, value, call)
            .map_err(|revert| format!("to {says} would fail, and nothing was sent: {revert}"))?;
        state.apply(me, value, forecast.call.clone())?;
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
