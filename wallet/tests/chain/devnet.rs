//! A wallet on a devnet: what is sent once happens once, whatever endpoints, fees and reorganisations do.

use std::sync::Arc;
use std::time::Duration;

use fixtures::devnet::Devnet;
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use wallet::{How, Progress, Settings, Tier, Until, Wallet, WalletError};

use super::net::{
    self, devnet, devnet_asserted, error, gift, held, liar, open, result, settings, signer, stranger, url,
};

/// L1 blocks until an assertion, where none is wanted.
const NEVER: u64 = 1_000_000;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn sequenced(wallet: &Wallet, id: wallet::Id) -> wallet::Outcome {
    tokio::time::timeout(PATIENCE, wallet.wait(id, Until::Sequenced)).await.unwrap().unwrap()
}

/// Takes the blocks from this one on back, with all that was in them; gives how many.
fn forget(devnet: &Devnet, from: u64) -> usize {
    devnet.with(|world| {
        let head = world.l2.chain.head().unwrap().header.number;
        world.reorg_l2((head + 1).saturating_sub(from), false).len()
    })
}

/// A wallet after a restart: the file is free once the last task of the earlier one has ended.
async fn reopened(devnet: &Devnet, dir: &TempDir, endpoints: &[Url]) -> Wallet {
    let opened = async {
        loop {
            let wallet =
                Wallet::open(dir.path(), net::CHAIN, signer(devnet), endpoints.to_vec(), None, settings(1));
            match wallet {
                Ok(wallet) => return wallet,
                Err(WalletError::Journal(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, opened).await.unwrap()
}

/// Waits for something to happen to an intent.
async fn until(wallet: &Wallet, id: wallet::Id, wanted: fn(&Progress) -> bool) -> Progress {
    let mut events = Box::pin(wallet.follow(id));
    let found =
        async { events.by_ref().filter(|progress| std::future::ready(wanted(progress))).next().await };
    tokio::time::timeout(PATIENCE, found).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twice_under_one_name_happens_once() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let wallet = open(&devnet, &dir, vec![url(&devnet.l2_url)], settings(1));
    let first = wallet.send(gift("a", stranger(1))).await.unwrap();
    assert_eq!(wallet.send(gift("a", stranger(1))).await.unwrap(), first);
    let outcome = sequenced(&wallet, first).await;
    assert!(outcome.success && outcome.how == How::Agreed { agree: 1, of: 1 });
    assert_eq!(wallet.send(gift("a", stranger(1))).await.unwrap(), first);
    let second = wallet.send(gift("b", stranger(1))).await.unwrap();
    sequenced(&wallet, second).await;
    assert_eq!(held(&devnet, stranger(1)), 2);
    assert!(matches!(wallet.wait(first, Until::Proven).await, Err(WalletError::Unprovable)));
    assert!(matches!(wallet.send(gift("a", stranger(2))).await, Err(WalletError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_whose_receipts_hash_to_the_proven_root_shows_what_happened() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let witness = Arc::new(net::Oracle(Arc::clone(&devnet)));
    let urls = vec![url(&devnet.l2_url)];
    let wallet =
        Wallet::open(dir.path(), net::CHAIN, signer(&devnet), urls, Some(witness), settings(1)).unwrap();
    let id = wallet.send(gift("a", stranger(1))).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, wallet.wait(id, Until::Proven)).await.unwrap().unwrap();
    assert_eq!(outcome.how, How::Receipts { tier: Tier::Pending });
    assert!(outcome.success && outcome.gas_used >= 21_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_and_lying_endpoints_change_nothing() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let truth = devnet.l2_url.clone();
    let elsewhere =
        liar(&truth, |method, _, told| if method == "eth_chainId" { result(json!("0x1")) } else { told })
            .await;
    let too_low = liar(&truth, |method, _, told| match method {
        "eth_sendRawTransaction" => error("nonce too low: next nonce 7, tx nonce 0"),
        "eth_getTransactionCount" => result(json!("0xffff")),
        "eth_getTransactionReceipt" => result(Value::Null),
        "eth_getBlockByNumber" => result(json!({ "baseFeePerGas": "0xffffffffffff" })),
        _ => told,
    })
    .await;
    let included = liar(&truth, |method, params, told| match method {
        "eth_sendRawTransaction" => error("already known"),
        "eth_getTransactionReceipt" => result(json!({
            "transactionHash": params[0], "blockNumber": "0x1", "transactionIndex": "0x0", "status": "0x1",
            "blockHash": format!("0x{}", "77".repeat(32)), "gasUsed": "0x5208",
        })),
        _ => told,
    })
    .await;
    let urls = vec![url("http://127.0.0.1:9"), elsewhere, too_low, included, url(&truth), url(&truth)];
    devnet.hold_transactions(true);
    let wallet = open(&devnet, &dir, urls, settings(2));
    let id = wallet.send(gift("a", stranger(1))).await.unwrap();
    until(&wallet, id, |progress| matches!(progress, Progress::Sent { .. })).await;
    assert!(wallet.pending()[0].included.is_none(), "one liar's receipt is none");
    assert_eq!(wallet.pending()[0].nonce, 0, "one liar's nonce is none");
    devnet.hold_transactions(false);
    let outcome = sequenced(&wallet, id).await;
    assert_eq!(outcome.how, How::Agreed { agree: 2, of: 6 });
    assert_eq!(held(&devnet, stranger(1)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_of_fees_is_followed_upwards_and_pays_once() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let settings = Settings { escalate_after: Duration::from_millis(300), ..settings(1) };
    let wallet = open(&devnet, &dir, vec![url(&devnet.l2_url)], settings);
    devnet.hold_transactions(true);
    let id = wallet.send(gift("a", stranger(1))).await.unwrap();
    let before = wallet.pending()[0].max_fee;
    devnet.set_base_fee(before * 3);
    until(&wallet, id, |progress| matches!(progress, Progress::Replaced { .. })).await;
    devnet.hold_transactions(false);
    let outcome = sequenced(&wallet, id).await;
    assert!(outcome.success);
    assert!(wallet.pending()[0].max_fee >= before * 3);
    assert_eq!(held(&devnet, stranger(1)), 1);
    let next = wallet.send(gift("b", stranger(2))).await.unwrap();
    assert_eq!(wallet.pending().iter().find(|view| view.id == next).unwrap().nonce, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_is_kept_and_told() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let settings = Settings { escalate_after: Duration::from_millis(100), ..settings(1) };
    let wallet = open(&devnet, &dir, vec![url(&devnet.l2_url)], settings);
    devnet.hold_transactions(true);
    let base = wallet.base_fee().await.unwrap();
    let mut intent = gift("a", stranger(1));
    intent.call.gas_limit = Some(100_000);
    let most = base * 2 + base / 4;
    intent.max_cost = Some(alloy_primitives::U256::from(most * 100_000));
    let id = wallet.send(intent).await.unwrap();
    let told = until(&wallet, id, |progress| matches!(progress, Progress::AtCeiling { .. })).await;
    assert!(matches!(told, Progress::AtCeiling { max_fee } if u128::from(max_fee) <= most));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorganisation_takes_back_is_sent_again() {
    let (devnet, dir) = (devnet_asserted(NEVER).await, tempfile::tempdir().unwrap());
    let wallet = open(&devnet, &dir, vec![url(&devnet.l2_url)], settings(1));
    let id = wallet.send(gift("a", stranger(1))).await.unwrap();
    let first = sequenced(&wallet, id).await;
    assert!(forget(&devnet, first.block) > 0);
    let told = until(&wallet, id, |progress| matches!(progress, Progress::Reorged { .. })).await;
    assert_eq!(told, Progress::Reorged { block_hash: first.block_hash });
    let again = sequenced(&wallet, id).await;
    assert!(again.success && again.hash == first.hash && again.block_hash != first.block_hash);
    assert_eq!(held(&devnet, stranger(1)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_used_by_a_stranger_with_the_same_key_is_told_after_a_restart_too() {
    let (devnet, ours, theirs) = (devnet().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let endpoints = vec![url(&devnet.l2_url)];
    devnet.hold_transactions(true);
    let one = open(&devnet, &ours, endpoints.clone(), settings(1));
    let lost = one.send(gift("a", stranger(1))).await.unwrap();
    until(&one, lost, |progress| matches!(progress, Progress::Sent { .. })).await;
    drop(one);
    while devnet.drop_transactions() > 0 {}
    let two = open(&devnet, &theirs, endpoints.clone(), settings(1));
    let won = two.send(gift("b", stranger(2))).await.unwrap();
    devnet.hold_transactions(false);
    sequenced(&two, won).await;
    let one = reopened(&devnet, &ours, &endpoints).await;
    assert_eq!(one.resume(), [lost]);
    let ended = tokio::time::timeout(PATIENCE, one.wait(lost, Until::Sequenced)).await.unwrap();
    assert!(matches!(ended, Err(WalletError::Displaced(id)) if id == lost));
    assert_eq!((held(&devnet, stranger(1)), held(&devnet, stranger(2))), (0, 1));
    let next = one.send(gift("c", stranger(1))).await.unwrap();
    assert!(sequenced(&one, next).await.success);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_a_stranger_left_below_is_told_and_passes_when_it_is_filled() {
    let (devnet, ours, theirs) =
        (devnet_asserted(NEVER).await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let endpoints = vec![url(&devnet.l2_url)];
    let two = open(&devnet, &theirs, endpoints.clone(), settings(1));
    let below = two.send(gift("b", stranger(2))).await.unwrap();
    let taken = sequenced(&two, below).await;
    drop(two);
    devnet.hold_transactions(true);
    let one = open(&devnet, &ours, endpoints.clone(), settings(1));
    let above = one.send(gift("a", stranger(1))).await.unwrap();
    forget(&devnet, taken.block);
    devnet.hold_transactions(false);
    let told = until(&one, above, |progress| matches!(progress, Progress::Gap { .. })).await;
    assert_eq!(told, Progress::Gap { nonces: vec![0] });
    let two = reopened(&devnet, &theirs, &endpoints).await;
    assert_eq!(two.resume(), [below]);
    sequenced(&one, above).await;
    assert_eq!((held(&devnet, stranger(1)), held(&devnet, stranger(2))), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_the_dearest_transaction() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let endpoints = vec![url(&devnet.l2_url)];
    devnet.hold_transactions(true);
    let hasty = Settings { escalate_after: Duration::from_millis(200), ..settings(1) };
    let wallet = open(&devnet, &dir, endpoints.clone(), hasty);
    let id = wallet.send(gift("a", stranger(1))).await.unwrap();
    let first = wallet.pending()[0].max_fee;
    devnet.set_base_fee(first + 1);
    until(&wallet, id, |progress| matches!(progress, Progress::Replaced { .. })).await;
    drop(wallet);
    devnet.drop_transactions();
    let wallet = reopened(&devnet, &dir, &endpoints).await;
    let [before] = &wallet.pending()[..] else { panic!("one is under way") };
    assert!(before.id == id && before.replacements > 0 && before.max_fee > first && before.nonce == 0);
    devnet.hold_transactions(false);
    assert_eq!(wallet.send(gift("a", stranger(1))).await.unwrap(), id);
    let outcome = sequenced(&wallet, id).await;
    assert_eq!(outcome.hash, before.hash);
    assert_eq!(held(&devnet, stranger(1)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_ether_is_told_before_anything_is_signed() {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let poor =
        alloy_signer_local::PrivateKeySigner::from_bytes(&alloy_primitives::B256::repeat_byte(9)).unwrap();
    let urls = vec![url(&devnet.l2_url)];
    let wallet = Wallet::open(dir.path(), net::CHAIN, poor.into(), urls, None, settings(1)).unwrap();
    let mut intent = gift("a", stranger(1));
    intent.call.gas_limit = Some(100_000);
    assert!(matches!(wallet.send(intent).await, Err(WalletError::Funds { .. })));
    assert!(wallet.pending().is_empty());
}
