//! The nouns of the mesh as frames of the media plane and back.
//!
//! Encoding cannot fail; decoding checks every bound of `proto/media.proto`, so that what comes out of here can be trusted
//! to be well-formed (not to be true). Pure: no stream, no clock.

use std::time::Duration;

use bytes::Bytes;
use protocol::rendition::{Fps, H264Profile};
use protocol::{
    Declined, Failed, Hash, Ladder, Offer, PricePerPixel, Receipt, RenditionSpec, Segment, SegmentId,
    SignedReceipt, SourceInfo, Ticks,
};

use crate::payment::wire::{decode_payment, decode_unpaid, encode_payment, encode_unpaid};

/// The generated messages.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::use_self)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/livemesh.media.v1.rs"));
}

/// Longest reason in words, bytes.
pub(crate) const MAX_REASON: usize = 512;
/// Longest side of a picture, pixels: beyond any level of H.264.
const MAX_SIDE: u32 = 16_384;
/// Longest deadline: a segment that is minutes late is of no use to a live stream.
const MAX_DEADLINE: Duration = Duration::from_secs(300);
/// Most pictures in a segment: 30 s at 240 frames per second.
const MAX_FRAMES: u32 = 7_200;

/// A frame that parses as protobuf and breaks a rule of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub(crate) struct Malformed {
    field: &'static str,
    why: String,
}

/// A step of an answer, as it stands in a frame: a rendition's bytes are still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Accepted,
    Beat,
    Rendition(RenditionHead),
    Receipt(SignedReceipt),
    Declined(Declined),
    Failed(Failed),
    Fault(String),
}

/// What precedes a rendition's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RenditionHead {
    pub(crate) index: usize,
    pub(crate) frames: u32,
    pub(crate) pixels: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn bad<T>(field: &'static str, why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed { field, why: why.into() })
}

pub(crate) fn within<T: PartialOrd + std::fmt::Display>(
    field: &'static str,
    value: T,
    low: T,
    high: T,
) -> Result<T, Malformed> {
    if value < low || value > high {
        return bad(field, format!("{value} is not between {low} and {high}"));
    }
    Ok(value)
}

pub(crate) fn hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Malformed> {
    match bytes.try_into() {
        Ok(hash) => Ok(Hash(hash)),
        Err(_) => bad(field, format!("has {} bytes, not 32", bytes.len())),
    }
}

/// Cuts a reason to its bound at a character's edge and takes out what could forge a line of a log.
pub(crate) fn reason(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if out.len() + c.len_utf8() > MAX_REASON {
            break;
        }
        out.push(c);
    }
    out
}

fn segment_id(stream: &str, seq: u64) -> Result<SegmentId, Malformed> {
    match stream.parse() {
        Ok(stream) => Ok(SegmentId { stream, seq }),
        Err(why) => bad("stream", format!("is refused: {why}")),
    }
}

// === Offer ===

/// An offer as a frame.
pub(crate) fn encode_offer(offer: &Offer) -> proto::Offer {
    proto::Offer {
        stream: offer.segment.stream.as_str().to_owned(),
        seq: offer.segment.seq,
        start: offer.start.0,
        duration: offer.duration.0.max(0).cast_unsigned(),
        width: offer.source.width,
        height: offer.source.height,
        frames: offer.source.frames,
        bytes: offer.bytes,
        hash: Bytes::copy_from_slice(&offer.hash.0),
        ladder: offer.ladder.0.iter().map(encode_rung).collect(),
        price_wei: offer.price.wei,
        price_pixels: offer.price.pixels,
        deadline_ms: u64::try_from(offer.deadline.as_millis()).unwrap_or(u64::MAX),
        payment: offer.payment.as_ref().map(encode_payment),
    }
}

/// Checks an offer that came from a stranger.
pub(crate) fn decode_offer(frame: proto::Offer) -> Result<Offer, Malformed> {
    let ticks = frame.duration.min(i64::MAX.cast_unsigned()).cast_signed();
    if frame.ladder.len() > Ladder::MAX {
        return bad(
            "ladder",
            format!("has {} rungs, at most {} are allowed", frame.ladder.len(), Ladder::MAX),
        );
    }
    Ok(Offer {
        segment: segment_id(&frame.stream, frame.seq)?,
        start: Ticks(frame.start),
        duration: Ticks(within("duration", ticks, 1, Segment::MAX_DURATION.0)?),
        source: SourceInfo {
            width: within("width", frame.width, 1, MAX_SIDE)?,
            height: within("height", frame.height, 1, MAX_SIDE)?,
            frames: within("frames", frame.frames, 1, MAX_FRAMES)?,
        },
        bytes: within("segment length", frame.bytes, 1, Segment::MAX_BYTES as u64)?,
        hash: hash("hash", &frame.hash)?,
        ladder: Ladder(frame.ladder.into_iter().map(decode_rung).collect::<Result<_, _>>()?),
        price: PricePerPixel {
            wei: frame.price_wei,
            pixels: within("price unit", frame.price_pixels, 1, u64::MAX)?,
        },
        deadline: Duration::from_millis(frame.deadline_ms).min(MAX_DEADLINE),
        payment: frame.payment.map(decode_payment).transpose()?,
    })
}

fn encode_rung(spec: &RenditionSpec) -> proto::Rung {
    let (fps_num, fps_den) = spec.fps.map_or((0, 0), |fps| (fps.num, fps.den));
    proto::Rung {
        name: spec.name.clone(),
        width: spec.width,
        height: spec.height,
        bitrate: spec.bitrate,
        fps_num,
        fps_den,
        profile: match spec.profile {
            H264Profile::ConstrainedBaseline => 1,
            H264Profile::Main => 2,
            H264Profile::High => 3,
            H264Profile::ConstrainedHigh => 4,
        },
        b_frames: spec.b_frames.into(),
        gop: spec.gop.unwrap_or(0).max(0).cast_unsigned(),
    }
}

fn decode_rung(rung: proto::Rung) -> Result<RenditionSpec, Malformed> {
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if rung.name.is_empty() || rung.name.len() > 32 || !rung.name.bytes().all(named) {
        return bad("rung name", "is not 1 to 32 of A-Z a-z 0-9 _ -");
    }
    if rung.width % 2 == 1 || rung.height % 2 == 1 {
        return bad("rung size", "is odd");
    }
    let fps = match (rung.fps_num, rung.fps_den) {
        (0, _) => None,
        (num, den) => Some(Fps { num, den: within("rung frame rate", den, 1, u32::MAX)? }),
    };
    let profile = match rung.profile {
        1 => H264Profile::ConstrainedBaseline,
        2 => H264Profile::Main,
        3 => H264Profile::High,
        4 => H264Profile::ConstrainedHigh,
        other => return bad("rung profile", format!("{other} is not known here")),
    };
    let gop = within("rung key frame interval", rung.gop, 0, Segment::MAX_DURATION.0.cast_unsigned())?;
    let b_frames = within("rung B-frames", rung.b_frames, 0, 3)?;
    Ok(RenditionSpec {
        name: rung.name,
        width: within("rung width", rung.width, 2, MAX_SIDE)?,
        height: within("rung height", rung.height, 2, MAX_SIDE)?,
        bitrate: within("rung bit rate", rung.bitrate, 1, 1_000_000_000)?,
        fps,
        profile,
        b_frames: u8::try_from(b_frames).expect("at most 3"),
        gop: (gop > 0).then_some(gop.cast_signed()),
    })
}

// === Answer ===

/// A step as a frame.
pub(crate) fn encode_step(step: &Step) -> proto::Answer {
    use proto::answer::Step as P;
    let step = match step {
        Step::Accepted => P::Accepted(proto::Empty {}),
        Step::Beat => P::Beat(proto::Empty {}),
        Step::Rendition(head) => P::Rendition(proto::Rendition {
            index: u32::try_from(head.index).unwrap_or(u32::MAX),
            frames: head.frames,
            pixels: head.pixels,
            bytes: head.bytes,
        }),
        Step::Receipt(signed) => P::Receipt(encode_receipt(signed)),
        Step::Declined(declined) => P::Declined(encode_declined(declined)),
        Step::Failed(failed) => P::Failed(encode_failed(failed)),
        Step::Fault(why) => P::Fault(reason(why)),
    };
    proto::Answer { step: Some(step) }
}

/// Checks a step that came from a stranger. A rendition's index and length are checked against the offer by the caller.
pub(crate) fn decode_step(frame: proto::Answer) -> Result<Step, Malformed> {
    use proto::answer::Step as P;
    Ok(match frame.step {
        Some(P::Accepted(_)) => Step::Accepted,
        Some(P::Beat(_)) => Step::Beat,
        Some(P::Rendition(head)) => Step::Rendition(RenditionHead {
            index: usize::try_from(within("rendition index", head.index, 0, Ladder::MAX as u32 - 1)?)
                .expect("at most 11"),
            frames: head.frames,
            pixels: head.pixels,
            bytes: within("rendition length", head.bytes, 1, Segment::MAX_BYTES as u64)?,
        }),
        Some(P::Receipt(receipt)) => Step::Receipt(decode_receipt(receipt)?),
        Some(P::Declined(declined)) => Step::Declined(decode_declined(declined)?),
        Some(P::Failed(failed)) => Step::Failed(decode_failed(failed)?),
        Some(P::Fault(why)) => Step::Fault(reason(&why)),
        None => return bad("answer", "has no step known here"),
    })
}

pub(crate) fn encode_receipt(signed: &SignedReceipt) -> proto::Receipt {
    let receipt = &signed.receipt;
    let made =
        |(hash, pixels): &(Hash, u64)| proto::Made { hash: Bytes::copy_from_slice(&hash.0), pixels: *pixels };
    proto::Receipt {
        stream: receipt.segment.stream.as_str().to_owned(),
        seq: receipt.segment.seq,
        source: Bytes::copy_from_slice(&receipt.source.0),
        renditions: receipt.renditions.iter().map(made).collect(),
        signature: Bytes::copy_from_slice(&signed.signature),
    }
}

pub(crate) fn decode_receipt(frame: proto::Receipt) -> Result<SignedReceipt, Malformed> {
    if frame.renditions.len() > Ladder::MAX {
        return bad("receipt", format!("names {} renditions", frame.renditions.len()));
    }
    let Ok(signature) = frame.signature.as_ref().try_into() else {
        return bad("signature", format!("has {} bytes, not 64", frame.signature.len()));
    };
    let made = |made: &proto::Made| Ok((hash("rendition hash", &made.hash)?, made.pixels));
    Ok(SignedReceipt {
        receipt: Receipt {
            segment: segment_id(&frame.stream, frame.seq)?,
            source: hash("source hash", &frame.source)?,
            renditions: frame.renditions.iter().map(made).collect::<Result<_, _>>()?,
        },
        signature,
    })
}

fn encode_declined(declined: &Declined) -> proto::Declined {
    use proto::declined::Why;
    let why = match declined {
        Declined::Busy { retry_after } => {
            Why::BusyMs(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX))
        }
        Declined::Stopping => Why::Stopping(proto::Empty {}),
        Declined::Price { asked } => Why::Price(proto::Price { wei: asked.wei, pixels: asked.pixels }),
        Declined::Limits(why) => Why::Limits(reason(why)),
        Declined::NotAdmitted(why) => Why::NotAdmitted(reason(why)),
        Declined::Unpaid(unpaid) => Why::Unpaid(encode_unpaid(unpaid)),
    };
    proto::Declined { why: Some(why) }
}

fn decode_declined(frame: proto::Declined) -> Result<Declined, Malformed> {
    use proto::declined::Why;
    Ok(match frame.why {
        Some(Why::BusyMs(ms)) => Declined::Busy { retry_after: Duration::from_millis(ms).min(MAX_DEADLINE) },
        Some(Why::Stopping(_)) => Declined::Stopping,
        Some(Why::Price(price)) => {
            let pixels = within("price unit", price.pixels, 1, u64::MAX)?;
            Declined::Price { asked: PricePerPixel { wei: price.wei, pixels } }
        }
        Some(Why::Limits(why)) => Declined::Limits(reason(&why)),
        Some(Why::NotAdmitted(why)) => Declined::NotAdmitted(reason(&why)),
        Some(Why::Unpaid(unpaid)) => Declined::Unpaid(decode_unpaid(&unpaid)),
        None => Declined::NotAdmitted("for a reason that this node does not know: update it".into()),
    })
}

fn encode_failed(failed: &Failed) -> proto::Failed {
    use proto::failed::Why;
    let why = match failed {
        Failed::Input(why) => Why::Input(reason(why)),
        Failed::Internal(why) => Why::Internal(reason(why)),
    };
    proto::Failed { why: Some(why) }
}

fn decode_failed(frame: proto::Failed) -> Result<Failed, Malformed> {
    use proto::failed::Why;
    match frame.why {
        Some(Why::Input(why)) => Ok(Failed::Input(reason(&why))),
        Some(Why::Internal(why)) => Ok(Failed::Internal(reason(&why))),
        None => bad("failure", "has no reason known here"),
    }
}

#[cfg(test)]
mod tests;
