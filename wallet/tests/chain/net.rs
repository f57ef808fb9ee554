//! A devnet, an account with ether on it, and endpoints that lie.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use fixtures::devnet::{Config, Devnet, Pace};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use wallet::{
    Call, Intent, ProvenAccount, ProvenBlock, Settings, Signer, Tier, Wallet, Witness, WitnessError,
};

pub(crate) const CHAIN: u64 = fixtures::devnet::l2::CHAIN_ID;

/// Quick enough for tests.
pub(crate) fn settings(agree: usize) -> Settings {
    Settings {
        agree,
        poll: Duration::from_millis(30),
        poll_included: Duration::from_millis(30),
        escalate_after: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        settled_after: 10_000,
        ..Settings::default()
    }
}

pub(crate) async fn devnet() -> Arc<Devnet> {
    devnet_asserted(4).await
}

/// A devnet whose L2 blocks are asserted every so many L1 blocks; until then they can be taken back.
pub(crate) async fn devnet_asserted(every: u64) -> Arc<Devnet> {
    let mut config = Config { history: 10, pace: Pace::Wall, ..Config::default() };
    config.settings.assertion_interval = every;
    config.settings.slot_ms = 400;
    config.settings.l2_blocks_per_slot = 2;
    Arc::new(Devnet::start(config).await.unwrap())
}

/// The key of an account that holds ether.
pub(crate) fn signer(devnet: &Devnet) -> Signer {
    key(devnet.with(|world| world.livepeer.funded[0].secret))
}

/// A key from its bytes.
pub(crate) fn key(secret: B256) -> Signer {
    PrivateKeySigner::from_bytes(&secret).unwrap().into()
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Somebody who has nothing yet.
pub(crate) fn stranger(seed: u8) -> Address {
    Address::repeat_byte(seed)
}

/// A gift of one wei, so that balances count what happened.
pub(crate) fn gift(key: &str, to: Address) -> Intent {
    let call = Call { to, value: U256::from(1), data: Bytes::new(), gas_limit: None };
    Intent { key: key.to_owned(), call, what: format!("one wei to {to}"), max_cost: None }
}

pub(crate) fn open(devnet: &Devnet, dir: &tempfile::TempDir, urls: Vec<Url>, settings: Settings) -> Wallet {
    Wallet::open(dir.path(), CHAIN, signer(devnet), urls, None, settings).unwrap()
}

/// What an account holds in the newest block, wei.
pub(crate) fn held(devnet: &Devnet, who: Address) -> u64 {
    devnet.with(|world| world.standing(who).balance.to::<u64>())
}

/// An endpoint that passes requests on and changes answers: `lie` gets method and the true answer.
pub(crate) async fn liar(behind: &str, lie: fn(&str, &Value, Value) -> Value) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = url(&format!("http://{}", listener.local_addr().unwrap()));
    let behind = behind.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, behind.clone(), lie));
        }
    });
    address
}

async fn answer(stream: TcpStream, behind: String, lie: fn(&str, &Value, Value) -> Value) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let asked = heard(&mut stream).await?;
    let told = forward(&behind, &asked).await?;
    say(&mut stream, &lie(asked["method"].as_str()?, &asked["params"], told)).await
}

/// The question of a request.
pub(crate) async fn heard(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

/// What the true endpoint says.
pub(crate) async fn forward(behind: &str, asked: &Value) -> Option<Value> {
    reqwest::Client::new().post(behind).json(asked).send().await.ok()?.json().await.ok()
}

/// Answers, and ends the connection.
pub(crate) async fn say(stream: &mut BufReader<TcpStream>, said: &Value) -> Option<()> {
    let body = said.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()
}

pub(crate) fn result(value: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": value })
}

pub(crate) fn error(words: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32000, "message": words } })
}

/// What the chain itself knows, as if proven: pending up to the newest assertion's block.
#[derive(Debug)]
pub(crate) struct Oracle(pub(crate) Arc<Devnet>);

#[async_trait]
impl Witness for Oracle {
    async fn account(&self, address: Address) -> Result<ProvenAccount, WitnessError> {
        self.0.with(|world| {
            let standing = world.standing(address);
            let (nonce, balance) = (standing.nonce, standing.balance);
            Ok(ProvenAccount { nonce, balance, tier: Tier::Sequenced, l2_block: 0 })
        })
    }

    async fn receipts_root(&self, hash: B256) -> Result<ProvenBlock, WitnessError> {
        self.0.with(|world| {
            let block = world.l2.chain.by_hash(hash).ok_or(WitnessError::Elsewhere(hash))?;
            Ok(ProvenBlock {
                number: block.header.number,
                hash,
                transactions_root: block.header.transactions_root,
                receipts_root: block.header.receipts_root,
                base_fee: None,
                tier: Tier::Pending,
            })
        })
    }
}
