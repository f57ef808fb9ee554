//! What tickets were paid, by the events of the transaction that redeemed them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actors::ports::redeemer::Paid;
use alloy_primitives::{Address, B256, U256, keccak256};
use protocol::Wei;
use protocol::payments::entry::Winner;
use serde_json::Value;
use wallet::rpc::value::{bytes, fixed};

static CLAIMED: LazyLock<B256> = LazyLock::new(|| keccak256("ReserveClaimed(address,address,uint256)"));
static TRANSFER: LazyLock<B256> =
    LazyLock::new(|| keccak256("WinningTicketTransfer(address,address,uint256)"));
static REDEEMED: LazyLock<B256> = LazyLock::new(|| {
    keccak256("WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)")
});

/// What the broker says that each ticket was paid. What comes from the reserve is said first, then the whole, then the ticket.
pub(super) fn paid(receipt: &Value, broker: Address, winners: &[Winner]) -> BTreeMap<B256, Paid> {
    let (mut all, mut reserve, mut whole) = (BTreeMap::new(), U256::ZERO, U256::ZERO);
    for log in receipt["logs"].as_array().into_iter().flatten() {
        let Some((topic, data)) = read(log, broker) else { continue };
        let amount = |at: usize| data.get(at * 32..at * 32 + 32).map(U256::from_be_slice).unwrap_or_default();
        if topic == *CLAIMED {
            reserve = amount(1);
        } else if topic == *TRANSFER {
            whole = amount(0);
        } else if topic == *REDEEMED {
            let named = winners.iter().find(|winner| {
                let ticket = &winner.ticket;
                fixed::<B256>(&log["topics"][1]) == Some(ticket.sender.into_word())
                    && (amount(0), amount(1)) == (ticket.face_value, ticket.win_prob)
                    && (amount(2), amount(3)) == (ticket.sender_nonce, winner.recipient_rand)
            });
            if let Some(winner) = named {
                let from_deposit = Wei(whole.saturating_sub(reserve));
                all.insert(winner.id(), Paid { from_deposit, from_reserve: Wei(reserve) });
            }
            (reserve, whole) = (U256::ZERO, U256::ZERO);
        }
    }
    all
}

fn read(log: &Value, broker: Address) -> Option<(B256, Vec<u8>)> {
    let ours = fixed::<Address>(&log["address"])? == broker;
    ours.then_some((fixed(&log["topics"][0])?, bytes(&log["data"])?.to_vec()))
}
