use proptest::prelude::*;
use prost::Message;
use protocol::tickets::sign::TicketKey;
use protocol::{Hash, Receipt, SegmentId};

use super::*;
use crate::media::frame::MAX_FRAME;

const KEY: [u8; 32] = [3; 32];

fn quote() -> Quote {
    Quote {
        session: SessionId([1; 16]),
        sender: TicketKey::from_bytes(&KEY).unwrap().address(),
        recipient: Address::repeat_byte(2),
        face_value: Wei(U256::from(10).pow(U256::from(15))),
        win_prob: U256::MAX / U256::from(100),
        recipient_rand_hash: B256::repeat_byte(4),
        seed: U256::from(5),
        expiration_block: 6,
        creation_round: Round(7),
        creation_round_hash: B256::repeat_byte(8),
        price: PricePerPixel { wei: 9, pixels: 10 },
    }
}

fn batch(tickets: u32) -> Batch {
    Batch::sign(&quote(), 1..=tickets, &TicketKey::from_bytes(&KEY).unwrap())
}

fn payment(tickets: Option<Batch>) -> Payment {
    Payment { session: SessionId([1; 16]), sender: quote().sender, tickets }
}

fn statement() -> SignedStatement {
    let statement = Statement {
        session: SessionId([1; 16]),
        side: Side::Recipient,
        sender: quote().sender,
        recipient: Address::repeat_byte(2),
        tickets: 3,
        credited: Credit(U512::MAX),
        works: 2,
        debited: Credit(U512::from(7)),
        chain: Hash([9; 32]),
    };
    statement.sign(&ed25519_dalek::SigningKey::from_bytes(&[7; 32]))
}

fn requests() -> Vec<Request> {
    let (session, sender) = (SessionId([1; 16]), quote().sender);
    let ask = |stream: Option<&str>| Ask {
        session,
        sender,
        stream: stream.map(|name| name.parse().unwrap()),
        pixels: u64::MAX,
    };
    vec![
        Request::Quote(ask(None)),
        Request::Quote(ask(Some("me"))),
        Request::Compare { session, sender, theirs: None },
        Request::Compare { session, sender, theirs: Some(statement()) },
        Request::Again(batch(100)),
    ]
}

fn replies() -> Vec<Reply> {
    let segment = SegmentId { stream: "me".parse().unwrap(), seq: 9 };
    let receipt = Receipt { segment, source: Hash([1; 32]), renditions: vec![(Hash([2; 32]), 3); 12] };
    let receipt = receipt.sign(&ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let mut all = vec![
        Reply::Quote(quote()),
        Reply::Compared { statement: statement(), receipts: vec![receipt; MAX_RECEIPTS] },
        Reply::Taken { credited: 100 },
    ];
    all.extend(Cause::ALL.map(|cause| Reply::Unpaid(Unpaid::new(cause, "why"))));
    all
}

fn again(payment: &Payment) -> Result<Payment, Malformed> {
    decode_payment(proto::Payment::decode(&encode_payment(payment).encode_to_vec()[..]).unwrap())
}

#[test]
fn a_payment_comes_out_as_it_went_in() {
    for tickets in [None, Some(batch(1)), Some(batch(100))] {
        let payment = payment(tickets);
        assert_eq!(again(&payment), Ok(payment));
    }
}

#[test]
fn requests_and_replies_come_out_as_they_went_in_and_the_largest_fit_a_frame() {
    for request in requests() {
        let bytes = encode_request(&request).encode_to_vec();
        assert!(bytes.len() <= MAX_FRAME);
        assert_eq!(decode_request(proto::PaymentRequest::decode(&bytes[..]).unwrap()), Ok(request));
    }
    for reply in replies() {
        let bytes = encode_reply(&reply).encode_to_vec();
        assert!(bytes.len() <= MAX_FRAME);
        assert_eq!(decode_reply(proto::PaymentReply::decode(&bytes[..]).unwrap()), Ok(reply));
    }
}

/// What `change` makes of a good payment is refused, and the reason names the field.
fn refused(field: &str, change: impl FnOnce(&mut proto::Payment)) {
    let mut frame = encode_payment(&payment(Some(batch(2))));
    change(&mut frame);
    let why = decode_payment(frame).unwrap_err().to_string();
    assert!(why.contains(field), "{why}");
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    fn tickets(frame: &mut proto::Payment) -> &mut Vec<proto::Ticket> {
        &mut frame.tickets.as_mut().unwrap().tickets
    }
    fn quote(frame: &mut proto::Payment) -> &mut proto::Quote {
        frame.tickets.as_mut().unwrap().quote.as_mut().unwrap()
    }
    refused("session", |p| p.session = Bytes::from_static(&[1; 15]));
    refused("sender", |p| p.sender = Bytes::new());
    refused("number of tickets", |p| tickets(p).clear());
    refused("number of tickets", |p| *tickets(p) = vec![tickets(p)[0].clone(); MAX_BATCH + 1]);
    refused("nonce", |p| tickets(p)[0].nonce = 0);
    refused("nonce", |p| tickets(p)[0].nonce = MAX_NONCE + 1);
    refused("ticket signature", |p| tickets(p)[0].signature = Bytes::from_static(&[1; 64]));
    refused("quote", |p| p.tickets.as_mut().unwrap().quote = None);
    refused("face value", |p| quote(p).face_value = Bytes::from_static(&[1; 33]));
    refused("seed", |p| quote(p).seed = Bytes::new());
    refused("price unit", |p| quote(p).price_pixels = 0);
}

#[test]
fn a_cause_of_a_later_version_sends_the_payer_to_somebody_else() {
    let unknown = decode_unpaid(&proto::Unpaid { cause: 1000, words: "later\nversion".into() });
    assert_eq!(unknown, Unpaid::new(Cause::Terms, "later version"));
    assert_eq!(decode_unpaid(&proto::Unpaid { cause: 0, words: String::new() }).cause, Cause::Terms);
}

#[test]
fn more_receipts_than_anybody_keeps_are_refused() {
    let Some(Reply::Compared { statement, receipts }) = replies().into_iter().nth(1) else { panic!() };
    let many = Reply::Compared { statement, receipts: [receipts.clone(), receipts].concat() };
    assert!(decode_reply(encode_reply(&many)).unwrap_err().to_string().contains("receipts"));
}

proptest! {
    #[test]
    fn random_and_damaged_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..400, to in any::<u8>(),
    ) {
        let mut damaged = encode_payment(&payment(Some(batch(2)))).encode_to_vec();
        let len = damaged.len();
        damaged[at % len] = to;
        let mut reply = encode_reply(&replies()[1]).encode_to_vec();
        let len = reply.len();
        reply[at % len] = to;
        for bytes in [bytes, damaged, reply] {
            if let Ok(frame) = proto::Payment::decode(&bytes[..]) {
                drop(decode_payment(frame));
            }
            if let Ok(frame) = proto::PaymentRequest::decode(&bytes[..]) {
                drop(decode_request(frame));
            }
            if let Ok(frame) = proto::PaymentReply::decode(&bytes[..]) {
                drop(decode_reply(frame));
            }
        }
    }
}
