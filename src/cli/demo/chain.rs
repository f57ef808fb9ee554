//! The chain under the demo: a devnet whose history begins a minute ago, in which everybody has staked by signed transactions,
//! and which then goes on in a process of its own at its own pace.
//!
//! In flow the number of orchestrators; out flow the devnet's process and what each node is to be started with: its key, its
//! certificate, its reward key and a configuration that follows this chain and no other. Nodes learn nothing of it but that.

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use fixtures::devnet::Settings;
use fixtures::devnet::livepeer::{UNIT, account, secret};
use protocol::Lpt;
use serde_json::Value;
use tokio::process::Command;

use super::process::{Attended, Home};
use crate::cli::Failure;

mod found;
mod papers;

/// From slot to slot, milliseconds. A beacon head is signed, and verified by every node, once a slot; so this decides what the
/// chain costs next to transcoding: on a machine with two cores the devnet 0.7 % of a core, the light clients 0.6 to 1.2 % each.
const SLOT_MS: u64 = 400;
/// L1 blocks of a round. A node sees state that is finalized and asserted, some 28 slots late; it must see a round begin early
/// enough to call its reward within it; and a ticket that wins is told forty blocks later, redeemed as late again, and has the
/// rest of its round and one more for all of that.
const ROUND_LENGTH: u64 = 150;
/// Stake of the first orchestrator, LPT; the n-th has an n-th of it.
const MOST_STAKE: u64 = 60_000;
/// What the delegator gives to the orchestrator with the least, LPT.
const DELEGATED: u64 = 5_000;
/// Parts per million.
const REWARD_CUT: u64 = 100_000;
const FEE_SHARE: u64 = 500_000;
/// Which of the devnet's gateways the broadcaster pays as: it has a deposit of three ether and a reserve of two.
const SENDER: u64 = 1;
/// How long a devnet may take to be there.
const START: Duration = Duration::from_secs(30);

/// An orchestrator's part in it.
#[derive(Clone, Debug)]
pub(crate) struct Staker {
    /// The node's name.
    pub(crate) name: String,
    /// Owns the stake; signs the registration and the certificate, and is not needed afterwards.
    staking: Key,
    /// Calls rewards and begins rounds, from the node's keystore; holds nothing but ether for gas.
    rewards: Key,
    /// Redeems winning tickets, from the same keystore; holds nothing but ether for gas either.
    redeems: Key,
    /// Its own stake.
    pub(crate) stake: Lpt,
}

/// An account of the devnet.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// Which of the accounts that everybody may use.
    number: u64,
    address: Address,
    secret: B256,
}

/// The running devnet.
#[derive(Debug)]
pub(crate) struct Chain {
    /// In the order of the orchestrators' names.
    pub(crate) stakers: Vec<Staker>,
    devnet: Attended,
}

impl Chain {
    /// Founds the chain, lets everybody stake, starts it, and puts everything in place that the nodes need.
    pub(crate) async fn start(home: &Home, orchestrators: u8, broadcaster: &str) -> Result<Self, Failure> {
        let stakers: Vec<Staker> = (0..orchestrators).map(|n| Staker::of(n, orchestrators)).collect();
        let delegator = Key::number(u64::from(orchestrators));
        let dir = home.path("devnet");
        found::found(&dir, &stakers, delegator).await?;
        let mut command = Command::new(home.program());
        command.args(["devnet", "--json", "--until-stdin-closes", "--port", "0", "--data-dir"]).arg(&dir);
        command.args(arguments());
        let (devnet, line) = home.attend("devnet", command, START).await?;
        let network = home.path("network.json");
        std::fs::write(&network, &line)?;
        let said: Value = serde_json::from_str(&line)?;
        let chain_id = said["ready"]["contracts"]["chain_id"].as_u64().ok_or("the devnet names no chain")?;
        let put = papers::Put { home, network: &network, chain_id };
        futures::future::try_join_all(stakers.iter().map(|staker| put.orchestrator(staker))).await?;
        put.broadcaster(broadcaster, Key::of("sender", SENDER)).await?;
        Ok(Self { stakers, devnet })
    }

    /// The devnet's process.
    pub(crate) fn process(&self) -> &Attended {
        &self.devnet
    }

    /// In order.
    pub(crate) async fn stop(self) {
        self.devnet.stop().await;
    }
}

impl Staker {
    fn of(n: u8, all: u8) -> Self {
        let number = u64::from(n);
        Self {
            name: format!("orchestrator-{}", n + 1),
            staking: Key::number(number),
            // After the stakers and the delegator.
            rewards: Key::number(u64::from(all) + 1 + number),
            redeems: Key::number(2 * u64::from(all) + 1 + number),
            stake: lpt(MOST_STAKE / (number + 1)),
        }
    }

    /// Whose stake it is.
    pub(crate) fn address(&self) -> Address {
        self.staking.address
    }
}

impl Key {
    fn number(number: u64) -> Self {
        Self::of("account", number)
    }

    fn of(role: &str, number: u64) -> Self {
        let seed = settings().seed;
        Self { number, address: account(seed, role, number), secret: secret(seed, role, number) }
    }
}

/// Where a node of this name is configured to follow the chain.
pub(crate) fn config_of(home: &Home, node: &str) -> PathBuf {
    home.path(&format!("{node}.toml"))
}

/// What the devnet is made of. Nobody was there before the demo's own orchestrators, and nobody but them begins rounds.
fn settings() -> Settings {
    Settings {
        slot_ms: SLOT_MS,
        round_length: ROUND_LENGTH,
        orchestrators: 0,
        keeper: false,
        ..Settings::default()
    }
}

/// The same as arguments.
fn arguments() -> [String; 7] {
    let Settings { slot_ms, round_length, orchestrators, seed, .. } = settings();
    [
        "--no-keeper".to_owned(),
        format!("--slot-time={slot_ms}ms"),
        format!("--round-length={round_length}"),
        format!("--orchestrators={orchestrators}"),
        format!("--seed={seed}"),
        "--log".to_owned(),
        "warn".to_owned(),
    ]
}

fn lpt(whole: u64) -> Lpt {
    Lpt(alloy_primitives::U256::from(whole) * alloy_primitives::U256::from(UNIT))
}
