//! Every question and answer comes back as it was written, has one spelling, and no bytes make the readers panic.

use proptest::prelude::*;

use super::parcel::{Assembly, CHUNK, MAX_REPLY, MAX_REQUEST, Part, Reply, Request};
use super::*;

const HASH: B256 = B256::repeat_byte(7);
const BLOCK: Block = Block { number: 1 << 40, hash: HASH };

fn asks() -> Vec<Ask> {
    let slots: BTreeSet<B256> = [B256::ZERO, HASH].into();
    let keys = Keys::from([(Address::ZERO, BTreeSet::new()), (Address::repeat_byte(1), slots)]);
    let layer = Layer::L2;
    let hashes = vec![HASH, B256::ZERO];
    vec![
        Ask::Bootstrap { root: HASH },
        Ask::Update { period: u64::MAX },
        Ask::Finality,
        Ask::Optimistic,
        Ask::Checkpoint,
        Ask::Config,
        Ask::Header { layer: Layer::L1, hash: HASH },
        Ask::HeaderAt { layer, at: At::Latest },
        Ask::HeaderAt { layer, at: At::Number(9) },
        Ask::Proof { layer, block: BLOCK, keys },
        Ask::Code { layer, block: BLOCK, address: Address::ZERO, hash: HASH },
        Ask::Assertions { rollup: Address::ZERO, from_block: 1, to_block: 2, hashes },
        Ask::Bundle { assertion: HASH },
        Ask::Members { manager: Address::repeat_byte(2), block: BLOCK },
        Ask::Call { layer, block: BLOCK, to: Address::ZERO, data: vec![1, 2, 3].into() },
    ]
}

fn answers() -> Vec<Answer> {
    let ssz = BeaconClaim { form: Form::Ssz { fork: "electra".into() }, bytes: vec![9; 300].into() };
    let json = BeaconClaim { form: Form::Json, bytes: b"{}".into() };
    let log =
        Log { address: Address::ZERO, topics: vec![HASH; 3], data: vec![1; 800].into(), block_number: 4 };
    vec![
        Answer::Bootstrap(ssz.clone()),
        Answer::Update(ssz.clone()),
        Answer::Finality(json),
        Answer::Optimistic(ssz),
        Answer::Checkpoint { root: HASH, slot: 3 },
        Answer::Config { spec: b"a".into(), genesis: b"b".into() },
        Answer::Header(vec![1; 600].into()),
        Answer::Proof(vec![vec![1; 532].into(), Bytes::new()]),
        Answer::Code(vec![0; 24_576].into()),
        Answer::Assertions(vec![log.clone(), log]),
        Answer::Bundle(vec![5; 1000].into()),
        Answer::Members(vec![Address::repeat_byte(3), Address::ZERO]),
        Answer::Call(Bytes::new()),
    ]
}

#[test]
fn every_question_and_answer_comes_back_as_it_was_written() {
    for ask in asks() {
        assert_eq!(decode_ask(&encode_ask(&ask).unwrap()).unwrap(), ask);
    }
    for answer in answers() {
        assert_eq!(decode_answer(&encode_answer(&answer).unwrap()).unwrap(), answer);
    }
}

#[test]
fn what_is_cut_short_or_goes_on_is_refused() {
    for bytes in asks().iter().map(|ask| encode_ask(ask).unwrap()) {
        assert!((0..bytes.len()).all(|end| decode_ask(&bytes[..end]).is_err()));
        assert!(decode_ask(&[&bytes[..], &[0]].concat()).is_err());
    }
    for bytes in answers().iter().map(|answer| encode_answer(answer).unwrap()) {
        assert!((0..bytes.len()).step_by(7).all(|end| decode_answer(&bytes[..end]).is_err()));
        assert!(decode_answer(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn another_version_is_refused_by_name() {
    assert_eq!(decode_ask(&[9, 2]), Err(WireError::Version(9)));
    assert_eq!(decode_answer(&[0]), Err(WireError::Version(0)));
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    let claims_much = [&[VERSION, 7][..], &60_000_u32.to_le_bytes(), &[0; 8]].concat();
    assert_eq!(decode_answer(&claims_much), Err(WireError::Length("trie nodes")));
    let too_much = [&[VERSION, 7][..], &u32::MAX.to_le_bytes()].concat();
    assert!(matches!(decode_answer(&too_much), Err(WireError::TooMuch { .. })));
}

#[test]
fn what_is_over_its_limit_is_not_written() {
    let bundle = Answer::Bundle(vec![0; MAX_ANSWER].into());
    assert!(matches!(encode_answer(&bundle), Err(WireError::TooMuch { .. })));
    let slots: BTreeSet<B256> =
        (0..MAX_KEYS as u64).map(|n| B256::left_padding_from(&n.to_be_bytes())).collect();
    let keys = Keys::from([(Address::ZERO, slots)]);
    assert!(encode_ask(&Ask::Proof { layer: Layer::L1, block: BLOCK, keys }).is_err());
}

fn parts(answer: &[u8]) -> Vec<Part> {
    (0..)
        .map_while(|chunk| match Reply::cut(answer, chunk) {
            Reply::Part(part) => Some(part),
            Reply::Nothing => None,
        })
        .collect()
}

#[test]
fn a_large_answer_comes_in_chunks_in_any_order_from_anybody() {
    let answer: Vec<u8> = (0..MAX_ANSWER).map(|n| (n % 251) as u8).collect();
    let mut parts = parts(&answer);
    assert_eq!(parts.len(), parcel::MAX_CHUNKS);
    let mut assembly = Assembly::new(parts.pop().unwrap());
    assert_eq!(assembly.missing(), Some(0));
    for part in parts {
        let Ok(Reply::Part(part)) = Reply::decode(&Reply::Part(part).encode()) else { panic!() };
        assembly.add(part).unwrap();
    }
    assert_eq!(assembly.missing(), None);
    assert_eq!(assembly.whole().unwrap(), answer);
}

#[test]
fn a_damaged_chunk_and_one_of_another_answer_are_found_when_they_come() {
    let answer = vec![3; CHUNK + 5];
    let parts = parts(&answer);
    let mut bytes = Reply::Part(parts[0].clone()).encode();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(Reply::decode(&bytes).is_err());
    let other = Reply::cut(&vec![4; CHUNK + 5], 1);
    let Reply::Part(other) = other else { panic!() };
    assert!(Assembly::new(parts[0].clone()).add(other).is_err());
}

#[test]
fn requests_and_replies_fit_what_peers_carry() {
    let largest = Reply::cut(&vec![1; MAX_ANSWER], 0).encode();
    assert!(largest.len() <= MAX_REPLY);
    const { assert!(MAX_REPLY < 1 << 20 && MAX_REQUEST <= 64 * 1024) };
    for ask in asks() {
        let request = Request { chunk: 1, ask };
        assert_eq!(Request::decode(&request.encode().unwrap()).unwrap(), request);
    }
    assert_eq!(Reply::decode(&Reply::Nothing.encode()).unwrap(), Reply::Nothing);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_a_reader_panic_and_what_is_read_has_one_spelling(
        kind in 0_u8..14,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        bytes.splice(0..0, [VERSION, kind]);
        if let Ok(ask) = decode_ask(&bytes) {
            prop_assert_eq!(encode_ask(&ask).unwrap(), bytes.clone());
        }
        if let Ok(answer) = decode_answer(&bytes) {
            prop_assert_eq!(encode_answer(&answer).unwrap(), bytes.clone());
        }
        let _ = Reply::decode(&bytes);
        let _ = Request::decode(&bytes);
    }

    #[test]
    fn a_flipped_byte_is_refused_or_read_as_something_else(at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        for ask in asks() {
            let mut bytes = encode_ask(&ask).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_ne!(decode_ask(&bytes), Ok(ask));
        }
    }
}
