use proptest::prelude::*;
use prost::Message;

use super::*;

fn offer() -> Offer {
    let spec = RenditionSpec {
        name: "720p".into(),
        width: 1280,
        height: 720,
        bitrate: 3_000_000,
        fps: Some(Fps { num: 30_000, den: 1001 }),
        profile: H264Profile::High,
        b_frames: 3,
        gop: Some(180_000),
    };
    let plain = {
        let name = "a_b-1".to_owned();
        RenditionSpec { name, fps: None, gop: None, b_frames: 0, ..spec }
    };
    Offer {
        segment: SegmentId { stream: "me".parse().unwrap(), seq: u64::MAX },
        start: Ticks(-5),
        duration: Ticks(180_000),
        source: SourceInfo { width: 1920, height: 1080, frames: 60 },
        bytes: 1000,
        hash: Hash([3; 32]),
        ladder: Ladder(vec![spec, plain]),
        price: PricePerPixel { wei: 5, pixels: 7 },
        deadline: Duration::from_millis(2500),
        payment: None,
    }
}

fn receipt() -> SignedReceipt {
    let segment = offer().segment;
    let renditions = vec![(Hash([4; 32]), 9), (Hash([5; 32]), u64::MAX)];
    SignedReceipt { receipt: Receipt { segment, source: Hash([3; 32]), renditions }, signature: [6; 64] }
}

/// What `change` makes of a good offer is refused, and the reason names the field.
fn refused(field: &str, change: impl FnOnce(&mut proto::Offer)) {
    let mut frame = encode_offer(&offer());
    change(&mut frame);
    let why = decode_offer(frame).unwrap_err().to_string();
    assert!(why.contains(field), "{why}");
}

#[test]
fn an_offer_comes_out_as_it_went_in() {
    let bytes = encode_offer(&offer()).encode_to_vec();
    assert_eq!(decode_offer(proto::Offer::decode(&bytes[..]).unwrap()).unwrap(), offer());
}

#[test]
fn every_step_comes_out_as_it_went_in() {
    let head = RenditionHead { index: 11, frames: 60, pixels: 1 << 40, bytes: 77 };
    let steps = [
        Step::Accepted,
        Step::Beat,
        Step::Rendition(head),
        Step::Receipt(receipt()),
        Step::Declined(Declined::Busy { retry_after: Duration::from_millis(12) }),
        Step::Declined(Declined::Stopping),
        Step::Declined(Declined::Price { asked: PricePerPixel { wei: 1, pixels: 2 } }),
        Step::Declined(Declined::Limits("big".into())),
        Step::Declined(Declined::NotAdmitted("who".into())),
        Step::Failed(Failed::Input("what".into())),
        Step::Failed(Failed::Internal("oh".into())),
        Step::Fault("no".into()),
    ];
    for step in steps {
        let bytes = encode_step(&step).encode_to_vec();
        assert!(bytes.len() < super::super::frame::MAX_FRAME);
        assert_eq!(decode_step(proto::Answer::decode(&bytes[..]).unwrap()).unwrap(), step);
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    refused("stream", |o| o.stream = "../x".into());
    refused("segment length", |o| o.bytes = 0);
    refused("segment length", |o| o.bytes = Segment::MAX_BYTES as u64 + 1);
    refused("duration", |o| o.duration = 0);
    refused("duration", |o| o.duration = u64::MAX);
    refused("hash", |o| o.hash = Bytes::from_static(&[1; 31]));
    refused("width", |o| o.width = 0);
    refused("frames", |o| o.frames = u32::MAX);
    refused("price unit", |o| o.price_pixels = 0);
    refused("ladder", |o| o.ladder = vec![o.ladder[0].clone(); 13]);
    refused("rung name", |o| o.ladder[0].name = "a/b".into());
    refused("rung size", |o| o.ladder[0].width = 3);
    refused("rung width", |o| o.ladder[0].width = 0);
    refused("rung bit rate", |o| o.ladder[0].bitrate = 0);
    refused("rung profile", |o| o.ladder[0].profile = 9);
    refused("rung B-frames", |o| o.ladder[0].b_frames = 300);
    refused("rung frame rate", |o| o.ladder[0].fps_den = 0);
    refused("rung key frame", |o| o.ladder[0].gop = u64::MAX);
}

#[test]
fn a_deadline_beyond_reason_is_cut() {
    let mut frame = encode_offer(&offer());
    frame.deadline_ms = u64::MAX;
    assert_eq!(decode_offer(frame).unwrap().deadline, MAX_DEADLINE);
}

#[test]
fn a_reason_cannot_be_long_or_forge_a_line() {
    let long = format!("a\nb{}", "ü".repeat(1000));
    let Step::Fault(cut) =
        decode_step(proto::Answer { step: Some(proto::answer::Step::Fault(long)) }).unwrap()
    else {
        panic!("another step");
    };
    assert!(cut.len() <= MAX_REASON && cut.starts_with("a bü"));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(frame) = proto::Offer::decode(&bytes[..]) {
            drop(decode_offer(frame));
        }
        if let Ok(frame) = proto::Answer::decode(&bytes[..]) {
            drop(decode_step(frame));
        }
    }

    #[test]
    fn a_damaged_offer_never_panics(at in 0_usize..200, to in any::<u8>(), cut in 0_usize..200) {
        let mut bytes = encode_offer(&offer()).encode_to_vec();
        let len = bytes.len();
        bytes[at % len] = to;
        bytes.truncate(len - cut % len);
        if let Ok(frame) = proto::Offer::decode(&bytes[..]) {
            drop(decode_offer(frame));
        }
        let mut bytes = encode_step(&Step::Receipt(receipt())).encode_to_vec();
        let len = bytes.len();
        bytes[at % len] = to;
        if let Ok(frame) = proto::Answer::decode(&bytes[..]) {
            drop(decode_step(frame));
        }
    }
}
