//! Whatever anybody does in whatever order: no LPT and no ether comes from nowhere or gets lost, what the Minter holds covers
//! what it owes, the pool stays in order, what is refused changes nothing, and nothing panics.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U256};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;
use protocol::chain::call::{Action, Bonding, Broker, Governor, Minter, Polls, Redemption, Rounds, Token};
use protocol::chain::{Call, Chain, Event, Genesis, Head, governor::proposal_id};
use protocol::pool::Hint;
use protocol::tickets::{Ticket, rand_hash};

/// Few accounts, so that they meet: zero to two are orchestrators by nature, the last two pay.
const ACCOUNTS: u8 = 8;
const LENGTH: u64 = 10;

fn unit() -> U256 {
    U256::from(10).pow(U256::from(18))
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_slice(&[n + 1; 32]).unwrap()
}

struct World {
    chain: Chain,
    accounts: Vec<(SigningKey, Address)>,
    minted: U256,
    redeemed: u64,
    applied: u64,
    refused: u64,
    spent: Duration,
}

/// One random step: what, who, with whom, how much.
type Step = (u8, u8, u8, u16, u8);

impl World {
    fn new() -> Self {
        let accounts: Vec<_> = (0..ACCOUNTS)
            .map(|n| {
                let key = key(n);
                let point = key.verifying_key().to_encoded_point(false);
                (key, Address::from_raw_public_key(&point.as_bytes()[1..]))
            })
            .collect();
        let each =
            |amount: u64| accounts.iter().map(|(_, who)| (*who, U256::from(amount) * unit())).collect();
        let mut genesis = Genesis {
            round_length: LENGTH,
            unbonding_period: 2,
            num_active_transcoders: U256::from(2),
            treasury_balance_ceiling: U256::from(1_000) * unit(),
            lpt: each(100_000),
            eth: each(1_000),
            ..Genesis::default()
        };
        // As the live contracts could be, if governance wanted: somebody may slash, and the Minter may burn.
        genesis.addresses.verifier = accounts[0].1;
        genesis.inflation.rate = U256::from(50_000_000);
        let mut chain = Chain::new(&genesis, Head::default()).unwrap();
        chain.token.minter_may_burn.set(true);
        for (_, who) in &accounts {
            let approve = Call::Token(Token::Approve(genesis.addresses.bonding_manager, U256::MAX));
            chain.apply(*who, U256::ZERO, approve).unwrap();
        }
        let mut world = Self {
            chain,
            accounts,
            minted: U256::ZERO,
            redeemed: 0,
            applied: 0,
            refused: 0,
            spent: Duration::ZERO,
        };
        world.next_round(true);
        world
    }

    fn who(&self, n: u8) -> Address {
        self.accounts[usize::from(n % ACCOUNTS)].1
    }

    fn next_round(&mut self, initialize: bool) {
        let number = (self.chain.head().number / LENGTH + 1) * LENGTH;
        self.chain.advance(Head { number, parent_hash: B256::repeat_byte(7), timestamp: number * 12 });
        if initialize {
            self.apply(Address::ZERO, U256::ZERO, Call::Rounds(Rounds::InitializeRound));
        }
    }

    fn apply(&mut self, from: Address, value: U256, call: Call) {
        let supply = *self.chain.token.total_supply;
        let start = Instant::now();
        let done = self.chain.apply(from, value, call);
        self.spent += start.elapsed();
        match done {
            Ok(receipt) => {
                self.applied += 1;
                let sum = |pick: fn(&Event) -> Option<U256>| {
                    receipt.events.iter().filter_map(|log| pick(&log.event)).fold(U256::ZERO, |a, b| a + b)
                };
                let made = sum(|e| if let Event::Mint { amount, .. } = e { Some(*amount) } else { None });
                let burned = sum(|e| if let Event::Burn { amount, .. } = e { Some(*amount) } else { None });
                assert_eq!(supply + made - burned, *self.chain.token.total_supply);
                self.minted += made;
            }
            Err(_) => self.refused += 1,
        }
    }

    fn step(&mut self, (what, a, b, amount, c): Step) {
        let (from, to) = (self.who(a), self.who(b));
        // Often round, sometimes odd, sometimes absurd.
        let n = match c % 16 {
            0 => U256::MAX,
            1 => U256::from(amount),
            2 => U256::ZERO,
            _ => U256::from(amount) * unit() / U256::from(7),
        };
        let hint = Hint { prev: self.who(c), next: self.who(c.wrapping_add(a)) };
        let lock = U256::from(amount % 3);
        let bonding = |call| Call::Bonding(call);
        let call = match what % 32 {
            0..=2 => return self.next_round(true),
            3 => return self.next_round(!c.is_multiple_of(4)),
            4 | 5 => bonding(Bonding::Bond(n, from, hint, hint)),
            6..=8 => bonding(Bonding::Bond(n, self.who(b % 3), hint, hint)),
            9 => bonding(Bonding::BondFor(n, to, self.who(c), hint, hint)),
            10 => bonding(Bonding::Unbond(n, hint)),
            11 => {
                let all = self.chain.bonding.delegators.at(&from).bonded_amount;
                bonding(Bonding::Unbond(all, hint))
            }
            12 => bonding(Bonding::Rebond(lock, hint)),
            13 => bonding(Bonding::RebondFromUnbonded(to, lock, hint)),
            14 => bonding(Bonding::TransferBond(to, n, hint, hint)),
            15 => bonding(Bonding::WithdrawStake(lock)),
            16 => {
                let fees = self.chain.bonding.delegators.at(&from).fees;
                bonding(Bonding::WithdrawFees(to, if c.is_multiple_of(2) { fees } else { n }))
            }
            17 => bonding(Bonding::ClaimEarnings(n)),
            18 => {
                let cut = |n: u8| U256::from(u32::from(n) * 4_000);
                bonding(Bonding::Transcoder(cut(b), cut(c), hint))
            }
            19..=21 => return self.apply(self.who(a % 3), U256::ZERO, bonding(Bonding::Reward(hint))),
            22 => {
                let ten = U256::from(amount % 50) * unit() / U256::from(10);
                let call = Broker::FundDepositAndReserve(ten, ten);
                return self.apply(self.who(6 + a % 2), ten * U256::from(2), Call::Broker(call));
            }
            23..=25 => Call::Broker(Broker::Redeem(Box::new(self.ticket(a % 3, 6 + b % 2, amount)))),
            26 => {
                let batch = vec![self.ticket(a % 3, 6, amount), self.ticket(b % 3, 7, amount)];
                Call::Broker(Broker::RedeemBatch(batch))
            }
            27 => Call::Broker(match c % 3 {
                0 => Broker::Unlock,
                1 => Broker::CancelUnlock,
                _ => Broker::Withdraw,
            }),
            28 => return self.slash(to, amount, c),
            29 => return self.parameter(amount, c),
            30 => self.governance(from, to, n, c),
            _ => Call::Token(Token::Transfer(to, n)),
        };
        self.apply(from, U256::ZERO, call);
    }

    /// A verifier slashes orchestrators only. (Of a mere delegator the contract takes stake without telling the pool.)
    fn slash(&mut self, who: Address, amount: u16, c: u8) {
        if !self.chain.bonding.is_registered(who) {
            return;
        }
        let finder = if c.is_multiple_of(2) { self.who(c) } else { Address::ZERO };
        let call =
            Bonding::SlashTranscoder(who, finder, U256::from(amount), U256::from(c) * U256::from(3_000));
        self.apply(self.who(0), U256::ZERO, Call::Bonding(call));
    }

    fn parameter(&mut self, amount: u16, c: u8) {
        let call = match c % 6 {
            0 => Call::Minter(Minter::SetInflationChange(U256::from(amount) * U256::from(1_000))),
            1 => Call::Minter(Minter::SetTargetBondingRate(U256::from(amount) * U256::from(15_000))),
            2 => Call::Bonding(Bonding::SetNumActiveTranscoders(U256::from(amount % 6))),
            3 => Call::Bonding(Bonding::SetTreasuryRewardCutRate(
                U256::from(amount) * U256::from(10).pow(U256::from(22)),
            )),
            4 => Call::Bonding(Bonding::SetUnbondingPeriod(u64::from(amount % 4))),
            _ => Call::Pause(amount.is_multiple_of(16)),
        };
        self.apply(self.chain.addresses.owner, U256::ZERO, call);
    }

    fn governance(&self, from: Address, to: Address, n: U256, c: u8) -> Call {
        let actions = vec![Action::pay_lpt(self.chain.addresses.token, to, n % unit())];
        let hash = alloy_primitives::keccak256("pay");
        match c % 6 {
            0 => Call::Governor(Governor::Propose(actions, "pay".into())),
            1 => Call::Governor(Governor::CastVote(proposal_id(&actions, hash), c % 4, String::new())),
            2 => Call::Governor(Governor::Queue(actions, hash)),
            3 => Call::Governor(Governor::Execute(actions, hash)),
            4 => Call::Polls(Polls::Create(from.to_vec().into())),
            _ => Call::Bonding(Bonding::CheckpointBondingState(to)),
        }
    }

    fn ticket(&mut self, recipient: u8, gateway: u8, amount: u16) -> Redemption {
        self.redeemed += 1;
        let recipient_rand = U256::from(self.redeemed);
        let round = self.chain.current_round().unwrap();
        let (key, sender) = &self.accounts[usize::from(gateway)];
        let ticket = Ticket {
            recipient: self.who(recipient),
            sender: *sender,
            face_value: U256::from(amount % 600) * unit() / U256::from(77),
            win_prob: U256::MAX,
            sender_nonce: U256::ONE,
            recipient_rand_hash: rand_hash(recipient_rand),
            aux_data: Ticket::aux(round, self.chain.rounds.block_hash_for_round.at(&round)),
        };
        let (signature, recovery) = key.sign_prehash_recoverable(ticket.digest().as_slice()).unwrap();
        let signature = [signature.to_bytes().as_slice(), &[27 + recovery.to_byte()]].concat().into();
        Redemption { ticket, signature, recipient_rand }
    }

    /// Everything that must hold between any two transactions.
    fn check(&self) {
        let chain = &self.chain;
        let sum = |n: U256, more: &U256| n + more;
        let lpt = chain.token.balances.iter().map(|(_, n)| n).fold(U256::ZERO, sum);
        assert_eq!(lpt, *chain.token.total_supply, "LPT is where somebody holds it");
        let eth = chain.eth.iter().map(|(_, n)| n).fold(U256::ZERO, sum);
        assert_eq!(eth, U256::from(1_000 * u64::from(ACCOUNTS)) * unit(), "ether only moves");

        let round = chain.current_round().unwrap();
        let (mut stake, mut fees) = (U256::ZERO, U256::ZERO);
        for (who, _) in chain.bonding.delegators.iter() {
            let owed = chain.bonding.pending(*who, round).unwrap();
            stake += owed.stake.0;
            fees += owed.fees.0;
        }
        stake = chain.bonding.unbonding_locks.iter().map(|(_, lock)| lock.amount).fold(stake, |a, b| a + b);
        fees = chain.broker.senders.iter().map(|(_, sender)| sender.deposit).fold(fees, |a, b| a + b);
        fees = chain.broker.reserve_funds.iter().map(|(_, n)| n).fold(fees, sum);
        let minter = chain.addresses.minter;
        assert!(chain.token.balances.at(&minter) >= stake, "the Minter owes {stake} LPT and cannot pay");
        assert!(chain.eth.at(&minter) >= fees, "the Minter owes {fees} wei and cannot pay");

        let pool: Vec<_> = chain.bonding.transcoder_pool.iter().collect();
        assert!(pool.is_sorted_by(|a, b| a.1 >= b.1));
        assert_eq!(U256::from(pool.len()), *chain.bonding.transcoder_pool.size);
        let total = pool.iter().map(|(_, key)| key).fold(U256::ZERO, sum);
        assert_eq!(total, *chain.bonding.next_round_total_active_stake);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any::<Step>(), 1..80)
}

/// Runs a sequence; how many of its transactions were applied and refused, and how long that took.
fn run(steps: Vec<Step>) -> (u64, u64, Duration) {
    let mut world = World::new();
    for step in steps {
        world.step(step);
        world.check();
    }
    (world.applied, world.refused, world.spent)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_comes_from_nowhere_and_nothing_gets_lost(steps in steps()) {
        run(steps);
    }

    #[test]
    fn what_is_refused_or_only_simulated_changes_nothing(steps in proptest::collection::vec(any::<Step>(), 1..20)) {
        let mut world = World::new();
        for step in steps {
            let (before, refused) = (world.chain.clone(), world.refused);
            world.chain.simulate(world.who(step.1), U256::ZERO, Call::Bonding(Bonding::Reward(Hint::default()))).ok();
            prop_assert!(before == world.chain);
            world.step(step);
            if world.refused > refused {
                let mut before = before;
                before.advance(world.chain.head());
                prop_assert!(before == world.chain);
            }
        }
    }
}

/// Ten thousand sequences of up to eighty transactions: `cargo test -p livemesh-protocol -- --ignored ten_thousand`.
#[test]
#[ignore = "a minute or two"]
fn ten_thousand_sequences_conserve_everything() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut applied, mut refused, mut spent) = (0, 0, Duration::ZERO);
    for _ in 0..10_000 {
        let (done, not, took) = run(steps().new_tree(&mut runner).unwrap().current());
        applied += done;
        refused += not;
        spent += took;
    }
    let each = spent.as_secs_f64() * 1e6 / (applied + refused) as f64;
    println!(
        "conservation: 10,000 sequences, {applied} transactions applied, {refused} refused, {each:.1} us each"
    );
    assert!(applied > 100_000, "the sequences hardly do anything");
}
