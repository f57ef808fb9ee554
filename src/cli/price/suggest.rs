//! `livemesh price suggest`: what to ask for a pixel. The mesh says what is usual, this machine's measured speed and what it costs
//! to run say what is too little; every figure on the way is shown.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use protocol::price::stated::{MINUTE_PIXELS, Stated, checked_rate};
use protocol::rendition::Fps;
use protocol::{PricePerPixel, Wei};
use serde_json::json;

use super::capacity::{self, Capacity};
use super::offers::{self, Offer};
use super::rungs::Source;
use crate::cli::Failure;
use crate::cli::api::{Api, ApiArgs};
use crate::config::{Config, NodeArgs};
use crate::http::state::State;

/// What is put on top of costs where nobody asks anything, percent.
const MARGIN: f64 = 20.0;
/// Orchestrators that are listed.
const LISTED: usize = 20;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What an hour of this machine costs you, US dollars; with it, no price below costs is suggested
    #[arg(long, value_name = "USD", value_parser = dollars)]
    cost_per_hour: Option<f64>,
    /// Part of the time in which you expect to have work, percent
    #[arg(long, default_value_t = 50.0, value_name = "PERCENT", value_parser = percent)]
    busy: f64,
    /// Seconds of video that are transcoded to measure this machine
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: u32,
    /// Does not ask a running node what the mesh asks
    #[arg(long)]
    no_mesh: bool,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    node: NodeArgs,
}

fn dollars(text: &str) -> Result<f64, String> {
    let usd = text.parse().ok().filter(|usd: &f64| (0.0..=1e6).contains(usd));
    usd.ok_or_else(|| format!("{text:?} is no number of dollars"))
}

fn percent(text: &str) -> Result<f64, String> {
    let part = text.trim_end_matches('%').parse().ok().filter(|part: &f64| *part > 0.0 && *part <= 100.0);
    part.ok_or_else(|| format!("{text:?} is no part: write 1 to 100"))
}

/// How a price was come to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Basis {
    /// The middle of what the mesh asks.
    middle: Option<PricePerPixel>,
    /// What this machine costs a pixel.
    cost: Option<PricePerPixel>,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let config = args.node.resolve()?;
    let mesh = if args.no_mesh { Ok(Vec::new()) } else { of_mesh(&args.api).await };
    let measured =
        capacity::measure(&config.broadcast.ladder, config.orchestrator.capacity, args.seconds).await?;
    let offers = mesh.as_deref().unwrap_or_default();
    let basis = Basis { middle: offers::middle(offers), cost: cost(&args, &config, &measured)? };
    let suggested = basis.price();
    if json {
        let source = Source::new(&config.broadcast.ladder, 720, Fps { num: 30, den: 1 })?;
        let value = json!({
            "offers": offers, "mesh_error": mesh.as_ref().err().map(ToString::to_string), "middle": basis.middle,
            "measured": measured, "pixels_per_second": measured.pixels_per_second(), "streams": measured.streams(),
            "cost": basis.cost, "suggested": suggested,
            "why": suggested.map(|_| basis.why()),
            "minute": suggested.map(|price| source.minutes(price, config.prices.eth_usd)),
            "earns_per_hour": suggested.map(|price| earns(price, &measured, args.busy)),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        print(&args, &config, &mesh, &measured, basis)?;
    }
    match suggested {
        Some(_) => Ok(()),
        None => Err("nobody in the mesh asks anything, and what this machine costs is not known: give --cost-per-hour \
                     and --eth-usd"
            .into()),
    }
}

async fn of_mesh(api: &ApiArgs) -> Result<Vec<Offer>, Failure> {
    let state: State = Api::new(&api.api)?.get("/api/v1/state").await?;
    Ok(offers::of_others(&state.mesh.nodes))
}

/// What a pixel costs this machine, if somebody said what it costs.
fn cost(args: &Args, config: &Config, measured: &Capacity) -> Result<Option<PricePerPixel>, Failure> {
    let Some(usd) = args.cost_per_hour else { return Ok(None) };
    let rate =
        config.prices.eth_usd.ok_or("--cost-per-hour is in dollars: set price.eth_usd, or give --eth-usd")?;
    let pixels = measured.pixels_per_second() * 3600.0 * args.busy / 100.0;
    let minute = Stated::UsdPerMinute(usd / pixels.max(1.0) * MINUTE_PIXELS as f64);
    Ok(Some(minute.at(Some(checked_rate(rate)?))?))
}

/// Wei of an hour at a price, with work for so many percent of it.
fn earns(price: PricePerPixel, measured: &Capacity, busy: f64) -> Wei {
    let pixels = (measured.pixels_per_second() * 3600.0 * busy / 100.0) as u64;
    Wei(alloy_primitives::U256::from(price.of(pixels)))
}

impl Basis {
    fn price(self) -> Option<PricePerPixel> {
        match (self.middle, self.cost) {
            (Some(middle), Some(cost)) => Some(middle.max(cost)),
            (Some(middle), None) => Some(middle),
            (None, Some(cost)) => with_margin(cost),
            (None, None) => None,
        }
    }

    fn why(self) -> String {
        match (self.middle, self.cost) {
            (Some(middle), Some(cost)) if cost > middle => format!(
                "what this machine costs: the middle of the mesh, {middle}, would lose money, and above it there may be little work"
            ),
            (Some(_), _) => {
                "the middle of what the mesh asks: half of the capacity that is paid for asks no more".into()
            }
            (None, _) => {
                format!("what this machine costs and {MARGIN:.0} percent: nobody in the mesh asks anything")
            }
        }
    }
}

/// A price with [`MARGIN`] on top.
fn with_margin(cost: PricePerPixel) -> Option<PricePerPixel> {
    let wei = cost.as_f64() * (1.0 + MARGIN / 100.0);
    let fine = 1_000_000;
    let scaled = wei * fine as f64;
    (scaled < u64::MAX as f64).then(|| PricePerPixel { wei: scaled.ceil() as u64, pixels: fine }.reduced())
}

fn print(
    args: &Args,
    config: &Config,
    mesh: &Result<Vec<Offer>, Failure>,
    measured: &Capacity,
    basis: Basis,
) -> Result<(), Failure> {
    match mesh {
        Err(why) => println!("mesh      {why}"),
        Ok(_) if args.no_mesh => println!("mesh      not asked"),
        Ok(offers) if offers.is_empty() => println!("mesh      no other orchestrator offers work"),
        Ok(offers) => {
            println!("mesh      {} orchestrators, cheapest first", offers.len());
            for offer in offers.iter().take(LISTED) {
                println!("          {:<18} {:>4} at once  {}", offer.name, offer.capacity, offer.price);
            }
            if offers.len() > LISTED {
                println!("          and {} more", offers.len() - LISTED);
            }
        }
    }
    println!(
        "machine   {:.1} million pixels a second: {:.2} streams of 720p at 30 pictures a second, by {} workers in {:.1} s",
        measured.pixels_per_second() / 1e6,
        measured.streams(),
        measured.workers,
        measured.wall_s
    );
    if let (Some(cost), Some(usd)) = (basis.cost, args.cost_per_hour) {
        println!("costs     {cost}: {usd} USD an hour, with work for {} percent of it", args.busy);
    }
    let Some(price) = basis.price() else { return Ok(()) };
    println!("\nsuggested {price}\n          {}", basis.why());
    println!(
        "          {} an hour, with work for {} percent of it",
        earns(price, measured, args.busy),
        args.busy
    );
    let source = Source::new(&config.broadcast.ladder, 720, Fps { num: 30, den: 1 })?;
    println!("\na minute of {source}");
    source.minutes(price, config.prices.eth_usd).iter().for_each(|minute| println!("{}", minute.line()));
    println!("\nto ask it: [price] ask = \"{price}\" in livemesh.toml, or --price \"{price}\"");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn price(wei: u64) -> PricePerPixel {
        PricePerPixel { wei, pixels: 1 }
    }

    #[test]
    fn nobody_is_told_to_work_below_cost_and_nobody_to_ask_nothing() {
        let of = |middle: Option<u64>, cost: Option<u64>| {
            Basis { middle: middle.map(price), cost: cost.map(price) }.price()
        };
        assert_eq!(of(Some(900), None), Some(price(900)));
        assert_eq!(of(Some(900), Some(500)), Some(price(900)));
        assert_eq!(of(Some(900), Some(1000)), Some(price(1000)));
        assert_eq!(of(None, Some(1000)), Some(price(1200)));
        assert_eq!(of(None, None), None);
        assert!(Basis { middle: Some(price(900)), cost: Some(price(1000)) }.why().contains("lose money"));
    }

    #[test]
    fn an_hour_earns_what_its_pixels_cost() {
        let measured = Capacity { workers: 1, pixels: 100_000_000, wall_s: 2.0, source_s: 2 };
        assert_eq!(earns(price(50), &measured, 50.0).0, alloy_primitives::U256::from(4_500_000_000_000_u64));
    }
}
