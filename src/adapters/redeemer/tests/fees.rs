//! Where the money of redeemed tickets goes: what the contracts credit to an orchestrator and to who delegates to it, against the
//! formulas of LIP-36 worked out here from what was there before.

use lightclient::livepeer::{Ask as Read, Hint as Guess, Read as Said};
use protocol::chain::Chain;

use super::*;

/// 10^27 points.
fn whole() -> U256 {
    U256::from(10).pow(U256::from(27))
}

/// `PreciseMathUtils.percOf`: two floors.
fn part(amount: U256, of: U256, all: U256) -> U256 {
    amount * (of * whole() / all) / whole()
}

/// What a fee adds to the orchestrator's own fees and to the factor of everybody's.
#[derive(Debug, Default)]
struct Credited {
    own: U256,
    factor: U256,
}

impl Credited {
    /// In a round whose reward has been called.
    fn of(fee: U256, chain: &Chain, orchestrator: Address) -> Self {
        let round = chain.current_round().unwrap();
        let bonding = &chain.bonding;
        let (held, pool) =
            (bonding.transcoders.at(&orchestrator), bonding.earnings_pool(orchestrator, round));
        assert_eq!(held.last_reward_round, round, "its reward is called");
        let before = bonding.earnings_pool(orchestrator, Round(round.0 - 1)).cumulative_reward_factor;
        assert!(!before.is_zero(), "and was in the round before");
        let shared = fee * pool.transcoder_fee_share / U256::from(1_000_000);
        let own = part(shared, held.active_cumulative_rewards, pool.total_stake) + (fee - shared);
        Self { own, factor: part(before, shared, pool.total_stake) }
    }
}

/// What somebody's claim would bring in fees, after its orchestrator's factor grew by this.
fn pending(chain: &Chain, who: Address, orchestrator: Address, grown: &Credited) -> U256 {
    let round = chain.current_round().unwrap();
    let held = chain.bonding.delegators.at(&who);
    assert!(held.last_claim_round < round);
    let pool = |round| chain.bonding.earnings_pool(orchestrator, round);
    let (start, now) = (pool(held.last_claim_round), pool(round));
    let last = pool(chain.bonding.transcoders.at(&orchestrator).last_fee_round).cumulative_fee_factor;
    let old = if now.cumulative_fee_factor.is_zero() { last } else { now.cumulative_fee_factor };
    let from =
        if start.cumulative_reward_factor.is_zero() { whole() } else { start.cumulative_reward_factor };
    let earned = part(held.bonded_amount, old + grown.factor - start.cumulative_fee_factor, from);
    let own = if who == orchestrator {
        chain.bonding.transcoders.at(&who).cumulative_fees + grown.own
    } else {
        U256::ZERO
    };
    held.fees + earned + own
}

#[actix::test]
async fn what_tickets_bring_is_shared_with_delegators_to_the_wei() {
    let limit = Duration::from_secs(120);
    // In the second round, with time left.
    let chains = Elsewhere::start(200, 240).await;
    let devnet = Arc::clone(&chains.devnet);
    devnet.set_base_fee(10_000_000);
    let client = chains.client().await;
    let (orchestrator, delegator) = devnet.with(|world| {
        let delegator = &world.livepeer.delegators[0];
        (delegator.delegate, delegator.address)
    });
    // A round whose reward is called, as is the one before.
    let called = |chain: &Chain| {
        let round = chain.current_round().unwrap();
        let bonding = &chain.bonding;
        let before = bonding.earnings_pool(orchestrator, Round(round.0 - 1)).cumulative_reward_factor;
        bonding.transcoders.at(&orchestrator).last_reward_round == round && !before.is_zero()
    };
    let began = Instant::now();
    let before = loop {
        let chain = devnet.with(|world| world.livepeer.chain.clone());
        if called(&chain) {
            break chain;
        }
        assert!(began.elapsed() < limit, "the keeper calls rewards");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let key = devnet.with(|world| TicketKey::from_bytes(&world.livepeer.senders[1].secret.0).unwrap());
    let round = *before.rounds.last_initialized_round;
    let made = (round, before.rounds.block_hash_for_round.at(&round));
    let until_block = devnet.with(|world| world.l1.chain.next_number());
    let mut grown = Credited::default();
    let winners: Vec<Winner> = (0..6)
        .map(|n| {
            let mut winner = winner(&key, orchestrator, n, made, until_block);
            // Amounts that no share divides.
            winner.ticket.face_value += U256::from(7_919 * n + 1);
            winner.signature = key.sign(&winner.ticket);
            let one = Credited::of(winner.ticket.face_value, &before, orchestrator);
            (grown.own, grown.factor) = (grown.own + one.own, grown.factor + one.factor);
            winner
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let books = Arc::new(Ledger::open(&dir.path().join("ledger")).unwrap().0);
    let addr = redeemer(&chains, client.clone(), &dir.path().join("wallet"), &books, orchestrator);
    for one in &winners {
        books.commit(vec![Entry::Winner(one.clone())]).wait().unwrap();
        addr.send(Won(one.clone())).await.unwrap();
    }
    until(&addr, "all", limit, |standing| standing.redeemed == 6).await;
    let after = devnet.with(|world| world.livepeer.chain.clone());
    assert_eq!(after.current_round().unwrap(), round, "the machine is too slow for this test's round");
    for who in [orchestrator, delegator] {
        let expected = pending(&before, who, orchestrator, &grown);
        let Said::Delegator(proven) = client
            .0
            .livepeer(Accept::Pending { l1_blocks: 0 }, &Read::Delegator(who), &Guess::default())
            .await
            .unwrap()
            .value
        else {
            panic!("a delegator was asked for")
        };
        let gained = expected - pending(&before, who, orchestrator, &Credited::default());
        println!("{who}: {expected} wei of fees, {gained} of them new");
        assert_eq!(proven.pending.fees.0, expected, "{who}");
        assert!(!gained.is_zero());
    }
}
