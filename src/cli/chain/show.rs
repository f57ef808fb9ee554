//! Progress in a line, status as a table, values with their tier and age.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use lightclient::proven::{Anchor, Tier};
use lightclient::source::crowd::SourceStatus;
use lightclient::source::score::Standing;
use lightclient::sync::{Head, Phase, Status};
use serde_json::{Value, json};

use super::print_json;
use crate::cli::Failure;

/// How far the client is.
pub(super) fn progress(status: &Status) -> String {
    let phase = match &status.phase {
        Phase::Bootstrapping => "looking for the block that trust begins with".to_owned(),
        Phase::CatchingUp { period, target } => format!("period {period} of {target}"),
        Phase::Following => "following".to_owned(),
        Phase::Stalled { since_ms, why } => format!("stalled for {} s: {why}", since_ms / 1000),
        Phase::Halted => "halted: two valid histories".to_owned(),
    };
    let finalized = status.finalized.map_or(0, |head| head.slot);
    let good = status.sources.iter().filter(|source| source.health.standing == Standing::Good).count();
    format!(
        "{}: {phase}, finalized slot {finalized} of {}, {good} of {} sources good",
        status.network,
        status.wall_slot,
        status.sources.len()
    )
}

/// Prints the status.
pub(super) fn status(status: &Status, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&json!(status));
    }
    println!("{}", progress(status));
    if let Some(origin) = &status.origin {
        println!("trust began    {}", line(&json!(origin)));
    }
    for (name, head) in [("finalized", &status.finalized), ("signed head", &status.optimistic)] {
        if let Some(head) = head {
            println!("{name:<14} {}", describe_head(head));
        }
    }
    for anchor in &status.anchors {
        println!("L2 state       block {}, {}", anchor.l2_block, tier(&anchor.tier));
    }
    println!("requests       {}", status.requests);
    sources(&status.sources);
    for alarm in &status.alarms {
        println!("ALARM          {alarm}");
    }
    Ok(())
}

fn sources(sources: &[SourceStatus]) {
    println!(
        "\n{:<30} {:<8} {:>9} {:>8} {:>7} {:>8} {:>8} {:>5} {:>12}",
        "SOURCE", "STANDING", "LATENCY", "LAST OK", "LAG", "ANSWERS", "FAILURES", "LIES", "BUDGET LEFT"
    );
    for source in sources {
        let health = &source.health;
        let standing = match health.standing {
            Standing::Good => "good",
            Standing::Resting => "resting",
            Standing::Liar => "LIAR",
        };
        let none = || "-".to_owned();
        println!(
            "{:<30} {:<8} {:>9} {:>8} {:>7} {:>8} {:>8} {:>5} {:>12}",
            source.name,
            standing,
            health.latency_ms.map_or_else(none, |ms| format!("{ms:.0} ms")),
            health.last_ok_ms_ago.map_or_else(none, |ms| age(ms / 1000)),
            health.lag_slots.map_or_else(none, |slots| slots.to_string()),
            health.answers,
            health.failures,
            health.lies,
            source.budget.map_or_else(none, |budget| format!("{}/{}", budget.left, budget.allowance.burst)),
        );
        if let Some(fault) = &source.last_fault {
            println!("    {fault}");
        }
    }
}

fn describe_head(head: &Head) -> String {
    let block = head.block.map_or_else(String::new, |block| format!(", L1 block {block}"));
    format!("slot {}{block}, {} old, root {}", head.slot, age(head.age_s), head.root)
}

/// How strongly a value is known, in words.
pub(super) fn tier(tier: &Tier) -> String {
    match tier {
        Tier::Confirmed => "confirmed".to_owned(),
        Tier::Pending { l1_blocks } => format!("pending, unchallenged for {l1_blocks} L1 blocks"),
        Tier::Sequenced { agree, asked } => format!("sequenced, {agree} of {asked} sources agree"),
    }
}

/// The line that stands beside every value.
pub(super) fn anchor(anchor: &Anchor, now_s: u64) -> String {
    format!(
        "{}; block {}, {} old, proven from L1 slot {}",
        tier(&anchor.tier),
        anchor.l2_block,
        age(anchor.age(now_s)),
        anchor.l1_slot
    )
}

/// Seconds as people say them.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Prints a value as indented lines: a name and what it is.
pub(super) fn value(value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if inner.is_object()
                    || inner.as_array().is_some_and(|items| items.iter().any(Value::is_object))
                {
                    println!("{pad}{name}:");
                    self::value(inner, indent + 2);
                } else {
                    println!("{pad}{name:<24} {}", line(inner));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| println!("{pad}- {}", line(item))),
        other => println!("{pad}{}", line(other)),
    }
}

/// A value in one line.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, inner)| format!("{name} {}", line(inner)));
            fields.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
