//! Keys cut into requests that servers take: so many slots a call, so many calls a request, and halves when refused. Pure.

use alloy_primitives::{Address, B256};

use crate::state::Keys;

/// Slots of one call: below what public servers refuse.
const SLOTS_A_CALL: usize = 128;
/// Slots of one request, over all its calls: a pool of a hundred is one request.
const SLOTS_A_REQUEST: usize = 512;
/// Calls of one request.
const CALLS_A_REQUEST: usize = 16;

/// Calls that go into one request: accounts, and slots of each.
pub(super) type Piece = Vec<(Address, Vec<B256>)>;

/// Cuts keys into requests.
pub(super) fn pieces(keys: &Keys) -> Vec<Piece> {
    let mut calls: Vec<(Address, Vec<B256>)> = Vec::new();
    for (account, slots) in keys {
        let slots: Vec<B256> = slots.iter().copied().collect();
        if slots.is_empty() {
            calls.push((*account, slots));
        } else {
            calls.extend(slots.chunks(SLOTS_A_CALL).map(|some| (*account, some.to_vec())));
        }
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for call in calls {
        let weight = |piece: &Piece| piece.iter().map(|(_, slots)| slots.len()).sum::<usize>();
        match pieces.last_mut() {
            Some(last) if last.len() < CALLS_A_REQUEST && weight(last) + call.1.len() <= SLOTS_A_REQUEST => {
                last.push(call);
            }
            Some(_) | None => pieces.push(vec![call]),
        }
    }
    pieces
}

/// Two smaller requests for the same; none when there is nothing to split.
pub(super) fn halves(mut piece: Piece) -> Option<(Piece, Piece)> {
    if piece.len() > 1 {
        let second = piece.split_off(piece.len() / 2);
        return Some((piece, second));
    }
    let (account, mut slots) = piece.pop()?;
    if slots.len() < 2 {
        return None;
    }
    let second = slots.split_off(slots.len() / 2);
    Some((vec![(account, slots)], vec![(account, second)]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(accounts: u8, slots: u64) -> Keys {
        let slots: BTreeSet<B256> = (0..slots).map(|n| B256::left_padding_from(&n.to_be_bytes())).collect();
        (0..accounts).map(|n| (Address::repeat_byte(n), slots.clone())).collect()
    }

    fn all(pieces: Vec<Piece>) -> Keys {
        let mut keys = Keys::new();
        for (account, slots) in pieces.into_iter().flatten() {
            keys.entry(account).or_default().extend(slots);
        }
        keys
    }

    #[test]
    fn every_key_is_asked_for_once_in_requests_of_bounded_size() {
        for (accounts, slots) in [(1, 0), (3, 5), (2, 300), (40, 10)] {
            let keys = keys(accounts, slots);
            let pieces = pieces(&keys);
            let calls = pieces.iter().flatten();
            assert!(calls.clone().all(|(_, slots)| slots.len() <= SLOTS_A_CALL));
            assert_eq!(
                calls.map(|(_, slots)| slots.len()).sum::<usize>(),
                accounts as usize * slots as usize
            );
            assert_eq!(all(pieces), keys);
        }
    }

    #[test]
    fn what_is_refused_is_halved_down_to_single_slots() {
        let keys = keys(2, 20);
        let (mut todo, mut single) = (pieces(&keys), Vec::new());
        while let Some(piece) = todo.pop() {
            match halves(piece.clone()) {
                Some((first, second)) => todo.extend([first, second]),
                None => single.push(piece),
            }
        }
        assert_eq!(single.len(), 40);
        assert_eq!(all(single), keys);
    }
}
