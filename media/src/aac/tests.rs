use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// A frame of AAC-LC, 48 kHz, stereo, with `payload` after a header without checksum.
fn framed(payload: &[u8]) -> Vec<u8> {
    let length = payload.len() + 7;
    let header = [
        0xFF,
        0xF1,
        1 << 6 | 3 << 2,
        2 << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        (length << 5) as u8 | 0x1F,
        0xFC,
    ];
    [&header[..], payload].concat()
}

#[test]
fn the_usual_configuration_is_lc_48_khz_stereo() {
    let asc = Asc::parse(&[0x11, 0x90]).unwrap();
    assert_eq!(asc, Asc { object: 2, rate: 48_000, channels: 2, frame_samples: 1024 });
    assert_eq!(asc.codec(), "mp4a.40.2");
}

#[test]
fn he_aac_is_timed_by_its_core() {
    let asc = Asc::parse(&[0x2B, 0x11, 0x88, 0x00]).unwrap();
    assert_eq!((asc.object, asc.rate, asc.codec().as_str()), (5, 24_000, "mp4a.40.5"));
}

#[test]
fn short_frames_have_960_samples() {
    assert_eq!(Asc::parse(&[0x11, 0x94]).map(|asc| asc.frame_samples), Ok(960));
}

#[test]
fn what_is_not_aac_is_refused() {
    assert!(Asc::parse(&[]).is_err());
    assert!(Asc::parse(&[0x11]).is_err());
    assert!(matches!(
        Asc::parse(&[0xF8, 0, 0]),
        Err(AacError::Field { field: "sampling rate" | "audio object type", .. })
    ));
    assert!(matches!(Asc::parse(&[0x16, 0x90]), Err(AacError::Field { field: "sampling rate", .. })));
}

#[test]
fn headers_are_stripped_and_frames_kept() {
    let stream = Bytes::from([framed(b"one"), framed(b"three")].concat());
    let frames: Vec<_> = adts(&stream).map(Result::unwrap).collect();
    assert_eq!(frames.iter().map(|frame| frame.data.as_ref()).collect::<Vec<_>>(), [&b"one"[..], b"three"]);
    assert_eq!(frames[0].config.asc.as_ref(), [0x11, 0x90]);
}

#[test]
fn garbage_between_frames_is_told_and_skipped() {
    let stream = Bytes::from([framed(b"one"), b"garbage".to_vec(), framed(b"two")].concat());
    let found: Vec<_> = adts(&stream).collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1], Err(AacError::NoSync(10)));
    assert_eq!(found[2].as_ref().unwrap().data.as_ref(), b"two");
}

#[test]
fn a_frame_cut_short_ends_the_stream() {
    let mut bytes = framed(b"whole");
    bytes.extend_from_slice(&framed(b"not whole")[..10]);
    let stream = Bytes::from(bytes);
    let found: Vec<_> = adts(&stream).collect();
    assert_eq!(found[1..], [Err(AacError::Truncated("ADTS frame"))]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_always_end(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xFF), Just(0xF1)], 0..400)) {
        let _ = Asc::parse(&bytes);
        let stream = Bytes::from(bytes);
        let total: usize = adts(&stream).flatten().map(|frame| frame.data.len()).sum();
        prop_assert!(total <= stream.len());
    }
}
