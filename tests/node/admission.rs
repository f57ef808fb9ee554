//! Who gets work: an orchestrator whose staker is proven active and vouches for it, and nobody who has no stake, speaks for
//! another's, or speaks for one that is gone or has taken its word back.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use fixtures::devnet::livepeer::{account, secret};
use fixtures::devnet::transactions::Order;
use fixtures::devnet::{Config, Devnet, Settings};
use futures::AsyncWriteExt;
use libp2p::request_response::Codec;
use p2p::behaviour::{PageRequest, TableCodec, names};
use p2p::identity::peer_id_of;
use p2p::wire::Reach;
use p2p::{Control, ControlConfig, Identity, RecordDraft, Signed};
use protocol::certificate::CertificateFile;
use protocol::chain::abi::call;
use protocol::record::{Roles, Work};
use protocol::{Certificate, NodeRecord, PeerKey, PricePerPixel, SignedCertificate};
use serde_json::Value;
use tokio::process::Command;

use crate::world::{LIVEMESH, Node, PATIENCE, World, ready, succeeded};

/// The staker who vouches for the honest node, and with which number.
const STAKER: u64 = 0;
const NUMBER: u64 = 5;
/// The staker who leaves.
const LEAVER: u64 = 4;
const DAY: u64 = 86_400;

/// A chain with blocks of 200 ms and rounds of six seconds.
async fn devnet() -> Devnet {
    let settings = Settings { slot_ms: 200, round_length: 30, ..Settings::default() };
    Devnet::start(Config { settings, ..Config::default() }).await.unwrap()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// What the staker with this number would say of a node.
fn word(devnet: &Devnet, staker: u64, peer: PeerKey) -> Certificate {
    let now = now_ms() / 1000;
    Certificate {
        staker: account(devnet.settings.seed, "orchestrator", staker),
        peer,
        receipt_key: peer,
        roles: Roles { orchestrator: true, ..Roles::default() },
        not_before: now - DAY,
        not_after: now + DAY,
        revocation: 0,
    }
}

/// The word of whoever has this key.
fn signed(devnet: &Devnet, certificate: Certificate, secret: B256) -> SignedCertificate {
    let signer = wallet::Signer::from(PrivateKeySigner::from_bytes(&secret).unwrap());
    let signature = signer.sign_digest(certificate.digest(devnet.contracts.chain_id)).unwrap();
    SignedCertificate { certificate, signature }
}

fn key_of(devnet: &Devnet, staker: u64) -> B256 {
    secret(devnet.settings.seed, "orchestrator", staker)
}

/// A member of the mesh that offers to work for nothing, and hears whether anybody comes to its media port.
struct Impostor {
    identity: Identity,
    control: Control,
    media: UdpSocket,
}

impl Impostor {
    async fn join(seed: u8, at: &[&Node], certificate: Option<SignedCertificate>) -> Self {
        let identity = Identity::from_seed([seed; 32]);
        let media = UdpSocket::bind("127.0.0.1:0").unwrap();
        media.set_nonblocking(true).unwrap();
        let draft = RecordDraft {
            media: vec![media.local_addr().unwrap()],
            roles: Roles { orchestrator: true, ..Roles::default() },
            work: Some(free()),
            certificate,
        };
        let config = ControlConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            bootstrap: at.iter().map(|n| n.ready["control"][0].as_str().unwrap().parse().unwrap()).collect(),
            draft,
            ..ControlConfig::new("test")
        };
        let (control, _) = Control::start(config, identity.clone()).await.unwrap();
        Self { identity, control, media }
    }

    fn peer_id(&self) -> String {
        self.identity.peer_id().to_string()
    }

    /// Sends a record of its own making to a neighbour.
    async fn bring(&self, to: PeerKey, certificate: SignedCertificate) {
        let now_ms = now_ms();
        let record = NodeRecord {
            peer: self.identity.peer_key(),
            sequence: now_ms,
            expires: now_ms / 1000 + 60,
            control: self.control.local_addrs(),
            media: vec![self.media.local_addr().unwrap()],
            roles: Roles { orchestrator: true, ..Roles::default() },
            work: Some(free()),
            certificate: Some(certificate),
        };
        let own = Some(Signed::new(&record, &Reach::default(), &self.identity, "test").unwrap());
        self.control.connect(to, PATIENCE).await.unwrap();
        let mut stream = self.control.streams().open_stream(peer_id_of(to), names::ROSTER).await.unwrap();
        let request = Ok(PageRequest { after: None, own });
        TableCodec.write_request(&names::ROSTER, &mut stream, request).await.unwrap();
        stream.close().await.unwrap();
    }

    /// Waits until it is no neighbour of a node any more.
    async fn is_cut_off_from(&self, node: PeerKey) {
        let mut neighbours = self.control.watch_neighbours();
        let gone = neighbours.wait_for(|near| !near.contains_key(&node));
        tokio::time::timeout(PATIENCE, gone).await.expect("it is still connected").unwrap();
    }

    fn was_called(&self) -> bool {
        self.media.recv(&mut [0; 2000]).is_ok()
    }
}

fn free() -> Work {
    Work {
        price: PricePerPixel::FREE,
        capacity: 8,
        load: 0,
        backend: "cpu".into(),
        encoder: "x264-165".into(),
    }
}

/// A file that only its owner may read.
fn private(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Lets the staker's key, which lies in a keystore, vouch for the node of this directory as people do.
async fn certify(world: &World, devnet: &Devnet, node: &str) -> SignedCertificate {
    let hex = private(&world.path("key.hex"), &hex::encode(key_of(devnet, STAKER)));
    let phrase = private(&world.path("password"), "correct horse");
    let dir = world.path("keystore");
    let password = wallet::Password::from_file(phrase.as_ref()).unwrap();
    let key = wallet::Keystore::open(&dir).unwrap().import(hex.as_ref(), &password).unwrap();
    let mut command = Command::new(LIVEMESH);
    command.args(["stake", "--from", &key.address.to_string(), "--password-file", &phrase, "--keystore"]);
    command.arg(dir).arg("--data-dir").arg(world.path(node)).args(["certify", "--days", "30"]);
    command.args(["--chain-id", &devnet.contracts.chain_id.to_string()]);
    command.args(["--revocation", &NUMBER.to_string()]).stdin(Stdio::null());
    succeeded("livemesh stake certify", &command.output().await.unwrap());
    let file = std::fs::read(world.path(node).join("certificate.json")).unwrap();
    serde_json::from_slice::<CertificateFile>(&file).unwrap().open().unwrap()
}

/// A broadcaster that follows the chain and asks for stake; what it logs is in `broadcaster.log`.
async fn broadcaster(world: &World, devnet: &Devnet, know: &Node) -> Node {
    let mut network = devnet.network();
    network.as_object_mut().unwrap().remove("l2");
    let (file, config) = (world.path("network.json"), world.path("broadcaster.toml"));
    std::fs::write(&file, network.to_string()).unwrap();
    let l2 = &devnet.l2_url;
    let chain = format!("[chain]\nnetwork = {file:?}\nl2 = [{l2:?}]\naccept = 'pending:0'\n");
    std::fs::write(&config, chain).unwrap();
    let mut command = Command::new(LIVEMESH);
    command.args(["node", "--json", "--roles", "broadcaster", "--rtmp", "127.0.0.1:0", "--config"]);
    command.arg(config).args(["--bootstrap", know.ready["control"][0].as_str().unwrap()]);
    command.args(world.common("broadcaster").iter().filter(|arg| *arg != "--allow-unstaked"));
    command.stderr(std::fs::File::create(world.path("broadcaster.log")).unwrap());
    ready("broadcaster", command).await
}

/// What `livemesh peers --json` says of everybody's stake: whether it admits them, and why.
async fn told(broadcaster: &Node) -> Vec<(String, bool, String)> {
    let mut command = Command::new(LIVEMESH);
    let output = command.args(["peers", "--json", "--api", &broadcaster.http("")]).output().await.unwrap();
    succeeded("livemesh peers", &output);
    let peers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let stake = |peer: Value| {
        let told = &peer["stake"];
        let (admitted, words) = (told["admitted"].as_bool()?, told["words"].as_str()?.to_owned());
        Some((peer["peer_id"].as_str()?.to_owned(), admitted, words))
    };
    peers.into_iter().filter_map(stake).collect()
}

/// Waits until that is said of a node.
async fn until_told(broadcaster: &Node, peer_id: &str, admitted: bool, words: &str) -> String {
    let is = |(peer, is, said): &(String, bool, String)| {
        peer == peer_id && *is == admitted && said.contains(words)
    };
    let found = async |node: &Node| told(node).await.into_iter().find(is).map(|(_, _, said)| said);
    broadcaster.until(words, found).await
}

/// Waits until the broadcaster has said why it cut somebody off.
async fn until_logged(world: &World, broadcaster: &Node, peer_id: &str, why: &str) {
    let log = world.path("broadcaster.log");
    let line = |line: &str| line.contains("cut off") && line.contains(peer_id) && line.contains(why);
    let found = async |_: &Node| std::fs::read_to_string(&log).unwrap().lines().any(line).then_some(());
    broadcaster.until(&format!("{peer_id} to be cut off: {why}"), found).await;
}

/// Takes out all stake of the staker with this number; a reward that comes in between is taken out too.
async fn leave(devnet: &Devnet, staker: u64) {
    let (from, key) = (account(devnet.settings.seed, "orchestrator", staker), key_of(devnet, staker));
    let to = devnet.contracts.bonding_manager;
    let unbond = async || loop {
        let left = devnet.with(|world| {
            let ask = call("pendingStake(address,uint256)", &[from.into(), U256::ZERO.into()]);
            let stake = world.livepeer.call(Address::ZERO, to, U256::ZERO, &ask.into()).unwrap().output;
            let stake = U256::from_be_slice(&stake);
            if !stake.is_zero() {
                let order = Order {
                    nonce: world.pending_nonce(from),
                    to,
                    value: U256::ZERO,
                    input: call("unbond(uint256)", &[stake.into()]).into(),
                    gas_limit: 2_000_000,
                    gas_price: 10_000_000_000,
                };
                world.submit(order.sign(key, devnet.contracts.chain_id).unwrap()).unwrap();
            }
            stake
        });
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::time::timeout(PATIENCE, unbond()).await.expect("all stake is out");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_vouched_for_by_active_stake_gets_work() {
    let (world, devnet) = (World::with(0).await, devnet().await);
    let vouched = certify(&world, &devnet, "honest").await;
    // It follows no chain itself, and passes on what it cannot judge.
    let honest = world.start("honest", &["--roles", "orchestrator", "--no-rtmp", "--capacity", "4"]).await;
    let broadcaster = broadcaster(&world, &devnet, &honest).await;
    let both = [&honest, &broadcaster];
    let key = |seed: u8| Identity::from_seed([seed; 32]).peer_key();

    let leaver = signed(&devnet, word(&devnet, LEAVER, key(1)), key_of(&devnet, LEAVER));
    let leaver = Impostor::join(1, &both, Some(leaver)).await;
    let uncertified = Impostor::join(2, &both, None).await;
    let old = Certificate { revocation: NUMBER - 1, ..word(&devnet, STAKER, key(3)) };
    let revoked = Impostor::join(3, &both, Some(signed(&devnet, old, key_of(&devnet, STAKER)))).await;
    // The honest node's own certificate, under another name.
    let stolen = Certificate { peer: key(4), ..vouched.certificate };
    let stolen = SignedCertificate { certificate: stolen, ..vouched };
    let thief = Impostor::join(4, &both, Some(stolen)).await;
    let forged = signed(&devnet, word(&devnet, 1, key(5)), B256::repeat_byte(0x46));
    let forger = Impostor::join(5, &both, Some(forged)).await;
    let expired = Impostor::join(6, &[&broadcaster], None).await;
    let state = broadcaster.json("/api/v1/state").await;
    let me: PeerKey = state["node"]["key"].as_str().unwrap().parse().unwrap();
    let ended = Certificate { not_after: now_ms() / 1000 - 1, ..word(&devnet, 2, key(6)) };
    expired.bring(me, signed(&devnet, ended, key_of(&devnet, 2))).await;

    // Who claims what is not its own is cut off, also where it was brought by one who could not know.
    for (claimer, why) in
        [(&thief, "is signed by"), (&forger, "is signed by"), (&expired, "not all that time is within")]
    {
        until_logged(&world, &broadcaster, &claimer.peer_id(), why).await;
        claimer.is_cut_off_from(me).await;
    }
    let honest_id = honest.ready["peer_id"].as_str().unwrap();
    println!("honest: {}", until_told(&broadcaster, honest_id, true, "active at round").await);
    until_told(&broadcaster, &leaver.peer_id(), true, "active at round").await;
    leave(&devnet, LEAVER).await;
    let refused = [
        (&leaver, "is not active at round"),
        (&uncertified, "no certificate: nobody's stake stands behind it"),
        (&revoked, "revoked: its certificate has number 4, and"),
    ];
    for (impostor, why) in refused {
        println!("refused: {}", until_told(&broadcaster, &impostor.peer_id(), false, why).await);
    }

    let clip = world.clip("clip.mp4", "320x240", 8, 60);
    broadcaster.publish(&clip, "me").await;
    let segments = async |node: &Node| {
        let traces = node.json("/api/v1/streams/me/explain").await.as_array()?.clone();
        let over = |trace: &Value| trace["outcome"] == "complete";
        (traces.len() == 4 && traces.iter().all(over)).then_some(traces)
    };
    let worker = peer_key(honest_id);
    for trace in broadcaster.until("four segments", segments).await {
        let asks = trace["asks"].as_array().unwrap();
        assert!(!asks.is_empty() && asks.iter().all(|ask| ask["peer"] == worker), "{trace}");
        let made = trace["renditions"].as_array().unwrap();
        assert!(!made.is_empty() && made.iter().all(|rung| rung["by"] == worker), "{trace}");
    }
    for (name, impostor) in [
        ("uncertified", &uncertified),
        ("revoked", &revoked),
        ("thief", &thief),
        ("forger", &forger),
        ("expired", &expired),
    ] {
        assert!(!impostor.was_called(), "somebody came to the media port of {name}");
    }

    let mut explain = Command::new(LIVEMESH);
    let output = explain.args(["explain", "me", "--api", &broadcaster.http("")]).output().await.unwrap();
    succeeded("livemesh explain", &output);
    let said = String::from_utf8(output.stdout).unwrap();
    for (impostor, why) in refused {
        let key = &impostor.identity.peer_key().to_string()[..8];
        let line = said.lines().find(|line| line.starts_with(&format!("{key} is not asked: ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{why}: {said}");
    }
    let shown = told(&broadcaster).await;
    for claimer in [&thief, &forger, &expired] {
        assert!(shown.iter().all(|(peer, admitted, _)| *peer != claimer.peer_id() || !admitted), "{shown:?}");
    }
    assert!(broadcaster.interrupt().await && honest.interrupt().await);
    devnet.stop().await;
}

/// A peer id as traces name it.
fn peer_key(peer_id: &str) -> Value {
    let peer = peer_id.parse::<p2p::PeerId>().unwrap();
    p2p::identity::peer_key_of(&peer).unwrap().to_string().into()
}
