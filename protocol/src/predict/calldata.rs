//! A call as a transaction carries it: whom it goes to, and what it says. The inverse of [`crate::chain::abi::decode`] for
//! what people stake, vote and put money down with.

use alloy_primitives::{Address, Bytes};

use crate::chain::Addresses;
use crate::chain::abi::{Value, call};
use crate::chain::call::{Action, Bonding, Broker, Call, Governor, Polls, Rounds, Token};
use crate::pool::Hint;

/// Where contracts live that [`Addresses`] does not name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Doors {
    /// The clock.
    pub rounds_manager: Address,
    /// Where orchestrators say where they serve.
    pub service_registry: Address,
}

/// Destination and data of a call; none for what only owners and redeemers call.
#[must_use]
pub fn encode(what: &Call, at: &Addresses, doors: &Doors) -> Option<(Address, Bytes)> {
    let (to, data) = match what {
        Call::Token(token) => (at.token, of_token(token)),
        Call::Rounds(Rounds::InitializeRound) => (doors.rounds_manager, call("initializeRound()", &[])),
        Call::Bonding(bonding) => (at.bonding_manager, of_bonding(*bonding)?),
        Call::Broker(broker) => (at.ticket_broker, of_broker(broker)?),
        Call::SetServiceUri(uri) => {
            (doors.service_registry, call("setServiceURI(string)", &[Value::Text(uri.clone())]))
        }
        Call::Governor(governor) => (at.governor, of_governor(governor)),
        Call::Polls(Polls::Create(proposal)) => {
            (at.poll_creator, call("createPoll(bytes)", &[proposal.clone().into()]))
        }
        Call::Polls(Polls::Vote(poll, choice)) => (*poll, call("vote(uint256)", &[(*choice).into()])),
        Call::Send(_)
        | Call::Rounds(_)
        | Call::Minter(_)
        | Call::Polls(Polls::Destroy(_))
        | Call::Pause(_) => return None,
    };
    Some((to, data.into()))
}

fn of_token(token: &Token) -> Vec<u8> {
    match *token {
        Token::Transfer(to, amount) => call("transfer(address,uint256)", &[to.into(), amount.into()]),
        Token::Approve(to, amount) => call("approve(address,uint256)", &[to.into(), amount.into()]),
        Token::TransferFrom(from, to, amount) => {
            call("transferFrom(address,address,uint256)", &[from.into(), to.into(), amount.into()])
        }
    }
}

fn of_bonding(bonding: Bonding) -> Option<Vec<u8>> {
    let two = |a: Hint| [Value::from(a.prev), Value::from(a.next)];
    let with = |head: Vec<Value>, hints: &[Hint]| {
        head.into_iter().chain(hints.iter().flat_map(|hint| two(*hint))).collect::<Vec<_>>()
    };
    Some(match bonding {
        Bonding::Bond(amount, to, old, new) => call(
            "bondWithHint(uint256,address,address,address,address,address)",
            &with(vec![amount.into(), to.into()], &[old, new]),
        ),
        Bonding::Unbond(amount, place) => {
            call("unbondWithHint(uint256,address,address)", &with(vec![amount.into()], &[place]))
        }
        Bonding::Rebond(lock, place) => {
            call("rebondWithHint(uint256,address,address)", &with(vec![lock.into()], &[place]))
        }
        Bonding::RebondFromUnbonded(to, lock, place) => call(
            "rebondFromUnbondedWithHint(address,uint256,address,address)",
            &with(vec![to.into(), lock.into()], &[place]),
        ),
        Bonding::WithdrawStake(lock) => call("withdrawStake(uint256)", &[lock.into()]),
        Bonding::WithdrawFees(to, amount) => {
            call("withdrawFees(address,uint256)", &[to.into(), amount.into()])
        }
        Bonding::ClaimEarnings(ignored) => call("claimEarnings(uint256)", &[ignored.into()]),
        Bonding::Transcoder(cut, share, place) => call(
            "transcoderWithHint(uint256,uint256,address,address)",
            &with(vec![cut.into(), share.into()], &[place]),
        ),
        Bonding::Reward(place) => call("rewardWithHint(address,address)", &with(vec![], &[place])),
        Bonding::RewardForTranscoder(who, place) => {
            call("rewardForTranscoderWithHint(address,address,address)", &with(vec![who.into()], &[place]))
        }
        Bonding::SetRewardCaller(caller) => call("setRewardCaller(address)", &[caller.into()]),
        _ => return None,
    })
}

fn of_broker(broker: &Broker) -> Option<Vec<u8>> {
    Some(match *broker {
        Broker::FundDeposit => call("fundDeposit()", &[]),
        Broker::FundReserve => call("fundReserve()", &[]),
        Broker::FundDepositAndReserve(deposit, reserve) => {
            call("fundDepositAndReserve(uint256,uint256)", &[deposit.into(), reserve.into()])
        }
        Broker::FundDepositAndReserveFor(who, deposit, reserve) => call(
            "fundDepositAndReserveFor(address,uint256,uint256)",
            &[who.into(), deposit.into(), reserve.into()],
        ),
        Broker::Unlock => call("unlock()", &[]),
        Broker::CancelUnlock => call("cancelUnlock()", &[]),
        Broker::Withdraw => call("withdraw()", &[]),
        Broker::Redeem(_)
        | Broker::RedeemBatch(_)
        | Broker::SetUnlockPeriod(_)
        | Broker::SetTicketValidityPeriod(_) => return None,
    })
}

fn of_governor(governor: &Governor) -> Vec<u8> {
    let lists = |actions: &[Action]| -> Vec<Value> {
        vec![
            actions.iter().map(|action| action.target).collect::<Vec<_>>().into(),
            actions.iter().map(|action| action.value).collect::<Vec<_>>().into(),
            actions.iter().map(|action| action.calldata.clone()).collect::<Vec<_>>().into(),
        ]
    };
    let with = |actions: &[Action], tail: Value| {
        let mut values = lists(actions);
        values.push(tail);
        values
    };
    match governor {
        Governor::Propose(actions, description) => call(
            "propose(address[],uint256[],bytes[],string)",
            &with(actions, Value::Text(description.clone())),
        ),
        Governor::CastVote(proposal, support, reason) if reason.is_empty() => {
            call("castVote(uint256,uint8)", &[(*proposal).into(), (*support).into()])
        }
        Governor::CastVote(proposal, support, reason) => call(
            "castVoteWithReason(uint256,uint8,string)",
            &[(*proposal).into(), (*support).into(), Value::Text(reason.clone())],
        ),
        Governor::Queue(actions, hash) => {
            call("queue(address[],uint256[],bytes[],bytes32)", &with(actions, (*hash).into()))
        }
        Governor::Execute(actions, hash) => {
            call("execute(address[],uint256[],bytes[],bytes32)", &with(actions, (*hash).into()))
        }
        Governor::Cancel(actions, hash) => {
            call("cancel(address[],uint256[],bytes[],bytes32)", &with(actions, (*hash).into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};

    use super::*;
    use crate::chain::Contract;
    use crate::chain::abi::decode;

    #[test]
    fn what_is_encoded_is_read_back_by_the_contracts() {
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let (n, hint) = (U256::from(7), Hint { prev: one, next: two });
        let actions = || vec![Action::pay_lpt(one, two, n), Action::pay_eth(two, n)];
        let bonding = [
            Bonding::Bond(n, one, hint, Hint::default()),
            Bonding::Unbond(n, hint),
            Bonding::Rebond(n, hint),
            Bonding::RebondFromUnbonded(one, n, hint),
            Bonding::WithdrawStake(n),
            Bonding::WithdrawFees(one, n),
            Bonding::ClaimEarnings(n),
            Bonding::Transcoder(n, n, hint),
            Bonding::Reward(hint),
            Bonding::RewardForTranscoder(one, hint),
            Bonding::SetRewardCaller(one),
        ];
        let governor = [
            Governor::Propose(actions(), "why".into()),
            Governor::CastVote(n, 1, String::new()),
            Governor::CastVote(n, 2, "because".into()),
            Governor::Queue(actions(), B256::repeat_byte(3)),
            Governor::Execute(actions(), B256::repeat_byte(3)),
            Governor::Cancel(actions(), B256::repeat_byte(3)),
        ];
        let broker = [
            Broker::FundDeposit,
            Broker::FundReserve,
            Broker::FundDepositAndReserve(n, U256::MAX),
            Broker::FundDepositAndReserveFor(one, n, n),
            Broker::Unlock,
            Broker::CancelUnlock,
            Broker::Withdraw,
        ];
        let calls = bonding.into_iter().map(|call| (Contract::BondingManager, Call::Bonding(call)));
        let calls = calls.chain(broker.map(|call| (Contract::TicketBroker, Call::Broker(call))));
        let calls =
            calls.chain(governor.map(|call| (Contract::LivepeerGovernor, Call::Governor(call)))).chain([
                (Contract::LivepeerToken, Call::Token(Token::Approve(one, n))),
                (Contract::RoundsManager, Call::Rounds(Rounds::InitializeRound)),
                (Contract::ServiceRegistry, Call::SetServiceUri("https://example.org:8935".into())),
                (Contract::PollCreator, Call::Polls(Polls::Create(vec![1, 2].into()))),
                (Contract::Poll(two), Call::Polls(Polls::Vote(two, n))),
            ]);
        let doors = Doors { rounds_manager: one, service_registry: two };
        for (contract, what) in calls {
            let (_, data) = encode(&what, &Addresses::default(), &doors).unwrap();
            assert_eq!(decode(contract, &data).unwrap(), what);
        }
        assert!(encode(&Call::Pause(true), &Addresses::default(), &doors).is_none());
    }
}
