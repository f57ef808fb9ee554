//! `livemesh price show`: what this node asks and pays at most, in wei and for a minute of each rung.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use protocol::PricePerPixel;
use protocol::rendition::Fps;
use serde_json::json;

use super::rungs::{Source, fps};
use crate::cli::Failure;
use crate::config::NodeArgs;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Height of the source, a 16:9 picture
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(50..=4096))]
    height: u32,
    /// Pictures a second of the source, such as 30 or 30000/1001
    #[arg(long, default_value = "30", value_parser = fps)]
    fps: Fps,
    #[command(flatten)]
    node: NodeArgs,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let config = args.node.resolve()?;
    let source = Source::new(&config.broadcast.ladder, args.height, args.fps)?;
    let (asks, pays, prices) = (config.orchestrator.price, config.broadcast.max_price, &config.prices);
    if json {
        let told =
            |price: PricePerPixel| json!({ "price": price, "minute": source.minutes(price, prices.eth_usd) });
        let broadcasters: serde_json::Map<_, _> =
            prices.broadcasters.iter().map(|(who, price)| (who.to_string(), told(*price))).collect();
        let value = json!({
            "source": source.to_string(), "eth_usd": prices.eth_usd, "asks": told(asks),
            "broadcasters": broadcasters, "pays_at_most": pays.map(told),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    let rate = prices.eth_usd.map_or_else(
        || "no rate: set price.eth_usd to see dollars".to_owned(),
        |rate| format!("an ether at {rate} USD"),
    );
    println!("a minute of {source}; {rate}");
    let table = |what: String, price: PricePerPixel| {
        println!("\n{what}: {price}");
        source.minutes(price, prices.eth_usd).iter().for_each(|minute| println!("{}", minute.line()));
    };
    table("asks".into(), asks);
    for (who, price) in &prices.broadcasters {
        table(format!("asks of {who}"), *price);
    }
    match pays {
        Some(max) => table("pays at most".into(), max),
        None => println!("\npays any price: set price.max, so that nobody can ask too much"),
    }
    Ok(())
}
