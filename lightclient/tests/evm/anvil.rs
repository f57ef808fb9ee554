//! A chain of one process on loopback, from npm: installed once below the target directory, started for one test, ended with
//! it; and what can be proven of its newest block.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use lightclient::exec::header::ExecHeader;
use lightclient::exec::proof::{AccountProof, verify};
use lightclient::state::{Account, Keys, Missing, ProvenState, StateView};
use serde_json::{Value, json};

const PACKAGES: [&str; 2] = ["@livepeer/sdk@1.0.1-alpha.10", "@foundry-rs/anvil@1.7.1"];
pub const ABIS: &str = "node_modules/@livepeer/sdk/abis/contracts";
const BINARY: &str = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";

pub struct Anvil {
    child: Child,
    pub url: String,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    pub accounts: Vec<Address>,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the packages are; installed on first use.
pub fn packages() -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("livepeer-contracts");
    if place.join(BINARY).exists() && place.join(ABIS).exists() {
        return place;
    }
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("package.json"), "{\"private\":true}").unwrap();
    let npm = Command::new("npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .args(PACKAGES)
        .current_dir(&place)
        .status()
        .expect("npm is installed (apt-get install npm)");
    assert!(npm.success(), "npm cannot install {PACKAGES:?} into {}", place.display());
    place
}

impl Anvil {
    pub fn start(place: &Path) -> Self {
        let mut child = Command::new(place.join(BINARY))
            .args(["--host", "127.0.0.1", "--port", "0", "--accounts", "12", "--balance", "1000000"])
            .args(["--hardfork", "cancun", "--chain-id", "31337"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix("Listening on ").map(str::to_owned));
        // Somebody must read on, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let mut anvil = Self {
            child,
            url: format!("http://{}", address.expect("anvil says where it listens")),
            http: reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            accounts: Vec::new(),
        };
        let accounts = anvil.rpc("eth_accounts", &json!([])).unwrap();
        anvil.accounts = serde_json::from_value(accounts).unwrap();
        anvil
    }

    /// Calls a method; the error is the server's.
    pub fn rpc(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request =
            self.http.post(&self.url).header("content-type", "application/json").body(body.to_string());
        let text = self.runtime.block_on(async { request.send().await?.text().await }).unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Sends a transaction from one of its own accounts, which must succeed. Gives its receipt.
    pub fn send(&self, from: Address, to: Option<Address>, data: &[u8], value: U256) -> Value {
        let mut tx =
            json!({"from": from, "data": Bytes::copy_from_slice(data), "value": value, "gas": "0x1c00000"});
        if let Some(to) = to {
            tx["to"] = json!(to);
        }
        let hash = self.rpc("eth_sendTransaction", &json!([tx])).unwrap();
        let receipt = self.receipt(&hash);
        assert_eq!(
            receipt["status"],
            "0x1",
            "{to:?} {}",
            Bytes::copy_from_slice(&data[..data.len().min(36)])
        );
        receipt
    }

    /// Waits for a transaction to be in a block, which takes milliseconds.
    fn receipt(&self, hash: &Value) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.rpc("eth_getTransactionReceipt", &json!([hash])).unwrap() {
                Value::Null => assert!(Instant::now() < deadline, "{hash} is in no block"),
                receipt => return receipt,
            }
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(2)).await });
        }
    }

    pub fn call(&self, from: Address, to: Address, call: &impl SolCall) -> Value {
        self.send(from, Some(to), &call.abi_encode(), U256::ZERO)
    }

    pub fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", &json!([format!("{blocks:#x}")])).unwrap();
    }

    /// The newest block, checked against its hash.
    pub fn head(&self) -> ExecHeader {
        let block = self.rpc("eth_getBlockByNumber", &json!(["latest", false])).unwrap();
        let hash: B256 = block["hash"].as_str().unwrap().parse().unwrap();
        ExecHeader::from_rpc_json(&block, Some(hash)).unwrap().0
    }

    /// What the chain itself answers to a call at a block.
    pub fn eth_call(&self, at: u64, from: Address, to: Address, data: &[u8]) -> Result<Bytes, Value> {
        let tx = json!({"from": from, "to": to, "data": Bytes::copy_from_slice(data)});
        let answer = self.rpc("eth_call", &json!([tx, format!("{at:#x}")]))?;
        Ok(answer.as_str().unwrap().parse().unwrap())
    }

    pub fn code(&self, address: Address) -> Bytes {
        self.rpc("eth_getCode", &json!([address, "latest"])).unwrap().as_str().unwrap().parse().unwrap()
    }

    /// Puts the code of a contract at an address of its own.
    pub fn copy(&self, contract: Address) -> Address {
        let address = Address::repeat_byte(0x2a);
        self.rpc("anvil_setCode", &json!([address, self.code(contract)])).unwrap();
        address
    }

    pub fn deploy(&self, code: &[u8]) -> Address {
        let receipt = self.send(self.accounts[0], None, code, U256::ZERO);
        receipt["contractAddress"].as_str().unwrap().parse().unwrap()
    }
}

/// What was proven of one block so far, batch by batch.
pub struct Proofs<'a> {
    anvil: &'a Anvil,
    pub header: ExecHeader,
    batches: Vec<ProvenState>,
    /// All that was fetched.
    pub keys: Keys,
    pub round_trips: usize,
}

impl<'a> Proofs<'a> {
    pub fn of(anvil: &'a Anvil) -> Self {
        Self { anvil, header: anvil.head(), batches: Vec::new(), keys: Keys::new(), round_trips: 0 }
    }

    /// Fetches and verifies; a driver would send it as one batch.
    pub fn fetch(&mut self, keys: &Keys) {
        let at = format!("{:#x}", self.header.number);
        let answers: Vec<_> = keys
            .iter()
            .map(|(account, slots)| {
                let answer = self.anvil.rpc("eth_getProof", &json!([account, slots, at])).unwrap();
                AccountProof::from_json(&answer).unwrap()
            })
            .collect();
        for (account, slots) in keys {
            self.keys.entry(*account).or_default().extend(slots);
        }
        self.batches.push(verify(&answers, self.header.state_root).unwrap());
        self.round_trips += 1;
    }
}

impl StateView for Proofs<'_> {
    fn account(&self, address: Address) -> Result<Option<Account>, Missing> {
        self.batches.iter().find_map(|batch| batch.account(address).ok()).ok_or(Missing::Account(address))
    }

    fn storage(&self, account: Address, slot: B256) -> Result<U256, Missing> {
        let found = self.batches.iter().find_map(|batch| batch.storage(account, slot).ok());
        found.ok_or(Missing::Slot { account, slot })
    }
}
