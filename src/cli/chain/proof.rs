//! `livemesh chain proof` and `verify`: slots of an account, proven; and the same from a file, without any network.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use lightclient::proven::{Accept, Proven, Tier};
use lightclient::source::{Answer, Ask, Block, Layer};
use lightclient::state::{Account, Keys, ProvenState, StateView};
use lightclient::sync::{LightClient, ReadError};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::copy::Copy;
use super::session::{Kept, PeerArgs, heard};
use super::transcript::{self, Exchanges, Replay};
use super::{ANCHOR_WITHIN, LOOK, STATUS_WITHIN, anchored, known, print_json, show, synced};
use crate::chain::Plan;
use crate::cli::Failure;

/// What a file cannot show.
const UNSHOWN: &str = "that this is a block of Arbitrum's is the bundle's own word: no proof leads there from Ethereum yet, and \
     that sources agreed cannot be seen in a file; what is proven is that this block holds this";

/// What is to be proven.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) address: Address,
    pub(super) slots: Vec<B256>,
    pub(super) on_l1: bool,
    pub(super) accept: Accept,
}

impl Wanted {
    fn keys(&self) -> Keys {
        Keys::from([(self.address, self.slots.iter().copied().collect::<BTreeSet<_>>())])
    }

    async fn prove(&self, client: &LightClient) -> Result<Proven<ProvenState>, ReadError> {
        if self.on_l1 {
            client.prove_l1(self.keys()).await
        } else {
            client.prove(self.accept, self.keys()).await
        }
    }
}

/// Proves, prints, and writes what others need to check it.
pub(super) async fn run(
    plan: Plan,
    peers: &PeerArgs,
    wanted: &Wanted,
    out: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let kept = Kept::default();
    let session = synced(plan, peers, out.map(|_| &kept), json).await?;
    let client = session.client.clone();
    if !wanted.on_l1 {
        anchored(&client, ANCHOR_WITHIN).await;
    }
    let proven = wanted.prove(&client).await;
    session.stop().await;
    let proven = proven?;
    print(&client, wanted, &proven, None, json)?;
    if let Some(out) = out {
        let claim = Ask::Proof {
            layer: if wanted.on_l1 { Layer::L1 } else { Layer::L2 },
            block: Block { number: proven.anchor.l2_block, hash: B256::ZERO },
            keys: wanted.keys(),
        };
        let mut kept = heard(&kept);
        transcript::keep_agreed(&mut kept);
        kept.push((claim, Answer::Proof(Vec::new())));
        let bytes = transcript::encode(&kept);
        std::fs::write(out, &bytes).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
        if !json {
            println!("wrote {} bytes to {}", bytes.len(), out.display());
        }
    }
    Ok(())
}

/// Checks every proof of a bundle against a copy of the state on disk, with nobody to ask but the bundle.
pub(super) async fn verify(mut plan: Plan, bundle: &Path, json: bool) -> Result<(), Failure> {
    let exchanges = read(bundle)?;
    let (wanted, sequenced) = (proofs_in(&exchanges), transcript::is_sequenced(&exchanges));
    if wanted.is_empty() {
        return Err(format!("{} proves nothing", bundle.display()).into());
    }
    let copy = Copy::of(plan.config.data_dir.as_deref())?;
    plan.config.data_dir = Some(copy.path().to_owned());
    plan.config.heads = false;
    plan.sources = vec![Arc::new(Replay(exchanges))];
    let client = LightClient::start(plan.config, plan.sources)?;
    let end = Instant::now() + STATUS_WITHIN;
    for mut wanted in wanted {
        let proven = loop {
            // A bundle holds what its own tier needed, and says only of the weakest which that was.
            wanted.accept = match wanted.accept {
                _ if sequenced => Accept::Sequenced { agree: 1 },
                Accept::Confirmed => Accept::Pending { l1_blocks: 0 },
                Accept::Pending { .. } | Accept::Sequenced { .. } => Accept::Confirmed,
            };
            match wanted.prove(&client).await {
                Ok(proven) => break proven,
                Err(error) if Instant::now() >= end || client.status().finalized.is_none() => {
                    return Err(refused(&client, &error).into());
                }
                Err(_) => sleep(LOOK).await,
            }
        };
        let unshown = matches!(proven.anchor.tier, Tier::Sequenced { .. }).then_some(UNSHOWN);
        print(&client, &wanted, &proven, unshown, json)?;
    }
    client.stop().await;
    Ok(())
}

fn refused(client: &LightClient, error: &ReadError) -> String {
    let at = client.status().finalized.map_or_else(
        || "there is no state of this network here: run livemesh chain sync first".to_owned(),
        |head| format!("the state here is at finalized slot {}", head.slot),
    );
    format!(
        "the bundle does not prove its claim: {error}; {at}. A bundle proves state of the block it was made at"
    )
}

/// What the bundle claims to prove: its last question.
fn proofs_in(exchanges: &Exchanges) -> Vec<Wanted> {
    let last = exchanges.iter().rev().find_map(|(ask, _)| match ask {
        Ask::Proof { layer, keys, .. } => Some((*layer, keys)),
        _ => None,
    });
    let Some((layer, keys)) = last else { return Vec::new() };
    let wanted = |(address, slots): (&Address, &BTreeSet<B256>)| Wanted {
        address: *address,
        slots: slots.iter().copied().collect(),
        on_l1: layer == Layer::L1,
        accept: Accept::Pending { l1_blocks: 0 },
    };
    keys.iter().map(wanted).collect()
}

fn read(path: &Path) -> Result<Exchanges, Failure> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
    if size > transcript::MAX_BYTES as u64 {
        return Err(format!("{shown} has {size} bytes: it is no bundle").into());
    }
    transcript::decode(&std::fs::read(path)?).map_err(|why| format!("{shown} is no bundle: {why}").into())
}

fn print(
    client: &LightClient,
    wanted: &Wanted,
    proven: &Proven<ProvenState>,
    unshown: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let account: Option<Account> = proven.value.account(wanted.address)?;
    let mut slots: Vec<(B256, U256)> = Vec::new();
    for slot in &wanted.slots {
        slots.push((*slot, proven.value.storage(wanted.address, *slot)?));
    }
    let now_s = client.now_ms() / 1000;
    let layer = if wanted.on_l1 { Layer::L1 } else { Layer::L2 };
    if json {
        let account = account.map(|account| {
            json!({
                "nonce": account.nonce, "balance": account.balance,
                "storage_root": account.storage_root, "code_hash": account.code_hash,
            })
        });
        let slots: Vec<_> = slots.iter().map(|(slot, word)| json!({"slot": slot, "value": word})).collect();
        let mut proof = known(&proven.anchor, now_s);
        if let Some(unshown) = unshown {
            proof["unshown"] = unshown.into();
        }
        return print_json(&json!({
            "layer": layer, "address": wanted.address, "account": account, "slots": slots, "proof": proof,
        }));
    }
    match account {
        Some(account) => println!(
            "{layer} {}: nonce {}, {} wei, code {}",
            wanted.address, account.nonce, account.balance, account.code_hash
        ),
        None => println!("{layer} {}: no such account, proven", wanted.address),
    }
    slots.iter().for_each(|(slot, word)| println!("  {slot}  {word:#x}"));
    println!("{}", show::anchor(&proven.anchor, now_s));
    unshown.iter().for_each(|unshown| println!("NOT PROVEN: {unshown}"));
    Ok(())
}
