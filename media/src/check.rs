//! Tier T0: what can be said of a rendition without decoding it.
//!
//! In: a rendition from a stranger, what was ordered, the segment it was made of. Out: what it is, or the first [`Violation`]
//! found. Takes well below a millisecond, so every rendition of every segment is checked. It says nothing about what the
//! pictures show.

mod grid;
mod units;

use bytes::Bytes;
use protocol::rendition::H264Profile;
use protocol::{RenditionSpec, Ticks};

use crate::avc::Sps;
use crate::fmp4::{self, Sample, Track, VIDEO_TIMESCALE};
use crate::transcode::dts_delay;

/// Bytes of a file that no sample uses: headers, and 16 for each picture.
const OVERHEAD: usize = 4096;
/// Bytes of overhead for each picture.
const OVERHEAD_PER_PICTURE: usize = 32;
/// Part of a rendition that may be filler, or metadata, per cent: some encoders fill up to a constant rate, but then
/// viewers pay for nothing.
const MAX_EMPTY_PER_CENT: usize = 10;

/// A rendition that is what was ordered, as far as can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Coded pictures.
    pub frames: u32,
    /// Pictures times the size that their parameters tell: what is paid for.
    pub pixels: u64,
    /// Presentation time of the first picture.
    pub start: Ticks,
    /// Distance from the first decoding time to `start`.
    pub dts_delay: Ticks,
    /// What the parameters say.
    pub info: Sps,
}

/// How a rendition differs from what was ordered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The file cannot be read.
    #[error("the rendition cannot be read: {0}")]
    Unreadable(String),
    /// The segment itself cannot be read, so nothing can be said: nobody's fault but the broadcaster's.
    #[error("the segment cannot be read, so its renditions cannot be checked: {0}")]
    Source(String),
    /// It is not one H.264 track at 90 kHz.
    #[error("the rendition is not one H.264 track with a timescale of 90000: {0}")]
    Track(String),
    /// Another size.
    #[error("the pictures are {} x {} pixels, ordered were {} x {}", .found.0, .found.1, .ordered.0, .ordered.1)]
    Size {
        /// Width and height ordered, pixels.
        ordered: (u32, u32),
        /// Width and height found, pixels.
        found: (u32, u32),
    },
    /// Another profile, or pictures that players of this profile cannot show.
    #[error("the H.264 profile is {found}, ordered was {ordered:?} in progressive 4:2:0 with 8 bits")]
    Profile {
        /// What was ordered.
        ordered: H264Profile,
        /// `profile_idc` found.
        found: u8,
    },
    /// What was claimed for payment is not what is there.
    #[error("{claimed} encoded pixels are claimed, {found} are there")]
    Claim {
        /// Pixels claimed.
        claimed: u64,
        /// Pixels found.
        found: u64,
    },
    /// Pictures are missing or added.
    #[error("there are {found} pictures, expected were {expected}")]
    Frames {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A picture is shown at another time than it must be.
    #[error("picture {index} is shown at {found} ticks, expected was {expected}")]
    Time {
        /// Position in order of presentation.
        index: usize,
        /// When it must be shown, 90 kHz ticks.
        expected: i64,
        /// When it is, 90 kHz ticks.
        found: i64,
    },
    /// Decoding times would not join with those of other segments.
    #[error("decoding of picture {index} at {found} ticks: {why}")]
    Decoding {
        /// Position in decoding order.
        index: usize,
        /// Decoding time, 90 kHz ticks.
        found: i64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A picture that must be IDR is not, or one is marked as what it is not.
    #[error("picture {index} in decoding order: {why}")]
    Key {
        /// Position in decoding order.
        index: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A sample holds no picture.
    #[error("sample {index} holds no picture: {why}")]
    NoPicture {
        /// Position in decoding order.
        index: usize,
        /// What it is instead.
        why: String,
    },
    /// More bits than ordered.
    #[error("{found} bytes exceed the ordered bit rate, which allows {max}")]
    Bitrate {
        /// Bytes of the rendition.
        found: usize,
        /// What the bit rate with its buffer allows.
        max: usize,
    },
    /// Bytes that show nothing.
    #[error("{found} of {total} bytes are {what}, at most {MAX_EMPTY_PER_CENT} % may be")]
    Empty {
        /// What they are.
        what: &'static str,
        /// How many.
        found: usize,
        /// Of how many.
        total: usize,
    },
}

/// Checks a rendition against what was ordered and what it was made of.
///
/// # Errors
/// The first [`Violation`] found; [`Violation::Source`] when the fault is not the orchestrator's.
pub fn check(rendition: &Bytes, spec: &RenditionSpec, source: &Bytes) -> Result<Checked, Violation> {
    let source = fmp4::parse(source).map_err(|error| Violation::Source(error.to_string()))?;
    let (_, source) = source.video().ok_or_else(|| Violation::Source("no H.264 track".into()))?;
    let movie = fmp4::parse(rendition).map_err(|error| Violation::Unreadable(error.to_string()))?;
    if movie.tracks.len() != 1 {
        return Err(Violation::Track(format!("{} tracks", movie.tracks.len())));
    }
    let (config, track) = movie.video().ok_or_else(|| Violation::Track("no H.264".into()))?;
    if track.timescale != VIDEO_TIMESCALE {
        return Err(Violation::Track(format!("timescale {}", track.timescale)));
    }
    let info = config.info().map_err(|error| Violation::Unreadable(error.to_string()))?;
    parameters(&info, spec)?;
    let times = grid::expected(source, spec).ok_or_else(|| Violation::Source("no pictures".into()))?;
    presentation(track, &times.pts)?;
    let delay = decoding(&track.samples, spec)?;
    units::check(&track.samples, spec)?;
    size(rendition, track, spec, times.duration)?;
    let frames = track.samples.len() as u32;
    Ok(Checked {
        frames,
        pixels: u64::from(frames) * info.pixels(),
        start: Ticks(times.pts[0]),
        dts_delay: delay,
        info,
    })
}

fn parameters(info: &Sps, spec: &RenditionSpec) -> Result<(), Violation> {
    let (ordered, found) = ((spec.width, spec.height), (info.width, info.height));
    if ordered != found {
        return Err(Violation::Size { ordered, found });
    }
    let profile = match spec.profile {
        H264Profile::ConstrainedBaseline => 66,
        H264Profile::Main => 77,
        H264Profile::High | H264Profile::ConstrainedHigh => 100,
    };
    let usual =
        info.progressive && info.chroma_format == 1 && info.bit_depth_luma == 8 && info.bit_depth_chroma == 8;
    if info.profile != profile || !usual {
        return Err(Violation::Profile { ordered: spec.profile, found: info.profile });
    }
    Ok(())
}

/// Every picture is there, at its time, and no other.
fn presentation(track: &Track, expected: &[i64]) -> Result<(), Violation> {
    let mut shown: Vec<i64> = track.samples.iter().map(|sample| sample.pts).collect();
    shown.sort_unstable();
    if shown.len() != expected.len() {
        return Err(Violation::Frames { expected: expected.len(), found: shown.len() });
    }
    match shown.iter().zip(expected).position(|(found, expected)| found != expected) {
        Some(index) => Err(Violation::Time { index, expected: expected[index], found: shown[index] }),
        None => Ok(()),
    }
}

/// Decoding times rise, come no later than presentation, and lie where the specification puts them, so that the segments of
/// any two nodes join. Gives back the delay.
fn decoding(samples: &[Sample], spec: &RenditionSpec) -> Result<Ticks, Violation> {
    let delay = dts_delay(spec);
    let wrong = |index: usize, why| Err(Violation::Decoding { index, found: samples[index].dts, why });
    if let Some(index) = samples.iter().position(|sample| sample.dts > sample.pts) {
        return wrong(index, "it is shown before it is decoded");
    }
    if let Some(index) = samples.windows(2).position(|pair| pair[0].dts >= pair[1].dts) {
        return wrong(index + 1, "not after the one before");
    }
    let shown = samples.iter().map(|sample| sample.pts);
    let (first, last) = (shown.clone().min().unwrap_or(0), shown.max().unwrap_or(0));
    if samples.first().is_some_and(|sample| sample.dts != first - delay.0) {
        return wrong(0, "not as far before the first picture as the number of B-frames asks");
    }
    if samples.last().is_some_and(|sample| sample.dts > last - delay.0) {
        return wrong(samples.len() - 1, "too late for the next segment to follow");
    }
    Ok(delay)
}

/// Bytes against the bit rate, whose buffer of one second is full at the start, and bytes that no picture uses.
fn size(rendition: &Bytes, track: &Track, spec: &RenditionSpec, duration: i64) -> Result<(), Violation> {
    let overhead = OVERHEAD + track.samples.len() * OVERHEAD_PER_PICTURE;
    let ticks = i128::from(duration.max(0)) + i128::from(Ticks::PER_SECOND);
    let allowed = i128::from(spec.bitrate) * ticks * 11 / (8 * 10 * i128::from(Ticks::PER_SECOND));
    let max = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_add(overhead);
    if rendition.len() > max {
        return Err(Violation::Bitrate { found: rendition.len(), max });
    }
    let used: usize = track.samples.iter().map(|sample| sample.data.len()).sum();
    let unused = rendition.len().saturating_sub(used);
    if unused > overhead {
        return Err(Violation::Empty { what: "in no picture", found: unused, total: rendition.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
