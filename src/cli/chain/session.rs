//! A light client for the length of one command: with servers, with nodes of the mesh, or both. Where a node on this machine
//! has the state already, the command goes on from a copy of it and leaves the original alone.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lightclient::source::Source;
use lightclient::store::StoreError;
use lightclient::sync::{Config, LightClient, StartError};
use p2p::{Control, ControlConfig, Identity, Multiaddr};
use tokio::task::JoinHandle;

use super::copy::Copy;
use super::transcript::{Exchanges, Recorder};
use crate::adapters::chain::{Asking, relay_to};
use crate::chain::Plan;
use crate::cli::Failure;

/// Nodes of the mesh to ask.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PeerArgs {
    /// Asks this node of the mesh, such as /ip4/192.0.2.7/udp/4935/quic-v1/p2p/12D3.., and no server but those named by flag
    /// or configuration; may be repeated
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',', global = true)]
    pub(super) peer: Vec<String>,
    /// Name of the mesh that those nodes belong to
    #[arg(long, value_name = "NAME", default_value = "livemesh", global = true)]
    mesh: String,
}

/// What is heard of sources, where somebody wants to keep it.
pub(super) type Kept = Arc<Mutex<Exchanges>>;

/// A running client and what lives as long as it.
pub(super) struct Session {
    pub(super) client: LightClient,
    mesh: Option<(Control, Vec<JoinHandle<()>>)>,
    _copy: Option<Copy>,
}

impl Session {
    /// Starts the client, and joins the mesh where nodes of it are to be asked. What sources say goes into `kept` as well.
    pub(super) async fn start(
        mut plan: Plan,
        peers: &PeerArgs,
        kept: Option<&Kept>,
    ) -> Result<Self, Failure> {
        if plan.sources.is_empty() && peers.peer.is_empty() {
            return Err(
                "there is nobody to ask: give --beacon, --l1 and --l2, or write them into [chain]; or give --peer, a node of the mesh"
                    .into(),
            );
        }
        let kept = kept.cloned();
        let wrap = move |source: Arc<dyn Source>| match &kept {
            Some(kept) => Arc::new(Recorder::new(source, Arc::clone(kept))) as Arc<dyn Source>,
            None => source,
        };
        plan.sources = plan.sources.into_iter().map(&wrap).collect();
        let (client, copy) = begin(plan)?;
        let mesh = if peers.peer.is_empty() {
            None
        } else {
            Some(join(&client, peers, Asking { only: ids(&peers.peer), wrap: Box::new(wrap) }).await?)
        };
        Ok(Self { client, mesh, _copy: copy })
    }

    /// Leaves the mesh, and returns when nothing is being written any more.
    pub(super) async fn stop(self) {
        if let Some((control, tasks)) = self.mesh {
            tasks.iter().for_each(JoinHandle::abort);
            control.shutdown().await;
        }
        self.client.stop().await;
    }
}

/// Takes what was kept so far.
pub(super) fn heard(kept: &Kept) -> Exchanges {
    kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Starts on the state in the data directory, or on a copy of it where another client has that.
fn begin(plan: Plan) -> Result<(LightClient, Option<Copy>), Failure> {
    let Plan { config, sources, .. } = plan;
    match LightClient::start(config.clone(), sources.clone()) {
        Ok(client) => Ok((client, None)),
        Err(StartError::Store(in_use @ StoreError::InUse { .. })) => {
            let copy = Copy::of(config.data_dir.as_deref())?;
            note(&in_use, copy.path());
            let config = Config { data_dir: Some(copy.path().to_owned()), ..config };
            Ok((LightClient::start(config, sources)?, Some(copy)))
        }
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::print_stderr, reason = "a note to people beside the result")]
fn note(in_use: &StoreError, copy: &Path) {
    let StoreError::InUse { path, holder } = in_use else { return };
    let holder = holder.map_or_else(String::new, |pid| format!(" (process {pid})"));
    eprintln!(
        "{} belongs to a running light client{holder}: this command goes on from a copy of its state and keeps nothing",
        path.display()
    );
    tracing::debug!(copy = %copy.display(), "state copied");
}

/// Comes to the mesh as a passer-by with a key of its own.
async fn join(
    client: &LightClient,
    peers: &PeerArgs,
    asking: Asking,
) -> Result<(Control, Vec<JoinHandle<()>>), Failure> {
    let bootstrap: Result<Vec<Multiaddr>, Failure> = peers.peer.iter().map(|text| address(text)).collect();
    let (door, visitors) = p2p::proofs::door();
    let config = ControlConfig {
        listen: vec![listen(&peers.peer)],
        bootstrap: bootstrap?,
        proofs: Some(door),
        ..ControlConfig::new(peers.mesh.clone())
    };
    let key = ed25519_dalek::SigningKey::from_bytes(&rand::random());
    let (control, task) = Control::start(config, Identity::from_signing_key(key)).await?;
    drop(task);
    let tasks = relay_to(client, &control, visitors, asking);
    Ok((control, tasks))
}

fn address(text: &str) -> Result<Multiaddr, Failure> {
    text.parse().map_err(|error| {
        format!("{text} is no address such as /ip4/192.0.2.7/udp/4935/quic-v1/p2p/12D3..: {error}").into()
    })
}

/// Any free port; on loopback where everybody asked is there.
fn listen(peers: &[String]) -> SocketAddr {
    if peers.iter().all(|peer| peer.starts_with("/ip4/127.")) {
        return SocketAddr::from(([127, 0, 0, 1], 0));
    }
    if peers.iter().any(|peer| peer.starts_with("/ip6/")) {
        return SocketAddr::from(([0u16; 8], 0));
    }
    SocketAddr::from(([0u8; 4], 0))
}

/// The peer ids in addresses. An address without one may lead to anybody: then every neighbour is asked.
fn ids(peers: &[String]) -> Vec<String> {
    let id = |peer: &String| peer.rsplit_once("/p2p/").map(|(_, id)| id.trim_end_matches('/').to_owned());
    peers.iter().map(id).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_peers_are_asked_where_all_are_named() {
        let named = "/ip4/127.0.0.1/udp/1/quic-v1/p2p/12D3Koo".to_owned();
        assert_eq!(ids(std::slice::from_ref(&named)), ["12D3Koo"]);
        assert!(ids(&[named.clone(), "/ip4/192.0.2.1/udp/1/quic-v1".to_owned()]).is_empty());
        assert!(listen(&[named]).ip().is_loopback());
        assert!(address("127.0.0.1:4935").is_err());
    }
}
