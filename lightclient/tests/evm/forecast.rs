//! What is foreseen from proven words is what Livepeer's genuine contracts then do: stake, fees, tokens, locks, rewards to the wei,
//! and gas to the unit where their bytecode runs over the same words.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use lightclient::evm::{Codes, Env, Transaction, simulate_in_turn};
use lightclient::livepeer::{Unreadable, situation};
use protocol::chain::call::{Bonding, Call, Rounds, Token};
use protocol::chain::{Chain, Revert};
use protocol::pool::Hint;
use protocol::predict::calldata::{Doors, encode};
use protocol::predict::{Effect, predict};

use crate::anvil::Proofs;
use crate::stage::Stage;

sol! {
    function pendingStake(address who, uint256 endRound) external view returns (uint256);
    function pendingFees(address who, uint256 endRound) external view returns (uint256);
    function balanceOf(address who) external view returns (uint256);
    function currentMintedTokens() external view returns (uint256);
    function currentMintableTokens() external view returns (uint256);
    function getDelegatorUnbondingLock(address who, uint256 id) external view returns (uint256 amount, uint256 withdrawRound);
    function getDelegator(address who) external view returns (
        uint256 bondedAmount, uint256 fees, address delegateAddress, uint256 delegatedAmount,
        uint256 startRound, uint256 lastClaimRound, uint256 nextUnbondingLockId);
    function getTranscoder(address who) external view returns (
        uint256 lastRewardRound, uint256 rewardCut, uint256 feeShare, uint256 lastActiveStakeUpdateRound,
        uint256 activationRound, uint256 deactivationRound, uint256 activeCumulativeRewards,
        uint256 cumulativeRewards, uint256 cumulativeFees, uint256 lastFeeRound);
}

const NONE: Hint = Hint { prev: Address::ZERO, next: Address::ZERO };

struct Trial {
    stage: Stage,
    compared: usize,
    foreseen: usize,
}

impl Trial {
    /// What an account's calls touch, fetched until it is whole.
    fn situation(&self, me: Address, others: &[Address]) -> Chain {
        let mut proofs = Proofs::of(&self.stage.anvil);
        let (contracts, at) = (self.stage.contracts(), (proofs.header.number, proofs.header.timestamp));
        proofs.fetch(&situation::keys(contracts));
        for _ in 0..20 {
            match situation::read(&proofs, contracts, me, others, at) {
                Ok(state) => return state,
                Err(Unreadable::Wanted(keys)) => proofs.fetch(&keys),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("never ends")
    }

    fn ask<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        let head = self.stage.anvil.head().number;
        let answer = self.stage.anvil.eth_call(head, Address::ZERO, to, &call.abi_encode()).unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    /// Foresees calls one after the other, runs them in turn on bytecode, then sends them.
    fn does(&mut self, i: usize, others: &[usize], calls: Vec<Call>) {
        let me = self.stage.who(i);
        let others: Vec<Address> = others.iter().map(|n| self.stage.who(*n)).collect();
        let mut state = self.situation(me, &others);
        let contracts = self.stage.contracts();
        let doors =
            Doors { rounds_manager: contracts.rounds_manager, service_registry: contracts.service_registry };
        let (mut forecasts, mut transactions) = (Vec::new(), Vec::new());
        for call in calls {
            let forecast = predict(&state, me, U256::ZERO, call).unwrap();
            state.apply(me, U256::ZERO, forecast.call.clone()).unwrap();
            let (to, data) = encode(&forecast.call, &state.addresses, &doors).unwrap();
            transactions.push(Transaction { from: me, to, value: U256::ZERO, data, gas_limit: 5_000_000 });
            forecasts.push(forecast);
        }
        let gas = self.run(&transactions);
        for ((forecast, transaction), gas) in forecasts.iter().zip(&transactions).zip(gas) {
            let minted = self.ask(self.stage.contracts().minter, &currentMintedTokensCall {});
            let receipt = self.stage.anvil.send(me, Some(transaction.to), &transaction.data, U256::ZERO);
            assert_eq!(format!("{gas:#x}"), receipt["gasUsed"].as_str().unwrap(), "{:?}", forecast.call);
            for effect in &forecast.effects {
                self.compare(me, minted, &state, *effect);
            }
            self.foreseen += 1;
        }
    }

    /// Gas of each transaction by bytecode, in the block after the newest.
    fn run(&self, transactions: &[Transaction]) -> Vec<u64> {
        let (mut proofs, mut codes) = (Proofs::of(&self.stage.anvil), Codes::default());
        let block_hash = Some(proofs.header.hash);
        let env = Env { number: proofs.header.number + 1, block_hash, ..self.stage.env(&proofs) };
        let run = |view: &Proofs<'_>, codes: &Codes| simulate_in_turn(view, codes, env, transactions);
        let done = self.stage.evm(&mut proofs, &mut codes, run).unwrap();
        done.iter().map(|outcome| outcome.gas).collect()
    }

    fn compare(&mut self, me: Address, minted_before: U256, state: &Chain, effect: Effect) {
        let (bonding, minter) = (self.stage.contracts().bonding_manager, self.stage.contracts().minter);
        let token = state.addresses.token;
        let zero = U256::ZERO;
        let (told, is) = match effect {
            Effect::Stake { after, .. } => {
                (after.0, self.ask(bonding, &pendingStakeCall { who: me, endRound: zero }))
            }
            Effect::Fees { after, .. } => {
                (after.0, self.ask(bonding, &pendingFeesCall { who: me, endRound: zero }))
            }
            Effect::Tokens { after, .. } => (after.0, self.ask(token, &balanceOfCall { who: me })),
            Effect::Lock { id, amount, withdraw_round } => {
                let lock = getDelegatorUnbondingLockCall { who: me, id: U256::from(id) };
                let lock = self.ask(bonding, &lock);
                assert_eq!(lock.withdrawRound, U256::from(withdraw_round.0));
                (amount.0, lock.amount)
            }
            Effect::Delegate { after, counts_from, .. } => {
                let held = self.ask(bonding, &getDelegatorCall { who: me });
                assert_eq!(after.unwrap_or_default(), held.delegateAddress);
                (U256::from(counts_from.0), held.startRound)
            }
            Effect::Cuts { reward_cut, fee_share } => {
                let works = self.ask(bonding, &getTranscoderCall { who: me });
                assert_eq!(U256::from(reward_cut), works.rewardCut);
                (U256::from(fee_share), works.feeShare)
            }
            Effect::Minted { amount } => {
                (amount.0, self.ask(minter, &currentMintedTokensCall {}) - minted_before)
            }
            Effect::Round { mintable, .. } => (mintable.0, self.ask(minter, &currentMintableTokensCall {})),
            _ => return,
        };
        assert_eq!(told, is, "{effect:?}");
        self.compared += 1;
    }
}

#[test]
#[ignore = "installs @livepeer/sdk and anvil from npm"]
fn what_is_foreseen_is_what_genuine_contracts_do() {
    let mut trial = Trial { stage: Stage::new(), compared: 0, foreseen: 0 };
    trial.stage.play();
    let lpt = |n: u64| U256::from(n) * U256::from(10).pow(U256::from(18));
    let who = |n: usize| trial.stage.who(n);
    let (one, nine) = (who(1), who(9));
    let spender = trial.stage.contracts().bonding_manager;
    let call = Call::Bonding;
    trial.stage.anvil.mine(50);
    trial.does(9, &[], vec![Call::Rounds(Rounds::InitializeRound)]);
    // Registers, as `livemesh stake register` does, and pushes the least of the four out.
    let register = vec![
        Call::Token(Token::Approve(spender, lpt(20_000))),
        call(Bonding::Bond(lpt(20_000), nine, NONE, NONE)),
        call(Bonding::Transcoder(U256::from(100_000), U256::from(500_000), NONE)),
    ];
    trial.does(9, &[9], register);
    trial.does(1, &[], vec![call(Bonding::Reward(NONE))]);
    trial.does(10, &[], vec![call(Bonding::ClaimEarnings(U256::ZERO))]);
    trial.does(4, &[], vec![call(Bonding::Unbond(lpt(500), NONE))]);
    trial.does(4, &[], vec![call(Bonding::Rebond(U256::ONE, NONE))]);
    trial.does(2, &[], vec![call(Bonding::Reward(NONE))]);
    trial.does(5, &[1], vec![call(Bonding::Bond(U256::ZERO, one, NONE, NONE))]);
    trial.stage.next_round();
    trial.does(9, &[], vec![call(Bonding::Reward(NONE))]);
    trial.does(2, &[], vec![call(Bonding::Reward(NONE))]);
    // And what they refuse is refused in the same words.
    let refused = predict(&trial.situation(nine, &[]), nine, U256::ZERO, call(Bonding::Reward(NONE)));
    assert_eq!(refused, Err(Revert::AlreadyRewarded));
    let twice: Bytes = protocol::chain::abi::call("reward()", &[]).into();
    let head = trial.stage.anvil.head().number;
    let theirs = trial.stage.anvil.eth_call(head, nine, spender, &twice).unwrap_err();
    assert!(theirs["message"].as_str().unwrap().contains(&Revert::AlreadyRewarded.to_string()), "{theirs}");
    println!(
        "{} transactions foreseen, {} values compared, gas of all equal",
        trial.foreseen, trial.compared
    );
    assert!(trial.compared > 15, "{}", trial.compared);
}
