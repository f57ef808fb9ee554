//! `livemesh chain read`: one typed read, with how it is known.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use lightclient::livepeer::{Ask, Hint};
use lightclient::proven::Accept;
use lightclient::sync::LightClient;
use serde_json::json;

use super::{ANCHOR_WITHIN, anchored, known, print_json, show};
use crate::cli::Failure;

pub(super) async fn run(client: &LightClient, accept: Accept, ask: &Ask, json: bool) -> Result<(), Failure> {
    anchored(client, ANCHOR_WITHIN).await;
    let read = client.livepeer(accept, ask, &Hint::default()).await?;
    let now_s = client.now_ms() / 1000;
    if json {
        return print_json(&json!({ "value": read.value, "proof": known(&read.anchor, now_s) }));
    }
    show::value(&json!(read.value), 0);
    println!("{}", show::anchor(&read.anchor, now_s));
    Ok(())
}
