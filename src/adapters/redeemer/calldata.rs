//! Calldata of redemptions: one ticket alone, several as a batch.

use alloy_primitives::{Bytes, U256};
use protocol::chain::abi::{Value, encode, selector};
use protocol::payments::entry::Winner;

const SINGLE: &str =
    "redeemWinningTicket((address,address,uint256,uint256,uint256,bytes32,bytes),bytes,uint256)";
const BATCH: &str =
    "batchRedeemWinningTickets((address,address,uint256,uint256,uint256,bytes32,bytes)[],bytes[],uint256[])";

/// What the broker is told.
pub(super) fn redeem(winners: &[Winner]) -> Vec<u8> {
    match winners {
        [one] => {
            let parts = [ticket(one), dynamic(signature(one))];
            let heads = [word(96), word(96 + parts[0].len()), one.recipient_rand.to_be_bytes()];
            [selector(SINGLE).to_vec(), heads.concat(), parts.concat()].concat()
        }
        many => {
            let signatures = many.iter().map(signature).collect();
            let rands = many.iter().map(|one| Value::Uint(one.recipient_rand)).collect();
            let parts = [tickets(many), dynamic(Value::List(signatures)), dynamic(Value::List(rands))];
            let heads = [word(96), word(96 + parts[0].len()), word(96 + parts[0].len() + parts[1].len())];
            [selector(BATCH).to_vec(), heads.concat(), parts.concat()].concat()
        }
    }
}

/// An array of tickets: how many, where each begins, each.
fn tickets(winners: &[Winner]) -> Vec<u8> {
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for one in winners {
        heads.extend(word(winners.len() * 32 + tails.len()));
        tails.extend(ticket(one));
    }
    [word(winners.len()).to_vec(), heads, tails].concat()
}

fn ticket(winner: &Winner) -> Vec<u8> {
    let ticket = &winner.ticket;
    encode(&[
        ticket.recipient.into(),
        ticket.sender.into(),
        ticket.face_value.into(),
        ticket.win_prob.into(),
        ticket.sender_nonce.into(),
        ticket.recipient_rand_hash.into(),
        ticket.aux_data.clone().into(),
    ])
}

fn signature(winner: &Winner) -> Value {
    Value::Bytes(Bytes::copy_from_slice(winner.signature.as_slice()))
}

/// A value without the word that says where it begins.
fn dynamic(value: Value) -> Vec<u8> {
    encode(&[value]).split_off(32)
}

fn word(n: usize) -> [u8; 32] {
    U256::from(n).to_be_bytes()
}
