//! The little of the ABI that the governor hashes and the treasury reads.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::chain::call::{Action, Token};

/// `transfer(address,uint256)`
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
/// `approve(address,uint256)`
const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];

fn word(n: usize) -> B256 {
    B256::from(U256::from(n))
}

/// `abi.encode(targets, values, calldatas, tail...)`
pub(super) fn batch(actions: &[Action], tail: &[B256]) -> Vec<u8> {
    let targets: Vec<B256> = actions.iter().map(|action| action.target.into_word()).collect();
    let values: Vec<B256> = actions.iter().map(|action| B256::from(action.value)).collect();
    let arrays = [array(&targets), array(&values), blobs(actions)];
    let mut offset = (arrays.len() + tail.len()) * 32;
    let mut encoded = Vec::new();
    for array in &arrays {
        encoded.extend_from_slice(word(offset).as_slice());
        offset += array.len();
    }
    tail.iter().for_each(|word| encoded.extend_from_slice(word.as_slice()));
    arrays.iter().for_each(|array| encoded.extend_from_slice(array));
    encoded
}

fn array(words: &[B256]) -> Vec<u8> {
    let mut encoded = word(words.len()).to_vec();
    words.iter().for_each(|word| encoded.extend_from_slice(word.as_slice()));
    encoded
}

/// `bytes[]`: the length, where each element begins, then each with its own length, padded to words.
fn blobs(actions: &[Action]) -> Vec<u8> {
    let mut encoded = word(actions.len()).to_vec();
    let mut offset = actions.len() * 32;
    for action in actions {
        encoded.extend_from_slice(word(offset).as_slice());
        offset += 32 + action.calldata.len().next_multiple_of(32);
    }
    for data in actions.iter().map(|action| &action.calldata) {
        encoded.extend_from_slice(word(data.len()).as_slice());
        encoded.extend_from_slice(data);
        encoded.resize(encoded.len().next_multiple_of(32), 0);
    }
    encoded
}

pub(super) fn transfer(to: Address, amount: U256) -> Bytes {
    [TRANSFER.as_slice(), to.into_word().as_slice(), &amount.to_be_bytes::<32>()].concat().into()
}

/// A call of the token that a treasury has use for.
pub(super) fn token_call(data: &[u8]) -> Option<Token> {
    let (selector, args) = data.split_first_chunk::<4>()?;
    let (who, amount) = args.get(..64)?.split_at(32);
    if who[..12] != [0; 12] {
        return None;
    }
    let (who, amount) = (Address::from_slice(&who[12..]), U256::from_be_slice(amount));
    match *selector {
        TRANSFER => Some(Token::Transfer(who, amount)),
        APPROVE => Some(Token::Approve(who, amount)),
        _ => None,
    }
}
