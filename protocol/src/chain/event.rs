//! What a transaction leaves in its receipt: the events of all contracts, field by field in the order and with the types of
//! their ABI, so that logs can be encoded from them. A field's documentation is its ABI declaration.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::Contract;
use super::abi::{Value, encode};

/// One argument of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arg {
    /// Whether it is a topic.
    pub indexed: bool,
    /// Its ABI type.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
}

macro_rules! events {
    ($($name:ident { $($field:ident: $kind:ty = $abi:literal),* $(,)? })*) => {
        /// What happened. Each variant is the contract's event of the same name.
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("`", stringify!($name), "`")] $name { $(#[doc = concat!("`", $abi, "`")] $field: $kind),* },)*
        }

        impl Event {
            /// The event's name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }

            /// Its arguments in the order of the ABI.
            #[must_use]
            pub fn args(&self) -> Vec<Arg> {
                match self { $(Self::$name { $($field),* } => vec![$(arg($abi, $field.clone().into())),*],)* }
            }
        }
    };
}

fn arg(abi: &'static str, value: Value) -> Arg {
    let (indexed, rest) = abi.strip_prefix("indexed ").map_or((false, abi), |rest| (true, rest));
    let (kind, name) = rest.split_once(' ').unwrap_or((rest, ""));
    Arg { indexed, kind, name, value }
}

impl Event {
    /// Keccak-256 of the event's signature: its first topic.
    #[must_use]
    pub fn topic(&self) -> B256 {
        let kinds: Vec<_> = self.args().iter().map(|arg| arg.kind).collect();
        keccak256(format!("{}({})", self.name(), kinds.join(",")))
    }

    /// The topics of its log: the signature, then what is indexed.
    #[must_use]
    pub fn topics(&self) -> Vec<B256> {
        let indexed = self.args().into_iter().filter(|arg| arg.indexed);
        std::iter::once(self.topic()).chain(indexed.map(|arg| arg.value.topic())).collect()
    }

    /// The data of its log: what is not indexed.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        let plain = self.args().into_iter().filter(|arg| !arg.indexed);
        encode(&plain.map(|arg| arg.value).collect::<Vec<_>>())
    }
}

/// An event and the contract that emitted it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// The emitter; a poll's own address for a poll.
    pub contract: Contract,
    /// What it says.
    pub event: Event,
}

events! {
    ParameterUpdate { param: &'static str = "string param" }
    NewRound { round: U256 = "indexed uint256 round", block_hash: B256 = "bytes32 blockHash" }
    Bond {
        new_delegate: Address = "indexed address newDelegate",
        old_delegate: Address = "indexed address oldDelegate",
        delegator: Address = "indexed address delegator",
        additional_amount: U256 = "uint256 additionalAmount",
        bonded_amount: U256 = "uint256 bondedAmount",
    }
    Unbond {
        delegate: Address = "indexed address delegate",
        delegator: Address = "indexed address delegator",
        unbonding_lock_id: U256 = "uint256 unbondingLockId",
        amount: U256 = "uint256 amount",
        withdraw_round: U256 = "uint256 withdrawRound",
    }
    Rebond {
        delegate: Address = "indexed address delegate",
        delegator: Address = "indexed address delegator",
        unbonding_lock_id: U256 = "uint256 unbondingLockId",
        amount: U256 = "uint256 amount",
    }
    TransferBond {
        old_delegator: Address = "indexed address oldDelegator",
        new_delegator: Address = "indexed address newDelegator",
        old_unbonding_lock_id: U256 = "uint256 oldUnbondingLockId",
        new_unbonding_lock_id: U256 = "uint256 newUnbondingLockId",
        amount: U256 = "uint256 amount",
    }
    WithdrawStake {
        delegator: Address = "indexed address delegator",
        unbonding_lock_id: U256 = "uint256 unbondingLockId",
        amount: U256 = "uint256 amount",
        withdraw_round: U256 = "uint256 withdrawRound",
    }
    WithdrawFees {
        delegator: Address = "indexed address delegator",
        recipient: Address = "address recipient",
        amount: U256 = "uint256 amount",
    }
    EarningsClaimed {
        delegate: Address = "indexed address delegate",
        delegator: Address = "indexed address delegator",
        rewards: U256 = "uint256 rewards",
        fees: U256 = "uint256 fees",
        start_round: U256 = "uint256 startRound",
        end_round: U256 = "uint256 endRound",
    }
    TranscoderUpdate {
        transcoder: Address = "indexed address transcoder",
        reward_cut: U256 = "uint256 rewardCut",
        fee_share: U256 = "uint256 feeShare",
    }
    TranscoderActivated {
        transcoder: Address = "indexed address transcoder",
        activation_round: U256 = "uint256 activationRound",
    }
    TranscoderDeactivated {
        transcoder: Address = "indexed address transcoder",
        deactivation_round: U256 = "uint256 deactivationRound",
    }
    TranscoderSlashed {
        transcoder: Address = "indexed address transcoder",
        finder: Address = "address finder",
        penalty: U256 = "uint256 penalty",
        finder_reward: U256 = "uint256 finderReward",
    }
    Reward { transcoder: Address = "indexed address transcoder", amount: U256 = "uint256 amount" }
    RewardCallerSet {
        transcoder: Address = "indexed address transcoder",
        reward_caller: Address = "indexed address rewardCaller",
    }
    TreasuryReward {
        transcoder: Address = "indexed address transcoder",
        treasury: Address = "address treasury",
        amount: U256 = "uint256 amount",
    }
    DelegateChanged {
        delegator: Address = "indexed address delegator",
        from_delegate: Address = "indexed address fromDelegate",
        to_delegate: Address = "indexed address toDelegate",
    }
    DelegateVotesChanged {
        delegate: Address = "indexed address delegate",
        previous_balance: U256 = "uint256 previousBalance",
        new_balance: U256 = "uint256 newBalance",
    }
    DelegatorBondedAmountChanged {
        delegate: Address = "indexed address delegate",
        previous_bonded_amount: U256 = "uint256 previousBondedAmount",
        previous_last_claim_round: U256 = "uint256 previousLastClaimRound",
        new_bonded_amount: U256 = "uint256 newBondedAmount",
        new_last_claim_round: U256 = "uint256 newLastClaimRound",
    }
    SetCurrentRewardTokens {
        current_mintable_tokens: U256 = "uint256 currentMintableTokens",
        current_inflation: U256 = "uint256 currentInflation",
    }
    DepositFunded { sender: Address = "indexed address sender", amount: U256 = "uint256 amount" }
    ReserveFunded { reserve_holder: Address = "indexed address reserveHolder", amount: U256 = "uint256 amount" }
    ReserveClaimed {
        reserve_holder: Address = "indexed address reserveHolder",
        claimant: Address = "address claimant",
        amount: U256 = "uint256 amount",
    }
    Unlock {
        sender: Address = "indexed address sender",
        start_round: U256 = "uint256 startRound",
        end_round: U256 = "uint256 endRound",
    }
    UnlockCancelled { sender: Address = "indexed address sender" }
    Withdrawal {
        sender: Address = "indexed address sender",
        deposit: U256 = "uint256 deposit",
        reserve: U256 = "uint256 reserve",
    }
    WinningTicketTransfer {
        sender: Address = "indexed address sender",
        recipient: Address = "indexed address recipient",
        amount: U256 = "uint256 amount",
    }
    WinningTicketRedeemed {
        sender: Address = "indexed address sender",
        recipient: Address = "indexed address recipient",
        face_value: U256 = "uint256 faceValue",
        win_prob: U256 = "uint256 winProb",
        sender_nonce: U256 = "uint256 senderNonce",
        recipient_rand: U256 = "uint256 recipientRand",
        aux_data: Bytes = "bytes auxData",
    }
    ServiceURIUpdate { addr: Address = "indexed address addr", service_uri: String = "string serviceURI" }
    Transfer {
        from: Address = "indexed address from",
        to: Address = "indexed address to",
        value: U256 = "uint256 value",
    }
    Approval {
        owner: Address = "indexed address owner",
        spender: Address = "indexed address spender",
        value: U256 = "uint256 value",
    }
    Mint { to: Address = "indexed address to", amount: U256 = "uint256 amount" }
    Burn { burner: Address = "indexed address burner", amount: U256 = "uint256 amount" }
    Pause {}
    Unpause {}
    ProposalCreated {
        proposal_id: U256 = "uint256 proposalId",
        proposer: Address = "address proposer",
        targets: Vec<Address> = "address[] targets",
        values: Vec<U256> = "uint256[] values",
        signatures: Vec<String> = "string[] signatures",
        calldatas: Vec<Bytes> = "bytes[] calldatas",
        vote_start: U256 = "uint256 voteStart",
        vote_end: U256 = "uint256 voteEnd",
        description: String = "string description",
    }
    ProposalCanceled { proposal_id: U256 = "uint256 proposalId" }
    ProposalQueued { proposal_id: U256 = "uint256 proposalId", eta: U256 = "uint256 eta" }
    ProposalExecuted { proposal_id: U256 = "uint256 proposalId" }
    VoteCast {
        voter: Address = "indexed address voter",
        proposal_id: U256 = "uint256 proposalId",
        support: u8 = "uint8 support",
        weight: U256 = "uint256 weight",
        reason: String = "string reason",
    }
    CallScheduled {
        id: B256 = "indexed bytes32 id",
        index: U256 = "indexed uint256 index",
        target: Address = "address target",
        value: U256 = "uint256 value",
        data: Bytes = "bytes data",
        predecessor: B256 = "bytes32 predecessor",
        delay: U256 = "uint256 delay",
    }
    CallSalt { id: B256 = "indexed bytes32 id", salt: B256 = "bytes32 salt" }
    CallExecuted {
        id: B256 = "indexed bytes32 id",
        index: U256 = "indexed uint256 index",
        target: Address = "address target",
        value: U256 = "uint256 value",
        data: Bytes = "bytes data",
    }
    PollCreated {
        poll: Address = "indexed address poll",
        proposal: Bytes = "bytes proposal",
        end_block: U256 = "uint256 endBlock",
        quorum: U256 = "uint256 quorum",
        quota: U256 = "uint256 quota",
    }
    Vote { voter: Address = "indexed address voter", choice_id: U256 = "uint256 choiceID" }
}
