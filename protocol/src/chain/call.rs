//! What a transaction asks for: one variant a function of the contracts, its arguments in the ABI's order and units (LPT and
//! wei in base units, cuts in parts per million). Functions without a hint are those with an empty one.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::pool::Hint;
use crate::tickets::Ticket;

/// A call of one contract.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Call {
    /// Only ether moves: to this address.
    Send(Address),
    /// `LivepeerToken`
    Token(Token),
    /// `RoundsManager`
    Rounds(Rounds),
    /// `BondingManager`
    Bonding(Bonding),
    /// `Minter`
    Minter(Minter),
    /// `TicketBroker`
    Broker(Broker),
    /// `ServiceRegistry.setServiceURI(uri)`
    SetServiceUri(String),
    /// `LivepeerGovernor`
    Governor(Governor),
    /// `PollCreator` and the polls that it made
    Polls(Polls),
    /// `Controller.pause()`, or `unpause()` when false
    Pause(bool),
}

impl Call {
    /// Wei that go with a call whose arguments name them (`fundDepositAndReserve`), none for others. Beyond 256 bits the sum
    /// stays at the largest number, which nobody has.
    #[must_use]
    pub const fn named_value(&self) -> U256 {
        match self {
            Self::Broker(
                Broker::FundDepositAndReserve(deposit, reserve)
                | Broker::FundDepositAndReserveFor(_, deposit, reserve),
            ) => deposit.saturating_add(*reserve),
            _ => U256::ZERO,
        }
    }
}

/// The token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Token {
    /// `transfer(to, amount)`
    Transfer(Address, U256),
    /// `approve(spender, amount)`; the largest number is an allowance without end
    Approve(Address, U256),
    /// `transferFrom(from, to, amount)`
    TransferFrom(Address, Address, U256),
}

/// The clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rounds {
    /// `initializeRound()`
    InitializeRound,
    /// `setRoundLength(blocks)`, owner only
    SetRoundLength(u64),
    /// `setRoundLockAmount(ppm)`, owner only
    SetRoundLockAmount(u64),
}

/// Staking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bonding {
    /// `bondWithHint(amount, to, old delegate's place, new delegate's place)`
    Bond(U256, Address, Hint, Hint),
    /// `bondForWithHint(amount, owner, to, old delegate's place, new delegate's place)`
    BondFor(U256, Address, Address, Hint, Hint),
    /// `unbondWithHint(amount, place)`
    Unbond(U256, Hint),
    /// `rebondWithHint(lock, place)`
    Rebond(U256, Hint),
    /// `rebondFromUnbondedWithHint(to, lock, place)`
    RebondFromUnbonded(Address, U256, Hint),
    /// `transferBond(receiver, amount, old delegate's place, new delegate's place)`
    TransferBond(Address, U256, Hint, Hint),
    /// `withdrawStake(lock)`
    WithdrawStake(U256),
    /// `withdrawFees(recipient, amount)`
    WithdrawFees(Address, U256),
    /// `claimEarnings(ignored)`
    ClaimEarnings(U256),
    /// `checkpointBondingState(account)`
    CheckpointBondingState(Address),
    /// `transcoderWithHint(rewardCut, feeShare, place)`
    Transcoder(U256, U256, Hint),
    /// `rewardWithHint(place)`
    Reward(Hint),
    /// `rewardForTranscoderWithHint(transcoder, place)`
    RewardForTranscoder(Address, Hint),
    /// `setRewardCaller(caller)`
    SetRewardCaller(Address),
    /// `slashTranscoder(transcoder, finder, share of the bond, finder's share)`, verifier only, shares in ppm
    SlashTranscoder(Address, Address, U256, U256),
    /// `setUnbondingPeriod(rounds)`, owner only
    SetUnbondingPeriod(u64),
    /// `setNumActiveTranscoders(n)`, owner only
    SetNumActiveTranscoders(U256),
    /// `setTreasuryRewardCutRate(rate)`, owner only, 10^27 points
    SetTreasuryRewardCutRate(U256),
    /// `setTreasuryBalanceCeiling(amount)`, owner only
    SetTreasuryBalanceCeiling(U256),
}

/// Inflation's parameters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Minter {
    /// `setInflationChange(ppb)`, owner only
    SetInflationChange(U256),
    /// `setTargetBondingRate(ppb)`, owner only
    SetTargetBondingRate(U256),
}

/// Payments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Broker {
    /// `fundDeposit()`, payable
    FundDeposit,
    /// `fundReserve()`, payable
    FundReserve,
    /// `fundDepositAndReserve(deposit, reserve)`, payable
    FundDepositAndReserve(U256, U256),
    /// `fundDepositAndReserveFor(sender, deposit, reserve)`, payable
    FundDepositAndReserveFor(Address, U256, U256),
    /// `unlock()`
    Unlock,
    /// `cancelUnlock()`
    CancelUnlock,
    /// `withdraw()`
    Withdraw,
    /// `redeemWinningTicket(ticket, signature, recipientRand)`
    Redeem(Box<Redemption>),
    /// `batchRedeemWinningTickets(...)`: failures change nothing and are not told
    RedeemBatch(Vec<Redemption>),
    /// `setUnlockPeriod(rounds)`, owner only
    SetUnlockPeriod(u64),
    /// `setTicketValidityPeriod(rounds)`, owner only
    SetTicketValidityPeriod(u64),
}

/// A winning ticket and what proves it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Redemption {
    /// The ticket.
    pub ticket: Ticket,
    /// Its sender's signature.
    pub signature: Bytes,
    /// The recipient's number.
    pub recipient_rand: U256,
}

/// Votes over the treasury.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Governor {
    /// `propose(actions, description)`
    Propose(Vec<Action>, String),
    /// `castVote(proposal, support)`, and `castVoteWithReason` with a reason
    CastVote(U256, u8, String),
    /// `queue(actions, keccak(description))`
    Queue(Vec<Action>, B256),
    /// `execute(actions, keccak(description))`
    Execute(Vec<Action>, B256),
    /// `cancel(actions, keccak(description))`
    Cancel(Vec<Action>, B256),
}

/// One call that the treasury makes when a proposal is executed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Action {
    /// Who is called.
    pub target: Address,
    /// Ether that goes with it, wei.
    pub value: U256,
    /// What is asked, ABI-encoded.
    pub calldata: Bytes,
}

/// Votes over the protocol, tallied off-chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Polls {
    /// `PollCreator.createPoll(proposal)`
    Create(Bytes),
    /// `Poll.vote(choice)` of the poll at an address
    Vote(Address, U256),
    /// `Poll.destroy()` of the poll at an address
    Destroy(Address),
}
