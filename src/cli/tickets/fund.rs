//! `livemesh tickets fund`: what a use needs, with each factor in plain words, and the transaction that adds what is missing. Or
//! just so much to deposit and reserve.
#![expect(clippy::print_stdout, reason = "it talks to people")]

use std::path::PathBuf;

use alloy_primitives::U256;
use protocol::chain::call::Broker;
use protocol::chain::{Call, Chain};
use protocol::funding::{Plan, REDEEM_GAS, REDEMPTIONS_PER_WIN, SPARE_WINS, Use};
use protocol::price::stated::Stated;
use protocol::rendition::Fps;
use protocol::{PricePerPixel, Wei, written};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::chain::open::Purse;
use crate::cli::price::rungs::{Source, fps};
use crate::cli::stake::act::{AccountArgs, Act};
use crate::config::{Config, NodeArgs};

/// Longest time that is planned for, hours: a year.
const MAX_HOURS: f64 = 8_784.0;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Adds so much to the deposit, such as 0.05ETH, and plans nothing
    #[arg(long, value_name = "ETH", value_parser = written::exact_wei)]
    deposit: Option<Wei>,
    /// Adds so much to the reserve, such as 0.1ETH, and plans nothing
    #[arg(long, value_name = "ETH", value_parser = written::exact_wei)]
    reserve: Option<Wei>,
    /// Streams at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    streams: u64,
    /// For how long
    #[arg(long, default_value_t = 24.0, value_parser = hours)]
    hours: f64,
    /// Ladder as Livepeer's JSON profiles [default: the one that is configured]
    #[arg(long, alias = "ladder", value_name = "FILE")]
    profiles: Option<PathBuf>,
    /// Height of the source, a 16:9 picture
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(50..=4096))]
    height: u32,
    /// Pictures a second of the source, such as 30 or 30000/1001
    #[arg(long, default_value = "30", value_parser = fps)]
    fps: Fps,
    /// What a pixel costs: 1200wei, 5wei/1000px, 0.002USD/min [default: the highest price that is configured]
    #[arg(long, value_name = "PRICE")]
    price: Option<Stated>,
    /// What a win pays [default: 100 redemptions, as go-livepeer wants it]
    #[arg(long, value_name = "ETH", value_parser = written::exact_wei)]
    face: Option<Wei>,
}

fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse::<f64>().ok().filter(|hours| *hours > 0.0 && *hours <= MAX_HOURS);
    hours.ok_or_else(|| format!("{text:?} is no time: write hours, at most {MAX_HOURS}"))
}

/// What a win pays where redemptions cost so much gas: most of what its winner gets must be left.
pub(super) fn usual_face(base_fee: u64) -> Wei {
    let gas = U256::from(REDEEM_GAS) * U256::from(base_fee.max(1));
    Wei(gas.saturating_mul(U256::from(REDEMPTIONS_PER_WIN)))
}

/// Orchestrators that a reserve may be divided by before a ticket of today is redeemed: all that the pool takes. Orchestrators
/// reckon with as many, whoever is in it now.
pub(super) fn pool_limit(state: &Chain) -> u64 {
    let pool = &state.bonding.transcoder_pool;
    pool.size.max(*pool.max_size).saturating_to()
}

pub(super) async fn run(args: &Args, account: &AccountArgs, json: bool) -> Result<(), Failure> {
    let exactly = args.deposit.is_some() || args.reserve.is_some();
    // What is wrong with what was typed is said before anything is asked of a chain.
    let wanted = if exactly { None } else { Some(Wanted::new(args, account)?) };
    if exactly && args.amounts() == (U256::ZERO, U256::ZERO) {
        return Err("there is nothing to add: give more than nothing for --deposit or --reserve".into());
    }
    let act = Act::open(account, json).await?;
    let funded = async {
        let purse = act.purse().await?;
        match wanted {
            None => add(&act, purse, args.amounts(), None).await,
            Some(wanted) => wanted.fund(&act, purse, json).await,
        }
    };
    let funded = funded.await;
    act.close().await;
    funded
}

/// Adds to deposit and reserve by one transaction.
async fn add(
    act: &Act<'_>,
    purse: Purse,
    (deposit, reserve): (U256, U256),
    plan: Option<Value>,
) -> Result<(), Failure> {
    let says = format!("add {} to the deposit and {} to the reserve", Wei(deposit), Wei(reserve));
    let call = Call::Broker(Broker::FundDepositAndReserve(deposit, reserve));
    act.run_planned(purse.state, vec![call], &says, plan).await
}

impl Args {
    /// Deposit and reserve that were given, wei.
    fn amounts(&self) -> (U256, U256) {
        (self.deposit.unwrap_or_default().0, self.reserve.unwrap_or_default().0)
    }
}

/// What was asked for, before any chain is read.
struct Wanted<'a> {
    args: &'a Args,
    source: Source,
    price: PricePerPixel,
    /// Where the price comes from.
    priced: &'static str,
}

impl<'a> Wanted<'a> {
    fn new(args: &'a Args, account: &AccountArgs) -> Result<Self, Failure> {
        let node = NodeArgs {
            config: account.chain.config.clone(),
            data_dir: account.chain.data_dir.clone(),
            profiles: args.profiles.clone(),
            eth_usd: account.eth_usd,
            ..NodeArgs::default()
        };
        let Config { broadcast, prices, .. } = node.resolve()?;
        let (price, priced) = match (args.price, broadcast.max_price) {
            (Some(stated), _) => (stated.at(prices.eth_usd)?, "as given"),
            (None, Some(max)) => (max, "the highest that is configured"),
            (None, None) => {
                return Err(
                    "what does a pixel cost? give --price, or set price.max; `livemesh price suggest` shows \
                            what the mesh asks. Or give --deposit and --reserve"
                        .into(),
                );
            }
        };
        let source = Source::new(&broadcast.ladder, args.height, args.fps)?;
        Ok(Self { args, source, price, priced })
    }

    async fn fund(&self, act: &Act<'_>, purse: Purse, json: bool) -> Result<(), Failure> {
        let use_ = Use {
            streams: self.args.streams,
            pixels_per_second: self.source.pixels_in(1),
            seconds: (self.args.hours * 3600.0).ceil() as u64,
            price: self.price,
            face: self.args.face.unwrap_or_else(|| usual_face(purse.base_fee)),
            pool: pool_limit(&purse.state),
        };
        let plan = use_.plan();
        let has = purse.state.broker.senders.at(&act.me).deposit;
        let holds = purse.state.broker.reserve_funds.at(&act.me);
        let missing = (plan.deposit.0.saturating_sub(has), plan.reserve.0.saturating_sub(holds));
        if !json {
            self.explain(&use_, &plan, purse.base_fee, (Wei(has), Wei(holds)));
        }
        let value = json!({
            "use": use_, "needs": plan, "base_fee_wei": purse.base_fee, "has": { "deposit": Wei(has), "reserve": Wei(holds) },
            "adds": { "deposit": Wei(missing.0), "reserve": Wei(missing.1) },
        });
        if missing == (U256::ZERO, U256::ZERO) {
            match json {
                true => {
                    println!("{}", serde_json::to_string_pretty(&json!({ "does": null, "plan": value }))?)
                }
                false => println!("nothing has to be added"),
            }
            return Ok(());
        }
        add(act, purse, missing, Some(value)).await
    }

    /// Each factor in words.
    fn explain(&self, use_: &Use, plan: &Plan, base_fee: u64, (has, holds): (Wei, Wei)) {
        let Use { streams, seconds, price, face, pool, .. } = *use_;
        let streams = if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
        println!("what {streams} for {} h needs", self.args.hours);
        println!("  work      {}: {} pixels a second each", self.source, use_.pixels_per_second);
        println!("  price     {price}, {}: {} in {seconds} s", self.priced, plan.spend);
        let why = match self.args.face {
            Some(_) => "as given".to_owned(),
            None => format!(
                "{REDEMPTIONS_PER_WIN} redemptions of {REDEEM_GAS} gas at {base_fee} wei, so that one percent goes for gas"
            ),
        };
        println!("  a win     {face}: {why}");
        println!("  deposit   {}", plan.deposit);
        println!(
            "            the work is worth {} wins; with bad luck {} are drawn (once in a thousand times more), and {SPARE_WINS}",
            ratio(plan.spend, face),
            plan.wins
        );
        println!("            should be left. There is {has}");
        println!("  reserve   {}", plan.reserve);
        println!(
            "            it is divided by the {pool} orchestrators that a round may have, and each must find {} in its part: with",
            plan.share
        );
        println!(
            "            bad luck {} of its wins not paid yet, and the next one. It is paid from only when the deposit is empty.",
            plan.unpaid_wins
        );
        println!("            There is {holds}");
    }
}

/// How many wins, for people.
fn ratio(spend: Wei, face: Wei) -> String {
    let of = |wei: Wei| wei.0.saturating_to::<u128>() as f64;
    format!("{:.2}", of(spend) / of(face).max(1.0))
}
