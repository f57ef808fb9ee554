//! Winning tickets on Livepeer's genuine contracts (February 2022): planned by the redeemer out of proven storage, redeemed by the
//! wallet alone and in a batch, paid from deposit and reserve, shared with delegators; every amount against LIP-36's formulas over
//! what the contracts themselves say was there before.

use std::time::Duration;

use actors::ports::redeemer::{Order, Settled, Situation};
use actors::redeemer::core::{Config, Core, Effect};
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, sol};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption, Winner};
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{Ticket, rand_hash};
use protocol::{Round, Wei};
use serde_json::json;
use wallet::{Call, Intent, Settings, Until, Wallet};

use crate::anvil::Proofs;
use crate::stage::{
    Stage, blockHashForRoundCall, currentRoundCall, fundDepositAndReserveCall, getDelegatorCall,
    getTranscoderCall, pendingFeesCall, rewardCall,
};

#[path = "../../src/adapters/redeemer/calldata.rs"]
mod calldata;
#[path = "../../src/adapters/redeemer/paid.rs"]
mod paid;
#[path = "../../src/adapters/redeemer/situation.rs"]
mod situation;

sol! {
    function getTranscoderEarningsPoolForRound(address transcoder, uint256 round) external view returns (uint256);
    function withdrawFees(address recipient, uint256 amount) external;
}

/// Wei of a ticket; no share of it is whole.
const FACE: u64 = 13_000_000_000_000_007;

/// What the tickets are for, and who pays and plans.
struct Payments {
    stage: Stage,
    runtime: tokio::runtime::Runtime,
    key: TicketKey,
    gas: Wallet,
    core: Core,
    ledger: Vec<Entry>,
    orchestrator: Address,
    nonce: u64,
    _dir: tempfile::TempDir,
}

impl Payments {
    /// An orchestrator whose rewards were called in this round and the one before, and a sender with a deposit and a reserve.
    fn start(deposit: U256, reserve: U256) -> Self {
        let stage = Stage::new();
        stage.play();
        stage.next_round();
        stage.stake(&rewardCall {}, 1);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ether = U256::from(10u64).pow(U256::from(18));
        let open = |secret: [u8; 32]| {
            let signer: PrivateKeySigner = PrivateKeySigner::from_bytes(&secret.into()).unwrap();
            let (who, rich) = (signer.address(), U256::from(100) * ether);
            stage.anvil.rpc("anvil_setBalance", &json!([who, rich])).unwrap();
            let settings = Settings { agree: 1, poll: Duration::from_millis(20), ..Settings::default() };
            let dir = dir.path().join(who.to_string());
            let url = vec![stage.anvil.url.parse().unwrap()];
            Wallet::open(&dir, 31337, signer.into(), url, None, settings).unwrap()
        };
        let (sender, gas) = (open([7; 32]), open([8; 32]));
        let fund = fundDepositAndReserveCall { deposit, reserve };
        let call = Call {
            to: stage.contracts().ticket_broker,
            value: deposit + reserve,
            data: fund.abi_encode().into(),
            gas_limit: None,
        };
        let orchestrator = stage.who(1);
        let core = Core::recover(Config::default(), Vec::new(), &[]).0;
        let key = TicketKey::from_bytes(&[7; 32]).unwrap();
        let payments =
            Self { stage, runtime, key, gas, core, ledger: Vec::new(), orchestrator, nonce: 0, _dir: dir };
        payments.send(&sender, "fund", call);
        payments
    }

    fn send(&self, wallet: &Wallet, key: &str, call: Call) -> B256 {
        let intent = Intent { key: key.into(), call, what: key.into(), max_cost: None };
        self.runtime.block_on(async {
            let id = wallet.send(intent).await.unwrap();
            let outcome = wallet.wait(id, Until::Sequenced).await.unwrap();
            assert!(outcome.success, "{key}");
            outcome.hash
        })
    }

    /// The words that a contract answers.
    fn ask(&self, contract: Address, call: &impl SolCall) -> Vec<U256> {
        let head = self.stage.anvil.head().number;
        let said = self.stage.anvil.eth_call(head, self.orchestrator, contract, &call.abi_encode()).unwrap();
        said.chunks(32).map(U256::from_be_slice).collect()
    }

    fn round(&self) -> U256 {
        self.ask(self.stage.contracts().rounds_manager, &currentRoundCall {})[0]
    }

    /// Tickets that win, of this round, whose parameters have ended.
    fn win(&mut self, count: u64) -> Vec<Winner> {
        let (rounds, round) = (self.stage.contracts().rounds_manager, self.round());
        let hash = B256::from(self.ask(rounds, &blockHashForRoundCall { round })[0]);
        let winners: Vec<Winner> = (0..count).map(|_| self.winner(Round::from_word(round), hash)).collect();
        for winner in &winners {
            let effects = self.core.on_winner(0, winner.clone());
            assert_eq!(self.act(effects), [], "nothing is ordered before the chain is looked at");
        }
        winners
    }

    fn winner(&mut self, round: Round, hash: B256) -> Winner {
        self.nonce += 1;
        let recipient_rand = U256::from(self.nonce);
        let ticket = Ticket {
            recipient: self.orchestrator,
            sender: self.key.address(),
            face_value: U256::from(FACE),
            win_prob: U256::MAX,
            sender_nonce: U256::from(self.nonce),
            recipient_rand_hash: rand_hash(recipient_rand),
            aux_data: Ticket::aux(round, hash),
        };
        Winner {
            session: SessionId([1; 16]),
            signature: self.key.sign(&ticket),
            ticket,
            recipient_rand,
            expiration_block: self.stage.anvil.head().number - 1,
            creation_round: round,
            credited: true,
            at_ms: 0,
        }
    }

    /// What is proven at the newest block; this chain's own numbers stand for Ethereum's.
    fn situation(&self) -> Option<Situation> {
        let ask = self.core.ask()?;
        let mut proofs = Proofs::of(&self.stage.anvil);
        let contracts = self.stage.contracts();
        proofs.fetch(&situation::keys(contracts, self.orchestrator, &ask));
        let number = proofs.header.number;
        let block = situation::Block { number, l1_block: number, base_fee: 1_000_000 };
        for _ in 0..4 {
            match situation::read(&proofs, block, contracts, self.orchestrator, &ask) {
                Ok(situation) => return Some(situation),
                Err(lightclient::livepeer::Unreadable::Wanted(keys)) => proofs.fetch(&keys),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("more is wanted without end")
    }

    fn plan(&mut self) -> Vec<Order> {
        let Some(situation) = self.situation() else { return Vec::new() };
        let effects = self.core.on_situation(0, &situation);
        self.act(effects)
    }

    fn act(&mut self, effects: Vec<Effect>) -> Vec<Order> {
        let mut orders = Vec::new();
        for effect in effects {
            match effect {
                Effect::Write(entries) => self.ledger.extend(entries),
                Effect::Redeem(order) => orders.push(order),
                Effect::Follow(order) => panic!("nothing was signed before: {order:?}"),
            }
        }
        orders
    }

    /// Sends an order and reads from the contracts' events what it paid.
    fn redeem(&mut self, order: &Order) {
        let broker = self.stage.contracts().ticket_broker;
        let data = calldata::redeem(&order.winners).into();
        let call = Call { to: broker, value: U256::ZERO, data, gas_limit: None };
        let transaction = self.send(&self.gas, &order.name(), call);
        let receipt = self.stage.anvil.rpc("eth_getTransactionReceipt", &json!([transaction])).unwrap();
        let number = |name: &str| receipt[name].as_str().unwrap().parse::<U256>().unwrap();
        let gas = Wei(number("gasUsed") * number("effectiveGasPrice"));
        println!("{} tickets: {} gas", order.winners.len(), number("gasUsed"));
        let paid = paid::paid(&receipt, broker, &order.winners);
        let settled = Settled { transaction, block: number("blockNumber").to(), gas, paid };
        let effects = self.core.on_ended(0, 0, order, Ok(settled));
        assert_eq!(self.act(effects), []);
    }

    /// What the ledger says that tickets brought, from deposit and reserve.
    fn brought(&self) -> Vec<(U256, U256)> {
        let redeemed = |entry: &Entry| match entry {
            Entry::Redemption { step: Redemption::Redeemed { from_deposit, from_reserve, .. }, .. } => {
                Some((from_deposit.0, from_reserve.0))
            }
            _ => None,
        };
        self.ledger.iter().filter_map(redeemed).collect()
    }

    fn pending_fees(&self, who: Address) -> U256 {
        let end = pendingFeesCall { who, endRound: self.round() };
        self.ask(self.stage.contracts().bonding_manager, &end)[0]
    }
}

/// `PreciseMathUtils.percOf`: two floors, 10^27 points.
fn part(amount: U256, of: U256, all: U256) -> U256 {
    let whole = U256::from(10).pow(U256::from(27));
    amount * (of * whole / all) / whole
}

/// What fees of tickets add to somebody's pending fees, by what the contracts say before they are paid.
struct Formula {
    stake: U256,
    share: U256,
    active: U256,
    before: U256,
    bonded: U256,
    start: U256,
    owner: bool,
}

impl Formula {
    fn of(payments: &Payments, who: Address) -> Self {
        let bonding = payments.stage.contracts().bonding_manager;
        let (round, transcoder) = (payments.round(), payments.orchestrator);
        let pool =
            |round| payments.ask(bonding, &getTranscoderEarningsPoolForRoundCall { transcoder, round });
        let held = payments.ask(bonding, &getDelegatorCall { who });
        let (bonded, claimed) = (held[0], held[5]);
        assert!(claimed < round);
        let start = match pool(claimed)[3] {
            zero if zero.is_zero() => U256::from(10).pow(U256::from(27)),
            factor => factor,
        };
        Self {
            stake: pool(round)[0],
            share: pool(round)[2],
            active: payments.ask(bonding, &getTranscoderCall { who: transcoder })[6],
            before: pool(round - U256::ONE)[3],
            bonded,
            start,
            owner: who == transcoder,
        }
    }

    /// Fee factors add up ticket by ticket, and only their sum is shared; so the floors are where the contracts have them.
    fn adds(&self, factor_before: U256, start_factor: U256, fees: &[U256]) -> U256 {
        let shared = |fee: &U256| *fee * self.share / U256::from(1_000_000);
        let grown: U256 = fees.iter().map(|fee| part(self.before, shared(fee), self.stake)).sum();
        let own: U256 =
            fees.iter().map(|fee| part(shared(fee), self.active, self.stake) + (*fee - shared(fee))).sum();
        let earned = part(self.bonded, factor_before + grown - start_factor, self.start)
            - part(self.bonded, factor_before - start_factor, self.start);
        earned + if self.owner { own } else { U256::ZERO }
    }
}

#[test]
#[ignore = "installs anvil and the contracts from npm: make test-contracts"]
fn genuine_contracts_pay_winners_alone_and_in_a_batch_to_the_wei() {
    let face = U256::from(FACE);
    // Seven tickets and a half from the deposit; a quarter of the reserve, which four share, pays the rest of the eighth.
    let (deposit, reserve) = (face * U256::from(15) / U256::from(2), face * U256::from(4));
    let mut payments = Payments::start(deposit, reserve);
    let (bonding, round) = (payments.stage.contracts().bonding_manager, payments.round());
    let people = [payments.orchestrator, payments.stage.who(4), payments.stage.who(10)];
    let fees_before = people.map(|who| payments.pending_fees(who));
    let formulas = people.map(|who| Formula::of(&payments, who));
    let pool = |payments: &Payments, round| {
        let transcoder = payments.orchestrator;
        payments.ask(bonding, &getTranscoderEarningsPoolForRoundCall { transcoder, round })
    };
    let starts = people.map(|who| {
        let claimed = payments.ask(bonding, &getDelegatorCall { who })[5];
        pool(&payments, claimed)[4]
    });
    let factor = match pool(&payments, round)[4] {
        zero if zero.is_zero() => pool(&payments, round - U256::ONE)[4],
        factor => factor,
    };

    payments.win(1);
    let alone = payments.plan();
    assert_eq!(alone.iter().map(|order| order.winners.len()).collect::<Vec<_>>(), [1]);
    payments.redeem(&alone[0]);
    assert_eq!(payments.plan(), []);

    // One of six is redeemed by somebody else before the batch is in a block: the batch pays five and says nothing of it.
    let six = payments.win(6);
    let batch = payments.plan();
    assert_eq!(batch.iter().map(|order| order.winners.len()).collect::<Vec<_>>(), [6]);
    let (stranger, broker) = (payments.stage.who(9), payments.stage.contracts().ticket_broker);
    payments.stage.anvil.send(stranger, Some(broker), &calldata::redeem(&six[2..3]), U256::ZERO);
    payments.redeem(&batch[0]);
    assert_eq!(payments.brought().len(), 6);
    assert_eq!(payments.plan(), [], "what is proven to be used is not sent again");
    let dropped = payments.ledger.iter().filter(|entry| {
        matches!(entry, Entry::Redemption { step: Redemption::Dropped { reason }, .. } if reason.contains("used"))
    });
    assert_eq!(dropped.count(), 1);

    payments.win(1);
    let last = payments.plan();
    assert_eq!(last.len(), 1);
    payments.redeem(&last[0]);
    let brought = payments.brought();
    let half = face - (deposit - face * U256::from(7));
    assert_eq!(brought[..6], vec![(face, U256::ZERO); 6]);
    assert_eq!(brought[6], (face - half, half), "the rest of it from the reserve");
    assert_eq!(payments.round(), round);

    // The ninth would be paid by the reserve's share alone, which has half a ticket left: it is kept.
    payments.win(1);
    let situation = payments.situation().unwrap();
    let left = &situation.senders[&payments.key.address()];
    assert_eq!((left.deposit, left.reserve), (Wei(U256::ZERO), Wei(reserve - half)), "to the wei");
    assert_eq!(left.claimed_by_me, Wei(half));
    assert_eq!(payments.plan(), []);

    let fees = vec![face; 8];
    for ((who, formula), (before, start)) in people.iter().zip(&formulas).zip(fees_before.iter().zip(starts))
    {
        let added = formula.adds(factor, start, &fees);
        let now = payments.pending_fees(*who);
        println!("{who}: {before} -> {now} wei of fees");
        assert_eq!(now, *before + added, "{who}");
        assert!(!added.is_zero());
    }
    // And they are ether.
    let (delegator, purse) = (people[1], Address::repeat_byte(0x77));
    let amount = payments.pending_fees(delegator);
    let withdraw = withdrawFeesCall { recipient: purse, amount };
    payments.stage.anvil.call(delegator, bonding, &withdraw);
    let holds = payments.stage.anvil.rpc("eth_getBalance", &json!([purse, "latest"])).unwrap();
    assert_eq!(holds.as_str().unwrap().parse::<U256>().unwrap(), amount);
}
