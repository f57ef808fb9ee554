//! How a transaction fails: every revert reason of Livepeer's contracts, in their own words. The text of a variant is its
//! documentation; nothing here decides anything.

use alloy_primitives::{Address, B256, U256};
use thiserror::Error;

use super::abi::{call, selector};
use crate::math::Arithmetic;
use crate::{inflation, pool, tickets};

macro_rules! reverts {
    ($($name:ident = $text:tt,)*) => {
        /// Why a transaction was refused and changed nothing. Displays as the contract's reason.
        #[derive(Clone, Debug, Eq, Error, PartialEq)]
        pub enum Revert {
            $(#[doc = $text] #[error($text)] $name,)*
            /// Checked arithmetic failed: `Panic(0x11)` or `Panic(0x12)`.
            #[error(transparent)]
            Panic(#[from] Arithmetic),
            /// An assertion of the contract failed: `Panic(0x01)`.
            #[error("assertion failed (panic 0x01)")]
            Assertion,
            /// The orchestrator pool's list.
            #[error(transparent)]
            Pool(#[from] pool::Refused),
            /// A ticket's signature.
            #[error(transparent)]
            Signature(#[from] tickets::BadSignature),
            /// The token's access control.
            #[error("AccessControl: account {account:#x} is missing role {role}")]
            MissingRole {
                /// Who lacks it.
                account: Address,
                /// The role's hash.
                role: B256,
            },
            /// `InvalidVoteType(uint8)`: neither against, for nor abstain.
            #[error("InvalidVoteType({0})")]
            InvalidVoteType(u8),
            /// `FutureLookup(uint256,uint256)`: votes of a round that is not over.
            #[error("FutureLookup({0}, {1})")]
            FutureLookup(U256, U256),
            /// `MissingEarningsPool(address,uint256)`.
            #[error("MissingEarningsPool({0}, {1})")]
            MissingEarningsPool(Address, U256),
        }
    };
}

reverts! {
    // Every contract
    Paused = "system is paused",
    NotControllerOwner = "caller must be Controller owner",
    NotOwner = "Ownable: caller is not the owner",
    NotPaused = "Pausable: not paused",
    AlreadyPaused = "Pausable: paused",
    UnknownFunction = "function selector was not recognized",
    BadCalldata = "function arguments cannot be decoded",
    NotPayable = "function is not payable",
    InsufficientFunds = "insufficient funds for transfer",
    // RoundsManager
    RoundNotInitialized = "current round is not initialized",
    RoundAlreadyInitialized = "round already initialized",
    RoundLengthZero = "round length cannot be 0",
    RoundLockInvalid = "round lock amount must be a valid percentage",
    // BondingManager
    NothingToDelegate = "delegation amount must be greater than 0",
    OrchestratorMayNotMove = "registered transcoders can't delegate towards other addresses",
    RewardNotYetCalled = "transcoder has not yet called reward for the current round",
    IllegalClaim = "ILLEGAL_CLAIM_EARNINGS",
    InvalidDelegator = "INVALID_DELEGATOR",
    InvalidDelegate = "INVALID_DELEGATE",
    InvalidDelegateChange = "INVALID_DELEGATE_CHANGE",
    NotBonded = "caller must be bonded",
    NotUnbonded = "caller must be unbonded",
    NothingToUnbond = "unbond amount must be greater than 0",
    UnbondTooMuch = "amount is greater than bonded amount",
    InvalidLock = "invalid unbonding lock ID",
    WithdrawTooEarly = "withdraw round must be before or equal to the current round",
    InvalidRecipient = "invalid recipient",
    InsufficientFees = "insufficient fees to withdraw",
    RoundLocked = "can't update transcoder params, current round is locked",
    InvalidRewardCut = "invalid rewardCut percentage",
    InvalidFeeShare = "invalid feeShare percentage",
    NotRegistered = "transcoder must be registered",
    ActiveWithoutReward = "caller can't be active or must have already called reward for the current round",
    NotActive = "transcoder must be active",
    AlreadyRewarded = "caller has already called reward for the current round",
    NotRewardCaller = "caller must be a reward caller set by the transcoder",
    InvalidTreasuryCut = "_cutRate is invalid precise percentage",
    NotVerifier = "caller must be Verifier",
    // Minter
    MintExceeded = "minted tokens cannot exceed mintable tokens",
    InvalidInflationChange = "_inflationChange is invalid percentage",
    InvalidBondingRate = "_targetBondingRate is invalid percentage",
    // TicketBroker
    WrongValue = "msg.value does not equal sum of deposit amount and reserve amount",
    NothingFunded = "sender deposit and reserve are zero",
    UnlockInitiated = "unlock already initiated",
    NoUnlock = "no unlock request in progress",
    AccountLocked = "account is locked",
    NullRecipient = "ticket recipient is null address",
    NullSender = "ticket sender is null address",
    AuxLength = "invalid length for ticket auxData: must be 64 bytes",
    NoBlockHash = "ticket creationRound does not have a block hash",
    WrongBlockHash = "ticket creationRoundBlockHash invalid for creationRound",
    TicketExpired = "ticket is expired",
    WrongRand = "recipientRand does not match recipientRandHash",
    TicketUsed = "ticket is used",
    NotSignedBySender = "invalid signature over ticket hash",
    DidNotWin = "ticket did not win",
    SenderUnlocked = "sender is unlocked",
    InsufficientCover = "sender deposit and reserve insufficient to cover ticket face value",
    // LivepeerToken
    TransferExceedsBalance = "ERC20: transfer amount exceeds balance",
    InsufficientAllowance = "ERC20: insufficient allowance",
    TransferToZero = "ERC20: transfer to the zero address",
    ApproveToZero = "ERC20: approve to the zero address",
    BurnExceedsBalance = "ERC20: burn amount exceeds balance",
    // LivepeerGovernor and Treasury
    BelowThreshold = "Governor: proposer votes below proposal threshold",
    ProposerRestricted = "Governor: proposer restricted",
    ProposalLength = "Governor: invalid proposal length",
    EmptyProposal = "Governor: empty proposal",
    ProposalExists = "Governor: proposal already exists",
    UnknownProposal = "Governor: unknown proposal id",
    VoteNotActive = "Governor: vote not currently active",
    VoteAlreadyCast = "VoteAlreadyCast()",
    NotSuccessful = "Governor: proposal not successful",
    TooLateToCancel = "Governor: too late to cancel",
    NotProposer = "Governor: only proposer can cancel",
    OnlyGovernance = "Governor: onlyGovernance",
    NotReady = "TimelockController: operation is not ready",
    UnderlyingReverted = "TimelockController: underlying transaction reverted",
    // PollCreator and Poll
    InsufficientStake = "PollCreator#createPoll: INSUFFICIENT_STAKE",
    PollOver = "poll is over",
    PollActive = "poll is active",
    NoPoll = "there is no poll at this address",
}

impl From<inflation::Refused> for Revert {
    fn from(refused: inflation::Refused) -> Self {
        match refused {
            inflation::Refused::Exceeded => Self::MintExceeded,
            inflation::Refused::Panic(panic) => Self::Panic(panic),
        }
    }
}

impl Revert {
    /// Solidity's panic code, when it is a panic.
    #[must_use]
    pub const fn panic_code(&self) -> Option<u8> {
        match self {
            Self::Panic(panic) => Some(panic.code()),
            Self::Assertion => Some(0x01),
            _ => None,
        }
    }

    /// What the call returns: `Error(string)`, `Panic(uint256)` or the contract's own error, ABI-encoded.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        if let Some(code) = self.panic_code() {
            return call("Panic(uint256)", &[code.into()]);
        }
        match self {
            Self::VoteAlreadyCast => selector("VoteAlreadyCast()").to_vec(),
            Self::InvalidVoteType(support) => call("InvalidVoteType(uint8)", &[(*support).into()]),
            Self::FutureLookup(asked, last) => {
                call("FutureLookup(uint256,uint256)", &[(*asked).into(), (*last).into()])
            }
            Self::MissingEarningsPool(who, round) => {
                call("MissingEarningsPool(address,uint256)", &[(*who).into(), (*round).into()])
            }
            reason => call("Error(string)", &[reason.to_string().into()]),
        }
    }
}
