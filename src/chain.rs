//! What `[chain]` means -> a light client's configuration and its sources. Composition only; trusts nobody, starts nothing.

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::B256;
use lightclient::arbitrum::Rollup;
use lightclient::forks::ChainSpec;
use lightclient::livepeer::Contracts;
use lightclient::source::beacon::BeaconSource;
use lightclient::source::execution::ExecutionSource;
use lightclient::source::http::Settings;
use lightclient::source::{Answer, Ask, Layer, Source};
use lightclient::sync::{Checkpoint, Config, Freshness, Trust};
use serde::Deserialize;

use crate::cli::Failure;
use crate::config::chain::Chain;

/// Largest description of a network that is read, bytes.
const MAX_NETWORK_FILE: u64 = 1 << 20;
/// L1 blocks until a devnet confirms an assertion, by default.
const DEVNET_CONFIRM: u64 = 20;

/// Everything that `LightClient::start` wants.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// Where L2 transactions are sent.
    pub(crate) l2: Vec<String>,
}

/// A network: what is fixed about its chains.
struct Network {
    spec: ChainSpec,
    rollup: Option<Rollup>,
    contracts: Option<Contracts>,
    l1_chain_id: Option<u64>,
    /// Where it can be asked, where nobody said so otherwise.
    served: Served,
}

/// Sources and a first block root that come with a network.
#[derive(Default, Deserialize)]
struct Served {
    beacon: Option<String>,
    l1: Option<String>,
    l2: Option<String>,
    checkpoint: Option<B256>,
}

/// A network as a file describes it: the answers of a beacon node's `config/spec` and `beacon/genesis`, and contracts. What
/// `livemesh devnet --json` prints is one too.
#[derive(Deserialize)]
struct NetworkFile {
    config: Option<serde_json::Value>,
    genesis: Option<serde_json::Value>,
    rollup: Option<Rollup>,
    contracts: Option<Contracts>,
    l1_chain_id: Option<u64>,
    #[serde(flatten)]
    served: Served,
}

/// Reads what a network is and prepares its sources; those that the network's own file names only where they are wanted. Only
/// a devnet is asked what it is.
pub(crate) async fn plan(chain: &Chain, with_served: bool) -> Result<Plan, Failure> {
    let mut network = network(chain).await?;
    if !with_served {
        network.served = Served { checkpoint: network.served.checkpoint, ..Served::default() };
    }
    let spec = Arc::new(network.spec.clone());
    let l2_chain_id = network.rollup.as_ref().map(|rollup| rollup.chain_id);
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    let served = network.served;
    for settings in named("beacon", or_served(&chain.beacon, &served.beacon)) {
        sources.push(Arc::new(BeaconSource::new(settings, Some(Arc::clone(&spec)))?));
    }
    for settings in named("l1", or_served(&chain.l1, &served.l1)) {
        sources.push(Arc::new(ExecutionSource::new(settings, Layer::L1, network.l1_chain_id)?));
    }
    let l2 = or_served(&chain.l2, &served.l2).to_vec();
    for settings in named("l2", &l2) {
        sources.push(Arc::new(ExecutionSource::new(settings, Layer::L2, l2_chain_id)?));
    }
    let written = served.checkpoint.map(|root| Checkpoint { root, slot: None });
    let trust = match (chain.checkpoint, chain.agree, written) {
        (Some(checkpoint), _, _) | (None, None, Some(checkpoint)) => Trust::Given(checkpoint),
        (None, Some(least), _) => Trust::Agreed { least },
        (None, None, None) => Trust::BuiltIn,
    };
    let config = Config {
        freshness: Freshness { max_age: chain.max_checkpoint_age, strict: true },
        rollup: network.rollup,
        contracts: network.contracts,
        data_dir: Some(chain.data_dir.join(&network.spec.name)),
        ..Config::new(network.spec, trust)
    };
    Ok(Plan { config, sources, l2 })
}

/// What was typed or configured; else what the network's own file says.
fn or_served<'a>(typed: &'a [String], served: &'a Option<String>) -> &'a [String] {
    if typed.is_empty() { served.as_slice() } else { typed }
}

/// Names that tell sources apart: kind, number and host.
fn named(kind: &str, urls: &[String]) -> impl Iterator<Item = Settings> {
    urls.iter().enumerate().map(move |(at, url)| {
        let host = url::Url::parse(url).ok().and_then(|url| {
            let host = url.host_str()?.to_owned();
            Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
        });
        let number = if urls.len() > 1 { format!("#{}", at + 1) } else { String::new() };
        let name = format!("{kind}{number} {}", host.unwrap_or_default());
        Settings { name: Some(name), ..Settings::new(url) }
    })
}

/// The chain that holds the stake of a network; none where nobody stakes there. A devnet need not run to be known by name.
pub(crate) async fn staking_chain_id(chain: &Chain) -> Result<Option<u64>, Failure> {
    if chain.network == "devnet" {
        return Ok(Some(fixtures::devnet::l2::CHAIN_ID));
    }
    Ok(network(chain).await?.contracts.map(|contracts| contracts.chain_id))
}

async fn network(chain: &Chain) -> Result<Network, Failure> {
    let name = chain.network.as_str();
    let public = |l1_chain_id, rollup, contracts| {
        ChainSpec::named(name).map(|spec| Network {
            spec,
            rollup,
            contracts,
            l1_chain_id: Some(l1_chain_id),
            served: Served::default(),
        })
    };
    let known = match name {
        "mainnet" => public(1, Some(Rollup::arbitrum_one()), Some(Contracts::arbitrum_one())),
        "sepolia" => public(11_155_111, Some(Rollup::arbitrum_sepolia()), None),
        "holesky" => public(17_000, None, None),
        "hoodi" => public(560_048, None, None),
        _ => None,
    };
    match known {
        Some(network) => Ok(network),
        None if name == "devnet" => {
            use fixtures::devnet::{l1, l2, livepeer, rollup};
            // Pins instead of expectations: every devnet has the same addresses, not the same code.
            let layout = Rollup::new(l2::CHAIN_ID, rollup::ROLLUP, DEVNET_CONFIRM).with_pins();
            Ok(Network {
                spec: asked(&chain.beacon).await?,
                rollup: Some(Rollup { outbox: Some(rollup::OUTBOX), ..layout }),
                contracts: Some(livepeer::contracts()),
                l1_chain_id: Some(l1::CHAIN_ID),
                served: Served::default(),
            })
        }
        None => described(Path::new(name), &chain.beacon).await,
    }
}

async fn described(path: &Path, beacon: &[String]) -> Result<Network, Failure> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| {
        format!("{shown} is no known network (mainnet, sepolia, holesky, hoodi, devnet) and no file: {error}")
    })?;
    if size.len() > MAX_NETWORK_FILE {
        return Err(format!("{shown} has more than {MAX_NETWORK_FILE} bytes: it describes no network").into());
    }
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)
        .map_err(|error| format!("{shown} is no JSON: {error}"))?;
    if value["ready"].is_object() {
        value = value["ready"].take();
    }
    let file: NetworkFile =
        serde_json::from_value(value).map_err(|error| format!("{shown} describes no network: {error}"))?;
    let spec = match &file.config {
        Some(config) => {
            let genesis = file.genesis.as_ref().map(ToString::to_string);
            ChainSpec::from_config_json(config.to_string().as_bytes(), genesis.as_deref().map(str::as_bytes))
                .map_err(|error| format!("{shown}: {error}"))?
        }
        None => asked(beacon).await?,
    };
    Ok(Network {
        spec,
        rollup: file.rollup,
        contracts: file.contracts,
        l1_chain_id: file.l1_chain_id,
        served: file.served,
    })
}

/// A devnet is asked for its parameters: it is on this machine, and there is nothing to lose on it.
async fn asked(beacon: &[String]) -> Result<ChainSpec, Failure> {
    let mut said = String::from("give --beacon");
    for settings in named("beacon", beacon) {
        let local = url::Url::parse(&settings.url).is_ok_and(|url| {
            url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"))
        });
        if !local {
            said = "only a network on this machine is asked what it is: describe yours in a file".to_owned();
            continue;
        }
        match BeaconSource::new(settings, None)?.ask(&Ask::Config).await {
            Ok(Answer::Config { spec, genesis }) => {
                return Ok(ChainSpec::from_config_json(&spec, Some(&genesis))?);
            }
            Ok(_) => {}
            Err(error) => said = error.to_string(),
        }
    }
    Err(format!("nobody says what this network is: {said}").into())
}
