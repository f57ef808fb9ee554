//! Tickets against worked examples of Livepeer's wire: hashes, signatures, draws, parameters, estimates.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, eip191_hash_message, hex, keccak256};
use protocol::payments::SessionId;
use protocol::rounds::Round;
use protocol::tickets::batch::Batch;
use protocol::tickets::credit::Credit;
use protocol::tickets::params::{Costs, RandInputs, face_value, recipient_rand, win_prob};
use protocol::tickets::quote::Quote;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::{self, Funds, Limits, Unacceptable};
use protocol::tickets::{BadSignature, Ticket, draw, rand_hash, recover};
use protocol::{PricePerPixel, Wei};

const RAND_HASH: &str = "41b1a0649752af1b28b3dc29a1556eee781e4a4c3a1f7f53f90fa834de098c4d";

fn word(text: &str) -> B256 {
    text.parse().unwrap()
}

fn number(text: &str) -> U256 {
    U256::from_str_radix(text, 10).unwrap()
}

fn gateway() -> TicketKey {
    TicketKey::from_bytes(&keccak256("gateway test key").0).unwrap()
}

fn orchestrator() -> TicketKey {
    TicketKey::from_bytes(&keccak256("orchestrator test key").0).unwrap()
}

/// The parameters of the worked example.
fn example() -> RandInputs {
    RandInputs {
        seed: word("66a80b61b29ec044d14c4c8c613e762ba1fb8eeb0c454d1ee00ed6dedaa5b5c5").into(),
        sender: gateway().address(),
        face_value: number("1200000000000000"),
        win_prob: number("771947261582107969490473233391252719021799897770937093596383896000000000"),
        expiration_block: U256::from(23_000_000),
        price_num: U256::from(1200),
        price_den: U256::from(1),
        aux_data: Ticket::aux(
            Round(4000),
            word("1239610a2082530db532378175cfefd7ca42cb0dbdebe5aaed13724653eeb03f"),
        ),
    }
}

fn secret() -> Vec<u8> {
    (0..32).collect()
}

fn example_ticket(win_prob: U256) -> (Ticket, U256) {
    let inputs = example();
    let rand = recipient_rand(&secret(), &inputs);
    let ticket = Ticket {
        recipient: orchestrator().address(),
        sender: inputs.sender,
        face_value: inputs.face_value,
        win_prob,
        sender_nonce: U256::from(1),
        recipient_rand_hash: rand_hash(rand),
        aux_data: inputs.aux_data,
    };
    (ticket, rand)
}

#[test]
fn hashes_of_tickets_are_livepeers() {
    let none = Ticket::default();
    let cases = [
        (
            Ticket { sender_nonce: U256::from(u32::MAX), ..none.clone() },
            "e1393fc7f6de093780674022f96cb8e3872235167d037c04d554e58c0e63d280",
        ),
        (
            Ticket { sender_nonce: U256::from(1), ..none.clone() },
            "ce0918ba94518293e9712effbe5fca4f1f431089833a5b8c257cb1e024595f68",
        ),
        (
            Ticket { face_value: U256::from(1), win_prob: U256::from(500), ..none.clone() },
            "87ef13f2d37e4d5352a01d3c77b8179d80e0887f1953bfabfd0bfd7b0f689ddd",
        ),
        (
            Ticket { face_value: U256::from(500), win_prob: U256::from(1), ..none.clone() },
            "aa4b35071043587992ac8b9dd1b2cf1d8311130e6458cf0b2342484e21af5f5b",
        ),
        (
            Ticket {
                recipient: "0x73AEd7b5dEb30222fa896f399d46cC99c7BEe57F".parse().unwrap(),
                ..none.clone()
            },
            "81e353ae39046e2b77b9f996abbaeed527fda559b61ef90f299c4499dd508ccc",
        ),
        (
            Ticket { recipient_rand_hash: word(RAND_HASH), ..none.clone() },
            "be5eaf9a49a39540b9bb02f1a21904f61324a29819e2c032824bfaa10c100b17",
        ),
        (
            Ticket { aux_data: Ticket::aux(Round(10), word(RAND_HASH)), ..none },
            "e502907c16036ab3d11b78c5a2e93c20f3d6415c67f91de4ed01348182b3b2e2",
        ),
    ];
    for (ticket, hash) in &cases {
        assert_eq!(ticket.hash(), word(hash));
    }
    println!("V1: {} hashes", cases.len());
}

#[test]
fn auxiliary_data_is_a_round_and_its_hash() {
    let hash = word("7624778dedc75f8b322b9fa1632a610d40b85e106c7d9bf0e743a9ce291b9c6f");
    let aux = Ticket::aux(Round(5), hash);
    assert_eq!(aux, Bytes::from([U256::from(5).to_be_bytes::<32>(), hash.0].concat()));
    assert_eq!(Ticket::aux(Round(0), B256::ZERO), Bytes::new());
    assert_eq!(Ticket::aux(Round(0), hash).len(), 64);
}

#[test]
fn signatures_are_recovered_and_their_malleable_twins_refused() {
    let message = hex!("b7da355477356fc4c47fcabcf232dc77a6db9b07b7e48b76261cc55cc8fbabb3");
    let signature = hex!(
        "206443228e8f784bc3a122de0d85eb3ebff82d6a79cca26c7eeb907099a6404f6dff57bc6828f28bd6cd073c89d94cf3364204679ed8365fa45b5ee6af19a9841c"
    );
    let digest = eip191_hash_message(message);
    let signer: Address = "0x3BadDb1eeE2105893136A3F96c8a963E9C6309d6".parse().unwrap();
    assert_eq!(recover(digest, &signature), Ok(signer));
    let high = hex!(
        "e742ff452d41413616a5bf43fe15dd88294e983d3d36206c2712f39083d638bde0a0fc89be718fbc1033e1d30d78be1c68081562ed2e97af876f286f3453231d1b"
    );
    assert_eq!(recover(digest, &high), Err(BadSignature::HighS));
    assert_eq!(recover(digest, &signature[..64]), Err(BadSignature::Length));
    for v in [0, 1] {
        let mut low = signature;
        low[64] = v;
        assert_eq!(recover(digest, &low), Err(BadSignature::Unrecoverable));
    }
}

#[test]
fn parameters_are_livepeers() {
    let rows = [
        (
            100_u64,
            u64::MAX,
            "100000000",
            "5789604461865809771178549250434395392663499233282028201972879200395660",
        ),
        (777, u64::MAX, "777000000", "745122839364969082519761808292714979750772102095499125093034646125570"),
        (1, 10_001, "10001", "57890255593098787833002192285115442382396752657554526567072084795477017120"),
    ];
    for (gas_price, float, face, prob) in rows {
        let redeem = Wei(U256::from(10_000 * gas_price));
        let max_float = Wei(U256::from(float));
        let expected = Wei(U256::from(5));
        let costs = Costs {
            redeem,
            redeem_on_average: redeem,
            multiplier: 100,
            expected,
            max_float,
            max_face: Wei::default(),
        };
        let got = face_value(costs).unwrap();
        assert_eq!(got.0, number(face));
        assert_eq!(win_prob(got, expected), Ok(number(prob)));
    }
    println!("V5: {} sets of parameters", rows.len());
}

#[test]
fn keys_sign_what_livepeers_nodes_sign() {
    let (g, o) = (gateway(), orchestrator());
    assert_eq!(g.address(), "0x72aa259418c2eee3bC629d607EFdA2d5aFA0A2EC".parse::<Address>().unwrap());
    assert_eq!(o.address(), "0xb156980726d3ad1E39341A38fEE0303D36046c7a".parse::<Address>().unwrap());
    let sign = |key: &TicketKey, message: &[u8]| key.sign_digest(eip191_hash_message(message));
    let w1 = sign(&g, keccak256("0x72aa259418c2eee3bC629d607EFdA2d5aFA0A2EC").as_slice());
    assert_eq!(
        w1[..],
        hex!(
            "4879547297639c0afcd8d400cd1336748c60909ba51d2e9c3278f0f7ff0afe731fcd2fe7be6843f0e72a02e3cb3a09094bfc2262186780f4c76ae292762875831c"
        )[..]
    );
    let w3 = sign(&g, &hex!("7f3f4d35190fdd2cd17795859858c4787c16ef71faa6fec6f8a512044da0a7d0"));
    assert_eq!(
        w3[..],
        hex!(
            "22009c24da3bc8e718012cd5c01ee988a5642fea3be19c187f6ae6689756123210dfbab244b4de9d806526801039893888e00abef75c9e7e1b2af7596f4598521b"
        )[..]
    );
    let w7 = sign(&o, &hex!("93712e35ddb18ec5abb0b96db85b7e5215883003258936121c54b46d3599d914"));
    assert_eq!(
        w7[..],
        hex!(
            "2092d6adadc39de2b1abfdb1c824c8b091110ae53fe58aa83f2b0f50d5b8de854a3b4c5524ab4fdf89466e71c5c0a2549670e01b85fa01a9069165e9ee561f4f1c"
        )[..]
    );
}

#[test]
fn the_worked_ticket_loses_and_its_likelier_twin_wins() {
    let (ticket, rand) = example_ticket(example().win_prob);
    assert_eq!(
        rand,
        U256::from_be_bytes(word("a5d9998b4929bf4dd1cf52883e31d91c7dfc7618772c5d604cbaa5e6bc08e674").0)
    );
    assert_eq!(
        ticket.recipient_rand_hash,
        word("a0f35707a62193bf9d149a1d3d313784cd16a9edcd7360b9eaac5449b96811f1")
    );
    let w5: FixedBytes<65> = gateway().sign(&ticket);
    assert_eq!(ticket.hash(), word("b87d42fac76f643a8376a353137fb2a89b2e256f948409a577276e9d5af4bd13"));
    assert_eq!(
        w5[..],
        hex!(
            "61ed6b3ac6c2d2f144d337f8dc99346a2ee4fc3d21cc83123bfed9bbab94e1a752ecf6ee620ef7ec1347150cc15d533ca781cad7a85ba600e9ed66215500aadd1b"
        )[..]
    );
    assert_eq!(
        draw(&w5[..], rand),
        U256::from_be_bytes(word("e1bcfbae4f97fe4a8b90f46aaa5b9e01e95ea841a77f065195881029bc8cbae8").0)
    );
    assert!(!ticket.wins(&w5[..], rand));
    let (ticket, rand) = example_ticket(U256::MAX / U256::from(4));
    let w6 = gateway().sign(&ticket);
    assert_eq!(ticket.hash(), word("1cb7deb0bda6c1d0908e5d42e5a627ec7237674716a049a9be1d41dd6ae0eb7c"));
    assert_eq!(
        w6[..],
        hex!(
            "d1006b7a943c63ef0442af37cd698f8b3687af8e29b02cbf59648c0c2c2d230f2817a1402c85106f783f2be2d99502101447c71f66e6f30039e39dc8576f25001b"
        )[..]
    );
    assert_eq!(
        draw(&w6[..], rand),
        U256::from_be_bytes(word("039b5de0060d0893c7ac61f4da6174286dcda778caa7028d170fd8869aaea4fe").0)
    );
    assert!(ticket.wins(&w6[..], rand));
}

fn quote() -> Quote {
    let example = example();
    Quote {
        session: SessionId([1; 16]),
        sender: gateway().address(),
        recipient: orchestrator().address(),
        face_value: Wei(example.face_value),
        win_prob: example.win_prob,
        recipient_rand_hash: B256::ZERO,
        seed: example.seed,
        expiration_block: 23_000_000,
        creation_round: Round(4000),
        creation_round_hash: B256::repeat_byte(4),
        price: PricePerPixel { wei: 1200, pixels: 1 },
    }
    .committed(&B256::repeat_byte(1))
}

#[test]
fn every_field_of_a_quote_is_bound_into_its_number() {
    let secret = B256::repeat_byte(1);
    assert!(quote().opened(&secret).is_some());
    assert!(quote().opened(&B256::repeat_byte(2)).is_none());
    let changes: [fn(&mut Quote); 11] = [
        |q| q.session.0[0] ^= 1,
        |q| q.sender.0[0] ^= 1,
        |q| q.recipient.0[0] ^= 1,
        |q| q.face_value.0 += U256::from(1),
        |q| q.win_prob += U256::from(1),
        |q| q.seed += U256::from(1),
        |q| q.expiration_block += 1,
        |q| q.creation_round.0 += 1,
        |q| q.creation_round_hash.0[0] ^= 1,
        |q| q.price.wei += 1,
        |q| q.price.pixels += 1,
    ];
    for change in changes {
        let mut changed = quote();
        change(&mut changed);
        assert!(changed.opened(&secret).is_none());
    }
}

#[test]
fn a_batch_signed_again_is_the_same_batch() {
    let (quote, key) = (quote(), gateway());
    let batch = Batch::sign(&quote, 3..=5, &key);
    assert_eq!(batch, Batch::sign(&quote, 3..=5, &key));
    assert_eq!(batch.shape(), Ok(()));
    for (_, ticket, signature) in batch.iter() {
        assert_eq!(ticket.is_signed_by_sender(&signature[..]), Ok(true));
    }
}

#[test]
fn a_sender_refuses_each_bad_term_for_its_own_reason() {
    let wei = |n: u64| Wei(U256::from(n));
    let limits = Limits {
        max_ticket: wei(3_000_000_000_000),
        max_batch: wei(20_000_000_000_000),
        deposit_multiplier: 1,
        margin_blocks: 2,
    };
    let funds = Funds { deposit: wei(u64::MAX), reserve: wei(1), withdraw_round: Round(0) };
    let check = |q: &Quote, f: &Funds, block| terms::check(q, &limits, f, block, Round(4000));
    let good = quote();
    assert_eq!(check(&good, &funds, 22_999_998), Ok(()));
    assert!(matches!(check(&good, &funds, 22_999_999), Err(Unacceptable::Expired { .. })));
    let with = |change: fn(&mut Quote)| {
        let mut bad = quote();
        change(&mut bad);
        check(&bad, &funds, 1).unwrap_err()
    };
    assert_eq!(with(|q| q.win_prob = U256::MAX), Unacceptable::FaceTooLow);
    assert_eq!(with(|q| q.win_prob = U256::ZERO), Unacceptable::FaceTooLow);
    assert!(matches!(with(|q| q.win_prob = U256::MAX / U256::from(2)), Unacceptable::TicketTooDear { .. }));
    assert!(matches!(with(|q| q.face_value = Wei(U256::MAX)), Unacceptable::FaceTooHigh(_)));
    assert!(matches!(with(|q| q.creation_round = Round(3998)), Unacceptable::WrongRound { .. }));
    let poor = Funds { deposit: wei(1), ..funds };
    assert!(matches!(check(&good, &poor, 1), Err(Unacceptable::DepositTooLow { .. })));
    let none = Funds { reserve: wei(0), ..funds };
    assert!(matches!(check(&good, &none, 1), Err(Unacceptable::Unfunded(_))));
    let leaving = Funds { withdraw_round: Round(4001), ..funds };
    assert!(matches!(check(&good, &leaving, 1), Err(Unacceptable::Unlocking(_))));
    assert!(terms::check_batch(&good, 2499, &limits).is_ok());
    assert!(matches!(terms::check_batch(&good, 2501, &limits), Err(Unacceptable::BatchTooDear { .. })));
    assert!(good.ticket_credit() > Credit::ZERO);
}
