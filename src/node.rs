//! Builds a node's parts, starts them in order, stops them in reverse. Composition only.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Addr, Recipient};
use actix_web::dev::ServerHandle;
use actors::budget::{self, Budget};
use actors::chain_watcher::ChainView;
use actors::chain_watcher::actor::ChainWatcher;
use actors::clock::Clock;
use actors::dispatcher::actor::SharedScores;
use actors::dispatcher::log::TraceLog;
use actors::ingest::{self, Ingest};
use actors::ports::SharedWorker;
use actors::ports::chain::{SharedChain, SharedDuties};
use actors::publisher::Library;
use actors::supervise::{Group, Policy, Slot};
use actors::transcoder::actor::{Load, Transcoder};
use actors::transcoder::messages::Take;
use actors::verifier::actor::Verifier;
use actors::{dispatcher, transcoder};
use ed25519_dalek::SigningKey;
use ledger::Ledger;
use lightclient::sync::LightClient;
use media::transcode::Capabilities;
use media::worker::{WorkerConfig, Workers};
use p2p::media::{Fallback, MediaConfig, MediaEndpoint};
use p2p::{Control, ControlConfig, Identity, RecordDraft};
use protocol::record::{Roles, Work};
use protocol::{SignedCertificate, Ticks};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::adapters::admission::{self, Door, RevocationFile};
use crate::adapters::duties::{self, WalletDuties};
use crate::adapters::mesh::{MeshAdapter, Own, keep_warm};
use crate::adapters::payments::purse::Purse;
use crate::adapters::serve::serve;
use crate::adapters::watcher;
use crate::adapters::witness::ChainWitness;
use crate::adapters::worker::WorkerAdapter;
use crate::cli::Failure;
use crate::config::Config;
use crate::config::chain::Chain;
use crate::http::{self, Site};
use crate::ingest::gate::Gate;
use crate::ingest::push::{self, Push};
use crate::ingest::rtmp;
use crate::ingest::webhook::Webhook;
use crate::keys;
use crate::metrics::Metrics;
use crate::payments::{self, Money, OnChain, Sides};
use crate::storage::ScoreFile;
use crate::stream::Streams;
use crate::view::View;
use crate::view::books::{self, Books};

/// Streams that a node takes at a time.
const MAX_STREAMS: usize = 64;
/// How long the ends of a stop may take each.
const STOP_STEP: Duration = Duration::from_secs(20);
/// Load is announced to the mesh at most this often.
const LOAD_PERIOD: Duration = Duration::from_secs(2);

/// Segments remembered as counted; their traces end within seconds of each other.
const REMEMBERED: usize = 1024;

/// Where a started node can be reached. The first line of `livemesh node --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Libp2p peer id.
    pub(crate) peer_id: String,
    /// Multiaddresses of the control plane, to give to others as bootstrap.
    pub(crate) control: Vec<String>,
    /// UDP address of the control plane.
    pub(crate) control_addr: String,
    /// UDP address of the media plane.
    pub(crate) media: String,
    /// HTTP address.
    pub(crate) http: String,
    /// RTMP address.
    pub(crate) rtmp: Option<String>,
    /// Name of the network whose chain is followed.
    #[serde(default)]
    pub(crate) chain: Option<String>,
}

/// A running node.
pub(crate) struct Node {
    pub(crate) ready: Ready,
    pub(crate) library: Library,
    pub(crate) traces: TraceLog,
    /// How publishers come in; only where this node is a broadcaster.
    pub(crate) gate: Option<Gate>,
    /// The worker processes.
    pub(crate) workers: Arc<Workers>,
    /// Changes to a reason when a part could not be kept alive.
    pub(crate) fatal: watch::Receiver<Option<String>>,
    control: Control,
    media: MediaEndpoint,
    ingest: Option<Addr<Ingest>>,
    transcoder: Option<Slot<Transcoder>>,
    groups: Vec<Group>,
    http: ServerHandle,
    rtmp_stop: CancellationToken,
    scores: (ScoreFile, SharedScores),
    purse: Option<Arc<Purse>>,
    tasks: Vec<JoinHandle<()>>,
    /// Closed last, when nobody writes any more.
    _ledger: Arc<Ledger>,
}

/// Starts everything that `config` asks for.
pub(crate) async fn start(config: Config) -> Result<Node, Failure> {
    if config.chain.is_none() && !config.mesh.allow_unstaked {
        return Err(
            "this node follows no chain, so it cannot tell who has stake: put a [chain] section into its \
                    configuration (see livemesh chain --help), or give --allow-unstaked to work with anybody"
                .into(),
        );
    }
    let config = Arc::new(config);
    let key = keys::load_or_create(&config.data_dir)?;
    let identity = Identity::from_signing_key(key.clone());
    let receipts = keys::receipt_key(&config.data_dir, &key)?;
    let clock = Clock::new();
    let plan = match &config.chain {
        Some(chain) => Some(crate::chain::plan(chain, true).await?),
        None => None,
    };
    let chain_id = plan.as_ref().and_then(|plan| plan.config.contracts.as_ref()).map(|c| c.chain_id);
    let certificate = certificate(&config, &key, &receipts, chain_id, clock)?;
    let (fatal, fatal_seen) = watch::channel(None);

    let (door, visitors) = config.chain.is_some().then(p2p::proofs::door).unzip();
    let control = start_control(&config, identity.clone(), door, chain_id).await?;
    let (standings, standings_seen) = watch::channel(Arc::default());
    let admitted = Door {
        standings: config.chain.is_some().then_some(standings_seen),
        allow_unstaked: config.mesh.allow_unstaked,
    };
    let workers = Arc::new(start_workers(&config).await?);
    let found = workers.probe().await?;

    let score_file = ScoreFile::new(&config.data_dir);
    let scores: SharedScores = Arc::new(Mutex::new(score_file.load()));
    let (library, traces) = (Library::new(), TraceLog::default());
    let metrics = Metrics::new(if config.roles.orchestrator { config.orchestrator.capacity } else { 0 });
    let (load, load_seen) = watch::channel(Load::default());

    if config.roles.orchestrator && found.encoders.is_empty() {
        return Err(
            "FFmpeg has no H.264 encoder, so this node cannot be an orchestrator: see livemesh doctor".into(),
        );
    }
    let mut groups = Vec::new();
    let mut tasks = Vec::new();
    let ledger = payments::open(&config.data_dir)?;
    let mut sides = Sides::default();
    let mut chain_view = None;
    if let (Some(chain), Some(plan), Some(visitors)) = (&config.chain, plan, visitors) {
        // Its tasks end with the last handle, which its relay holds.
        let client = LightClient::start(plan.config, plan.sources.clone())?;
        let witness = ChainWitness::new(client.clone(), plan.sources.clone());
        let duties = duties(chain, witness, &client, &plan.l2, &config.data_dir).await?;
        let chain_group = group("chain", &fatal);
        let view = watch_chain(&chain_group, chain, &client, duties, clock);
        chain_view = Some((client.config().spec.name.clone(), view.clone()));
        groups.push(chain_group);
        let keeper = admission::Keeper {
            control: control.clone(),
            view,
            revocations: RevocationFile::open(&config.data_dir)?,
            block_ms: client.config().spec.slot_ms,
            clock,
        };
        tasks.push(tokio::spawn(admission::keep(keeper, standings)));
        tasks.extend(crate::adapters::chain::relay(&client, &control, visitors));
        if let Some(contracts) = client.config().contracts.clone() {
            let money = Money {
                config: &config,
                ledger: Arc::clone(&ledger),
                control: control.clone(),
                node: Arc::new(key.clone()),
                receipts: Arc::new(receipts.clone()),
                clock,
            };
            let witness = Arc::new(ChainWitness::new(client.clone(), plan.sources));
            let on_chain = OnChain { client, contracts, l2: plan.l2, witness };
            let books = group("payments", &fatal);
            sides = payments::start(money, on_chain, &books).await?;
            groups.push(books);
            tasks.append(&mut sides.tasks);
        }
    }
    let Sides { till, purse, .. } = sides;
    // Last of all: those who wait for a node that was restarted ask it as soon as this port is open.
    let media = MediaEndpoint::bind(&identity, config.mesh.media, MediaConfig::default())?;
    let fallback = Fallback::new(control.streams(), &MediaConfig::default())?;
    let mesh =
        Arc::new(MeshAdapter::new(control.clone(), media.clone(), fallback.clone(), admitted.clone())?);
    let transcoder = config.roles.orchestrator.then(|| {
        let group = group("orchestrator", &fatal);
        let worker: SharedWorker = Arc::new(WorkerAdapter::new(&workers));
        let admission = transcoder::core::Config {
            capacity: config.orchestrator.capacity,
            price: config.orchestrator.price,
        };
        let signing = receipts.clone();
        let slot = group.keep("transcoder", move || {
            Transcoder::new(admission, worker.clone(), signing.clone(), load.clone(), till.clone())
        });
        groups.push(group);
        slot
    });
    let take: Option<Recipient<Take>> = transcoder.as_ref().map(Slot::recipient);
    tasks.extend([
        tokio::spawn(serve(media.clone(), fallback, take.clone())),
        tokio::spawn(announce(
            Arc::clone(&config),
            found,
            control.clone(),
            media.local_addr()?,
            certificate,
            load_seen.clone(),
        )),
        tokio::spawn(count(metrics.clone(), traces.clone(), load_seen.clone())),
    ]);

    let (alarms, following) = books::follow(purse.as_ref());
    tasks.extend(following);
    let view = View {
        config: Arc::clone(&config),
        clock,
        control: control.clone(),
        mesh: Arc::clone(&mesh),
        admitted,
        library: library.clone(),
        traces: traces.clone(),
        scores: Arc::clone(&scores),
        load: load_seen.clone(),
        metrics: metrics.clone(),
        chain: chain_view,
        purse: purse.clone(),
        books: Books { ledger: Arc::clone(&ledger), alarms, eth_usd: config.prices.eth_usd },
    };
    let network = view.chain.as_ref().map(|(network, _)| network.clone());
    let rtmp_stop = CancellationToken::new();
    let mut ingest = None;
    let mut gate = None;
    let mut rtmp_addr = None;
    let mut push = None;
    if config.roles.broadcaster {
        if let Some(transcoder) = take {
            let (price, capacity) = (config.orchestrator.price, config.orchestrator.capacity);
            let receipt_key = keys::public(&receipts);
            mesh.include(Own { transcoder, price, capacity, receipt_key, load: load_seen });
        }
        tasks.push(tokio::spawn(keep_warm(Arc::clone(&mesh), Arc::clone(&scores))));
        tasks.push(tokio::spawn(score_file.clone().save_often(Arc::clone(&scores))));
        tasks.extend(purse.iter().map(|purse| payments::close_old(purse, mesh.clone(), clock)));
        let verifiers = group("verifier", &fatal);
        let verifier = verifiers.keep("verifier", Verifier::default);
        groups.push(verifiers);
        let streams = Streams {
            plan: config.broadcast.ladder.clone(),
            target: Ticks::from_millis(config.ingest.segment.as_millis() as i64),
            record: config.broadcast.record.clone(),
            dispatcher: dispatching(&config),
            mesh,
            purse: purse.clone(),
            scores: Arc::clone(&scores),
            verifier: verifier.recipient(),
            traces: traces.clone(),
            library: library.clone(),
            metrics,
            clock,
            budget: Budget::new(budget::NODE_BYTES),
        };
        let addr = start_ingest(&config, streams);
        let webhook =
            config.ingest.auth_webhook.as_deref().map(|url| Ok::<_, Failure>(Webhook::new(url.parse()?)?));
        let to_ingest = Gate::new(addr.clone().recipient(), addr.clone().recipient(), webhook.transpose()?);
        if let Some(listen) = config.rtmp {
            let listener = listen_tcp(listen, "RTMP", "--rtmp")?;
            rtmp_addr = Some(listener.local_addr()?.to_string());
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.push(tokio::spawn(rtmp::serve(
                listener,
                to_ingest.clone(),
                rtmp::Limits::default(),
                rtmp_stop.clone(),
            )));
        }
        push = Some(Push::new(
            to_ingest.clone(),
            Arc::clone(&workers) as _,
            library.clone(),
            push::Limits::default(),
        ));
        gate = Some(to_ingest);
        ingest = Some(addr);
    }

    let listener = listen_tcp(config.http, "HTTP", "--http")?;
    let site = Site { library: library.clone(), view: Arc::new(view), push };
    let (server, http_addr) = http::serve(listener, site)?;
    let http = server.handle();
    actix::spawn(server);
    let ready = Ready {
        peer_id: identity.peer_id().to_string(),
        control: control.local_addrs().iter().map(|a| multiaddr(a, &identity)).collect(),
        control_addr: control.local_addrs().first().map(ToString::to_string).unwrap_or_default(),
        media: media.local_addr()?.to_string(),
        http: http_addr.to_string(),
        rtmp: rtmp_addr,
        chain: network,
    };
    Ok(Node {
        ready,
        library,
        traces,
        gate,
        workers,
        fatal: fatal_seen,
        control,
        media,
        ingest,
        transcoder,
        groups,
        http,
        rtmp_stop,
        scores: (score_file, scores),
        purse,
        tasks,
        _ledger: ledger,
    })
}

impl Node {
    /// Stops in order: no new work, what is in flight finishes, playlists end, the mesh is left.
    pub(crate) async fn stop(self) {
        tracing::info!("stopping: finishing what is in flight");
        self.rtmp_stop.cancel();
        if let Some(ingest) = &self.ingest {
            within("streams", ingest.send(ingest::Drain)).await;
        }
        if let Some(transcoder) = &self.transcoder {
            within("segments for others", transcoder.recipient().send(transcoder::messages::Drain)).await;
        }
        if let Some(purse) = &self.purse {
            within("the books of payments", purse.finish()).await;
        }
        self.scores.0.save(&self.scores.1);
        within("the mesh", self.control.shutdown()).await;
        self.media.close().await;
        within("the web server", self.http.stop(true)).await;
        for group in &self.groups {
            group.stop().await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Resolves at the first SIGINT or SIGTERM. A second one ends the process at once.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        std::process::exit(130);
    });
}

/// Resolves when standard input closes. The thread that waits for it ends with the process.
pub(crate) async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(closed);
    });
    let _ = wait.await;
}

async fn within<T>(what: &str, step: impl Future<Output = T>) {
    if tokio::time::timeout(STOP_STEP, step).await.is_err() {
        tracing::warn!("{what} did not stop in {} s", STOP_STEP.as_secs());
    }
}

fn group(name: &str, fatal: &watch::Sender<Option<String>>) -> Group {
    let fatal = fatal.clone();
    Group::new(name, Policy::default(), move |why| {
        fatal.send_replace(Some(why.to_string()));
    })
}

/// What the staker says of this node; without it, or after its end, only those who do not ask for stake work with it.
fn certificate(
    config: &Config,
    node: &SigningKey,
    receipts: &SigningKey,
    chain_id: Option<u64>,
    clock: Clock,
) -> Result<Option<SignedCertificate>, Failure> {
    let (node, receipts) = (keys::public(node), keys::public(receipts));
    let given = config.certificate.as_deref();
    let found = keys::certificate(&config.data_dir, given, node, receipts, chain_id)?;
    match &found {
        Some(signed) if signed.certificate.not_after <= clock.now().as_secs() => {
            tracing::warn!(
                "the staker's certificate has ended: make another one with livemesh stake certify"
            );
        }
        None if config.roles.orchestrator && config.chain.is_some() => {
            tracing::warn!(
                "no certificate: who asks for stake gives this node no work. livemesh stake certify makes one"
            );
        }
        Some(_) | None => {}
    }
    Ok(found)
}

/// Unlocks the key that calls rewards and begins rounds, where one is configured.
async fn duties(
    chain: &Chain,
    witness: ChainWitness,
    client: &LightClient,
    l2: &[String],
    data_dir: &Path,
) -> Result<Option<SharedDuties>, Failure> {
    let Some(caller) = &chain.caller else { return Ok(None) };
    let Some(contracts) = client.config().contracts.clone() else {
        return Err(
            "chain.reward_key is given and this network has no Livepeer contracts: leave it out".into()
        );
    };
    let (signer, slot_ms) = (duties::unlock(caller).await?, client.config().spec.slot_ms);
    let dir = data_dir.join("wallet");
    let wallet = WalletDuties::open(&dir, signer, contracts, l2, slot_ms, Arc::new(witness))?;
    Ok(Some(Arc::new(wallet)))
}

/// Starts the chain watcher; what it knows is in what comes back.
fn watch_chain(
    group: &Group,
    chain: &Chain,
    client: &LightClient,
    duties: Option<SharedDuties>,
    clock: Clock,
) -> watch::Receiver<ChainView> {
    let (view, seen) = watch::channel(ChainView::default());
    let view = Arc::new(view);
    let rules = watcher::rules(chain, client);
    let port: SharedChain = Arc::new(watcher::ChainAdapter::new(client.clone(), chain.accept));
    group.keep("chain watcher", move || {
        ChainWatcher::new(rules.clone(), Arc::clone(&port), duties.clone(), clock, Arc::clone(&view))
    });
    seen
}

async fn start_control(
    config: &Config,
    identity: Identity,
    proofs: Option<p2p::proofs::Door>,
    chain_id: Option<u64>,
) -> Result<Control, Failure> {
    let bootstrap: Result<Vec<_>, Failure> =
        config.mesh.bootstrap.iter().map(|text| parse_bootstrap(text)).collect();
    let port = config.mesh.control.port();
    let control = ControlConfig {
        listen: vec![config.mesh.control],
        external: config.mesh.external.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
        bootstrap: bootstrap?,
        mdns: config.mesh.mdns,
        wait_for_draft: true,
        proofs,
        chain_id,
        ..ControlConfig::new(config.mesh.network.clone())
    };
    let (control, task) = Control::start(control, identity).await?;
    drop(task);
    Ok(control)
}

fn parse_bootstrap(text: &str) -> Result<p2p::Multiaddr, Failure> {
    text.parse()
        .map_err(|e| format!("{text} is no address such as /ip4/192.0.2.7/udp/4935/quic-v1: {e}").into())
}

fn multiaddr(addr: &SocketAddr, identity: &Identity) -> String {
    let family = if addr.is_ipv4() { "ip4" } else { "ip6" };
    format!("/{family}/{}/udp/{}/quic-v1/p2p/{}", addr.ip(), addr.port(), identity.peer_id())
}

async fn start_workers(config: &Config) -> Result<Workers, Failure> {
    let count = if config.roles.orchestrator { config.orchestrator.capacity as usize } else { 1 };
    let program = std::env::current_exe()?;
    Ok(Workers::start(WorkerConfig::new(program, vec!["worker".into()], count)).await?)
}

fn start_ingest(config: &Config, streams: Streams) -> Addr<Ingest> {
    let rules = ingest::Config {
        grace: config.ingest.grace,
        max_streams: MAX_STREAMS,
        keys: config.ingest.keys.clone(),
    };
    actix::Actor::start(Ingest::new(rules, Arc::new(streams)))
}

fn dispatching(config: &Config) -> dispatcher::core::Config {
    let usual = dispatcher::core::Config::default();
    dispatcher::core::Config {
        max_price: config.broadcast.max_price,
        patience_min: config.broadcast.patience.unwrap_or(usual.patience_min),
        ..usual
    }
}

fn listen_tcp(addr: SocketAddr, what: &str, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).map_err(|e| {
        format!("cannot listen for {what} on {addr} ({e}): end what uses it, or give {flag}").into()
    })
}

/// Tells the mesh what this node does, and its load when that has changed.
async fn announce(
    config: Arc<Config>,
    found: Capabilities,
    control: Control,
    media: SocketAddr,
    certificate: Option<SignedCertificate>,
    mut load: watch::Receiver<Load>,
) {
    let roles = Roles {
        broadcaster: config.roles.broadcaster,
        orchestrator: config.roles.orchestrator,
        verifier: false,
    };
    let mut addrs: Vec<SocketAddr> =
        config.mesh.external.iter().map(|ip| SocketAddr::new(*ip, media.port())).collect();
    addrs.push(media);
    loop {
        let in_work = load.borrow_and_update().in_work;
        let work = config.roles.orchestrator.then(|| Work {
            price: config.orchestrator.price,
            capacity: config.orchestrator.capacity,
            load: in_work,
            backend: found.backend.clone(),
            encoder: found.core.clone().unwrap_or_default(),
        });
        control.announce(RecordDraft { media: addrs.clone(), roles, work, certificate });
        tokio::time::sleep(LOAD_PERIOD).await;
        if load.wait_for(|load| load.in_work != in_work).await.is_err() {
            return;
        }
    }
}

/// Keeps the metrics up to date.
async fn count(metrics: Metrics, traces: TraceLog, mut load: watch::Receiver<Load>) {
    let mut traces = traces.subscribe();
    let mut counted = BTreeSet::new();
    loop {
        tokio::select! {
            trace = traces.recv() => match trace {
                // A trace may be told again after its end; it counts once.
                Ok(trace) if trace.outcome.is_some() => {
                    if counted.insert((trace.cut_unix_ms, trace.stream.clone(), trace.seq)) {
                        metrics.segment(&trace);
                    }
                    while counted.len() > REMEMBERED {
                        counted.pop_first();
                    }
                }
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            },
            changed = load.changed() => match changed {
                Ok(()) => metrics.load(*load.borrow_and_update()),
                Err(_) => return,
            },
        }
    }
}
