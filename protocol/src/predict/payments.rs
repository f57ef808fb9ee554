//! What a call does to a broadcaster's money in the ticket broker.

use alloy_primitives::Address;

use super::{Effect, Warning};
use crate::amount::Wei;
use crate::chain::Chain;
use crate::rounds::Round;

pub(super) fn effects(before: &Chain, after: &Chain, from: Address) -> Vec<Effect> {
    let (was, is) = (before.broker.senders.at(&from), after.broker.senders.at(&from));
    let (had, has) = (before.broker.reserve_funds.at(&from), after.broker.reserve_funds.at(&from));
    let mut effects = Vec::new();
    if was.deposit != is.deposit {
        effects.push(Effect::Deposit { before: Wei(was.deposit), after: Wei(is.deposit) });
    }
    if had != has {
        effects.push(Effect::Reserve { before: Wei(had), after: Wei(has) });
    }
    match (was.withdraw_round, is.withdraw_round) {
        (was, is) if was == is => {}
        (_, Round(0)) => effects.push(Effect::UnlockCancelled),
        (_, withdraw_round) => effects.push(Effect::Unlocking { withdraw_round }),
    }
    effects
}

pub(super) fn warnings(after: &Chain, from: Address, effects: &[Effect]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for effect in effects {
        match *effect {
            // Whoever redeems has this round and the next one, so tickets are refused a round before nothing is paid.
            Effect::Unlocking { withdraw_round } => warnings.push(Warning::PaymentsEnd {
                refused_from: Round(withdraw_round.0.saturating_sub(1)),
                unpaid_from: withdraw_round,
            }),
            Effect::Deposit { before, after: now } if now > before => {
                let none = after.broker.reserve_funds.at(&from).is_zero();
                warnings.extend(none.then_some(Warning::NoReserve));
            }
            Effect::Reserve { before, after: now } if now > before => {
                let none = after.broker.senders.at(&from).deposit.is_zero();
                warnings.extend(none.then_some(Warning::NoDeposit));
            }
            _ => {}
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use crate::chain::call::Broker;
    use crate::chain::{Genesis, Head, Revert};
    use crate::predict::{Forecast, predict};

    use super::*;
    use crate::chain::Call;

    const ME: Address = Address::repeat_byte(1);

    /// Rounds of ten blocks, and somebody with a thousand wei.
    fn world() -> Chain {
        let eth = vec![(ME, U256::from(1000))];
        let genesis = Genesis { round_length: 10, unlock_period: 2, eth, ..Genesis::default() };
        Chain::new(&genesis, Head { number: 50, ..Head::default() }).unwrap()
    }

    /// Says what a call will do, and does it.
    fn step(chain: &mut Chain, call: Broker) -> Result<Forecast, Revert> {
        let call = Call::Broker(call);
        let said = predict(chain, ME, call.named_value(), call.clone())?;
        chain.apply(ME, call.named_value(), call)?;
        Ok(said)
    }

    fn wei(n: u64) -> Wei {
        Wei(U256::from(n))
    }

    fn fund(deposit: u64, reserve: u64) -> Broker {
        Broker::FundDepositAndReserve(U256::from(deposit), U256::from(reserve))
    }

    #[test]
    fn money_in_is_said_with_what_is_still_lacking() {
        let mut chain = world();
        let said = step(&mut chain, fund(300, 0)).unwrap();
        let ether = Effect::Ether { before: wei(1000), after: wei(700) };
        assert_eq!(said.effects, [Effect::Deposit { before: wei(0), after: wei(300) }, ether]);
        assert_eq!(said.warnings, [Warning::NoReserve]);
        let said = step(&mut chain, fund(0, 200)).unwrap();
        assert_eq!(said.effects[0], Effect::Reserve { before: wei(0), after: wei(200) });
        assert_eq!(said.warnings, []);
        assert_eq!(step(&mut chain, fund(500, 1)).unwrap_err(), Revert::InsufficientFunds);
    }

    #[test]
    fn taking_it_out_is_said_with_when_payments_end() {
        let mut chain = world();
        assert_eq!(step(&mut chain, Broker::Unlock).unwrap_err(), Revert::NothingFunded);
        step(&mut chain, fund(300, 200)).unwrap();
        let said = step(&mut chain, Broker::Unlock).unwrap();
        assert_eq!(said.effects, [Effect::Unlocking { withdraw_round: Round(7) }]);
        let ends = Warning::PaymentsEnd { refused_from: Round(6), unpaid_from: Round(7) };
        assert_eq!(said.warnings, [ends]);
        assert_eq!(step(&mut chain, Broker::Withdraw).unwrap_err(), Revert::AccountLocked);
        let said = step(&mut chain, fund(1, 0)).unwrap();
        assert!(said.effects.contains(&Effect::UnlockCancelled), "own money in keeps all of it: {said:?}");
        step(&mut chain, Broker::Unlock).unwrap();
        chain.advance(Head { number: 70, ..Head::default() });
        let said = step(&mut chain, Broker::Withdraw).unwrap();
        assert!(said.effects.contains(&Effect::Ether { before: wei(499), after: wei(1000) }), "{said:?}");
        assert_eq!(said.warnings, []);
    }
}
