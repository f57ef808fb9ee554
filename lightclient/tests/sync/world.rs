//! A forged L1 with a rollup contract in its state, and an L2 with contracts of its own: real tries, real
//! headers, real logs, real signatures; and sources that serve it as far as it has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolEvent;
use async_trait::async_trait;
use lightclient::arbitrum::{Assertion, Rollup};
use lightclient::exec::ExecHeader;
use lightclient::exec::proof::AccountProof;
use lightclient::guard::IMPLEMENTATION;
use lightclient::source::{Answer, Ask, At, BeaconClaim, Fault, Form, Layer, Log, Source, SourceError};
use lightclient::state::Keys;
use lightclient::sync::{Checkpoint, Clock, Config, Trust};
use tokio::time::Instant;

use super::forge::Forge;
use super::tries;

#[allow(clippy::too_many_arguments, reason = "made by a macro from the contract's own words")]
mod abi {
    alloy_sol_types::sol! {
        #[derive(Default)]
        struct GlobalState { bytes32[2] bytes32Vals; uint64[2] u64Vals; }
        #[derive(Default)]
        struct AssertionState { GlobalState globalState; uint8 machineStatus; bytes32 endHistoryRoot; }
        #[derive(Default)]
        struct ConfigData {
            bytes32 wasmModuleRoot; uint256 requiredStake; address challengeManager; uint64 confirmPeriodBlocks;
            uint64 nextInboxPosition;
        }
        #[derive(Default)]
        struct BeforeStateData { bytes32 prevPrevAssertionHash; bytes32 sequencerBatchAcc; ConfigData configData; }
        #[derive(Default)]
        struct AssertionInputs { BeforeStateData beforeStateData; AssertionState beforeState; AssertionState afterState; }
        #[derive(Default)]
        event AssertionCreated(
            bytes32 indexed assertionHash, bytes32 indexed parentAssertionHash, AssertionInputs assertion,
            bytes32 afterInboxBatchAcc, uint256 inboxMaxCount, bytes32 wasmModuleRoot, uint256 requiredStake,
            address challengeManager, uint64 confirmPeriodBlocks
        );
    }
}

/// The rollup on L1.
pub(crate) const ROLLUP: Address = Address::repeat_byte(0x4d);
/// A contract on L2.
pub(crate) const CONTRACT: Address = Address::repeat_byte(0x35);

pub(crate) fn slot(n: u64) -> B256 {
    B256::from(U256::from(n))
}

/// A block of L2: its header, and the state under it.
struct L2Block {
    raw: Bytes,
    header: ExecHeader,
    state: tries::World,
}

struct Made {
    assertion: Assertion,
    log: Log,
    /// L1 block of its creation, which is also a slot.
    created: u64,
    first_child: u64,
    second_child: u64,
    confirmed: bool,
}

/// Both chains. L1 blocks have their slot as number.
pub(crate) struct World {
    pub(crate) forge: Forge,
    pub(crate) rollup: Rollup,
    l1: BTreeMap<u64, tries::World>,
    l2: Vec<L2Block>,
    made: Vec<Made>,
    confirmed: usize,
    /// Slot of the newest block that sources show.
    pub(crate) head: u64,
    /// Since when the head moves with time.
    alive: Option<(Instant, u64)>,
}

fn nitro(number: u64, state_root: B256, l1_block: u64) -> Bytes {
    let send_root = keccak256(number.to_be_bytes());
    let mix = [&number.to_be_bytes()[..], &l1_block.to_be_bytes(), &32_u64.to_be_bytes(), &[0; 8]].concat();
    let int = |value: u64| alloy_rlp::encode(value);
    let text = |bytes: &[u8]| alloy_rlp::encode(bytes);
    let fields = [
        text(&[1; 32]),
        text(&[2; 32]),
        text(&[3; 20]),
        text(state_root.as_slice()),
        text(&[4; 32]),
        text(&[5; 32]),
        text(&[0; 256]),
        int(1),
        int(number),
        int(1 << 50),
        int(21_000),
        int(1_700_000_000 + number),
        text(send_root.as_slice()),
        text(&mix),
        text(&[0; 8]),
        int(100_000_000),
    ]
    .concat();
    let mut raw = Vec::new();
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut raw);
    raw.extend(fields);
    raw.into()
}

impl World {
    /// L2 block 100 is confirmed, made in L1 block 9.
    pub(crate) fn new() -> Self {
        let rollup = Rollup::new(412_346, ROLLUP, 50).with_pins();
        let mut world = Self {
            forge: Forge::new(6000),
            rollup,
            l1: BTreeMap::new(),
            l2: Vec::new(),
            made: Vec::new(),
            confirmed: 0,
            head: 47,
            alive: None,
        };
        world.assert(9);
        world.made[0].confirmed = true;
        world.write(0);
        world
    }

    /// A new L2 block and the assertion that commits to it, made in this L1 block. [`Self::write`] puts it
    /// into L1 state.
    pub(crate) fn assert(&mut self, created: u64) -> usize {
        let number = 100 + 10 * self.l2.len() as u64;
        let mut state = tries::World::crowded(40);
        state.set(CONTRACT, slot(1), U256::from(number));
        (2..60).for_each(|n| state.set(CONTRACT, slot(n), U256::from(n)));
        let (root, _) = state.answers(&Keys::new());
        let raw = nitro(number, root, created);
        let header = ExecHeader::decode(&raw).unwrap();
        let parent = self.made.last().map_or(B256::ZERO, |made| made.assertion.hash());
        let assertion = Assertion {
            parent,
            block_hash: header.hash,
            send_root: header.nitro().unwrap().send_root,
            inbox_position: number,
            position_in_message: 0,
            end_history_root: B256::ZERO,
            inbox_acc: B256::repeat_byte(9),
        };
        if let Some(last) = self.made.last_mut() {
            last.first_child = created;
        }
        self.l2.push(L2Block { raw, header, state });
        self.made.push(Made {
            assertion,
            log: log(&assertion, created),
            created,
            first_child: 0,
            second_child: 0,
            confirmed: false,
        });
        self.made.len() - 1
    }

    pub(crate) fn challenge(&mut self, parent: usize, at: u64) {
        self.made[parent].second_child = at;
    }

    /// Writes the rollup's storage as it is from this slot on.
    pub(crate) fn write(&mut self, from: u64) {
        self.write_with(from, 1);
    }

    /// The same, with another implementation behind the proxy.
    pub(crate) fn write_with(&mut self, from: u64, implementation: u64) {
        let mut state = tries::World::crowded(30);
        state.set(ROLLUP, IMPLEMENTATION, U256::from(implementation));
        state.set(ROLLUP, lightclient::guard::SECONDARY, U256::from(2));
        let latest = U256::from_be_bytes(self.made[self.confirmed].assertion.hash().0);
        state.set(ROLLUP, self.rollup.latest_confirmed_slot(), latest);
        for made in &self.made {
            let mut word = [0; 32];
            word[6] = if made.confirmed { 2 } else { 1 };
            word[7] = 1;
            word[8..16].copy_from_slice(&made.created.to_be_bytes());
            word[16..24].copy_from_slice(&made.second_child.to_be_bytes());
            word[24..32].copy_from_slice(&made.first_child.to_be_bytes());
            state.set(ROLLUP, self.rollup.assertion_slot(made.assertion.hash()), U256::from_be_bytes(word));
        }
        self.forge.state_roots.insert(from, state.answers(&Keys::new()).0);
        self.l1.insert(from, state);
    }

    pub(crate) fn config(&self) -> Config {
        let trust = Trust::Given(Checkpoint { root: self.forge.header(8).root(), slot: Some(8) });
        let mut config = Config::new(self.forge.spec.clone(), trust);
        config.rollup = Some(self.rollup.clone());
        config.clock = Clock::set_to(self.forge.time_at(self.head + 1));
        config
    }

    /// From now on the head moves with time.
    pub(crate) fn live(&mut self) {
        self.alive = Some((Instant::now(), self.head));
    }

    fn answer(&mut self, ask: &Ask) -> Option<Answer> {
        if let Some((since, head)) = self.alive {
            self.head = head + since.elapsed().as_millis() as u64 / self.forge.spec.slot_ms;
        }
        let claim = |bytes: Vec<u8>| BeaconClaim {
            form: Form::Ssz { fork: "electra".to_owned() },
            bytes: bytes.into(),
        };
        match ask {
            Ask::Bootstrap { root } => {
                let slot = (8..=self.head).find(|slot| self.forge.header(*slot).root() == *root)?;
                Some(Answer::Bootstrap(claim(self.forge.bootstrap(slot).encode_ssz())))
            }
            Ask::Update { period } if Forge::update_slot(*period) <= self.head => {
                Some(Answer::Update(claim(self.forge.update(*period).encode_ssz())))
            }
            Ask::Finality => Some(Answer::Finality(claim(self.forge.finality(self.head).encode_ssz()))),
            Ask::Optimistic => Some(Answer::Optimistic(claim(self.forge.optimistic(self.head).encode_ssz()))),
            Ask::Header { layer: Layer::L2, hash } => self
                .l2
                .iter()
                .find(|block| block.header.hash == *hash)
                .map(|block| Answer::Header(block.raw.clone())),
            Ask::HeaderAt { layer: Layer::L2, at } => {
                let wanted = |block: &&L2Block| *at == At::Latest || *at == At::Number(block.header.number);
                self.l2.iter().rev().find(wanted).map(|block| Answer::Header(block.raw.clone()))
            }
            Ask::Proof { layer: Layer::L1, block, keys } => {
                self.l1.range(..=block.number).next_back().map(|(_, state)| proof(state, keys))
            }
            Ask::Proof { layer: Layer::L2, block, keys } => self
                .l2
                .iter()
                .find(|known| known.header.hash == block.hash)
                .map(|known| proof(&known.state, keys)),
            Ask::Assertions { from_block, to_block, hashes, .. } => {
                let wanted = |made: &&Made| {
                    (*from_block..=*to_block).contains(&made.created)
                        && (hashes.is_empty() || hashes.contains(&made.assertion.hash()))
                };
                Some(Answer::Assertions(
                    self.made.iter().filter(wanted).map(|made| made.log.clone()).collect(),
                ))
            }
            // The tries' accounts have the hash of their address as code hash.
            Ask::Code { address, .. } => Some(Answer::Code(Bytes::copy_from_slice(address.as_slice()))),
            _ => None,
        }
    }
}

fn proof(state: &tries::World, keys: &Keys) -> Answer {
    let (_, answers) = state.answers(keys);
    let nodes = |answer: AccountProof| {
        answer.nodes.into_iter().chain(answer.slots.into_iter().flat_map(|slot| slot.nodes))
    };
    Answer::Proof(answers.into_iter().flat_map(nodes).collect())
}

fn log(assertion: &Assertion, created: u64) -> Log {
    let mut event = abi::AssertionCreated {
        assertionHash: assertion.hash(),
        parentAssertionHash: assertion.parent,
        afterInboxBatchAcc: assertion.inbox_acc,
        ..Default::default()
    };
    event.assertion.afterState.globalState = abi::GlobalState {
        bytes32Vals: [assertion.block_hash, assertion.send_root],
        u64Vals: [assertion.inbox_position, assertion.position_in_message],
    };
    event.assertion.afterState.machineStatus = 1;
    let topics = event.encode_topics().into_iter().map(|topic| topic.0).collect();
    Log { address: ROLLUP, topics, data: event.encode_data().into(), block_number: created }
}

/// A log that hangs together, of an assertion with the same parent that nobody made.
pub(crate) fn invented(log: &Log) -> Log {
    let assertion = Assertion::from_log(&log.topics, &log.data).unwrap();
    self::log(&Assertion { inbox_acc: B256::repeat_byte(0xbd), ..assertion }, log.block_number)
}

type Twist = dyn Fn(&Ask, Option<Answer>) -> Option<Answer> + Send + Sync;

/// Serves a world.
pub(crate) struct Server {
    name: &'static str,
    world: Arc<Mutex<World>>,
    twist: Box<Twist>,
    after: Duration,
    asked: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Server {
    pub(crate) fn honest(name: &'static str, world: &Arc<Mutex<World>>) -> Arc<Self> {
        let (world, twist) = (Arc::clone(world), Box::new(|_: &Ask, answer| answer));
        Arc::new(Self { name, world, twist, after: Duration::from_millis(10), asked: Mutex::default() })
    }

    /// Faster than an honest one.
    pub(crate) fn twisted(
        name: &'static str,
        world: &Arc<Mutex<World>>,
        twist: impl Fn(&Ask, Option<Answer>) -> Option<Answer> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let world = Arc::clone(world);
        Arc::new(Self {
            name,
            world,
            twist: Box::new(twist),
            after: Duration::from_millis(1),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self, words: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|ask| ask.contains(words)).count()
    }
}

#[async_trait]
impl Source for Server {
    fn name(&self) -> &str {
        self.name
    }

    fn can(&self, ask: &Ask) -> bool {
        !matches!(ask, Ask::Bundle { .. })
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        self.asked.lock().unwrap().push(ask.to_string());
        tokio::time::sleep(self.after).await;
        let honest = self.world.lock().unwrap().answer(ask);
        let fault =
            || SourceError { by: self.name.into(), fault: Fault::NotHere("nothing of the kind".to_owned()) };
        (self.twist)(ask, honest).ok_or_else(fault)
    }
}
