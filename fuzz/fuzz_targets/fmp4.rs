//! Any bytes as an MP4 file: an error or a movie whose samples lie in the file.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::fmp4;

fuzz_target!(|data: &[u8]| {
    let file = Bytes::copy_from_slice(data);
    if let Ok((init, rest)) = fmp4::split(&file) {
        assert_eq!(init.len() + rest.len(), file.len());
    }
    let Ok(movie) = fmp4::parse(&file) else { return };
    let samples = movie.tracks.iter().flat_map(|track| &track.samples);
    assert!(samples.clone().count() <= fmp4::MAX_SAMPLES);
    // Lengths of 1 byte become 4, so data may grow fourfold and no more.
    assert!(samples.map(|sample| sample.data.len()).sum::<usize>() <= 4 * file.len());
    if let Some((config, track)) = movie.video() {
        let _ = fmp4::video_segment(config, 1, &track.samples);
    }
    if let Some((config, track)) = movie.audio() {
        let _ = fmp4::audio_segment(config, 1, &track.samples);
    }
});
