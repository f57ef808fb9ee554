//! Bytes of deployed nodes and of worked examples, read and made again.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use protocol::payments::SessionId;
use protocol::tickets::batch::Batch;
use protocol::tickets::quote::Quote;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{Ticket, rand_hash, recover};
use protocol::{Hash, PricePerPixel, Round, Wei};

use super::auth_token::BadToken;
use super::*;

/// One ticket at 1200 wei a pixel.
const PAYMENT: &str = "CokBChSxVpgHJtOtHjk0Gjj+4DA9NgRsehIHBENkxbsAABoeb9kdhLzaWBdf36s9d6Fo4ok+SViAO2tXroTvy/AAIiCg81cHpiGTv50Umh09MTeEzRap7c1zYLnqrFRJuWgR8SogZqgLYbKewETRTEyMYT52K6H7jusMRU0e4A7W3tqltcUyBAFe88ASFHKqJZQYwu7jvGKdYH79otWvoKLsGiUIoB8SIBI5YQogglMNtTI3gXXP79fKQssNvevlqu0TckZT7rA/IkUIARJBYe1rOsbC0vFE0zf43Jk0ai7k/D0hzIMSO/7Zu6uU4adS7PbuYg737BNHFQzBXVM8p4HK16hbpgDp7WYhVQCq3RsqBQiwCRAB";
/// Segment 7 of a stream, one output.
const ORDER: &str = "CgZhYmNkZWYQBxogUxA/g8A9Y+WyCydtk0bJm1WTEiqnFaGyv7qqYRk7O9AiB2ludmFsaWQqQSIAnCTaO8jnGAEs1cAe6YilZC/qO+GcGH9q5miXVhIyEN+6skS03p2AZSaAEDmJOIjgCr73XJ5+Gyr3WW9FmFIbMNAPOgYKBIOggCBCMgogVVkvlhXslJDXTDnledvEvrLF/P3KsR54rz5/77wauc0SCDVmMGMzYTFlGIDy1soGigIhggEOUDI0MHAzMGZwczE2eDmIAaoDkAHwAZgBwM8koAEe";

fn gateway() -> TicketKey {
    TicketKey::from_bytes(&keccak256("gateway test key").0).unwrap()
}

fn orchestrator() -> TicketKey {
    TicketKey::from_bytes(&keccak256("orchestrator test key").0).unwrap()
}

fn secret() -> [u8; 32] {
    std::array::from_fn(|i| i as u8)
}

fn token() -> AuthToken {
    AuthToken::issue(&secret(), "5f0c3a1e", 1_767_225_600)
}

fn word(text: &str) -> B256 {
    text.parse().unwrap()
}

fn named(names: &[&str]) -> Vec<Profile> {
    names.iter().map(|name| Profile { name: (*name).into(), ..Profile::default() }).collect()
}

/// The worked order, unsigned.
fn order() -> Order {
    Order {
        manifest_id: "abcdef".into(),
        seq: 7,
        hash: Hash::of(b"hello segment"),
        duration: 2000,
        capabilities: Some(Capabilities::of([0, 1, 12, 26])),
        auth_token: Some(token()),
        profiles: vec![Profile {
            name: "P240p30fps16x9".into(),
            width: 426,
            height: 240,
            bitrate: 600_000,
            fps: (30, 0),
            ..Profile::default()
        }],
        signature: FixedBytes::ZERO,
    }
}

/// The worked ticket.
fn batch() -> Batch {
    let rand: U256 = word("a5d9998b4929bf4dd1cf52883e31d91c7dfc7618772c5d604cbaa5e6bc08e674").into();
    let prob = "771947261582107969490473233391252719021799897770937093596383896000000000";
    let quote = Quote {
        session: SessionId::default(),
        sender: gateway().address(),
        recipient: orchestrator().address(),
        face_value: Wei(U256::from(1_200_000_000_000_000_u64)),
        win_prob: U256::from_str_radix(prob, 10).unwrap(),
        recipient_rand_hash: rand_hash(rand),
        seed: word("66a80b61b29ec044d14c4c8c613e762ba1fb8eeb0c454d1ee00ed6dedaa5b5c5").into(),
        expiration_block: 23_000_000,
        creation_round: Round(4000),
        creation_round_hash: word("1239610a2082530db532378175cfefd7ca42cb0dbdebe5aaed13724653eeb03f"),
        price: PricePerPixel { wei: 1200, pixels: 1 },
    };
    Batch::sign(&quote, 1..=1, &gateway())
}

/// W1: who asks for parameters.
#[test]
fn a_gateways_word_on_who_it_is() {
    let key = gateway();
    let digest = signing::identity_digest(key.address());
    assert_eq!(digest, word("b83ad39da296528664db14e58ef51448a9d3b6aaf6bcd45c08596101937c343c"));
    let sig = key.sign_digest(digest);
    assert_eq!(recover(digest, sig.as_slice()), Ok(key.address()));
    let bytes = [&hex!("0a14")[..], key.address().as_slice(), &hex!("1241"), sig.as_slice()].concat();
    assert_eq!(introduction::introduce(&key), bytes);
    assert_eq!(introduction::introduced(&bytes), Ok(key.address()));
    let mut other = bytes;
    other[5] ^= 1;
    assert_eq!(introduction::introduced(&other), Err(bad("sig", "orchestrator req sig check failed")));
    assert_eq!(
        sig[..],
        hex!(
            "4879547297639c0afcd8d400cd1336748c60909ba51d2e9c3278f0f7ff0afe731fcd2fe7be6843f0e72a02e3cb3a09094bfc2262186780f4c76ae292762875831c"
        )
    );
}

/// W2: a session's token.
#[test]
fn a_sessions_token_is_known_again_and_no_other() {
    let good = token();
    assert_eq!(good.token[..], hex!("55592f9615ec9490d74c39e579dbc4beb2c5fcfdcab11e78af3e7fefbc1ab9cd"));
    assert_eq!(good.check(&secret(), 1_767_225_599), Ok(()));
    assert_eq!(good.check(&secret(), 1_767_225_600), Err(BadToken::Expired));
    let longer = AuthToken { expiration: good.expiration + 1, ..good.clone() };
    assert_eq!(longer.check(&secret(), 0), Err(BadToken::Invalid));
    let other = AuthToken { session_id: "5f0c3a1f".into(), ..good.clone() };
    assert_eq!(other.check(&secret(), 0), Err(BadToken::Invalid));
    assert_eq!(good.check(&[0; 32], 0), Err(BadToken::Invalid));
}

/// W3: an order, from its bytes and to its bytes.
#[test]
fn an_order_is_the_bytes_of_deployed_nodes() {
    let made = order().sign(&gateway());
    assert_eq!(made.hash.0, hex!("53103f83c03d63e5b20b276d9346c99b5593122aa715a1b2bfbaaa61193b3bd0"));
    assert_eq!(
        keccak256(made.flat()),
        word("7f3f4d35190fdd2cd17795859858c4787c16ef71faa6fec6f8a512044da0a7d0")
    );
    assert_eq!(
        signing::digest(&made.flat()),
        word("0594c56efa9c0be1acf469613651cbacfcbc7886ae89d5d49b1e9ec35c1b7cd1")
    );
    assert_eq!(made.to_header(), ORDER);
    let read = Order::from_header(ORDER).unwrap();
    assert_eq!(read, made);
    assert_eq!(read.signer(), Ok(gateway().address()));
    assert_eq!(read.auth_token.unwrap().check(&secret(), 0), Ok(()));
}

/// V4: what is under an order's signature.
#[test]
fn an_order_is_flattened_as_deployed_nodes_do() {
    let mut hash = [0; 32];
    hash[..6].copy_from_slice(b"browns");
    let profiles = named(&["P144p30fps16x9", "P240p30fps16x9"]);
    let order = Order { seq: 1234, hash: Hash(hash), profiles, ..order() };
    let flat = order.flat();
    assert_eq!(flat.len(), 86);
    assert!(flat.starts_with(b"abcdef") && flat.ends_with(b"fca40bf9c0a6517a"));
    assert_eq!(keccak256(flat), word("08a398e7e7a5a545b0b07d9e7e1eab52b4131e0df1621bd53ee6e7550a15465b"));
}

/// W4 and W5: a payment, from its bytes and to its bytes.
#[test]
fn a_payment_is_the_bytes_of_deployed_nodes() {
    let batch = batch();
    let payment = Payment::of(&batch);
    assert_eq!(payment.to_header(), PAYMENT);
    let read = Payment::from_header(PAYMENT).unwrap();
    assert_eq!(read, payment);
    let session = SessionId([5; 16]);
    let credited = read.in_session(session).unwrap();
    assert_eq!(credited.quote, Quote { session, ..batch.quote });
    let (nonce, ticket, signature) = credited.iter().next().unwrap();
    assert_eq!(nonce, 1);
    assert_eq!(
        Ticket::hash(&ticket),
        word("b87d42fac76f643a8376a353137fb2a89b2e256f948409a577276e9d5af4bd13")
    );
    assert_eq!(ticket.is_signed_by_sender(signature.as_slice()), Ok(true));
}

#[test]
fn a_payment_without_tickets_still_says_who_signs_the_order() {
    let none = Payment { sender: gateway().address(), expected_price: None, tickets: None };
    assert_eq!(Payment::from_header(&none.to_header()), Ok(none));
}

/// W7: what an orchestrator signs for two renditions.
#[test]
fn a_result_is_signed_as_deployed_nodes_do() {
    let hashes = [Hash::of(b"rendition-one"), Hash::of(b"rendition-two")];
    assert_eq!(hashes[0].0, hex!("80132c840233b1dc0cd4293d182547581d5a0a9cb43cfe73e9149eefdda8a923"));
    let signature = hex!(
        "2092d6adadc39de2b1abfdb1c824c8b091110ae53fe58aa83f2b0f50d5b8de854a3b4c5524ab4fdf89466e71c5c0a2549670e01b85fa01a9069165e9ee561f4f1c"
    );
    let digest = signing::result_digest(&hashes);
    assert_eq!(orchestrator().sign_digest(digest)[..], signature);
    assert_eq!(recover(digest, &signature), Ok(orchestrator().address()));
    let swapped = signing::result_digest(&[hashes[1], hashes[0]]);
    assert_ne!(recover(swapped, &signature), Ok(orchestrator().address()), "their order counts");
}

/// V6: capabilities as words.
#[test]
fn capabilities_are_words_of_64() {
    assert_eq!(Capabilities::of(0..=5).words(), [63]);
    assert_eq!(Capabilities::of([193, 192]).words(), [0, 0, 0, 3]);
    assert_eq!(Capabilities::of([193, 54, 192, 79]).words(), [1 << 54, 1 << 15, 0, 3]);
    let job = [Capabilities::H264, Capabilities::MPEG_TS, Capabilities::AUTH_TOKEN, Capabilities::SLICING];
    let job = Capabilities::of(job);
    assert_eq!(job.words(), [67_112_963]);
    let node = Capabilities::of((0..=12).chain([14, 26]));
    assert_eq!(node.words(), [67_133_439]);
    assert!(job.are_in(&node) && !node.are_in(&job));
    assert!(node.has(14) && !node.has(13) && !node.has(u32::MAX));
    assert!(Capabilities::of([u32::MAX]).words().is_empty());
}

/// V7: announced prices.
#[test]
fn announced_prices_are_those_of_deployed_nodes() {
    let price = |wei, pixels| PricePerPixel { wei, pixels };
    assert_eq!(price::adjusted(price(1, 1), 100), Some(price(101, 100)));
    assert_eq!(price::adjusted(price(25, 10), 100), Some(price(2525, 1000)));
    assert_eq!(price::rounded(price(1, 5000)), price(0, 1000));
    assert_eq!(price::rounded(price(101, 100)), price(1010, 1000));
    assert_eq!(price::adjusted(price(u64::MAX, 1), 100), None);
    assert_eq!(price::adjusted(price(1, 1), 0), None);
}

#[test]
fn a_price_that_no_account_can_have_is_refused() {
    for (wei, pixels) in [(-1, 1), (1, 0), (1, -1)] {
        let odd = net::PriceInfo { price_per_unit: wei, pixels_per_unit: pixels };
        assert!(matches!(price::decode(&odd), Err(Malformed::Field { field: "expected_price", .. })));
    }
    let huge = price::encode(PricePerPixel { wei: u64::MAX, pixels: 2 });
    assert_eq!(price::decode(&huge), Ok(PricePerPixel { wei: i64::MAX as u64, pixels: 1 }));
}

#[test]
fn what_is_no_payment_and_no_order_is_refused_for_its_own_reason() {
    assert_eq!(Payment::from_header("!"), Err(Malformed::Base64));
    assert_eq!(Payment::from_header("/w=="), Err(Malformed::Protobuf));
    let long = "A".repeat(MAX_HEADER + 4);
    assert_eq!(Payment::from_header(&long), Err(Malformed::TooLong(long.len())));
    let refused = |change: fn(&mut net::Payment)| {
        let mut payment: net::Payment = message(&unwrap(PAYMENT).unwrap()).unwrap();
        change(&mut payment);
        match Payment::from_header(&to_header(&payment)) {
            Err(Malformed::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    let none = bytes::Bytes::new();
    assert_eq!(refused(|m| m.sender = bytes::Bytes::new()), "sender");
    assert_eq!(refused(|m| m.expected_price = None), "expected_price");
    assert_eq!(refused(|m| m.ticket_params = None), "ticket_params");
    assert_eq!(refused(|m| m.expiration_params.as_mut().unwrap().creation_round = -1), "creation_round");
    assert_eq!(refused(|m| m.ticket_sender_params[0].sig = vec![0; 64].into()), "sig");
    assert_eq!(refused(|m| m.ticket_params.as_mut().unwrap().face_value = vec![1; 33].into()), "face_value");
    assert_eq!(
        refused(|m| m.ticket_params.as_mut().unwrap().expiration_block = vec![1; 9].into()),
        "expiration_block"
    );
    assert_eq!(
        refused(|m| m.ticket_sender_params = vec![m.ticket_sender_params[0].clone(); 601]),
        "ticket_sender_params"
    );
    let mut order: net::SegData = message(&unwrap(ORDER).unwrap()).unwrap();
    order.full_profiles[0].name = "../../etc".into();
    assert_eq!(
        Order::from_header(&to_header(&order)),
        Err(bad("name", "a profile is named by 1 to 64 of A-Z a-z 0-9 _ -"))
    );
    order.full_profiles.clear();
    assert!(Order::from_header(&to_header(&order)).is_err());
    assert_eq!(address(&none, "a"), Err::<Address, _>(bad("a", "an address has 20 bytes")));
}

#[test]
fn outputs_go_where_the_oldest_node_that_can_make_them_looks() {
    let fields = |change: fn(&mut Profile)| {
        let mut order = order();
        change(&mut order.profiles[0]);
        let header = order.to_header();
        assert_eq!(Order::from_header(&header).unwrap().profiles, order.profiles);
        let sent: net::SegData = message(&unwrap(&header).unwrap()).unwrap();
        [sent.full_profiles, sent.full_profiles2, sent.full_profiles3].map(|list| list.len())
    };
    assert_eq!(fields(|_| {}), [1, 0, 0]);
    assert_eq!(fields(|p| p.format = profile::Format::Mp4), [0, 1, 0]);
    assert_eq!(fields(|p| p.fps = (30_000, 1_001)), [0, 0, 1]);
    assert_eq!(fields(|p| p.gop = -1), [0, 0, 1]);
    assert_eq!(fields(|p| p.h264_profile = 3), [0, 0, 1]);
}
