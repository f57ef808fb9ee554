//! A way into the media plane's frames for `fuzz/`. In: any bytes. Out: nothing, or a panic that is a bug. Exists only with the
//! feature `fuzzing`; no node has it.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use protocol::{Ladder, NodeRecord};

use super::frame::{Floor, FrameError, MAX_FRAME, read_body, read_end, read_frame};
use super::sight::{decode_meeting, decode_seen, encode_meeting, encode_seen, is_public};
use super::wire::{Step, decode_offer, decode_step, encode_offer, encode_step, proto};

/// Longest body that the reader is asked for, bytes.
const BODY: usize = 64 * 1024;

/// Bytes as an offer: what is taken goes out and comes back as it was.
pub fn offer(bytes: &[u8]) {
    let Ok(message) = proto::Offer::decode(bytes) else { return };
    let Ok(offer) = decode_offer(message) else { return };
    assert!(offer.ladder.0.len() <= Ladder::MAX && offer.duration.0 > 0 && offer.bytes > 0);
    let frame = encode_offer(&offer);
    assert!(frame.encoded_len() <= MAX_FRAME, "an offer that was taken can be sent");
    assert_eq!(decode_offer(frame).expect("it was taken before"), offer);
}

/// Bytes as a step of an answer: what is taken goes out and comes back as it was.
pub fn step(bytes: &[u8]) {
    let Ok(message) = proto::Answer::decode(bytes) else { return };
    let Ok(step) = decode_step(message) else { return };
    if let Step::Fault(why) = &step {
        assert!(why.len() <= 512 && !why.contains(char::is_control));
    }
    let frame = encode_step(&step);
    assert!(frame.encoded_len() <= MAX_FRAME, "a step that was taken can be sent");
    assert_eq!(decode_step(frame).expect("it was taken before"), step);
}

/// Bytes as what one says of where it sees another, and of where it is to be met: what is taken goes out and comes back as it
/// was, and nobody is sent into a LAN or to more places than a record names.
pub fn punch(bytes: &[u8]) {
    if let Ok(at) =
        proto::Seen::decode(bytes).map_err(drop).and_then(|frame| decode_seen(frame).map_err(drop))
    {
        let again = decode_seen(encode_seen(at)).expect("it was taken before");
        assert_eq!((again.ip(), again.port()), (at.ip().to_canonical(), at.port()));
    }
    let Ok(frame) = proto::Meeting::decode(bytes) else { return };
    let Ok(at) = decode_meeting(&frame) else { return };
    assert!(
        at.len() <= NodeRecord::MAX_ADDRS && at.iter().all(|addr| is_public(addr.ip()) && addr.port() != 0)
    );
    let frame = encode_meeting(&at);
    assert!(frame.encoded_len() <= MAX_FRAME, "a meeting that was taken can be sent");
    assert_eq!(decode_meeting(&frame).expect("it was taken before"), at);
}

/// Bytes as a stream: frames, then a body of an announced length, then the end. Must run on a runtime with a clock.
pub async fn stream(mut bytes: &[u8]) {
    let within = Duration::from_secs(1);
    let announced = bytes.len().min(BODY);
    loop {
        let before = bytes.len();
        match read_frame::<_, proto::Answer>(&mut bytes, within).await {
            Ok(Some(message)) => drop(decode_step(message)),
            Ok(None) => return assert_eq!(before, 0, "only an empty stream has no frame"),
            Err(FrameError::TooLong(length)) => {
                assert!(length as usize > MAX_FRAME);
                break;
            }
            Err(_) => break,
        }
    }
    let had = Bytes::copy_from_slice(bytes);
    match read_body(&mut bytes, announced, Floor::default()).await {
        Ok((body, hash)) => {
            assert!(body.len() == announced && had.starts_with(&body) && hash == protocol::Hash::of(&body));
            assert_eq!(
                read_end(&mut bytes, announced, Floor::default()).await.is_ok(),
                had.len() == announced
            );
        }
        Err(why) => assert!(had.len() < announced, "{why}"),
    }
}
