//! Calldata in, a [`Call`] out: every function of the contracts that changes state, by its signature. What is too short, points
//! outside itself or names no function is refused; lengths are bounded by what is really there.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::selector;
use crate::chain::call::{Action, Bonding, Broker, Call, Governor, Minter, Polls, Redemption, Rounds, Token};
use crate::chain::{Contract, Revert};
use crate::pool::Hint;
use crate::tickets::Ticket;

mod logs;

pub use logs::{PollMade, Proposed, poll_vote};

/// Arguments that are still to be read, and where their offsets count from.
#[derive(Clone, Copy, Debug)]
pub(in crate::chain) struct Args<'a> {
    whole: &'a Bytes,
    base: &'a [u8],
    at: usize,
}

type Read = fn(&mut Args<'_>) -> Option<Call>;

/// Reads the call of a contract out of a transaction's data.
///
/// # Errors
/// [`Revert::UnknownFunction`], [`Revert::BadCalldata`] or, for actions of a proposal whose lists differ in length,
/// [`Revert::ProposalLength`].
pub fn decode(contract: Contract, data: &[u8]) -> Result<Call, Revert> {
    let (called, args) = data.split_first_chunk::<4>().ok_or(Revert::UnknownFunction)?;
    let found = functions(contract).iter().find(|(signature, _)| selector(signature) == *called);
    let (signature, read) = found.ok_or(Revert::UnknownFunction)?;
    let whole = Bytes::copy_from_slice(args);
    let args = Args::of(&whole);
    if signature.contains("(address[],uint256[],bytes[],") && args.lists_differ() {
        return Err(Revert::ProposalLength);
    }
    let call = read(&mut { args }).ok_or(Revert::BadCalldata)?;
    Ok(match (contract, call) {
        (Contract::Poll(poll), Call::Polls(Polls::Vote(_, choice))) => Call::Polls(Polls::Vote(poll, choice)),
        (Contract::Poll(poll), Call::Polls(Polls::Destroy(_))) => Call::Polls(Polls::Destroy(poll)),
        (_, call) => call,
    })
}

fn functions(contract: Contract) -> &'static [(&'static str, Read)] {
    match contract {
        Contract::Controller => {
            &[("pause()", |_| Some(Call::Pause(true))), ("unpause()", |_| Some(Call::Pause(false)))]
        }
        Contract::BondingManager => BONDING,
        Contract::RoundsManager => ROUNDS,
        Contract::Minter => MINTER,
        Contract::TicketBroker => BROKER,
        Contract::ServiceRegistry => &[("setServiceURI(string)", |a| Some(Call::SetServiceUri(a.text()?)))],
        Contract::LivepeerToken => TOKEN,
        Contract::LivepeerGovernor => GOVERNOR,
        Contract::PollCreator => &[("createPoll(bytes)", |a| Some(Call::Polls(Polls::Create(a.bytes()?))))],
        Contract::Poll(_) => &[
            ("vote(uint256)", |a| Some(Call::Polls(Polls::Vote(Address::ZERO, a.uint()?)))),
            ("destroy()", |_| Some(Call::Polls(Polls::Destroy(Address::ZERO)))),
        ],
        Contract::BondingVotes | Contract::Treasury => &[],
    }
}

const NO_HINT: Hint = Hint { prev: Address::ZERO, next: Address::ZERO };

const BONDING: &[(&str, Read)] = &[
    ("bond(uint256,address)", |a| bonding(Bonding::Bond(a.uint()?, a.address()?, NO_HINT, NO_HINT))),
    ("bondWithHint(uint256,address,address,address,address,address)", |a| {
        bonding(Bonding::Bond(a.uint()?, a.address()?, a.hint()?, a.hint()?))
    }),
    ("bondForWithHint(uint256,address,address,address,address,address,address)", |a| {
        bonding(Bonding::BondFor(a.uint()?, a.address()?, a.address()?, a.hint()?, a.hint()?))
    }),
    ("unbond(uint256)", |a| bonding(Bonding::Unbond(a.uint()?, NO_HINT))),
    ("unbondWithHint(uint256,address,address)", |a| bonding(Bonding::Unbond(a.uint()?, a.hint()?))),
    ("rebond(uint256)", |a| bonding(Bonding::Rebond(a.uint()?, NO_HINT))),
    ("rebondWithHint(uint256,address,address)", |a| bonding(Bonding::Rebond(a.uint()?, a.hint()?))),
    ("rebondFromUnbonded(address,uint256)", |a| {
        bonding(Bonding::RebondFromUnbonded(a.address()?, a.uint()?, NO_HINT))
    }),
    ("rebondFromUnbondedWithHint(address,uint256,address,address)", |a| {
        bonding(Bonding::RebondFromUnbonded(a.address()?, a.uint()?, a.hint()?))
    }),
    ("transferBond(address,uint256,address,address,address,address)", |a| {
        bonding(Bonding::TransferBond(a.address()?, a.uint()?, a.hint()?, a.hint()?))
    }),
    ("withdrawStake(uint256)", |a| bonding(Bonding::WithdrawStake(a.uint()?))),
    ("withdrawFees(address,uint256)", |a| bonding(Bonding::WithdrawFees(a.address()?, a.uint()?))),
    ("claimEarnings(uint256)", |a| bonding(Bonding::ClaimEarnings(a.uint()?))),
    ("checkpointBondingState(address)", |a| bonding(Bonding::CheckpointBondingState(a.address()?))),
    ("transcoder(uint256,uint256)", |a| bonding(Bonding::Transcoder(a.uint()?, a.uint()?, NO_HINT))),
    ("transcoderWithHint(uint256,uint256,address,address)", |a| {
        bonding(Bonding::Transcoder(a.uint()?, a.uint()?, a.hint()?))
    }),
    ("reward()", |_| bonding(Bonding::Reward(NO_HINT))),
    ("rewardWithHint(address,address)", |a| bonding(Bonding::Reward(a.hint()?))),
    ("rewardForTranscoder(address)", |a| bonding(Bonding::RewardForTranscoder(a.address()?, NO_HINT))),
    ("rewardForTranscoderWithHint(address,address,address)", |a| {
        bonding(Bonding::RewardForTranscoder(a.address()?, a.hint()?))
    }),
    ("setRewardCaller(address)", |a| bonding(Bonding::SetRewardCaller(a.address()?))),
    ("slashTranscoder(address,address,uint256,uint256)", |a| {
        bonding(Bonding::SlashTranscoder(a.address()?, a.address()?, a.uint()?, a.uint()?))
    }),
    ("setUnbondingPeriod(uint64)", |a| bonding(Bonding::SetUnbondingPeriod(a.number()?))),
    ("setNumActiveTranscoders(uint256)", |a| bonding(Bonding::SetNumActiveTranscoders(a.uint()?))),
    ("setTreasuryRewardCutRate(uint256)", |a| bonding(Bonding::SetTreasuryRewardCutRate(a.uint()?))),
    ("setTreasuryBalanceCeiling(uint256)", |a| bonding(Bonding::SetTreasuryBalanceCeiling(a.uint()?))),
];

const ROUNDS: &[(&str, Read)] = &[
    ("initializeRound()", |_| Some(Call::Rounds(Rounds::InitializeRound))),
    ("setRoundLength(uint256)", |a| Some(Call::Rounds(Rounds::SetRoundLength(a.number()?)))),
    ("setRoundLockAmount(uint256)", |a| Some(Call::Rounds(Rounds::SetRoundLockAmount(a.number()?)))),
];

const MINTER: &[(&str, Read)] = &[
    ("setInflationChange(uint256)", |a| Some(Call::Minter(Minter::SetInflationChange(a.uint()?)))),
    ("setTargetBondingRate(uint256)", |a| Some(Call::Minter(Minter::SetTargetBondingRate(a.uint()?)))),
];

const TOKEN: &[(&str, Read)] = &[
    ("transfer(address,uint256)", |a| Some(Call::Token(Token::Transfer(a.address()?, a.uint()?)))),
    ("approve(address,uint256)", |a| Some(Call::Token(Token::Approve(a.address()?, a.uint()?)))),
    ("transferFrom(address,address,uint256)", |a| {
        Some(Call::Token(Token::TransferFrom(a.address()?, a.address()?, a.uint()?)))
    }),
];

const BROKER: &[(&str, Read)] = &[
    ("fundDeposit()", |_| broker(Broker::FundDeposit)),
    ("fundReserve()", |_| broker(Broker::FundReserve)),
    ("fundDepositAndReserve(uint256,uint256)", |a| {
        broker(Broker::FundDepositAndReserve(a.uint()?, a.uint()?))
    }),
    ("fundDepositAndReserveFor(address,uint256,uint256)", |a| {
        broker(Broker::FundDepositAndReserveFor(a.address()?, a.uint()?, a.uint()?))
    }),
    ("unlock()", |_| broker(Broker::Unlock)),
    ("cancelUnlock()", |_| broker(Broker::CancelUnlock)),
    ("withdraw()", |_| broker(Broker::Withdraw)),
    ("redeemWinningTicket((address,address,uint256,uint256,uint256,bytes32,bytes),bytes,uint256)", |a| {
        let (ticket, signature, recipient_rand) = (a.ticket()?, a.bytes()?, a.uint()?);
        broker(Broker::Redeem(Box::new(Redemption { ticket, signature, recipient_rand })))
    }),
    (
        "batchRedeemWinningTickets((address,address,uint256,uint256,uint256,bytes32,bytes)[],bytes[],uint256[])",
        |a| broker(Broker::RedeemBatch(a.redemptions()?)),
    ),
    ("setUnlockPeriod(uint256)", |a| broker(Broker::SetUnlockPeriod(a.number()?))),
    ("setTicketValidityPeriod(uint256)", |a| broker(Broker::SetTicketValidityPeriod(a.number()?))),
];

const GOVERNOR: &[(&str, Read)] = &[
    ("propose(address[],uint256[],bytes[],string)", |a| governor(Governor::Propose(a.actions()?, a.text()?))),
    ("castVote(uint256,uint8)", |a| governor(Governor::CastVote(a.uint()?, a.small()?, String::new()))),
    ("castVoteWithReason(uint256,uint8,string)", |a| {
        governor(Governor::CastVote(a.uint()?, a.small()?, a.text()?))
    }),
    ("queue(address[],uint256[],bytes[],bytes32)", |a| governor(Governor::Queue(a.actions()?, a.hash()?))),
    ("execute(address[],uint256[],bytes[],bytes32)", |a| {
        governor(Governor::Execute(a.actions()?, a.hash()?))
    }),
    ("cancel(address[],uint256[],bytes[],bytes32)", |a| governor(Governor::Cancel(a.actions()?, a.hash()?))),
];

#[allow(clippy::unnecessary_wraps, reason = "the table's entries read with `?` and end with a call")]
const fn bonding(call: Bonding) -> Option<Call> {
    Some(Call::Bonding(call))
}

#[allow(clippy::unnecessary_wraps, reason = "the table's entries read with `?` and end with a call")]
const fn broker(call: Broker) -> Option<Call> {
    Some(Call::Broker(call))
}

#[allow(clippy::unnecessary_wraps, reason = "the table's entries read with `?` and end with a call")]
const fn governor(call: Governor) -> Option<Call> {
    Some(Call::Governor(call))
}

impl<'a> Args<'a> {
    pub(in crate::chain) fn of(whole: &'a Bytes) -> Self {
        Self { whole, base: whole, at: 0 }
    }

    pub(in crate::chain) fn hash(&mut self) -> Option<B256> {
        let word = self.base.get(self.at..self.at.checked_add(32)?)?;
        self.at += 32;
        Some(B256::from_slice(word))
    }

    pub(in crate::chain) fn uint(&mut self) -> Option<U256> {
        self.hash().map(Into::into)
    }

    fn number(&mut self) -> Option<u64> {
        self.uint()?.try_into().ok()
    }

    fn small(&mut self) -> Option<u8> {
        self.uint()?.try_into().ok()
    }

    pub(in crate::chain) fn address(&mut self) -> Option<Address> {
        let word = self.hash()?;
        word[..12].iter().all(|byte| *byte == 0).then(|| Address::from_word(word))
    }

    fn hint(&mut self) -> Option<Hint> {
        Some(Hint { prev: self.address()?, next: self.address()? })
    }

    /// What an offset points to.
    fn inner(&mut self) -> Option<Self> {
        let offset = usize::try_from(self.number()?).ok()?;
        Some(Self { base: self.base.get(offset..)?, at: 0, ..*self })
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let mut blob = self.inner()?;
        let length = usize::try_from(blob.number()?).ok()?;
        blob.base.get(32..length.checked_add(32)?).map(|bytes| self.whole.slice_ref(bytes))
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// A dynamic array, an element at a time; each takes a word at least.
    fn list<T>(&mut self, read: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut list = self.inner()?;
        let length = usize::try_from(list.number()?).ok()?;
        let mut items = Self { base: &list.base[32..], at: 0, ..list };
        if length > items.base.len() / 32 {
            return None;
        }
        (0..length).map(|_| read(&mut items)).collect()
    }

    pub(in crate::chain) fn ticket(&mut self) -> Option<Ticket> {
        let mut fields = self.inner()?;
        Some(Ticket {
            recipient: fields.address()?,
            sender: fields.address()?,
            face_value: fields.uint()?,
            win_prob: fields.uint()?,
            sender_nonce: fields.uint()?,
            recipient_rand_hash: fields.hash()?,
            aux_data: fields.bytes()?,
        })
    }

    fn redemptions(&mut self) -> Option<Vec<Redemption>> {
        let tickets = self.list(Args::ticket)?;
        let (signatures, rands) = (self.list(Args::bytes)?, self.list(Args::uint)?);
        // The contract reads as many signatures and numbers as there are tickets, and panics where one is missing.
        let complete = tickets.len() <= signatures.len().min(rands.len());
        self.require_apart(tickets.iter().map(|ticket| &ticket.aux_data).chain(&signatures))?;
        let all = tickets.into_iter().zip(signatures).zip(rands);
        complete.then(|| {
            all.map(|((ticket, signature), recipient_rand)| Redemption { ticket, signature, recipient_rand })
                .collect()
        })
    }

    pub(in crate::chain) fn actions(&mut self) -> Option<Vec<Action>> {
        let (targets, values) = (self.list(Args::address)?, self.list(Args::uint)?);
        let calls = self.list(Args::bytes)?;
        self.require_apart(calls.iter())?;
        let all = targets.into_iter().zip(values).zip(calls);
        Some(all.map(|((target, value), calldata)| Action { target, value, calldata }).collect())
    }

    /// Elements that share their bytes could be many times as long as what they came in; no encoder makes them.
    fn require_apart<'b>(&self, mut all: impl Iterator<Item = &'b Bytes>) -> Option<()> {
        let total = all.try_fold(0usize, |sum, bytes| sum.checked_add(bytes.len()))?;
        (total <= self.whole.len()).then_some(())
    }

    /// Whether the three lists of a proposal are of different lengths.
    fn lists_differ(mut self) -> bool {
        let lengths: Vec<_> = (0..3).map(|_| self.inner().and_then(|mut list| list.uint())).collect();
        lengths[0] != lengths[1] || lengths[1] != lengths[2]
    }
}
