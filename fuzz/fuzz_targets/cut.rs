//! Any bytes as a publisher: pictures, sounds, parameters, breaks and boundaries at any times. Whatever comes, segments follow
//! each other, decoding times rise, and every segment gets its audio.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::cut::{Cutter, Piece, TARGET};
use media::packet::{AccessUnit, AudioConfig, AudioFrame, Packet, VideoConfig};
use protocol::{Segment, Ticks};

/// High 3.1, 1280x720.
const AVCC: &[u8] = &[
    1, 100, 0, 31, 0xFF, 0xE1, 0, 26, 0x67, 0x64, 0x00, 0x1F, 0xAC, 0xD9, 0x40, 0x50, 0x05, 0xBB, 0x01, 0x10,
    0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xEB,
    0xE3, 0xCB, 0x22, 0xC0, 0xFD, 0xF8, 0xF8, 0,
];

fuzz_target!(|data: &[u8]| {
    let mut cutter = Cutter::new(TARGET);
    let mut out = Vec::new();
    cutter.push(Packet::VideoConfig(VideoConfig { avcc: Bytes::from_static(AVCC) }), &mut out);
    let mut now = 0_i64;
    for event in data.chunks(4) {
        now = now.wrapping_add(3000);
        cutter.push(packet(event, now), &mut out);
    }
    cutter.flush(&mut out);
    verify(&out);
});

fn packet(event: &[u8], now: i64) -> Packet {
    let byte = |at: usize| event.get(at).copied().unwrap_or(0);
    let value = i64::from(byte(1)) << 8 | i64::from(byte(2));
    let time = |how: u8| match how % 6 {
        0..=2 => Some(Ticks(now)),
        3 => None,
        4 => Some(Ticks(now.wrapping_add(value << (how >> 2)))),
        _ => Some(Ticks(value.wrapping_sub(1 << 15) << (how >> 2))),
    };
    let (dts, pts) = (time(byte(3)), time(byte(3).rotate_left(3)));
    let unit = |kind: u8| {
        Packet::Video(AccessUnit { pts, dts, idr: kind == 0x65, data: vec![0, 0, 0, 2, kind, 7].into() })
    };
    match byte(0) % 16 {
        0..=7 => unit(0x41),
        8 | 9 => unit(0x65),
        10 | 11 => Packet::Audio(AudioFrame { pts, data: Bytes::from_static(b"sound") }),
        12 => Packet::AudioConfig(AudioConfig { asc: vec![0x11, 0x80 | byte(1) & 0x38].into() }),
        13 => Packet::Discontinuity,
        14 => Packet::Boundary { token: value as u64 },
        _ => Packet::Video(AccessUnit { pts, dts, idr: true, data: Bytes::copy_from_slice(event) }),
    }
}

fn verify(pieces: &[Piece]) {
    let (mut last_dts, mut end, mut videos, mut audios) = (i64::MIN, i64::MIN, 0, 0);
    for piece in pieces {
        match piece {
            Piece::Video(video) => {
                assert_eq!(video.index, videos);
                videos += 1;
                assert!(
                    video.start.0 >= end && video.duration.0 > 0 && video.duration <= Segment::MAX_DURATION
                );
                end = video.start.0 + video.duration.0;
                for sample in &video.samples {
                    assert!(sample.dts > last_dts && sample.pts >= sample.dts && sample.pts >= video.start.0);
                    last_dts = sample.dts;
                }
                media::fmp4::video_segment(&video.config, 1, &video.samples)
                    .expect("every segment can be written");
            }
            Piece::Audio(audio) => {
                assert_eq!(audio.index, audios);
                audios += 1;
                if let Some(part) = &audio.part {
                    media::fmp4::audio_segment(&part.config, 1, &part.samples)
                        .expect("every audio can be written");
                }
            }
        }
    }
    assert_eq!(videos, audios);
}
