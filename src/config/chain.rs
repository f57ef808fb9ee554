//! The `[chain]` section and the flags of `livemesh chain`: which chains, from whom, beginning where, how much proof is enough.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::Address;
use clap::Args;
use lightclient::proven::Accept;
use lightclient::sync::{Checkpoint, MAX_AGE};
use serde::{Deserialize, Serialize, Serializer};

use super::{ConfigError, or_file};

/// L1 blocks that a pending assertion has stood unchallenged before it is taken by default: an hour.
const PENDING_BLOCKS: u64 = 300;
/// Sources that must agree on a sequenced header by default.
const SEQUENCED_AGREE: u16 = 2;
/// Longest age of a checkpoint that can be configured, days; beyond the weak-subjectivity period it would prove nothing.
const MAX_AGE_DAYS: u64 = 14;

/// Which chains are followed, and how.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Chain {
    /// A network's name, or a file that describes one.
    pub(crate) network: String,
    /// Where trust begins; without one, what is built in.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Takes the checkpoint that so many of the beacon sources name alike.
    pub(crate) agree: Option<u16>,
    /// Beacon nodes.
    #[serde(serialize_with = "hosts")]
    pub(crate) beacon: Vec<String>,
    /// Execution nodes of Ethereum.
    #[serde(serialize_with = "hosts")]
    pub(crate) l1: Vec<String>,
    /// Execution nodes of Arbitrum.
    #[serde(serialize_with = "hosts")]
    pub(crate) l2: Vec<String>,
    /// Oldest checkpoint.
    pub(crate) max_checkpoint_age: Duration,
    /// How much proof is enough.
    #[serde(serialize_with = "accepted")]
    pub(crate) accept: Accept,
    /// This node's own orchestrator: its staking address.
    pub(crate) orchestrator: Option<Address>,
    /// Who calls rewards and begins rounds for it; without, the node only watches.
    pub(crate) caller: Option<Caller>,
    /// Senders and orchestrators whose leaving is an alarm.
    pub(crate) watch: Vec<Address>,
    /// Where the light client keeps its state.
    pub(crate) data_dir: PathBuf,
}

/// A key that calls, and how it is unlocked.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Caller {
    /// Its address.
    pub(crate) address: Address,
    /// Directory of encrypted keys (Web3 Secret Storage).
    pub(crate) keystore: PathBuf,
    /// File with its password, which only its owner may read.
    pub(crate) password_file: PathBuf,
}

/// Flags of `livemesh chain`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ChainArgs {
    /// Configuration file (TOML) [default: livemesh.toml in the data directory, if it is there]
    #[arg(long, env = "LIVEMESH_CONFIG", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Data directory; the light client's state is in chain/ below it [default: ~/.livemesh]
    #[arg(long, env = "LIVEMESH_DATA_DIR", value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// mainnet, sepolia, holesky, hoodi, devnet, or a file that describes a network [default: mainnet]
    #[arg(long, env = "LIVEMESH_CHAIN_NETWORK", value_name = "NAME", global = true)]
    pub(crate) network: Option<String>,
    /// Block root to begin with, 0x.. or 0x..@SLOT, from somebody you trust [default: what is built in]
    #[arg(long, env = "LIVEMESH_CHAIN_CHECKPOINT", value_name = "ROOT", global = true)]
    pub(crate) checkpoint: Option<String>,
    /// Begins with the block that so many beacon sources name alike, instead of a checkpoint
    #[arg(
        long,
        env = "LIVEMESH_CHAIN_AGREE",
        value_name = "N",
        global = true,
        conflicts_with = "checkpoint"
    )]
    pub(crate) agree: Option<u16>,
    /// Address of a beacon node's REST interface; may be repeated
    #[arg(
        long,
        env = "LIVEMESH_CHAIN_BEACON",
        value_name = "URL",
        value_delimiter = ',',
        global = true,
        hide_env_values = true
    )]
    pub(crate) beacon: Vec<String>,
    /// Address of an Ethereum node's JSON-RPC; may be repeated
    #[arg(
        long,
        env = "LIVEMESH_CHAIN_L1",
        value_name = "URL",
        value_delimiter = ',',
        global = true,
        hide_env_values = true
    )]
    pub(crate) l1: Vec<String>,
    /// Address of an Arbitrum node's JSON-RPC; may be repeated
    #[arg(
        long,
        env = "LIVEMESH_CHAIN_L2",
        value_name = "URL",
        value_delimiter = ',',
        global = true,
        hide_env_values = true
    )]
    pub(crate) l2: Vec<String>,
    /// Oldest checkpoint, days, at most 14
    #[arg(long, env = "LIVEMESH_CHAIN_MAX_CHECKPOINT_AGE", value_name = "DAYS", global = true)]
    pub(crate) max_checkpoint_age: Option<u64>,
    /// Proof that is enough: confirmed, pending[:L1 BLOCKS] or sequenced[:SOURCES] [default: pending:300]
    #[arg(long, env = "LIVEMESH_CHAIN_ACCEPT", value_name = "TIER", global = true)]
    pub(crate) accept: Option<String>,
}

/// `[chain]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainFile {
    network: Option<String>,
    checkpoint: Option<String>,
    agree: Option<u16>,
    beacon: Option<Vec<String>>,
    l1: Option<Vec<String>>,
    l2: Option<Vec<String>>,
    max_checkpoint_age_days: Option<u64>,
    accept: Option<String>,
    orchestrator: Option<Address>,
    watch: Option<Vec<Address>>,
    reward_key: Option<Address>,
    keystore: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl ChainFile {
    fn caller(&self, data_dir: &Path) -> Result<Option<Caller>, ConfigError> {
        let Some(address) = self.reward_key else { return Ok(None) };
        let none =
            || "chain.reward_key needs chain.password_file: a file with its password, of mode 0600".into();
        let password_file = self.password_file.clone().ok_or_else(|| ConfigError::Value(none()))?;
        let keystore = self.keystore.clone().unwrap_or_else(|| data_dir.join("keystore"));
        Ok(Some(Caller { address, keystore, password_file }))
    }
}

impl ChainArgs {
    pub(super) fn merge(&self, data_dir: &Path, file: ChainFile) -> Result<Chain, ConfigError> {
        let caller = file.caller(data_dir)?;
        let days = self.max_checkpoint_age.or(file.max_checkpoint_age_days);
        if days.is_some_and(|days| days > MAX_AGE_DAYS) {
            let why = format!(
                "chain.max_checkpoint_age_days is over {MAX_AGE_DAYS}: so old a checkpoint proves nothing"
            );
            return Err(ConfigError::Value(why));
        }
        let agree = self.agree.or(file.agree.filter(|_| self.checkpoint.is_none()));
        if agree.is_some_and(|least| least < 2) {
            return Err(ConfigError::Value(
                "chain.agree is below 2: one source that agrees with itself is no agreement".into(),
            ));
        }
        let checkpoint = self.checkpoint.clone().or(file.checkpoint).filter(|_| self.agree.is_none());
        let checkpoint = checkpoint.map(|text| text.parse::<Checkpoint>()).transpose();
        let accept = self.accept.clone().or(file.accept);
        Ok(Chain {
            network: self.network.clone().or(file.network).unwrap_or_else(|| "mainnet".into()),
            checkpoint: checkpoint.map_err(|bad| ConfigError::Value(bad.to_string()))?,
            agree,
            beacon: or_file(&self.beacon, file.beacon),
            l1: or_file(&self.l1, file.l1),
            l2: or_file(&self.l2, file.l2),
            max_checkpoint_age: days.map_or(MAX_AGE, |days| Duration::from_secs(days * 24 * 3600)),
            accept: accept
                .map_or(Ok(Accept::Pending { l1_blocks: PENDING_BLOCKS }), |text| read_accept(&text))?,
            orchestrator: file.orchestrator.or(file.reward_key),
            caller,
            watch: file.watch.unwrap_or_default(),
            data_dir: data_dir.join("chain"),
        })
    }
}

/// `confirmed`, `pending`, `pending:300`, `sequenced`, `sequenced:2`.
fn read_accept(text: &str) -> Result<Accept, ConfigError> {
    let bad = || {
        ConfigError::Value(format!(
            "{text:?} is no tier: use confirmed, pending[:L1 BLOCKS] or sequenced[:SOURCES]"
        ))
    };
    let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
    match (name, number) {
        ("confirmed", None) => Ok(Accept::Confirmed),
        ("pending", None) => Ok(Accept::Pending { l1_blocks: PENDING_BLOCKS }),
        ("pending", Some(blocks)) => Ok(Accept::Pending { l1_blocks: blocks.parse().map_err(|_| bad())? }),
        ("sequenced", None) => Ok(Accept::Sequenced { agree: SEQUENCED_AGREE }),
        ("sequenced", Some(agree)) => {
            let agree = agree.parse().ok().filter(|agree| *agree > 0).ok_or_else(bad)?;
            Ok(Accept::Sequenced { agree })
        }
        _ => Err(bad()),
    }
}

/// Addresses may carry keys: only what stands before the path is shown.
fn hosts<S: Serializer>(urls: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(urls.iter().map(|url| host(url)))
}

/// Scheme, host and port of an address.
fn host(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "no address".to_owned(),
    }
}

fn accepted<S: Serializer>(accept: &Accept, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&match accept {
        Accept::Confirmed => "confirmed".to_owned(),
        Accept::Pending { l1_blocks } => format!("pending:{l1_blocks}"),
        Accept::Sequenced { agree } => format!("sequenced:{agree}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(args: &ChainArgs, text: &str) -> Result<Chain, ConfigError> {
        args.merge(Path::new("/nowhere"), toml::from_str(text).unwrap())
    }

    #[test]
    fn nothing_needs_to_be_said_and_pending_state_of_an_hour_is_enough() {
        let chain = merged(&ChainArgs::default(), "").unwrap();
        assert_eq!((chain.network.as_str(), chain.checkpoint), ("mainnet", None));
        assert_eq!(chain.accept, Accept::Pending { l1_blocks: 300 });
        assert_eq!(chain.data_dir, Path::new("/nowhere/chain"));
    }

    #[test]
    fn a_flag_beats_the_file() {
        let args = ChainArgs { network: Some("sepolia".into()), ..ChainArgs::default() };
        let chain =
            merged(&args, "network = 'mainnet'\nbeacon = ['http://b']\naccept = 'sequenced:3'").unwrap();
        assert_eq!((chain.network.as_str(), chain.beacon.len()), ("sepolia", 1));
        assert_eq!(chain.accept, Accept::Sequenced { agree: 3 });
    }

    #[test]
    fn what_would_prove_nothing_is_refused() {
        for text in [
            "checkpoint = '0x12'",
            "max_checkpoint_age_days = 15",
            "agree = 1",
            "accept = 'trust me'",
            "accept = 'sequenced:0'",
            "reward_key = '0x0000000000000000000000000000000000000001'",
        ] {
            assert!(merged(&ChainArgs::default(), text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_in_addresses_are_not_printed() {
        let chain = merged(&ChainArgs::default(), "l1 = ['https://user:pw@host/v2/hush?k=hush']").unwrap();
        let text = serde_json::to_string(&chain).unwrap();
        assert!(text.contains("https://host") && !text.contains("hush") && !text.contains("pw"), "{text}");
    }
}
