//! The smallest encode there is: it tells the encoder's version, and wakes every library before a worker is closed off.

use bytes::Bytes;
use protocol::rendition::H264Profile;
use protocol::{Ladder, RenditionSpec};

use super::cpu::ENCODER;
use super::ffi::{Colour, Encoded, Encoder, Pool, Settings};
use super::rung::{length_prefixed, parameter_sets, take};
use super::{Backend, Job, Limits};
use crate::fmp4::{self, Sample};

/// What x264 calls itself in the user data that it writes into a stream.
const CORE_MARK: &[u8] = b"x264 - core ";
/// Side of the picture, pixels.
const SIDE: u32 = 64;

/// Version of x264's core, such as `x264-164`, read from what it writes into a stream.
pub(super) fn core_version() -> Option<String> {
    let (_, picture) = smallest()?;
    let at = picture.data.windows(CORE_MARK.len()).position(|w| w == CORE_MARK)? + CORE_MARK.len();
    let digits = picture.data[at..].iter().take_while(|b| b.is_ascii_digit());
    Some(format!("x264-{}", digits.map(|&b| char::from(b)).collect::<String>()))
}

/// Transcodes one picture, so that nothing has to be loaded or computed for the first time later.
pub(crate) fn warm_up(backend: &dyn Backend) {
    let _ = backend.capabilities();
    let Some(segment) = smallest_segment() else { return };
    let spec = RenditionSpec {
        name: "warm-up".into(),
        width: SIDE / 2,
        height: SIDE / 2,
        bitrate: 100_000,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    };
    let job = Job { segment, ladder: Ladder(vec![spec]), limits: Limits::default() };
    let _ = backend.transcode(&job, &mut drop);
}

fn smallest_segment() -> Option<Bytes> {
    let (headers, picture) = smallest()?;
    let data = length_prefixed(&picture.data);
    let sample = Sample { dts: 90_000, pts: 90_000, duration: 3000, key: true, data };
    fmp4::video_segment(&parameter_sets(&headers).ok()?, 1, &[sample]).ok()
}

/// Parameter sets and one coded picture.
fn smallest() -> Option<(Vec<u8>, Encoded)> {
    let mut frame = Pool::new(SIDE, SIDE).and_then(|pool| pool.frame()).ok()?;
    let settings = Settings {
        encoder: ENCODER,
        width: SIDE,
        height: SIDE,
        bitrate: 100_000,
        fps: (30, 1),
        b_frames: 0,
        colour: Colour::of(&frame),
        options: vec![("preset", "ultrafast".into())],
    };
    let mut encoder = Encoder::open(&settings).ok()?;
    frame.stamp(90_000, true);
    encoder.send(Some(&frame)).ok()?;
    encoder.send(None).ok()?;
    let mut coded = Vec::new();
    take(&mut encoder, &mut coded).ok()?;
    Some((encoder.headers().to_vec(), coded.into_iter().next()?))
}
