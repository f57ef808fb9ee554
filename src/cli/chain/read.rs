//! `livemesh chain read`: one typed read, with how it is known; on request also by the contracts' own bytecode.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use lightclient::evm::{Comparison, EvmError};
use lightclient::livepeer::{Ask, Hint};
use lightclient::proven::Accept;
use lightclient::sync::{CrossError, LightClient, ReadError};
use serde_json::json;

use super::{ANCHOR_WITHIN, anchored, known, print_json, show};
use crate::cli::Failure;

pub(super) async fn run(
    client: &LightClient,
    accept: Accept,
    ask: &Ask,
    cross_check: bool,
    json: bool,
) -> Result<(), Failure> {
    anchored(client, ANCHOR_WITHIN).await;
    if cross_check {
        return twice(client, accept, ask, json).await;
    }
    let read = client.livepeer(accept, ask, &Hint::default()).await?;
    let now_s = client.now_ms() / 1000;
    if json {
        return print_json(&json!({ "value": read.value, "proof": known(&read.anchor, now_s) }));
    }
    show::value(&json!(read.value), 0);
    println!("{}", show::anchor(&read.anchor, now_s));
    Ok(())
}

/// Code that does not answer is either not what it is taken for, or none at all.
fn in_words(error: ReadError<CrossError>) -> Failure {
    let silent = matches!(
        error,
        ReadError::Read(CrossError::Bytecode(
            EvmError::Output(_) | EvmError::Halted(_) | EvmError::Reverted(_)
        ))
    );
    if silent {
        return format!(
            "{error}. A livemesh devnet has placeholders where the contracts' code would be, which answer nothing: there, \
             read without --cross-check"
        )
        .into();
    }
    error.into()
}

/// Slots and bytecode side by side. That they differ is a failure: then one of the two is not what it is taken for.
async fn twice(client: &LightClient, accept: Accept, ask: &Ask, json: bool) -> Result<(), Failure> {
    let read = client.cross_checked(accept, ask, &Hint::default()).await.map_err(in_words)?;
    let now_s = client.now_ms() / 1000;
    let (value, agreement) = &read.value;
    if json {
        let proof = known(&read.anchor, now_s);
        print_json(
            &json!({ "value": value, "proof": proof, "cross_check": agreement, "agrees": agreement.holds() }),
        )?;
    } else {
        show::value(&json!(value), 0);
        println!("{}", show::anchor(&read.anchor, now_s));
        println!("bytecode  {} values compared", agreement.compared.len());
    }
    let mut differences = agreement.differences().peekable();
    if differences.peek().is_none() {
        return Ok(());
    }
    let said =
        |c: &Comparison| format!("\n  {}: slots say {}, the bytecode {}", c.getter, c.slots, c.bytecode);
    let all: String = differences.map(said).collect();
    Err(format!(
        "slots and bytecode differ; the contracts' layout may have changed, so update livemesh:{all}"
    )
    .into())
}
