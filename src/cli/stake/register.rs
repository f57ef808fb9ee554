//! What makes somebody an orchestrator: the terms and what it is already in, the calls that are missing out. Typed again after an
//! interruption, or after a round turned in between, it goes on from there.

use alloy_primitives::{Address, U256};
use protocol::Lpt;
use protocol::chain::call::{Bonding, Token};
use protocol::chain::{Call, Chain, Revert};
use protocol::pool::Hint;

/// On which terms an orchestrator works.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Terms {
    /// Its own stake, at least.
    pub(in crate::cli) stake: Lpt,
    /// Part of rewards that it keeps, parts per million.
    pub(in crate::cli) reward_cut: U256,
    /// Part of fees that it shares with its delegators, parts per million.
    pub(in crate::cli) fee_share: U256,
    /// Where it serves.
    pub(in crate::cli) service_uri: Option<String>,
}

/// What is missing until somebody is an orchestrator on these terms; nothing where it is one. What a round's reward is needed
/// for comes behind it: a bond before it would lose it, and cuts cannot be changed before it.
pub(in crate::cli) fn register(state: &Chain, me: Address, terms: Terms) -> Result<Vec<Call>, Revert> {
    let Terms { stake, reward_cut, fee_share, service_uri } = terms;
    let held = state.bonding.pending(me, state.current_round()?)?.stake;
    let lacks = Lpt(stake.0.saturating_sub(held.0));
    let mut calls = Vec::new();
    if !lacks.0.is_zero() || !state.bonding.is_registered(me) {
        calls = bond(state, me, lacks, me);
    }
    if lacks_cuts(state, me, reward_cut, fee_share) {
        calls.push(transcoder(reward_cut, fee_share));
    }
    if !calls.is_empty() {
        calls.splice(..0, owed_reward(state, me)?);
    }
    let serves = state.registry.service_uri.at(&me);
    calls.extend(service_uri.filter(|uri| *uri != serves).map(Call::SetServiceUri));
    Ok(calls)
}

/// What changes an orchestrator's cuts, with the round's reward before it where that is still to be called for.
pub(in crate::cli) fn set_cuts(
    state: &Chain,
    me: Address,
    reward_cut: U256,
    fee_share: U256,
) -> Result<Vec<Call>, Revert> {
    let reward = owed_reward(state, me)?;
    Ok(reward.into_iter().chain([transcoder(reward_cut, fee_share)]).collect())
}

/// What stakes with an orchestrator: a bond, behind an allowance of exactly so much where there is too little.
pub(in crate::cli) fn bond(state: &Chain, me: Address, amount: Lpt, to: Address) -> Vec<Call> {
    let spender = state.addresses.bonding_manager;
    let allowed = state.token.allowances.at(&(me, spender));
    let approve = (allowed < amount.0).then_some(Call::Token(Token::Approve(spender, amount.0)));
    let bond = Bonding::Bond(amount.0, to, Hint::default(), Hint::default());
    approve.into_iter().chain([Call::Bonding(bond)]).collect()
}

const fn transcoder(reward_cut: U256, fee_share: U256) -> Call {
    let anywhere = Hint { prev: Address::ZERO, next: Address::ZERO };
    Call::Bonding(Bonding::Transcoder(reward_cut, fee_share, anywhere))
}

/// Whether cuts are still to be set. Setting them also lets an orchestrator into the pool that fell out of it.
fn lacks_cuts(state: &Chain, me: Address, reward_cut: U256, fee_share: U256) -> bool {
    let works = state.bonding.transcoders.at(&me);
    (works.reward_cut, works.fee_share) != (reward_cut, fee_share)
        || !state.bonding.transcoder_pool.contains(me)
}

/// The call for this round's reward, where it is due and not yet made.
fn owed_reward(state: &Chain, me: Address) -> Result<Option<Call>, Revert> {
    let round = state.current_round()?;
    let rewarded = state.bonding.transcoders.at(&me).last_reward_round == round;
    let owed = state.bonding.is_active(me, round) && !rewarded;
    Ok(owed.then_some(Call::Bonding(Bonding::Reward(Hint::default()))))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use protocol::chain::call::Rounds;
    use protocol::chain::{Genesis, Head};

    use super::*;

    const ME: Address = Address::repeat_byte(1);
    const OTHER: Address = Address::repeat_byte(2);
    const LENGTH: u64 = 100;

    fn lpt(n: u64) -> U256 {
        U256::from(n) * U256::from(10).pow(U256::from(18))
    }

    fn terms() -> Terms {
        let service_uri = Some("https://example.org:8935".to_owned());
        Terms { stake: Lpt(lpt(500)), reward_cut: U256::from(100_000), fee_share: U256::from(7), service_uri }
    }

    /// Two people with tokens, in a pool with room for both.
    fn world() -> Chain {
        let genesis = Genesis {
            round_length: LENGTH,
            num_active_transcoders: U256::from(2),
            lpt: [(ME, lpt(1_000)), (OTHER, lpt(1_000))].into(),
            ..Genesis::default()
        };
        let mut chain = Chain::new(&genesis, Head::default()).unwrap();
        next_round(&mut chain);
        chain
    }

    fn next_round(chain: &mut Chain) {
        let number = (chain.head().number / LENGTH + 1) * LENGTH;
        chain.advance(Head { number, parent_hash: B256::repeat_byte(9), timestamp: number });
        chain.apply(OTHER, U256::ZERO, Call::Rounds(Rounds::InitializeRound)).unwrap();
    }

    /// Types the command, and is interrupted behind so many of its steps.
    fn typed(chain: &mut Chain, steps: usize) -> usize {
        let calls = register(chain, ME, terms()).unwrap();
        let all = calls.len();
        for call in calls.into_iter().take(steps) {
            chain.apply(ME, U256::ZERO, call.clone()).unwrap_or_else(|why| panic!("{call:?}: {why}"));
        }
        all
    }

    fn assert_registered(chain: &Chain) {
        assert_eq!(register(chain, ME, terms()).unwrap(), []);
        let (held, works) = (chain.bonding.delegators.at(&ME), chain.bonding.transcoders.at(&ME));
        assert_eq!((held.delegate_address, works.reward_cut), (ME, U256::from(100_000)));
        assert!(held.bonded_amount >= lpt(500) && held.bonded_amount < lpt(501), "{}", held.bonded_amount);
        assert_eq!(chain.token.balances.at(&ME), lpt(500), "staked once");
        assert_eq!(Some(chain.registry.service_uri.at(&ME)), terms().service_uri);
    }

    #[test]
    fn whatever_step_it_is_interrupted_after_and_whether_a_round_turns_then_it_goes_on() {
        let steps = typed(&mut world(), 0);
        assert_eq!(steps, 4, "allow, stake, set cuts, say where");
        for interrupted in 0..=steps {
            for turns in 0..3 {
                let mut chain = world();
                typed(&mut chain, interrupted);
                (0..turns).for_each(|_| next_round(&mut chain));
                typed(&mut chain, usize::MAX);
                assert_registered(&chain);
            }
        }
    }

    #[test]
    fn interrupted_after_every_single_step_it_comes_to_the_same() {
        let mut chain = world();
        let mut typings = 0;
        while typed(&mut chain, 1) > 0 {
            typings += 1;
            if typings == 2 {
                next_round(&mut chain);
            }
        }
        assert_eq!(typings, 5, "the four steps, and the reward of the round that turned");
        assert_registered(&chain);
    }

    #[test]
    fn who_delegated_to_another_brings_that_stake_along() {
        let mut chain = world();
        for call in bond(&chain, OTHER, Lpt(lpt(10)), OTHER) {
            chain.apply(OTHER, U256::ZERO, call).unwrap();
        }
        for call in bond(&chain, ME, Lpt(lpt(200)), OTHER) {
            chain.apply(ME, U256::ZERO, call).unwrap();
        }
        typed(&mut chain, usize::MAX);
        assert_registered(&chain);
    }

    #[test]
    fn an_active_orchestrator_gets_its_reward_before_its_cuts_change_or_its_stake_grows() {
        let mut chain = world();
        typed(&mut chain, usize::MAX);
        next_round(&mut chain);
        let reward = Call::Bonding(Bonding::Reward(Hint::default()));
        let more = Terms { stake: Lpt(lpt(600)), ..terms() };
        assert_eq!(register(&chain, ME, more).unwrap().first(), Some(&reward));
        let cuts = set_cuts(&chain, ME, U256::ZERO, U256::ZERO).unwrap();
        assert_eq!(cuts.first(), Some(&reward));
        for call in cuts {
            chain.apply(ME, U256::ZERO, call).unwrap();
        }
        assert_eq!(set_cuts(&chain, ME, U256::ONE, U256::ONE).unwrap().len(), 1);
    }
}
