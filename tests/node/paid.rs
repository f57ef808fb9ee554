//! Work for money between real nodes: a stream is paid by tickets out of a deposit on a devnet, winners are redeemed, and both sides'
//! ledgers agree to the last unit, whoever is killed on the way. Who does not pay gets no work, and is told why.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use fixtures::devnet::livepeer::{account, secret};
use fixtures::devnet::{Config, Devnet, Settings};
use ledger::Ledger;
use ledger::agree::{Agreed, compare};
use p2p::PeerId;
use p2p::identity::peer_key_of;
use protocol::certificate::CertificateFile;
use protocol::payments::entry::{Entry, Redemption};
use protocol::record::Roles;
use protocol::{Certificate, SignedCertificate};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::world::{LIVEMESH, Node, PATIENCE, World, ready};

const SLOT_MS: u64 = 200;
/// L1 blocks: a ticket that wins is told after forty of them, and needs proof before and after.
const ROUND_LENGTH: u64 = 200;
/// A segment of the test's clip comes to some 4.6 million pixels, so to 0.001 ether: a win is worth many times its gas.
const PRICE_WEI: u64 = 200_000_000;
/// Wins pay so many times what their gas costs, or what a ticket is worth: every other ticket wins.
const WINS: u64 = 2;
/// What nodes log, into a file each.
const LOG: &str = "info,livemesh=debug,actors=debug";
/// Time for tickets to be redeemed: forty blocks, and the chain's proofs.
const REDEMPTION: Duration = Duration::from_secs(150);

/// A devnet, and a mesh in which work is paid.
struct Town {
    world: World,
    devnet: Devnet,
    network: PathBuf,
}

fn private(path: &std::path::Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.to_owned()
}

impl Town {
    async fn new() -> Self {
        let settings = Settings {
            slot_ms: SLOT_MS,
            round_length: ROUND_LENGTH,
            orchestrators: 3,
            ..Settings::default()
        };
        let devnet = Devnet::start(Config { settings, ..Config::default() }).await.unwrap();
        let world = World::with(0).await;
        let network = world.path("network.json");
        std::fs::write(&network, devnet.network().to_string()).unwrap();
        private(&world.path("password"), "correct horse");
        Self { world, devnet, network }
    }

    fn key(&self, role: &str, number: u64) -> (Address, B256) {
        let seed = self.devnet.settings.seed;
        (account(seed, role, number), secret(seed, role, number))
    }

    /// Puts a key into the keystore of all.
    fn keep(&self, role: &str, number: u64) -> Address {
        let (address, secret) = self.key(role, number);
        let dir = self.world.path("keystore");
        let plain = private(&self.world.path("key.hex"), &hex::encode(secret));
        let password = wallet::Password::from_file(&self.world.path("password")).unwrap();
        wallet::Keystore::open(&dir).unwrap().import(&plain, &password).unwrap();
        address
    }

    fn configure(&self, name: &str, chain: &str, payments: &str) -> String {
        let (network, keystore, password) =
            (&self.network, self.world.path("keystore"), self.world.path("password"));
        let text = format!(
            "[chain]\nnetwork = {network:?}\naccept = 'pending:0'\n{chain}\n\
             [payments]\nkeystore = {keystore:?}\npassword_file = {password:?}\n\
             max_ticket_wei = 100_000_000_000_000_000\nmax_segment_wei = 1_000_000_000_000_000_000\n{payments}\n"
        );
        let path = self.world.path(&format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Lets the staker with this number vouch for a node.
    fn certify(&self, name: &str, number: u64) {
        let dir = self.world.path(name);
        std::fs::create_dir_all(&dir).unwrap();
        let node = self.node_key(&dir);
        let (staker, secret) = self.key("orchestrator", number);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let certificate = Certificate {
            staker,
            peer: node,
            receipt_key: node,
            roles: Roles { orchestrator: true, ..Roles::default() },
            not_before: now - 300,
            not_after: now + 86_400,
            revocation: 0,
        };
        let chain_id = self.devnet.contracts.chain_id;
        let signer = wallet::Signer::from(PrivateKeySigner::from_bytes(&secret).unwrap());
        let signature = signer.sign_digest(certificate.digest(chain_id)).unwrap();
        let signed = SignedCertificate { certificate, signature };
        let file = serde_json::to_string(&CertificateFile::new(chain_id, &signed)).unwrap();
        std::fs::write(dir.join("certificate.json"), file).unwrap();
    }

    /// Makes a node's key as its first start would.
    fn node_key(&self, dir: &std::path::Path) -> protocol::PeerKey {
        use ed25519_dalek::pkcs8::EncodePrivateKey;
        let key = ed25519_dalek::SigningKey::from_bytes(&rand::random());
        let pem = key.to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF).unwrap();
        private(&dir.join("node-key.pem"), &pem);
        protocol::PeerKey(key.verifying_key().to_bytes())
    }

    /// Configures an orchestrator that is paid.
    fn orchestrator(&self, number: u64) -> String {
        let name = format!("orchestrator-{number}");
        self.certify(&name, number);
        let redeemer = self.keep("account", number);
        let (staker, _) = self.key("orchestrator", number);
        let payments = format!(
            "redeemer_key = '{redeemer}'\nwin_multiplier = {WINS}\n[orchestrator]\nprice_wei = {PRICE_WEI}\ncapacity = 2"
        );
        self.configure(&name, &format!("orchestrator = '{staker}'"), &payments);
        name
    }

    /// Configures a broadcaster that pays as the devnet's gateway with this number.
    fn broadcaster(&self) -> String {
        let tickets = self.keep("sender", 1);
        let payments = format!("ticket_key = '{tickets}'\nbudget_per_day_wei = 1_000_000_000_000_000_000");
        self.configure("broadcaster", "", &payments);
        "broadcaster".to_owned()
    }

    /// Starts, or starts again, a node that was configured.
    async fn start(&self, name: &str) -> Node {
        let config = self.world.path(&format!("{name}.toml")).display().to_string();
        let role = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let mut args = vec!["--config", &config, "--roles", role];
        args.extend(if role == "broadcaster" {
            ["--rtmp", "127.0.0.1:0"].as_slice()
        } else {
            &["--no-rtmp"]
        });
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.world.path(&format!("{name}.log")))
            .unwrap();
        let mut command = Command::new(LIVEMESH);
        command.args(["node", "--json"]);
        let common = self.world.common(name).into_iter().filter(|arg| *arg != "--allow-unstaked");
        command.args(common.map(|arg| if arg == "warn" { LOG.to_owned() } else { arg }));
        command.args(args).stderr(log);
        ready(name, command).await
    }

    /// Ends everybody, the broadcaster first, and compares their books.
    async fn settle(&self, broadcaster: Node, orchestrators: Vec<Node>) -> (Agreed, Vec<Ledger>) {
        assert!(broadcaster.interrupt().await);
        let count = orchestrators.len() as u64;
        for orchestrator in orchestrators {
            assert!(orchestrator.interrupt().await);
        }
        let open = |name: &str| Ledger::open(&self.world.path(name).join("ledger")).unwrap().0;
        let payer = open("broadcaster");
        payer.reconcile().unwrap();
        let payees: Vec<Ledger> = (0..count).map(|n| open(&format!("orchestrator-{n}"))).collect();
        let mut books = Vec::new();
        for payee in &payees {
            payee.reconcile().unwrap();
            books.extend(payee.accounts());
        }
        for account in payer.accounts() {
            println!("{}: {} tickets, {} segments", account.session, account.tickets, account.works);
        }
        (compare(&payer.accounts(), &books).unwrap(), payees)
    }
}

/// Publishes a file over and over, at its own pace, until it is dropped.
fn publish(clip: &std::path::Path, node: &Node) -> Child {
    let mut publisher = Command::new("ffmpeg");
    publisher
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip);
    publisher.args(["-c", "copy", "-f", "flv", &node.rtmp("s")]).kill_on_drop(true).spawn().unwrap()
}

/// Segments of the stream that are complete, by their numbers.
async fn complete(node: &Node) -> Vec<u64> {
    let traces = node.json("/api/v1/streams/s/explain").await;
    let complete = traces.as_array().cloned().unwrap_or_default();
    let complete = complete.into_iter().filter(|trace| trace["outcome"] == "complete");
    complete.filter_map(|trace| trace["seq"].as_u64()).collect()
}

/// Waits for so many more complete segments, and says who made the last ones.
async fn more(node: &Node, segments: u64) {
    let before = complete(node).await.last().copied().unwrap_or(0);
    let reached =
        async |node: &Node| complete(node).await.last().copied().filter(|last| *last >= before + segments);
    node.until(&format!("{segments} more segments"), reached).await;
}

fn key_of(node: &Node) -> Value {
    let peer: PeerId = node.ready["peer_id"].as_str().unwrap().parse().unwrap();
    peer_key_of(&peer).unwrap().to_string().into()
}

/// Waits until a node has made a segment from now on.
async fn works_again(broadcaster: &Node, orchestrator: &Node) {
    let (key, since) = (key_of(orchestrator), complete(broadcaster).await.last().copied().unwrap_or(0));
    let made = async |node: &Node| {
        let traces = node.json("/api/v1/streams/s/explain").await;
        let later = |trace: &&Value| trace["seq"].as_u64() > Some(since) && trace["outcome"] == "complete";
        let by = |trace: &Value| {
            trace["renditions"].as_array().is_some_and(|all| all.iter().any(|r| r["by"] == key))
        };
        traces.as_array()?.iter().filter(later).any(by).then_some(())
    };
    broadcaster.until("the killed one to work again", made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_paid_winners_are_redeemed_and_books_agree_whoever_is_killed() {
    let town = Town::new().await;
    let names: Vec<String> = (0..2).map(|number| town.orchestrator(number)).collect();
    let mut orchestrators = Vec::new();
    let mut town = town;
    for name in &names {
        let node = town.start(name).await;
        town.world.know(&node);
        orchestrators.push(node);
    }
    let mut broadcaster = town.start(&town.broadcaster()).await;
    let clip = town.world.clip("clip.mp4", "320x240", 8, 60);
    let publisher = publish(&clip, &broadcaster);
    let first = async |node: &Node| (complete(node).await.len() >= 4).then_some(());
    broadcaster.until("four paid segments", first).await;

    // An orchestrator dies as by a power cut, and comes back: the stream goes on meanwhile, the account afterwards.
    orchestrators[0].child.kill().await.unwrap();
    more(&broadcaster, 2).await;
    orchestrators[0] = town.start(&names[0]).await;
    works_again(&broadcaster, &orchestrators[0]).await;

    // So does the broadcaster.
    broadcaster.child.kill().await.unwrap();
    drop(publisher);
    broadcaster = town.start("broadcaster").await;
    let publisher = publish(&clip, &broadcaster);
    broadcaster.until("four paid segments after a restart", first).await;

    let ledger = |n: usize| town.world.path(&names[n]).join("ledger");
    let redeemed = async |_: &Node| {
        let mut count = 0;
        for n in 0..2 {
            let each = |_: u64, entry: &Entry| {
                count +=
                    u32::from(matches!(entry, Entry::Redemption { step: Redemption::Redeemed { .. }, .. }));
            };
            ledger::read(&ledger(n), u64::MAX, each).unwrap();
        }
        (count > 0).then_some(count)
    };
    let wait = async {
        loop {
            if let Some(count) = redeemed(&broadcaster).await {
                break count;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let count = tokio::time::timeout(REDEMPTION, wait).await.expect("a ticket is redeemed");
    println!("{count} tickets are redeemed");
    drop(publisher);

    let (agreed, payees) = town.settle(broadcaster, orchestrators).await;
    println!("agreed: {} accounts, {} tickets, {} segments", agreed.accounts, agreed.tickets, agreed.works);
    assert!(agreed.works >= 8 && agreed.tickets >= agreed.works / 4);
    for payee in &payees {
        let each = |_: u64, entry: &Entry| {
            let over = |step: &Redemption| matches!(step, Redemption::Expired | Redemption::Dropped { .. });
            assert!(
                !matches!(entry, Entry::Redemption { step, .. } if over(step)),
                "a winner is lost: {entry:?}"
            );
        };
        payee.each(0, each).unwrap();
    }
    town.devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_pay_gets_no_work_and_is_told_why() {
    let mut town = Town::new().await;
    let name = town.orchestrator(0);
    let orchestrator = town.start(&name).await;
    town.world.know(&orchestrator);
    // One without a ticket key, and one whose sender has neither deposit nor reserve.
    town.configure("broadcaster", "", "");
    let ticketless = town.start("broadcaster").await;
    let clip = town.world.clip("clip.mp4", "320x240", 8, 60);
    let publisher = publish(&clip, &ticketless);
    let told = async |node: &Node| {
        let traces = node.json("/api/v1/streams/s/explain").await.to_string();
        traces.contains("no payment came with the offer").then_some(())
    };
    ticketless.until("the reason", told).await;
    drop(publisher);
    assert!(ticketless.interrupt().await);

    let unfunded = town.keep("account", 5);
    town.configure("broadcaster", "", &format!("ticket_key = '{unfunded}'"));
    let unfunded = town.start("broadcaster").await;
    let publisher = publish(&clip, &unfunded);
    let told = async |node: &Node| {
        let state = node.json("/api/v1/state").await;
        let nodes = state["mesh"]["nodes"].as_array()?.clone();
        nodes.into_iter().find_map(|node| node["unpaid"]["words"].as_str().map(str::to_owned))
    };
    let why = unfunded.until("the reason", told).await;
    println!("unfunded: {why}");
    assert!(complete(&unfunded).await.is_empty());
    drop(publisher);
    assert!(unfunded.interrupt().await && orchestrator.interrupt().await);
    let (ledger, _) = Ledger::open(&town.world.path(&name).join("ledger")).unwrap();
    assert!(ledger.accounts().iter().all(|account| account.works == 0), "nothing was done for nothing");
    tokio::time::timeout(PATIENCE, town.devnet.stop()).await.unwrap();
}
