//! Three orchestrators, three delegators and two gateways live through some rounds; then anybody reads what came of it, fetching
//! what a read wants until it is whole.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use lightclient::evm::{Codes, Env, EvmError};
use lightclient::livepeer::{Ask, Contracts, Hint, Part, Read, Unreadable};
use serde_json::json;

use crate::anvil::{Anvil, Proofs, packages};
use crate::deploy::{Deployed, deploy, register};

sol! {
    struct Ticket {
        address recipient;
        address sender;
        uint256 faceValue;
        uint256 winProb;
        uint256 senderNonce;
        bytes32 recipientRandHash;
        bytes auxData;
    }
    function approve(address spender, uint256 amount) external;
    function bond(uint256 amount, address to) external;
    function transcoder(uint256 rewardCut, uint256 feeShare) external;
    function reward() external;
    function unbond(uint256 amount) external;
    function claimEarnings(uint256 endRound) external;
    function initializeRound() external;
    function setServiceURI(string uri) external;
    function fundDepositAndReserve(uint256 deposit, uint256 reserve) external;
    function unlock() external;
    function redeemWinningTicket(Ticket ticket, bytes sig, uint256 recipientRand) external;

    function currentRound() external view returns (uint256);
    function blockHashForRound(uint256 round) external view returns (bytes32);
    function getDelegator(address who) external view returns (uint256);
    function pendingStake(address who, uint256 endRound) external view returns (uint256);
    function pendingFees(address who, uint256 endRound) external view returns (uint256);
    function getTranscoder(address who) external view returns (uint256);
    function getNextTranscoderInPool(address who) external view returns (address);
    function transcoderTotalStake(address who) external view returns (uint256);
    function isActiveTranscoder(address who) external view returns (bool);
    function getServiceURI(address who) external view returns (string);
    function getSenderInfo(address who) external view returns (uint256);
    function claimableReserve(address holder, address claimant) external view returns (uint256);
    function getGlobalTotalSupply() external view returns (uint256);
}

const LONG_URI: &str = "https://a-very-long-orchestrator-hostname.example.com:8935/with/a/path/that/is/longer/than/three/words/of/storage";

pub struct Stage {
    pub anvil: Anvil,
    deployed: Deployed,
}

impl Stage {
    pub fn new() -> Self {
        let place = packages();
        let anvil = Anvil::start(&place);
        let deployed = deploy(&anvil, &place);
        Self { anvil, deployed }
    }

    pub fn contracts(&self) -> &Contracts {
        &self.deployed.contracts
    }

    pub fn who(&self, i: usize) -> Address {
        self.anvil.accounts[i]
    }

    pub fn stake(&self, call: &impl SolCall, i: usize) {
        self.anvil.call(self.who(i), self.contracts().bonding_manager, call);
    }

    fn bond(&self, i: usize, lpt: u64, to: usize) {
        let amount = U256::from(lpt) * U256::from(10u64).pow(U256::from(18)) + U256::from(7919 * i);
        let approve = approveCall { spender: self.contracts().bonding_manager, amount };
        self.anvil.call(self.who(i), self.deployed.token, &approve);
        self.stake(&bondCall { amount, to: self.who(to) }, i);
    }

    pub fn next_round(&self) {
        let into = self.anvil.head().number % 50;
        self.anvil.mine(50 - into);
        self.anvil.call(self.who(0), self.contracts().rounds_manager, &initializeRoundCall {});
    }

    /// A ticket that always wins, signed by its sender and redeemed by its recipient.
    fn redeem(&self, sender: usize, recipient: usize, face: U256, nonce: u64) {
        let head = self.anvil.head().number;
        let view = |call: Vec<u8>| {
            self.anvil.eth_call(head, self.who(0), self.contracts().rounds_manager, &call).unwrap()
        };
        let round = U256::from_be_slice(&view(currentRoundCall {}.abi_encode()));
        let hash = B256::from_slice(&view(blockHashForRoundCall { round }.abi_encode()));
        let random = U256::from(nonce);
        let ticket = Ticket {
            recipient: self.who(recipient),
            sender: self.who(sender),
            faceValue: face,
            winProb: U256::MAX,
            senderNonce: U256::from(nonce),
            recipientRandHash: keccak256(random.to_be_bytes::<32>()),
            auxData: (round, hash).abi_encode().into(),
        };
        let packed = (
            (ticket.recipient, ticket.sender, ticket.faceValue, ticket.winProb),
            (ticket.senderNonce, ticket.recipientRandHash, ticket.auxData.clone()),
        );
        let packed = [packed.0.abi_encode_packed(), packed.1.abi_encode_packed()].concat();
        let signed = self.anvil.rpc("eth_sign", &json!([ticket.sender, keccak256(packed)])).unwrap();
        let sig: Bytes = signed.as_str().unwrap().parse().unwrap();
        let redeem = redeemWinningTicketCall { ticket, sig, recipientRand: random };
        self.anvil.call(self.who(recipient), self.contracts().ticket_broker, &redeem);
    }

    /// Registers three orchestrators with three delegators and two gateways, and lives through some rounds.
    pub fn play(&self) {
        let eth = |milli: u64| U256::from(milli) * U256::from(10u64).pow(U256::from(15));
        let c = self.contracts();
        self.next_round();
        for (i, lpt, reward_cut, fee_share) in
            [(1, 9_000, 100_000, 500_000), (2, 5_000, 333_333, 666_667), (3, 700, 0, 1_000_000)]
        {
            self.bond(i, lpt, i);
            let cuts = transcoderCall { rewardCut: U256::from(reward_cut), feeShare: U256::from(fee_share) };
            self.stake(&cuts, i);
        }
        self.bond(4, 3_000, 1);
        self.bond(5, 12_345, 2);
        self.bond(10, 2_500, 1);
        let uri = |i, uri: &str| {
            self.anvil.call(self.who(i), c.service_registry, &setServiceURICall { uri: uri.to_owned() });
        };
        uri(1, "https://o1.example:8935");
        uri(2, LONG_URI);
        for (i, deposit, reserve) in [(6, eth(500), eth(3_000)), (7, eth(20), eth(900))] {
            let fund = fundDepositAndReserveCall { deposit, reserve };
            self.anvil.send(self.who(i), Some(c.ticket_broker), &fund.abi_encode(), deposit + reserve);
        }
        for round in 0..4 {
            self.next_round();
            self.stake(&rewardCall {}, 1);
            if round != 1 {
                self.stake(&rewardCall {}, 2);
            }
            self.redeem(6, 1, eth(100 + round), 10 + round);
            self.redeem(6, 2, eth(33), 20 + round);
        }
        self.redeem(7, 1, eth(200), 30); // more than the deposit: the rest comes from the reserve
        self.stake(&unbondCall { amount: eth(1_500_000) }, 4);
        self.stake(&claimEarningsCall { endRound: U256::ZERO }, 5);
        self.anvil.call(self.who(7), c.ticket_broker, &unlockCall {});
        self.bond(8, 6_000, 8); // in the pool, not yet active
    }

    /// Puts the same code at another address behind a proxy.
    pub fn upgrade(&self, part: Part) {
        let target = self.contracts().targets_of(part).find_map(|target| target.address).unwrap();
        let copy = self.anvil.copy(target);
        register(&self.anvil, self.contracts().controller, part.target().unwrap(), copy);
    }

    /// From now on a target is known by its code, wherever it lies.
    pub fn know_by_code(&mut self, part: Part) {
        for target in self.deployed.contracts.targets.iter_mut().filter(|target| target.part == part) {
            target.address = None;
        }
    }

    pub fn env(&self, proofs: &Proofs<'_>) -> Env {
        // This chain's own block number stands for the L1 number of an Arbitrum header.
        Env {
            chain_id: 31337,
            number: proofs.header.number,
            timestamp: proofs.header.timestamp,
            block_hash: None,
        }
    }

    pub fn read(&self, proofs: &mut Proofs<'_>, ask: &Ask) -> Read {
        proofs.fetch(&ask.keys(self.contracts(), &Hint::default()));
        for _ in 0..12 {
            match ask.read(proofs, self.contracts(), proofs.header.number) {
                Ok(read) => return read,
                Err(Unreadable::Wanted(keys)) => proofs.fetch(&keys),
                Err(error) => panic!("{ask:?}: {error}"),
            }
        }
        panic!("{ask:?} never ends")
    }

    /// Runs until nothing is wanted any more.
    pub fn evm<T>(
        &self,
        proofs: &mut Proofs<'_>,
        codes: &mut Codes,
        mut run: impl FnMut(&Proofs<'_>, &Codes) -> Result<T, EvmError>,
    ) -> Result<T, EvmError> {
        for _ in 0..60 {
            match run(proofs, codes) {
                Err(EvmError::Wanted(wanted)) => {
                    proofs.fetch(&wanted.keys);
                    for (hash, holder) in wanted.codes {
                        assert_eq!(codes.insert(self.anvil.code(holder)), hash);
                    }
                }
                done => return done,
            }
        }
        panic!("never ends")
    }
}
