//! Any bytes as a rendition of a real segment, as a change to a real rendition, and as the source: a violation, or what really is
//! in it. Only what was ordered passes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::check::check;
use media::fmp4::{Sample, video_segment};
use media::packet::VideoConfig;
use protocol::RenditionSpec;
use protocol::rendition::H264Profile;

/// High 3.1, 1280x720.
const AVCC: &[u8] = &[
    1, 100, 0, 31, 0xFF, 0xE1, 0, 26, 0x67, 0x64, 0x00, 0x1F, 0xAC, 0xD9, 0x40, 0x50, 0x05, 0xBB, 0x01, 0x10,
    0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xEB,
    0xE3, 0xCB, 0x22, 0xC0, 0xFD, 0xF8, 0xF8, 0,
];
const PICTURES: i64 = 6;

fuzz_target!(|data: &[u8]| {
    let (spec, any) = (spec(), Bytes::copy_from_slice(data));
    let segment = segment();
    let _ = check(&any, &spec, &segment);
    let _ = check(&segment, &spec, &any);
    if let Ok(checked) = check(&changed(&segment, data), &spec, &segment) {
        assert_eq!((checked.info.width, checked.info.height), (spec.width, spec.height));
        assert_eq!(i64::from(checked.frames), PICTURES);
        assert_eq!(checked.pixels, spec.pixels() * u64::from(checked.frames));
    }
});

fn spec() -> RenditionSpec {
    RenditionSpec {
        name: "720p".into(),
        width: 1280,
        height: 720,
        bitrate: 3_000_000,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    }
}

fn segment() -> Bytes {
    let sample = |n: i64| Sample {
        dts: n * 3000,
        pts: n * 3000 + 9000,
        duration: 3000,
        key: n == 0,
        data: Bytes::from_static(if n == 0 {
            &[0, 0, 0, 3, 0x65, 0x88, 7]
        } else {
            &[0, 0, 0, 3, 0x41, 0x9A, 7]
        }),
    };
    let samples: Vec<_> = (0..PICTURES).map(sample).collect();
    video_segment(&VideoConfig { avcc: Bytes::from_static(AVCC) }, 1, &samples).expect("a small segment")
}

/// The segment with bytes exchanged: a place in two bytes, then the value.
fn changed(segment: &Bytes, data: &[u8]) -> Bytes {
    let mut bytes = segment.to_vec();
    for change in data.chunks_exact(3).take(64) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes.into()
}
