//! Livepeer's contracts under the tests of payments: the same state machine that runs the devnet, with orchestrators that are bonded
//! and broadcasters that have put something down. What it proves goes to the cores, what they decide is done to it, and what a
//! ticket is paid is what it says.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use protocol::chain::call::{Bonding, Broker, Redemption, Rounds, Token};
use protocol::chain::{Call, Chain, Event, Genesis, Head, Receipt, Revert};
use protocol::payments::SessionId;
use protocol::payments::entry::Winner;
use protocol::pool::Hint;
use protocol::reserve::Reserve;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::Funds;
use protocol::tickets::{Ticket, rand_hash};
use protocol::{Round, Wei};

use crate::ports::payments::{ChainHead, SenderFacts};
use crate::ports::redeemer::{Ask, Order, Paid, Situation};

/// L1 blocks of a round.
pub(crate) const ROUND: u64 = 200;
/// Most orchestrators that there may be.
pub(crate) const POOL: u64 = 8;
/// Sends redemptions: a key that has nothing to do with any orchestrator's.
const REDEEMER: Address = Address::repeat_byte(0xee);

/// Holds all LPT at first.
const BANK: Address = Address::repeat_byte(0xba);

/// What a redemption costs at 0.01 gwei, wei.
pub(crate) const REDEEM_COST: u64 = 12_000_000_000_000;

/// The contracts, and how many blocks they have seen.
#[derive(Debug)]
pub(crate) struct Contracts {
    chain: Chain,
    l2_block: u64,
}

pub(crate) fn wei(n: u64) -> Wei {
    Wei(U256::from(n))
}

/// So many thousandths of an ether.
pub(crate) fn ether(thousandths: u64) -> Wei {
    Wei(U256::from(thousandths) * U256::from(1_000_000_000_000_000_u64))
}

impl Contracts {
    /// Contracts in round 2, in which these orchestrators are active.
    pub(crate) fn new(orchestrators: &[Address]) -> Self {
        let genesis = Genesis {
            round_length: ROUND,
            num_active_transcoders: U256::from(POOL),
            unbonding_period: 1,
            lpt: vec![(BANK, ether(1_000_000_000_000).0)],
            ..Genesis::default()
        };
        let mut contracts = Self { chain: Chain::new(&genesis, Head::default()).unwrap(), l2_block: 1 };
        contracts.advance(ROUND);
        orchestrators.iter().for_each(|who| contracts.join(*who));
        contracts.advance(ROUND);
        contracts
    }

    /// L1 blocks go by; rounds that begin are initialized.
    pub(crate) fn advance(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let number = self.chain.head().number + 1;
            let parent_hash = keccak256(number.to_be_bytes());
            self.chain.advance(Head { number, parent_hash, timestamp: number * 12 });
            if number.is_multiple_of(ROUND) {
                self.call(REDEEMER, Wei::default(), Call::Rounds(Rounds::InitializeRound)).unwrap();
            }
        }
    }

    /// The first block of the next round.
    pub(crate) fn next_round(&mut self) {
        self.advance(ROUND - self.l1_block() % ROUND);
    }

    pub(crate) fn l1_block(&self) -> u64 {
        self.chain.head().number
    }

    pub(crate) fn round(&self) -> Round {
        self.chain.current_round().unwrap()
    }

    fn call(&mut self, from: Address, value: Wei, call: Call) -> Result<Receipt, Revert> {
        self.l2_block += 1;
        self.chain.apply(from, value.0, call)
    }

    /// A broadcaster's transaction.
    pub(crate) fn broker(&mut self, from: Address, value: Wei, call: Broker) -> Result<Receipt, Revert> {
        self.chain.credit(from, value.0).unwrap();
        self.call(from, value, Call::Broker(call))
    }

    /// Puts down a deposit and a reserve.
    pub(crate) fn fund(&mut self, sender: Address, deposit: Wei, reserve: Wei) {
        let all = Wei(deposit.0 + reserve.0);
        self.broker(sender, all, Broker::FundDepositAndReserve(deposit.0, reserve.0)).unwrap();
    }

    /// Bonds an orchestrator: it is in the pool at once, and active from the next round on.
    pub(crate) fn join(&mut self, who: Address) {
        let spender = self.chain.addresses.bonding_manager;
        let stake = ether(1_000_000).0;
        let bond = Bonding::Bond(stake, who, Hint::default(), Hint::default());
        for (from, call) in [
            (BANK, Call::Token(Token::Transfer(who, stake))),
            (who, Call::Token(Token::Approve(spender, U256::MAX))),
            (who, Call::Bonding(bond)),
        ] {
            self.call(from, Wei::default(), call).unwrap();
        }
    }

    /// Unbonds it: it is out of the pool at once, and active to the end of the round.
    pub(crate) fn leave(&mut self, who: Address) {
        let bonded = self.chain.bonding.delegators.at(&who).bonded_amount;
        self.call(who, Wei::default(), Call::Bonding(Bonding::Unbond(bonded, Hint::default()))).unwrap();
    }

    /// Sends a redemption.
    pub(crate) fn redeem(&mut self, winner: &Winner) -> Result<Wei, Revert> {
        let call = Call::Broker(Broker::Redeem(Box::new(redemption(winner))));
        let receipt = self.call(REDEEMER, Wei::default(), call)?;
        Ok(paid(&receipt).values().map(|paid| total(*paid)).fold(Wei::default(), plus))
    }

    /// Sends an order as its redeemer would; what each ticket brought, by the events.
    pub(crate) fn send(&mut self, order: &Order) -> Result<BTreeMap<U256, Paid>, Revert> {
        let all: Vec<_> = order.winners.iter().map(redemption).collect();
        let call = match <[Redemption; 1]>::try_from(all) {
            Ok([one]) => Broker::Redeem(Box::new(one)),
            Err(all) => Broker::RedeemBatch(all),
        };
        Ok(paid(&self.call(REDEEMER, Wei::default(), Call::Broker(call))?))
    }

    /// A ticket of this round that wins, whatever is drawn.
    pub(crate) fn winner(&self, key: &TicketKey, recipient: Address, face: Wei, nonce: u64) -> Winner {
        let recipient_rand = U256::from(nonce + 1);
        let creation_round = self.round();
        let ticket = Ticket {
            recipient,
            sender: key.address(),
            face_value: face.0,
            win_prob: U256::MAX,
            sender_nonce: U256::from(nonce),
            recipient_rand_hash: rand_hash(recipient_rand),
            aux_data: Ticket::aux(creation_round, self.head(recipient).round_hash),
        };
        Winner {
            session: SessionId::default(),
            signature: key.sign(&ticket),
            ticket,
            recipient_rand,
            expiration_block: self.l1_block(),
            creation_round,
            credited: true,
            at_ms: 0,
        }
    }

    fn pool_size(&self) -> u64 {
        self.chain.bonding.transcoder_pool.size.to()
    }

    /// What an orchestrator is proven of where the chain stands.
    pub(crate) fn head(&self, me: Address) -> ChainHead {
        let (l1_block, round) = (self.l1_block(), self.round());
        ChainHead {
            l1_block,
            round,
            round_hash: self.chain.rounds.block_hash_for_round.at(&round),
            round_end_block: (l1_block / ROUND + 1) * ROUND,
            pool_size: self.pool_size(),
            next_pool_size: POOL,
            active: self.chain.bonding.is_active(me, round),
            active_next: self.chain.bonding.is_active(me, round.next()),
            redeem_cost: wei(REDEEM_COST),
            redeem_cost_on_average: wei(REDEEM_COST),
        }
    }

    /// What it is proven of a sender.
    pub(crate) fn facts(&self, sender: Address, me: Address) -> SenderFacts {
        let (round, broker) = (self.round(), &self.chain.broker);
        let held = broker.senders.at(&sender);
        SenderFacts {
            l2_block: self.l2_block,
            l1_block: self.l1_block(),
            round,
            deposit: Wei(held.deposit),
            reserve: Wei(broker.reserve_funds.at(&sender)),
            claimed: Wei(broker.claimed_for_round.at(&(sender, round))),
            claimed_by_me: Wei(broker.claimed_by_address.at(&(sender, round, me))),
            withdraw_round: held.withdraw_round,
        }
    }

    /// What a sender is proven of itself.
    pub(crate) fn funds(&self, sender: Address) -> Funds {
        let SenderFacts { deposit, reserve, withdraw_round, .. } = self.facts(sender, REDEEMER);
        Funds { deposit, reserve, withdraw_round }
    }

    /// What an orchestrator's redeemer is proven.
    pub(crate) fn situation(&self, me: Address, ask: &Ask, base_fee: u64) -> Situation {
        let head = self.head(me);
        Situation {
            l2_block: self.l2_block,
            l1_block: head.l1_block,
            round: head.round,
            initialized: true,
            round_start: head.round_end_block - ROUND,
            round_length: ROUND,
            pool_size: head.pool_size,
            active: head.active,
            base_fee,
            senders: ask.senders.iter().map(|who| (*who, self.facts(*who, me))).collect(),
            used: ask.tickets.iter().map(|id| (*id, self.is_used(*id))).collect(),
        }
    }

    pub(crate) fn is_used(&self, ticket: B256) -> bool {
        self.chain.broker.used_tickets.at(&ticket)
    }

    /// What a node takes the share of a reserve for that does not look at what others took.
    pub(crate) fn naive_share(&self, sender: Address, me: Address) -> Wei {
        let facts = self.facts(sender, me);
        let reserve =
            Reserve { funds: facts.reserve, claimed: facts.claimed, claimed_by: facts.claimed_by_me };
        reserve.share(U256::from(self.pool_size())).unwrap_or_default()
    }

    pub(crate) fn l2_block(&self) -> u64 {
        self.l2_block
    }

    /// What is left of a sender's deposit and reserve.
    pub(crate) fn left(&self, sender: Address) -> Wei {
        let facts = self.facts(sender, REDEEMER);
        plus(facts.deposit, facts.reserve)
    }
}

fn redemption(winner: &Winner) -> Redemption {
    Redemption {
        ticket: winner.ticket.clone(),
        signature: Bytes::copy_from_slice(winner.signature.as_slice()),
        recipient_rand: winner.recipient_rand,
    }
}

/// What tickets brought, by their recipients' numbers: what came from the reserve and all that came stand before the ticket's own
/// event.
fn paid(receipt: &Receipt) -> BTreeMap<U256, Paid> {
    let (mut tickets, mut paid) = (BTreeMap::new(), Paid::default());
    for log in &receipt.events {
        match &log.event {
            Event::ReserveClaimed { amount, .. } => paid.from_reserve = Wei(*amount),
            Event::WinningTicketTransfer { amount, .. } => {
                paid.from_deposit = Wei(*amount - paid.from_reserve.0);
            }
            Event::WinningTicketRedeemed { recipient_rand, .. } => {
                tickets.insert(*recipient_rand, std::mem::take(&mut paid));
            }
            _ => {}
        }
    }
    tickets
}

/// All that a ticket brought.
pub(crate) fn total(paid: Paid) -> Wei {
    plus(paid.from_deposit, paid.from_reserve)
}

pub(crate) fn plus(one: Wei, other: Wei) -> Wei {
    Wei(one.0 + other.0)
}

pub(crate) fn minus(one: Wei, other: Wei) -> Wei {
    Wei(one.0 - other.0)
}
