//! Makes bytes and hash of what was cut. Takes milliseconds for a large segment, so it runs beside the actors.

use media::cut::{CutAudio, CutVideo};
use media::fmp4::{Mp4Error, audio_segment, video_segment};
use protocol::{Hash, Segment, SegmentId, SourceInfo};

use crate::publisher::messages::AudioTrack;

/// The segment: initialization segment and one fragment, named by the hash of both.
pub(super) fn segment(id: SegmentId, video: &CutVideo) -> Result<Segment, Mp4Error> {
    let bytes = video_segment(&video.config, fragment_number(id.seq), &video.samples)?;
    let source =
        SourceInfo { width: video.info.width, height: video.info.height, frames: video.samples.len() as u32 };
    Ok(Segment {
        id,
        start: video.start,
        duration: video.duration,
        discontinuity: video.discontinuity,
        source,
        hash: Hash::of(&bytes),
        bytes,
    })
}

/// The audio of a segment as a file; `None` when it has none.
pub(super) fn audio(seq: u64, audio: &CutAudio) -> Result<Option<AudioTrack>, Mp4Error> {
    let Some(part) = &audio.part else { return Ok(None) };
    let bytes = audio_segment(&part.config, fragment_number(seq), &part.samples)?;
    Ok(Some(AudioTrack {
        config: part.config.clone(),
        start: part.start,
        frames: part.samples.len() as u32,
        bytes,
    }))
}

/// Fragments count from 1, in 32 bits.
fn fragment_number(seq: u64) -> u32 {
    (seq % u64::from(u32::MAX)) as u32 + 1
}
