//! A redeemer as a process of its own: a node's winners reach it over a line on which both know each other's key, and it turns them
//! into ether on a devnet whose gas, blocks, endpoints and pool are not kind, killed in between. What the node's ledger says at the
//! end is what the chain says, to the wei.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use actors::clock::Clock;
use actors::handover::actor::Handover;
use actors::redeemer::messages::GetStanding;
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use fixtures::devnet::livepeer::Funded;
use fixtures::devnet::{Config, Devnet, Pace, World as Chain};
use ledger::Ledger;
use p2p::Identity;
use p2p::pinned::{Pinned, PinnedConfig, parse_address};
use p2p::wire::redeemer::Request;
use protocol::Round;
use protocol::chain::abi::{self, Value as Word};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption, Winner};
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{Ticket, rand_hash};
use tokio::process::Command;
use wallet::{Call, Intent, Settings, Until, Wallet};

use self::disk::DiskLedger;
use self::handover::Remote;
use crate::world::{LIVEMESH, Node, World, ready, succeeded};

#[path = "../../src/adapters/ledger.rs"]
mod disk;
#[path = "../../src/adapters/handover.rs"]
mod handover;

/// Wei of an ether.
const ETHER: u64 = 1_000_000_000_000_000_000;
/// Gas of a ticket redeemed alone.
const SINGLE: u64 = 224_000;
const CHEAP: u64 = 10_000_000;

/// What happens to one run.
struct Trial {
    /// Tickets of each of two senders.
    each: u64,
    /// What the first sender's come to, thousandths of an ether: its deposit is one ether, a fifth of another its reserve's share.
    promised: u64,
    /// L1 blocks of half a second.
    round_length: u64,
    /// How often the process is killed.
    kills: usize,
    limit: Duration,
}

/// Chains that move without this thread, so that actors and they do not wait for each other.
struct Chains {
    devnet: Arc<Devnet>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Chains {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Chains {
    async fn start(round_length: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut config = Config { history: 40, pace: Pace::Wall, ..Config::default() };
        (config.settings.slot_ms, config.settings.round_length) = (500, round_length);
        let devnet = runtime.spawn(Devnet::start(config)).await.unwrap().unwrap();
        Self { devnet: Arc::new(devnet), runtime: Some(runtime) }
    }

    fn look<T>(&self, at: impl FnOnce(&mut Chain) -> T) -> T {
        self.devnet.with(at)
    }

    /// The round with its hash, and the next L1 block.
    fn now(&self) -> ((Round, B256), u64) {
        self.look(|world| {
            let chain = &world.livepeer.chain;
            let round = *chain.rounds.last_initialized_round;
            ((round, chain.rounds.block_hash_for_round.at(&round)), world.l1.chain.next_number())
        })
    }

    /// Deposit and reserve of a sender, wei.
    fn purse(&self, of: Address) -> (U256, U256) {
        self.look(|world| {
            let broker = &world.livepeer.chain.broker;
            (broker.senders.at(&of).deposit, broker.reserve_funds.at(&of))
        })
    }

    fn keys(&self) -> Vec<TicketKey> {
        let key = |secret: &B256| TicketKey::from_bytes(&secret.0).unwrap();
        self.look(|world| world.livepeer.senders.iter().map(|sender| key(&sender.secret)).collect())
    }

    fn recipient(&self) -> Address {
        self.look(|world| world.livepeer.orchestrators[0].address)
    }

    fn funded(&self, n: usize) -> Funded {
        self.look(|world| world.livepeer.funded[n].clone())
    }

    /// Somebody stakes enough for a place: from the next round on a sixth member shares every reserve, and the contract already
    /// divides by six.
    async fn grow_the_pool(&self, world: &World) {
        let Funded { address, secret, .. } = self.funded(5);
        let (contracts, l2) = (self.devnet.contracts.clone(), self.devnet.l2_url.parse().unwrap());
        let token = self.look(|world| world.livepeer.chain.addresses.token);
        let signer = PrivateKeySigner::from_bytes(&secret).unwrap().into();
        let settings = Settings { agree: 1, poll: Duration::from_millis(200), ..Settings::default() };
        let dir = world.path("newcomer");
        let wallet = Wallet::open(&dir, contracts.chain_id, signer, vec![l2], None, settings).unwrap();
        let lpt = U256::from(30_000) * U256::from(ETHER);
        let manager = contracts.bonding_manager;
        let approve = abi::call("approve(address,uint256)", &[Word::Address(manager), Word::Uint(lpt)]);
        let bond = abi::call("bond(uint256,address)", &[Word::Uint(lpt), Word::Address(address)]);
        for (key, to, data) in [("approve", token, approve), ("bond", manager, bond)] {
            let call = Call { to, value: U256::ZERO, data: data.into(), gas_limit: None };
            let intent = Intent { key: key.into(), call, what: key.into(), max_cost: None };
            let id = wallet.send(intent).await.unwrap();
            assert!(wallet.wait(id, Until::Sequenced).await.unwrap().success, "{key}");
        }
        assert_eq!(self.look(|world| *world.livepeer.chain.bonding.transcoder_pool.size), U256::from(6));
    }
}

fn winner(key: &TicketKey, recipient: Address, face: U256, n: u64, at: (Round, B256), until: u64) -> Winner {
    let recipient_rand = U256::from(n + 1);
    let ticket = Ticket {
        recipient,
        sender: key.address(),
        face_value: face,
        win_prob: U256::MAX,
        sender_nonce: U256::from(n),
        recipient_rand_hash: rand_hash(recipient_rand),
        aux_data: Ticket::aux(at.0, at.1),
    };
    Winner {
        session: SessionId([1; 16]),
        signature: key.sign(&ticket),
        ticket,
        recipient_rand,
        expiration_block: until,
        creation_round: at.0,
        credited: true,
        at_ms: 0,
    }
}

/// What a node does with its winners, with its real ledger and its real line.
struct Holder {
    identity: Identity,
    books: Arc<Ledger>,
    actor: Option<Addr<Handover>>,
}

impl Holder {
    fn open(world: &World) -> Self {
        let (books, _) = Ledger::open(&world.path("node/ledger")).unwrap();
        Self { identity: Identity::from_seed([5; 32]), books: Arc::new(books), actor: None }
    }

    fn entries(&self) -> Vec<Entry> {
        let mut all = Vec::new();
        self.books.each(0, |_, entry| all.push(entry.clone())).unwrap();
        all
    }

    /// Hands over to the redeemer at an address, whether or not it is there.
    async fn hand_over(&mut self, at: &str) {
        let (peer, addr) = parse_address(&at.parse().unwrap()).unwrap();
        let config = PinnedConfig { listen: None, peers: [(peer, Some(addr))].into() };
        let (line, _) = Pinned::start(config, self.identity.clone()).await.unwrap();
        let (remote, disk) = (Arc::new(Remote::new(line, peer)), DiskLedger::new(Arc::clone(&self.books)));
        let pace = Duration::from_millis(300);
        let actor = Handover::new(self.entries(), remote, Arc::new(disk), Clock::new(), pace);
        self.actor = Some(actor.start());
    }

    /// Waits until the ledger's steps are enough.
    async fn until(&self, what: &str, limit: Duration, enough: impl Fn(&Counts) -> bool) -> Counts {
        let began = Instant::now();
        loop {
            let counts = Counts::of(&self.entries());
            if enough(&counts) {
                return counts;
            }
            let standing = self.actor.as_ref().unwrap().send(GetStanding).await.unwrap();
            assert!(began.elapsed() < limit, "{what}: {counts:?}, {standing:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

/// What a ledger says of its winners.
#[derive(Debug, Default)]
struct Counts {
    taken: u64,
    sent: u64,
    redeemed: u64,
    expired: u64,
    dropped: u64,
    at_a_loss: u64,
    from_deposit: U256,
    from_reserve: U256,
    gas: U256,
    /// What each sender's tickets brought, from deposit and reserve.
    by_sender: BTreeMap<Address, (U256, U256)>,
}

impl Counts {
    fn of(entries: &[Entry]) -> Self {
        let mut counts = Self::default();
        let mut winners = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Winner(winner) => _ = winners.insert(winner.id(), winner),
                Entry::Redemption { ticket, step, .. } => counts.step(winners[ticket], step),
                _ => {}
            }
        }
        counts
    }

    fn step(&mut self, winner: &Winner, step: &Redemption) {
        match step {
            Redemption::Queued => self.taken += 1,
            Redemption::Sent { .. } => self.sent += 1,
            Redemption::Redeemed { from_deposit, from_reserve, gas, .. } => {
                self.redeemed += 1;
                self.from_deposit += from_deposit.0;
                self.from_reserve += from_reserve.0;
                self.gas += gas.0;
                self.at_a_loss += u64::from(gas.0 >= from_deposit.0 + from_reserve.0);
                let sender = self.by_sender.entry(winner.ticket.sender).or_default();
                *sender = (sender.0 + from_deposit.0, sender.1 + from_reserve.0);
            }
            Redemption::Expired => self.expired += 1,
            Redemption::Dropped { .. } => self.dropped += 1,
            Redemption::Reopened => {}
        }
    }
}

/// The command that starts the redeemer, the same after each kill.
struct Process {
    args: Vec<String>,
    running: Option<Node>,
    address: String,
}

impl Process {
    async fn first(world: &World, chains: &Chains, node: &Identity) -> Self {
        let dir = world.path("redeemer");
        std::fs::create_dir_all(&dir).unwrap();
        let network = world.path("network.json");
        std::fs::write(&network, chains.devnet.network().to_string()).unwrap();
        let Funded { address: key, secret, .. } = chains.funded(3);
        let password = private(world, "password", "devnet");
        let hex = private(world, "gas-key", &alloy_primitives::hex::encode(secret));
        let mut import = Command::new(LIVEMESH);
        import.args(["stake", "--password-file"]).arg(&password).arg("--data-dir").arg(&dir);
        succeeded("import", &import.args(["keys", "import"]).arg(hex).output().await.unwrap());
        let (l2, path) = (&chains.devnet.l2_url, |path: &PathBuf| path.display().to_string());
        let args = [
            ("--data-dir", path(&dir)),
            ("--network", path(&network)),
            // One endpoint is dead; the two others must agree.
            ("--l2", format!("http://127.0.0.1:9,{l2},{}", l2.replace("127.0.0.1", "localhost"))),
            ("--beacon", chains.devnet.beacon_url.clone()),
            ("--l1", chains.devnet.l1_url.clone()),
            ("--accept", "sequenced:2".to_owned()),
            ("--recipient", chains.recipient().to_string()),
            ("--node", node.peer_id().to_string()),
            ("--key", key.to_string()),
            ("--password-file", path(&password)),
            ("--log", "info,quinn=warn".to_owned()),
        ];
        let args = args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
        let mut process = Self { args, running: None, address: String::new() };
        process.start("127.0.0.1:0").await;
        process
    }

    async fn start(&mut self, listen: &str) {
        let mut command = Command::new(LIVEMESH);
        command.args(["redeemer", "--json", "--listen", listen]).args(&self.args);
        let running = ready("redeemer", command).await;
        self.address = running.ready["address"].as_str().unwrap().to_owned();
        self.running = Some(running);
    }

    /// As `kill -9` does, and then starts it again where it was.
    async fn kill_and_start(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().await.unwrap();
        let (_, at) = parse_address(&self.address.parse().unwrap()).unwrap();
        self.start(&at.to_string()).await;
    }
}

fn private(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path(name);
    std::fs::write(&path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).unwrap();
    path
}

/// Whoever is not pinned is not heard, and nothing of what it brings is on the redeemer's disk.
async fn refuses_a_stranger(process: &Process, brings: &Winner) {
    let (peer, addr) = parse_address(&process.address.parse().unwrap()).unwrap();
    let config = PinnedConfig { listen: None, peers: [(peer, Some(addr))].into() };
    let (line, _) = Pinned::start(config, Identity::from_seed([66; 32])).await.unwrap();
    let told = line.ask(peer, Request::Take(vec![brings.clone()]).encode()).await;
    assert!(told.is_err(), "{told:?}");
}

async fn run(trial: Trial) {
    let Trial { each, promised, round_length, kills, limit } = trial;
    let (world, chains) = (World::with(0).await, Chains::start(round_length).await);
    let devnet = Arc::clone(&chains.devnet);
    let (recipient, keys) = (chains.recipient(), chains.keys());
    let (made, until) = chains.now();
    let face = U256::from(promised) * U256::from(ETHER / 1000) / U256::from(each);
    let before: Vec<(U256, U256)> = keys.iter().map(|key| chains.purse(key.address())).collect();
    let gas_key = chains.funded(3).address;
    let gas_before = chains.look(|world| world.livepeer.balance(gas_key));
    let fees_before =
        chains.look(|world| world.livepeer.chain.bonding.transcoders.at(&recipient).cumulative_fees);

    let mut holder = Holder::open(&world);
    let winners: Vec<Winner> = keys
        .iter()
        .flat_map(|key| (0..each).map(move |n| winner(key, recipient, face, n, made, until)))
        .collect();
    for some in winners.chunks(64) {
        let entries = some.iter().cloned().map(Entry::Winner).collect();
        holder.books.commit(entries).await.unwrap();
    }
    let all = winners.len() as u64;
    let began = Instant::now();
    // Gas costs a quarter of a ticket at first: no loss, and not cheap.
    let dear = u64::try_from(face / U256::from(4 * SINGLE)).unwrap();
    devnet.set_base_fee(dear);
    let mut process = Process::first(&world, &chains, &holder.identity).await;
    let mut stranger = winners[0].clone();
    stranger.ticket.sender_nonce = U256::from(999_999);
    refuses_a_stranger(&process, &stranger).await;
    holder.hand_over(&process.address.clone()).await;
    let counts = holder.until("taken over", limit, |counts| counts.taken == all).await;
    assert_eq!((counts.sent, counts.redeemed), (0, 0), "dear gas is waited out");
    println!("{all} winners taken over after {:?}", began.elapsed());

    // Nothing gets into a block while gas becomes dear again, with transactions under way, and the process dies.
    devnet.hold_transactions(true);
    devnet.set_base_fee(CHEAP);
    holder.until("under way", limit, |counts| counts.sent > 0).await;
    devnet.set_base_fee(dear);
    process.kill_and_start().await;
    devnet.hold_transactions(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    devnet.set_base_fee(CHEAP);
    let mut killed = 1;
    holder.until("the first", limit, |counts| counts.redeemed > 0).await;
    println!("{} L2 blocks taken back", devnet.reorg_l2(2));
    while killed < kills {
        let some = all * killed as u64 / (2 * kills as u64);
        holder.until("some more", limit, |counts| counts.redeemed >= some).await;
        process.kill_and_start().await;
        killed += 1;
    }
    let first = keys[0].address();
    holder.until("the reserve", limit, |_| chains.purse(first).1 < before[0].1).await;
    chains.grow_the_pool(&world).await;
    println!("{} L2 blocks taken back", devnet.reorg_l2(1));
    let counts =
        holder.until("all", limit, |counts| counts.redeemed + counts.expired + counts.dropped >= all).await;
    println!("{all} winners in {:?}, {killed} kills: {counts:?}", began.elapsed());
    assert_eq!((counts.redeemed, counts.expired, counts.dropped, counts.at_a_loss), (all, 0, 0, 0));
    assert_eq!(counts.from_deposit + counts.from_reserve, face * U256::from(all), "all in full");
    assert!(!counts.from_reserve.is_zero());
    for (key, (deposit, reserve)) in keys.iter().zip(before) {
        let (from_deposit, from_reserve) = counts.by_sender[&key.address()];
        assert_eq!(
            chains.purse(key.address()),
            (deposit - from_deposit, reserve - from_reserve),
            "to the wei"
        );
    }
    let spent = gas_before - chains.look(|world| world.livepeer.balance(gas_key));
    println!("{spent} wei spent on gas, {} of it by redemptions", counts.gas);
    assert!(spent >= counts.gas);
    let fees = chains.look(|world| world.livepeer.chain.bonding.transcoders.at(&recipient).cumulative_fees);
    assert!(fees > fees_before);
    drop(process);
    let own = Counts::of(&ledger_of(world.path("redeemer/ledger")));
    assert_eq!(
        (own.redeemed, own.from_deposit, own.from_reserve),
        (all, counts.from_deposit, counts.from_reserve)
    );
}

/// What a ledger says that a process has or had.
fn ledger_of(dir: PathBuf) -> Vec<Entry> {
    let mut all = Vec::new();
    ledger::read(&dir, u64::MAX, |_, entry| all.push(entry.clone())).unwrap();
    all
}

/// A node that holds winners from before, and the key by which the redeemer knows it.
fn seeded_node(world: &World, winners: &[Winner]) -> Identity {
    let dir = world.path("orchestrator");
    let (books, _) = Ledger::open(&dir.join("ledger")).unwrap();
    books.commit(winners.iter().cloned().map(Entry::Winner).collect()).wait().unwrap();
    let identity = Identity::from_seed([9; 32]);
    let pem = identity.signing_key().to_pkcs8_pem(LineEnding::LF).unwrap();
    private(world, "orchestrator/node-key.pem", &pem);
    identity
}

#[actix::test]
async fn a_node_hands_its_winners_to_the_redeemer_that_it_is_told_of() {
    let (world, chains) = (World::with(0).await, Chains::start(400).await);
    chains.devnet.set_base_fee(CHEAP);
    let (key, recipient, face) = (chains.keys().remove(1), chains.recipient(), U256::from(ETHER / 100));
    let (made, until) = chains.now();
    let winners: Vec<Winner> = (0..5).map(|n| winner(&key, recipient, face, n, made, until)).collect();
    let identity = seeded_node(&world, &winners);
    let process = Process::first(&world, &chains, &identity).await;
    let network = world.path("network.json").display().to_string();
    let config =
        format!("[chain]\nnetwork = '{network}'\naccept = 'sequenced:1'\norchestrator = '{recipient}'\n");
    let config = private(&world, "orchestrator.toml", &config);
    let flags = ["--roles", "orchestrator", "--no-rtmp", "--redeemer", &process.address, "--config"];
    let node = world.start("orchestrator", &[&flags[..], &[config.to_str().unwrap()]].concat()).await;
    let books = world.path("orchestrator/ledger");
    let all = async |_: &Node| {
        let counts = Counts::of(&ledger_of(books.clone()));
        (counts.redeemed == 5).then_some(counts)
    };
    let counts = node.until("all winners paid", all).await;
    println!("{counts:?}");
    assert_eq!((counts.from_deposit, counts.from_reserve), (face * U256::from(5), U256::ZERO));
    assert_eq!((counts.expired, counts.dropped, counts.at_a_loss), (0, 0, 0));
    assert!(node.interrupt().await);
    assert!(process.running.unwrap().interrupt().await);
}

#[actix::test]
async fn a_redeemer_of_its_own_is_killed_and_pays_every_winner_once() {
    run(Trial { each: 20, promised: 1150, round_length: 400, kills: 2, limit: Duration::from_secs(150) })
        .await;
}

#[actix::test]
#[ignore = "minutes: make test-long"]
async fn a_thousand_winners_through_all_that_goes_wrong() {
    run(Trial { each: 500, promised: 1300, round_length: 700, kills: 6, limit: Duration::from_secs(700) })
        .await;
}
