//! What memory a whole running client adds, with its tasks, its sources over HTTP, and a pool of a hundred read: this program is
//! started again and follows a devnet with committees of 512.

use std::path::PathBuf;
use std::time::Duration;

use fixtures::devnet::{Config, Devnet, Settings};
use lightclient::forks::Preset;
use lightclient::livepeer::{Ask, Hint};
use lightclient::proven::Accept;
use lightclient::sync::LightClient;

use super::chain::FORK;
use super::memory::Growth;
use crate::cli::Failure;
use crate::config::chain::ChainArgs;

/// Slots before the start: six epochs, so that something is final.
const HISTORY: u64 = 200;
/// Members of the pool that is read.
const ORCHESTRATORS: u64 = 100;
/// How long following may take.
const WITHIN: Duration = Duration::from_secs(60);

/// Megabytes that following and one read of the pool add, over HTTP.
pub(super) async fn memory() -> Result<f64, Failure> {
    let settings = Settings {
        preset: Preset::MAINNET,
        forks: vec![(0, FORK)],
        slot_ms: 12_000,
        orchestrators: ORCHESTRATORS,
        ..Settings::default()
    };
    let devnet = Devnet::start(Config { settings, history: HISTORY, ..Config::default() }).await?;
    let folder = std::env::temp_dir().join(format!("livemesh-bench-http-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let grown = ask(&devnet, folder.join("network.json")).await;
    let _ = std::fs::remove_dir_all(&folder);
    devnet.stop().await;
    grown
}

async fn ask(devnet: &Devnet, network: PathBuf) -> Result<f64, Failure> {
    std::fs::write(&network, devnet.network().to_string())?;
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    let output = command.args(["bench", "lightclient", "--memory-over-http"]).arg(&network).output().await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("measuring memory over HTTP failed: {}", said.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Follows a described network, its state beside the description. Gives the megabytes that this process grew by at most.
pub(super) async fn follow(network: PathBuf) -> Result<f64, Failure> {
    let grown = Growth::begin()?;
    let args = ChainArgs {
        data_dir: network.parent().map(PathBuf::from),
        network: Some(network.display().to_string()),
        ..ChainArgs::default()
    };
    let plan = crate::chain::plan(&crate::config::chain(&args)?, true).await?;
    let client = LightClient::start(plan.config, plan.sources)?;
    let read = async {
        client.wait_synced().await?;
        client.wait_anchored().await?;
        let accept = Accept::Pending { l1_blocks: 0 };
        Ok::<_, Failure>(client.livepeer(accept, &Ask::Pool, &Hint::default()).await?)
    };
    drop(tokio::time::timeout(WITHIN, read).await??);
    let megabytes = grown.megabytes()?;
    client.stop().await;
    Ok(megabytes)
}
