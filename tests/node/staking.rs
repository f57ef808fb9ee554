//! Stake by the commands that people type, on a devnet whose rounds nobody keeps: after each, the contracts hold to the wei what
//! the protocol's rules make of the same calls, and what `status` shows is that.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use alloy_primitives::{Address, U256};
use fixtures::devnet::livepeer::Funded;
use fixtures::devnet::{Config, Devnet, Settings};
use protocol::chain::call::{Bonding, Rounds, Token};
use protocol::chain::{Call, Chain};
use protocol::pool::Hint;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::world::{LIVEMESH, PATIENCE, World, succeeded};

/// L1 blocks of a round: 12 s, so that no command runs over its end but the ones that wait for it.
const ROUND: u64 = 120;

/// A devnet whose rounds nobody keeps, the accounts of whoever types, and what the rules make of what is typed.
pub(crate) struct Staking {
    pub(crate) world: World,
    pub(crate) devnet: Devnet,
    network: PathBuf,
    /// What the rules say.
    pub(crate) oracle: Chain,
}

fn lpt(n: u64) -> U256 {
    U256::from(n) * U256::from(1_000_000_000_000_000_000_u64)
}

impl Staking {
    pub(crate) async fn start() -> Self {
        let (world, settings) = (World::with(0).await, Settings::default());
        let settings =
            Settings { slot_ms: 100, round_length: ROUND, orchestrators: 0, keeper: false, ..settings };
        let devnet = Devnet::start(Config { settings, ..Config::default() }).await.unwrap();
        let network = world.path("network.json");
        std::fs::write(&network, devnet.network().to_string()).unwrap();
        let oracle = devnet.with(|world| world.livepeer.chain.clone());
        Self { world, devnet, network, oracle }
    }

    /// An account whose key is in the keystore.
    pub(crate) async fn account(&self, n: usize) -> Address {
        let Funded { address, secret, .. } = self.devnet.with(|world| world.livepeer.funded[n].clone());
        let file = self.world.path(&format!("key{n}"));
        std::fs::write(&file, alloy_primitives::hex::encode(secret)).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, private).unwrap();
        self.livemesh(&["stake", "keys", "import", file.to_str().unwrap()]).await;
        address
    }

    pub(crate) async fn livemesh(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        succeeded(&format!("{args:?}"), &output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a command that must fail, and returns what it says.
    pub(crate) async fn refused(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    async fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new(LIVEMESH);
        command.args(args).env("LIVEMESH_DATA_DIR", self.world.path("data"));
        command.env("LIVEMESH_CHAIN_NETWORK", &self.network).env("LIVEMESH_CHAIN_ACCEPT", "sequenced:1");
        command.env("LIVEMESH_PASSWORD", "devnet").env("LIVEMESH_LOG", "error").stdin(Stdio::null());
        tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
    }

    /// Types a command, and has the rules do the same.
    pub(crate) async fn type_in(&mut self, from: Address, args: &[&str], calls: Vec<Call>) -> String {
        let from_flag = from.to_string();
        let typed = [&args[..1], &["--json", "--yes", "--from", &from_flag], &args[1..]].concat();
        let said = self.livemesh(&typed).await;
        let truth = self.devnet.with(|world| world.livepeer.chain.clone());
        self.oracle.advance(truth.head());
        for call in calls {
            self.oracle.apply(from, call.named_value(), call).unwrap();
        }
        assert_eq!(self.oracle.bonding, truth.bonding, "{args:?}");
        assert_eq!(self.oracle.votes, truth.votes, "{args:?}");
        assert_eq!(self.oracle.token, truth.token, "{args:?}");
        assert_eq!(self.oracle.minter, truth.minter, "{args:?}");
        assert_eq!(self.oracle.broker, truth.broker, "{args:?}");
        said
    }

    /// Waits for the round after the one that was begun last, and begins it.
    pub(crate) async fn next_round(&mut self, from: Address) {
        let begun = *self.oracle.rounds.last_initialized_round;
        let turned = async {
            while self.devnet.with(|world| world.livepeer.chain.current_round().unwrap()) <= begun {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, turned).await.unwrap();
        // What a round is called by is a block's hash, which the devnet makes up.
        self.livemesh(&["round", "--yes", "--from", &from.to_string(), "init"]).await;
        let truth = self.devnet.with(|world| world.livepeer.chain.clone());
        self.oracle.advance(truth.head());
        self.oracle.apply(from, U256::ZERO, Call::Rounds(Rounds::InitializeRound)).unwrap();
        assert_eq!(self.oracle.minter, truth.minter);
    }
}

const NONE: Hint = Hint { prev: Address::ZERO, next: Address::ZERO };

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_does_to_the_wei_what_the_rules_say() {
    let mut staking = Staking::start().await;
    let (who, whom) = (staking.account(0).await, staking.account(1).await);
    let manager = staking.oracle.addresses.bonding_manager;
    let approve = |n| Call::Token(Token::Approve(manager, lpt(n)));
    let bond = |n| Call::Bonding(Bonding::Bond(lpt(n), whom, NONE, NONE));
    staking.next_round(whom).await;

    // Interrupted behind the stake, and a round turned: the same command goes on, with the reward that must come first.
    let to = whom.to_string();
    let terms = ["--reward-cut", "10%", "--fee-share", "50%"];
    let register = [&["stake", "register", "1000LPT"][..], &terms].concat();
    let stake = Call::Bonding(Bonding::Bond(lpt(1000), whom, NONE, NONE));
    staking.type_in(whom, &["stake", "bond", "1000LPT", "--to", &to], vec![approve(1000), stake]).await;
    staking.next_round(whom).await;
    let cuts = Bonding::Transcoder(U256::from(100_000), U256::from(500_000), NONE);
    let rest = vec![Call::Bonding(Bonding::Reward(NONE)), Call::Bonding(cuts)];
    staking.type_in(whom, &register, rest).await;
    staking.type_in(whom, &register, Vec::new()).await;
    let delegate = ["stake", "bond", "250LPT", "--to", &to];
    staking.type_in(who, &delegate, vec![approve(250), bond(250)]).await;

    staking.next_round(whom).await;
    staking.type_in(whom, &["reward", "call"], vec![Call::Bonding(Bonding::Reward(NONE))]).await;
    let status = staking.livemesh(&["stake", "--json", "status", &who.to_string()]).await;
    let said: Value = serde_json::from_str(&status).unwrap();
    let round = staking.oracle.current_round().unwrap();
    let earned = staking.oracle.bonding.pending(who, round).unwrap().stake;
    assert!(earned.0 > lpt(250));
    assert_eq!(said["delegator"]["delegator"]["pending"]["stake"], json!(earned.0.to_string()), "{said}");

    let unbond = vec![Call::Bonding(Bonding::Unbond(lpt(50), NONE))];
    staking.type_in(who, &["stake", "unbond", "50LPT"], unbond).await;
    println!("250 LPT earned {} in a round; eleven commands, no difference", earned.0 - lpt(250));
    staking.devnet.stop().await;
}
