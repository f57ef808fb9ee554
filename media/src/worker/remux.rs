//! A video rendition and an audio track into one file for those who want it so; timestamps stay absolute.

use bytes::Bytes;

use super::messages::Fault;
use super::serve::JobError;
use crate::fmp4::{self, Sample, Track};
use crate::transcode::ffi::{AvError, Muxer, Target};

/// Multiplexes the first `video` bytes of `body` and what follows them.
pub(super) fn remux(body: &Bytes, video: usize, target: Target) -> Result<Bytes, JobError> {
    let input = |message: String| JobError { fault: Fault::Input, message };
    if video > body.len() {
        return Err(input(format!("{video} bytes of video announced, {} sent", body.len())));
    }
    let movie =
        fmp4::parse(&body.slice(..video)).map_err(|e| input(format!("the video cannot be read: {e}")))?;
    let sound = match body.len() > video {
        true => Some(
            fmp4::parse(&body.slice(video..)).map_err(|e| input(format!("the audio cannot be read: {e}")))?,
        ),
        false => None,
    };
    let (config, pictures) = movie.video().ok_or_else(|| input("there is no H.264 in the video".into()))?;
    let size = config.info().map(|sps| (sps.width, sps.height)).map_err(|e| input(e.to_string()))?;
    let failed = |error: AvError| JobError { fault: Fault::Internal, message: error.to_string() };
    let mut muxer = Muxer::new(target).map_err(failed)?;
    let mut tracks =
        vec![(muxer.add_h264(&config.avcc, size, pictures.timescale).map_err(failed)?, pictures)];
    if let Some((config, frames)) = sound.as_ref().and_then(|movie| movie.audio()) {
        let asc = config.info().map_err(|e| input(e.to_string()))?;
        let index = muxer.add_aac(&config.asc, asc.rate, asc.channels, frames.timescale).map_err(failed)?;
        tracks.push((index, frames));
    }
    muxer.start().map_err(failed)?;
    for (index, sample) in interleaved(&tracks) {
        let times = (sample.pts, sample.dts, i64::from(sample.duration));
        muxer.write(index, times, sample.key, &sample.data).map_err(failed)?;
    }
    muxer.finish().map_err(failed)
}

/// All samples in order of decoding time.
fn interleaved<'a>(tracks: &[(usize, &'a Track)]) -> Vec<(usize, &'a Sample)> {
    let of = |&(index, track): &(usize, &'a Track)| {
        track.samples.iter().map(move |s| (track.ticks(s.dts), index, s))
    };
    let mut all: Vec<_> = tracks.iter().flat_map(of).collect();
    all.sort_by_key(|&(dts, index, _)| (dts, index));
    all.into_iter().map(|(_, index, sample)| (index, sample)).collect()
}
