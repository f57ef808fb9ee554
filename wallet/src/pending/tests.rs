//! Claims about nonces and what is remembered of them.

use alloy_primitives::Bytes;
use proptest::prelude::*;

use super::*;
use crate::fees::Price;

fn call() -> Call {
    Call { to: Address::ZERO, value: U256::ZERO, data: Bytes::new(), gas_limit: None }
}

fn signed(seed: u8) -> Signed {
    let price = Price { max_fee: 1, tip: 0, legacy: false };
    Signed { hash: B256::repeat_byte(seed), raw: Bytes::new(), price, cancels: false }
}

fn intended(book: &Book, key: &str, used: u64) -> Entry {
    Entry::Intended {
        id: book.next_id(),
        key: key.to_owned(),
        what: String::new(),
        call: call(),
        nonce: book.next_nonce(used),
        gas: 21_000,
        max_cost: None,
        signed: signed(1),
    }
}

fn intent(key: &str) -> Intent {
    Intent { key: key.to_owned(), call: call(), what: String::new(), max_cost: None }
}

#[test]
fn a_name_is_one_transaction_for_ever() {
    let mut book = Book::new(Address::ZERO, 1);
    book.apply(intended(&book, "reward 7", 3)).unwrap();
    assert_eq!(book.known(&intent("reward 7")), Ok(Some(Id(0))));
    book.apply(Entry::Final { id: Id(0), end: End::Displaced }).unwrap();
    assert_eq!(book.known(&intent("reward 7")), Ok(Some(Id(0))));
    let mut other = intent("reward 7");
    other.call.value = U256::from(1);
    assert!(matches!(book.known(&other), Err(Refused::Key { .. })));
}

#[test]
fn nothing_is_signed_for_what_is_over() {
    let mut book = Book::new(Address::ZERO, 1);
    book.apply(intended(&book, "a", 0)).unwrap();
    book.apply(Entry::Final { id: Id(0), end: End::Displaced }).unwrap();
    let late = Entry::Replaced { id: Id(0), signed: signed(2) };
    assert_eq!(book.apply(late), Err(Refused::Unknown(Id(0))));
}

#[test]
fn a_stranger_with_the_same_key_leaves_a_gap_or_takes_no_nonce_of_ours() {
    let mut book = Book::new(Address::ZERO, 1);
    book.apply(intended(&book, "a", 5)).unwrap();
    assert!(book.gap(5).is_empty());
    assert_eq!(book.gap(3), [3, 4]);
    assert_eq!(book.next_nonce(9), 9);
    assert_eq!(book.next_nonce(0), 6);
}

#[test]
fn what_is_in_a_block_leaves_room_for_more() {
    let mut book = Book::new(Address::ZERO, 1);
    for at in 0..MAX_OPEN {
        assert_eq!(book.room(0), Ok(()));
        book.apply(intended(&book, &at.to_string(), 0)).unwrap();
    }
    assert_eq!(book.room(0), Err(Refused::Many(MAX_OPEN)));
    assert_eq!(book.room(1), Ok(()));
}

#[test]
fn a_journal_of_another_account_is_refused() {
    let mut book = Book::new(Address::ZERO, 1);
    let entry = Entry::Account { address: Address::ZERO, chain_id: 2 };
    assert!(matches!(book.apply(entry), Err(Refused::Other { chain_id: 2, .. })));
}

proptest! {
    #[test]
    fn no_nonce_is_given_twice_whatever_the_chain_says(used in prop::collection::vec(0..20_u64, 1..60)) {
        let mut book = Book::new(Address::ZERO, 1);
        let mut given = BTreeSet::new();
        for (at, used) in used.into_iter().enumerate() {
            let entry = intended(&book, &at.to_string(), used);
            let Entry::Intended { nonce, .. } = &entry else { unreachable!("made above") };
            prop_assert!(given.insert(*nonce) && *nonce >= used);
            // As a restart reads it.
            let text = serde_json::to_vec(&entry).unwrap();
            book.apply(serde_json::from_slice(&text).unwrap()).unwrap();
        }
    }
}
