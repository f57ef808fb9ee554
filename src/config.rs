//! What was typed -> what it means. The only reader of the configuration file and of `LIVEMESH_*`.
//!
//! Precedence: flag, then environment, then file, then default. An unknown key, flag or variable is an error with a
//! suggestion, because a setting that is silently ignored is worse than a node that does not start.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::ingest::Keys;
use alloy_primitives::Address;
use clap::{Args, CommandFactory, ValueEnum};
use protocol::ladder::{BadLadder, LadderPlan};
use protocol::price::stated::Stated;
use protocol::{PricePerPixel, StreamId};
use serde::{Deserialize, Serialize};

pub(crate) mod chain;
pub(crate) mod payments;
pub(crate) mod prices;
pub(crate) mod redeemer;

use chain::{Chain, ChainArgs, ChainFile};
use payments::{Payments, PaymentsFile, Typed};
use prices::{Elsewhere, Found, PriceFile, Prices};
use redeemer::{Redeemer, RedeemerArgs, RedeemerAt, RedeemerFile};

/// UDP port of the control plane.
const CONTROL_PORT: u16 = 4935;
/// UDP port of the media plane.
const MEDIA_PORT: u16 = 4936;
/// TCP port of playback, push, API and dashboard: go-livepeer's orchestrator port, so that it is remembered.
const HTTP_PORT: u16 = 8935;
/// TCP port of RTMP.
const RTMP_PORT: u16 = 1935;

/// Everything a node needs to know to start.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Config {
    /// Shown to people beside the peer id.
    pub(crate) name: String,
    /// Identity, scores; created with mode 0700.
    pub(crate) data_dir: PathBuf,
    /// What this node does.
    pub(crate) roles: Roles,
    /// The mesh.
    pub(crate) mesh: Mesh,
    /// Playback, push, API and dashboard.
    pub(crate) http: SocketAddr,
    /// RTMP ingest; `None` is off.
    pub(crate) rtmp: Option<SocketAddr>,
    /// Who may publish.
    pub(crate) ingest: Ingest,
    /// Work for others.
    pub(crate) orchestrator: Orchestrator,
    /// What viewers get.
    pub(crate) broadcast: Broadcast,
    /// Prices of single broadcasters, and dollars.
    pub(crate) prices: Prices,
    /// Where the staker's certificate is, unless in the data directory.
    pub(crate) certificate: Option<PathBuf>,
    /// Chains that are followed; only where the file has such a section.
    pub(crate) chain: Option<Chain>,
    /// How it pays and is paid.
    pub(crate) payments: Payments,
}

/// See [`Config::roles`].
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Roles {
    pub(crate) broadcaster: bool,
    pub(crate) orchestrator: bool,
}

/// See [`Config::mesh`].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mesh {
    /// Nodes of other networks are not talked to.
    pub(crate) network: String,
    /// UDP, libp2p QUIC.
    pub(crate) control: SocketAddr,
    /// UDP, raw QUIC.
    pub(crate) media: SocketAddr,
    /// Addresses under which others reach this node, when it cannot see them itself.
    pub(crate) external: Vec<IpAddr>,
    /// Multiaddresses of nodes to begin with.
    pub(crate) bootstrap: Vec<String>,
    /// Looks for nodes on the LAN.
    pub(crate) mdns: bool,
    /// Talks to orchestrators without proven stake.
    pub(crate) allow_unstaked: bool,
}

/// See [`Config::ingest`].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ingest {
    /// Who may publish under which name.
    #[serde(skip_serializing)]
    pub(crate) keys: Keys,
    /// Livepeer's auth webhook.
    pub(crate) auth_webhook: Option<String>,
    /// How long a publisher may be away and continue the same stream.
    pub(crate) grace: Duration,
    /// Target length of a segment.
    pub(crate) segment: Duration,
}

/// See [`Config::orchestrator`].
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Orchestrator {
    /// Segments in work at the same time, and worker processes.
    pub(crate) capacity: u32,
    /// Asked for a pixel.
    pub(crate) price: PricePerPixel,
    /// Where winning tickets are handed to, instead of being redeemed here.
    pub(crate) redeemer: Option<RedeemerAt>,
}

/// See [`Config::broadcast`].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Broadcast {
    /// The ladder.
    #[serde(skip)]
    pub(crate) ladder: LadderPlan,
    /// Where whole streams are recorded.
    pub(crate) record: Option<PathBuf>,
    /// Most that is paid for a pixel.
    pub(crate) max_price: Option<PricePerPixel>,
    /// How long a segment may take at most, where nobody watches live.
    #[serde(skip)]
    pub(crate) patience: Option<Duration>,
}

/// Flags of everything that starts a node; each has its `LIVEMESH_*` variable.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NodeArgs {
    /// Configuration file (TOML) [default: livemesh.toml in the data directory, if it is there]
    #[arg(long, env = "LIVEMESH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where identity and scores are kept [default: ~/.livemesh]
    #[arg(long, env = "LIVEMESH_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Name shown to people
    #[arg(long, env = "LIVEMESH_NAME")]
    pub(crate) name: Option<String>,
    /// What the node does [default: both]
    #[arg(long, env = "LIVEMESH_ROLES", value_enum, value_delimiter = ',')]
    pub(crate) roles: Option<Vec<Role>>,
    /// UDP address of the mesh's control plane [default: 0.0.0.0:4935]
    #[arg(long, env = "LIVEMESH_CONTROL", value_name = "ADDR")]
    pub(crate) control: Option<SocketAddr>,
    /// UDP address of the mesh's media plane [default: 0.0.0.0:4936]
    #[arg(long, env = "LIVEMESH_MEDIA", value_name = "ADDR")]
    pub(crate) media: Option<SocketAddr>,
    /// IP address under which others reach this node; may be repeated
    #[arg(long, env = "LIVEMESH_EXTERNAL", value_name = "IP", value_delimiter = ',')]
    pub(crate) external: Vec<IpAddr>,
    /// Address of a node to begin with, such as /ip4/192.0.2.7/udp/4935/quic-v1; may be repeated
    #[arg(long, env = "LIVEMESH_BOOTSTRAP", value_name = "MULTIADDR", value_delimiter = ',')]
    pub(crate) bootstrap: Vec<String>,
    /// Does not look for nodes on the LAN
    #[arg(long, env = "LIVEMESH_NO_MDNS")]
    pub(crate) no_mdns: bool,
    /// Name of the network
    #[arg(long, env = "LIVEMESH_NETWORK")]
    pub(crate) network: Option<String>,
    /// Works with orchestrators without proven stake: for devnets, tests and nodes that follow no chain
    #[arg(long, env = "LIVEMESH_ALLOW_UNSTAKED")]
    pub(crate) allow_unstaked: bool,
    /// The staker's certificate for this node, made by livemesh stake certify [default: certificate.json in the data
    /// directory, if it is there]
    #[arg(long, env = "LIVEMESH_CERTIFICATE", value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Address of playback, push, API and dashboard [default: 127.0.0.1:8935]
    #[arg(long, env = "LIVEMESH_HTTP", value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// Address of RTMP ingest [default: 127.0.0.1:1935]
    #[arg(long, env = "LIVEMESH_RTMP", value_name = "ADDR")]
    pub(crate) rtmp: Option<SocketAddr>,
    /// No RTMP ingest
    #[arg(long, env = "LIVEMESH_NO_RTMP", conflicts_with = "rtmp")]
    pub(crate) no_rtmp: bool,
    /// Accepted stream key; may be repeated [default: any]
    #[arg(
        long = "stream-key",
        env = "LIVEMESH_STREAM_KEYS",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) stream_keys: Vec<String>,
    /// Livepeer's auth webhook: asked before a stream is accepted
    #[arg(long, env = "LIVEMESH_AUTH_WEBHOOK", value_name = "URL")]
    pub(crate) auth_webhook: Option<String>,
    /// Ladder as Livepeer's JSON profiles [default: 240p, 360p, 480p, 720p]
    #[arg(long, env = "LIVEMESH_PROFILES", value_name = "FILE")]
    pub(crate) profiles: Option<PathBuf>,
    /// Records whole streams as HLS below this directory
    #[arg(long, env = "LIVEMESH_RECORD", value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Segments transcoded for others at the same time [default: half the cores, at least 1]
    #[arg(long, env = "LIVEMESH_CAPACITY", value_name = "N")]
    pub(crate) capacity: Option<u32>,
    /// What is asked: wei a pixel (1200wei, 5wei/1000px), or dollars for a minute of 720p (0.002USD/min) [default: free]
    #[arg(long, env = "LIVEMESH_PRICE", value_name = "PRICE")]
    pub(crate) price: Option<Stated>,
    /// Most that is paid, stated like --price [default: any]
    #[arg(long, env = "LIVEMESH_MAX_PRICE", value_name = "PRICE")]
    pub(crate) max_price: Option<Stated>,
    /// US dollars for an ether, for prices in dollars
    #[arg(long, env = "LIVEMESH_ETH_USD", value_name = "RATE")]
    pub(crate) eth_usd: Option<f64>,
    /// Hands winning tickets to this redeemer, as livemesh redeemer names itself:
    /// /ip4/192.0.2.7/udp/4937/quic-v1/p2p/12D3Koo..
    #[arg(long, env = "LIVEMESH_REDEEMER", value_name = "MULTIADDR")]
    pub(crate) redeemer: Option<RedeemerAt>,
    /// Address of the key that signs tickets, from the keystore
    #[arg(long, env = "LIVEMESH_TICKET_KEY", value_name = "ADDRESS")]
    pub(crate) ticket_key: Option<Address>,
    /// Most wei spent on one stream in a day [default: as for all]
    #[arg(long, env = "LIVEMESH_BUDGET_PER_STREAM", value_name = "WEI")]
    pub(crate) budget_per_stream: Option<u64>,
    /// Most wei spent in a day [default: 0.05 ether]
    #[arg(long, env = "LIVEMESH_BUDGET_PER_DAY", value_name = "WEI")]
    pub(crate) budget_per_day: Option<u64>,
}

/// One of a node's roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Takes streams in and publishes them
    Broadcaster,
    /// Transcodes for others
    Orchestrator,
}

/// The file. Every key is optional and unknown ones are refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    name: Option<String>,
    roles: Option<Vec<Role>>,
    #[serde(default)]
    mesh: MeshFile,
    #[serde(default)]
    http: ListenFile,
    #[serde(default)]
    rtmp: RtmpFile,
    #[serde(default)]
    ingest: IngestFile,
    #[serde(default)]
    orchestrator: OrchestratorFile,
    #[serde(default)]
    broadcast: BroadcastFile,
    #[serde(default)]
    price: PriceFile,
    chain: Option<ChainFile>,
    #[serde(default)]
    payments: PaymentsFile,
    redeemer: Option<RedeemerFile>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshFile {
    network: Option<String>,
    control: Option<SocketAddr>,
    media: Option<SocketAddr>,
    external: Option<Vec<IpAddr>>,
    bootstrap: Option<Vec<String>>,
    mdns: Option<bool>,
    allow_unstaked: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenFile {
    listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RtmpFile {
    listen: Option<SocketAddr>,
    enabled: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IngestFile {
    stream_keys: Option<Vec<String>>,
    keys: Option<BTreeMap<StreamId, String>>,
    auth_webhook: Option<String>,
    grace_seconds: Option<u64>,
    segment_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrchestratorFile {
    certificate: Option<PathBuf>,
    capacity: Option<u32>,
    price_wei: Option<u64>,
    price_pixels: Option<u64>,
    redeemer: Option<RedeemerAt>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BroadcastFile {
    profiles: Option<PathBuf>,
    record: Option<PathBuf>,
    max_price_wei: Option<u64>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {path}: {error}; check --config")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("the environment has {name}, which means nothing{hint}")]
    UnknownVariable { name: String, hint: String },
    #[error("{path}: {error}")]
    Profiles { path: PathBuf, error: BadLadder },
    #[error("{0}")]
    Value(String),
    #[error("no home directory is known: give --data-dir")]
    NoHome,
}

impl NodeArgs {
    /// Reads file and environment and resolves everything.
    pub(crate) fn resolve(&self) -> Result<Config, ConfigError> {
        refuse_unknown_variables()?;
        let (data_dir, file) = self.read()?;
        self.merge(data_dir, file)
    }

    fn read(&self) -> Result<(PathBuf, File), ConfigError> {
        let data_dir = self.data_dir()?;
        let default_file = data_dir.join("livemesh.toml");
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None if default_file.exists() => read_file(&default_file)?,
            None => File::default(),
        };
        Ok((data_dir, file))
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        self.data_dir.clone().map_or_else(default_data_dir, Ok)
    }

    /// The file that [`Self::resolve`] reads, if there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let in_data_dir = || {
            let dir = self.data_dir.clone().or_else(|| default_data_dir().ok())?;
            Some(dir.join("livemesh.toml")).filter(|path| path.exists())
        };
        self.config.clone().or_else(in_data_dir)
    }

    fn merge(&self, data_dir: PathBuf, file: File) -> Result<Config, ConfigError> {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let roles =
            self.roles.clone().or(file.roles).unwrap_or_else(|| vec![Role::Broadcaster, Role::Orchestrator]);
        let rtmp = self.rtmp.or(file.rtmp.listen).unwrap_or(loopback(RTMP_PORT));
        let rtmp_on = !self.no_rtmp && file.rtmp.enabled.unwrap_or(true);
        let grace = file.ingest.grace_seconds.unwrap_or(30);
        let segment = file.ingest.segment_seconds.unwrap_or(2.0);
        if !(0.5..=10.0).contains(&segment) {
            return Err(ConfigError::Value(format!("ingest.segment_seconds is {segment}; use 0.5 to 10")));
        }
        let capacity = self.capacity.or(file.orchestrator.capacity).unwrap_or_else(half_the_cores);
        if !(1..=256).contains(&capacity) {
            return Err(ConfigError::Value(format!("the capacity is {capacity}; use 1 to 256")));
        }
        let wei = |wei| PricePerPixel { wei, pixels: file.orchestrator.price_pixels.unwrap_or(1).max(1) };
        let elsewhere = Elsewhere {
            ask: self.price,
            ask_file: file.orchestrator.price_wei.map(wei),
            max: self.max_price,
            max_file: file.broadcast.max_price_wei.map(|wei| PricePerPixel { wei, pixels: 1 }),
            eth_usd: self.eth_usd,
        };
        let Found { ask: price, max: max_price, prices } = file.price.resolve(&elsewhere)?;
        let profiles = self.profiles.clone().or(file.broadcast.profiles);
        let chain = file.chain.map(|chain| ChainArgs::default().merge(&data_dir, chain)).transpose()?;
        let typed = Typed {
            ticket_key: self.ticket_key,
            per_stream: self.budget_per_stream,
            per_day: self.budget_per_day,
        };
        let payments = file.payments.merge(&data_dir, typed)?;
        Ok(Config {
            chain,
            payments,
            certificate: self.certificate.clone().or(file.orchestrator.certificate),
            name: self.name.clone().or(file.name).unwrap_or_else(host_name),
            data_dir,
            roles: Roles {
                broadcaster: roles.contains(&Role::Broadcaster),
                orchestrator: roles.contains(&Role::Orchestrator),
            },
            mesh: Mesh {
                network: self.network.clone().or(file.mesh.network).unwrap_or_else(|| "livemesh".into()),
                control: self.control.or(file.mesh.control).unwrap_or(any(CONTROL_PORT)),
                media: self.media.or(file.mesh.media).unwrap_or(any(MEDIA_PORT)),
                external: or_file(&self.external, file.mesh.external),
                bootstrap: or_file(&self.bootstrap, file.mesh.bootstrap),
                mdns: !self.no_mdns && file.mesh.mdns.unwrap_or(true),
                allow_unstaked: self.allow_unstaked || file.mesh.allow_unstaked.unwrap_or(false),
            },
            http: self.http.or(file.http.listen).unwrap_or(loopback(HTTP_PORT)),
            rtmp: rtmp_on.then_some(rtmp),
            ingest: Ingest {
                keys: stream_keys(or_file(&self.stream_keys, file.ingest.stream_keys), file.ingest.keys)?,
                auth_webhook: self.auth_webhook.clone().or(file.ingest.auth_webhook),
                grace: Duration::from_secs(grace.min(3600)),
                segment: Duration::from_secs_f64(segment),
            },
            orchestrator: Orchestrator {
                capacity,
                price,
                redeemer: self.redeemer.or(file.orchestrator.redeemer),
            },
            broadcast: Broadcast {
                ladder: profiles.map_or_else(|| Ok(LadderPlan::default()), |path| read_profiles(&path))?,
                record: self.record.clone().or(file.broadcast.record),
                max_price,
                patience: None,
            },
            prices,
        })
    }
}

/// Keys that open any stream, or streams that have a key each.
fn stream_keys(shared: Vec<String>, own: Option<BTreeMap<StreamId, String>>) -> Result<Keys, ConfigError> {
    match own {
        Some(_) if !shared.is_empty() => Err(ConfigError::Value(
            "there are stream keys for all streams and ingest.keys for single ones; keep one of the two"
                .into(),
        )),
        Some(own) => Ok(Keys::PerStream(own)),
        None if shared.is_empty() => Ok(Keys::Open),
        None => Ok(Keys::Shared(shared)),
    }
}

/// Reads file and environment for `livemesh chain`.
pub(crate) fn chain(args: &ChainArgs) -> Result<Chain, ConfigError> {
    let node =
        NodeArgs { config: args.config.clone(), data_dir: args.data_dir.clone(), ..NodeArgs::default() };
    refuse_unknown_variables()?;
    let (data_dir, file) = node.read()?;
    args.merge(&data_dir, file.chain.unwrap_or_default())
}

/// Reads file and environment for `livemesh redeemer`.
pub(crate) fn redeemer(args: &RedeemerArgs) -> Result<Redeemer, ConfigError> {
    let (config, data_dir) = args.config();
    let node = NodeArgs { config, data_dir, ..NodeArgs::default() };
    refuse_unknown_variables()?;
    let (data_dir, file) = node.read()?;
    args.merge(data_dir, file)
}

fn or_file<T: Clone>(typed: &[T], file: Option<Vec<T>>) -> Vec<T> {
    if typed.is_empty() { file.unwrap_or_default() } else { typed.to_vec() }
}

fn default_data_dir() -> Result<PathBuf, ConfigError> {
    std::env::home_dir().map(|home| home.join(".livemesh")).ok_or(ConfigError::NoHome)
}

fn half_the_cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores / 2).unwrap_or(1).max(1)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(32).collect();
    if name.is_empty() { "livemesh".into() } else { name }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.into(), error })?;
    parse(&text).map_err(|message| ConfigError::Syntax { path: path.into(), message })
}

/// Reads the text of a file; the error names the place and, of a key that nobody knows, the one that was meant.
pub(crate) fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text)
        .map_err(|error| format!("{}{}", error.to_string().trim_end(), suggestion(error.message())))
}

fn read_profiles(path: &Path) -> Result<LadderPlan, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.into(), error })?;
    LadderPlan::from_json(&text).map_err(|error| ConfigError::Profiles { path: path.into(), error })
}

/// The known key nearest to the unknown one, from serde's own message: unknown field `x`, expected one of `a`, `b`.
fn suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next() {
        Some(unknown) if message.starts_with("unknown field") => did_you_mean(unknown, names),
        _ => String::new(),
    }
}

fn did_you_mean<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near =
        known.map(|name| (strsim::jaro_winkler(unknown, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.7 => format!("; did you mean {name}?"),
        Some(_) | None => String::new(),
    }
}

fn refuse_unknown_variables() -> Result<(), ConfigError> {
    let command = crate::cli::Cli::command();
    // The password of a key is no flag, so that it never is an argument; the sender is one of subcommands' subcommands.
    let mut known: Vec<String> = vec!["LIVEMESH_PASSWORD".into(), "LIVEMESH_FROM".into()];
    for part in std::iter::once(&command).chain(command.get_subcommands()) {
        let variables = part.get_arguments().filter_map(|arg| arg.get_env());
        known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    }
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("LIVEMESH_") && !known.iter().any(|k| *k == name) {
            let hint = did_you_mean(&name, known.iter().map(String::as_str));
            return Err(ConfigError::UnknownVariable { name: name.into_owned(), hint });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(args: NodeArgs, text: &str) -> Config {
        args.merge("/nowhere".into(), parse(text).unwrap()).unwrap()
    }

    #[test]
    fn nothing_needs_to_be_configured() {
        let config = resolved(NodeArgs::default(), "");
        assert!(config.roles.broadcaster && config.roles.orchestrator);
        assert!(config.http.ip().is_loopback() && config.rtmp.unwrap().ip().is_loopback());
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_right_one() {
        let message = parse("[mesh]\nbootstarp = []\n").unwrap_err();
        assert!(message.contains("did you mean bootstrap?"), "{message}");
        assert!(message.contains("line 2"), "{message}");
        assert!(parse("[ochestrator]\n").unwrap_err().contains("did you mean orchestrator?"));
    }

    #[test]
    fn a_flag_beats_the_file() {
        let args =
            NodeArgs { http: Some("127.0.0.1:1".parse().unwrap()), no_mdns: true, ..NodeArgs::default() };
        let config = resolved(args, "[http]\nlisten = '127.0.0.1:2'\n[mesh]\nmdns = true\nnetwork = 'lab'\n");
        assert_eq!((config.http.port(), config.mesh.mdns, config.mesh.network.as_str()), (1, false, "lab"));
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        let merged = |text: &str| NodeArgs::default().merge("/nowhere".into(), parse(text).unwrap());
        assert!(merged("[ingest]\nsegment_seconds = 0.0\n").is_err());
        assert!(merged("[orchestrator]\ncapacity = 0\n").is_err());
        assert!(merged("[broadcast]\nprofiles = '/does/not/exist'\n").is_err());
    }

    #[test]
    fn a_stream_can_have_a_key_of_its_own() {
        let config = resolved(NodeArgs::default(), "[ingest.keys]\nme = 'hush'\n");
        assert_eq!(config.ingest.keys, Keys::PerStream([("me".parse().unwrap(), "hush".into())].into()));
        let both = "[ingest]\nstream_keys = ['a']\n[ingest.keys]\nme = 'hush'\n";
        assert!(NodeArgs::default().merge("/nowhere".into(), parse(both).unwrap()).is_err());
        assert!(parse("[ingest.keys]\n'../x' = 'hush'\n").is_err());
    }

    #[test]
    fn stream_keys_are_not_printed() {
        let config = resolved(NodeArgs::default(), "[ingest]\nstream_keys = ['hush']\n");
        assert!(!serde_json::to_string(&config).unwrap().contains("hush"));
    }
}
