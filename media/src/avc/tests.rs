use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// x264, High 3.1, 1280x720, 3 B-frames with pyramid, 30 fps.
const SPS_720: &[u8] = &[
    0x67, 0x64, 0x00, 0x1F, 0xAC, 0xD9, 0x40, 0x50, 0x05, 0xBB, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xC0, 0xF1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0];

fn set(bytes: &[u8]) -> Vec<Bytes> {
    vec![Bytes::copy_from_slice(bytes)]
}

fn prefixed(nals: &[&[u8]]) -> Bytes {
    nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect()
}

#[test]
fn an_encoders_sps_tells_size_profile_and_reorder_depth() {
    let sps = Sps::parse(SPS_720).unwrap();
    assert_eq!((sps.width, sps.height), (1280, 720));
    assert_eq!((sps.profile, sps.level, sps.reorder), (100, 31, Some(2)));
    assert_eq!(sps.codec(), "avc1.64001F");
    assert_eq!(sps.fps.map(|(scale, units)| scale / units), Some(30));
    assert_eq!(sps.pixel_aspect, Some((1, 1)));
}

#[test]
fn our_sps_reader_agrees_with_an_independent_one() {
    use h264_reader::nal::{Nal, RefNal, sps::SeqParameterSet};
    let theirs = SeqParameterSet::from_bits(RefNal::new(SPS_720, &[], true).rbsp_bits()).unwrap();
    let ours = Sps::parse(SPS_720).unwrap();
    assert_eq!(theirs.pixel_dimensions().unwrap(), (ours.width, ours.height));
    assert_eq!(theirs.rfc6381().to_string().to_lowercase(), ours.codec().to_lowercase());
}

#[test]
fn a_record_made_of_parameter_sets_reads_back() {
    let record = Avcc::new(set(SPS_720), set(PPS)).unwrap();
    let config = record.to_config().unwrap();
    assert_eq!(Avcc::parse(&config.avcc), Ok(record));
    assert_eq!(config.codec().as_deref(), Ok("avc1.64001F"));
}

#[test]
fn a_record_without_parameter_sets_is_refused() {
    assert_eq!(Avcc::new(vec![], set(PPS)), Err(AvcError::Missing("sequence parameter set")));
    assert_eq!(Avcc::new(set(SPS_720), vec![]), Err(AvcError::Missing("picture parameter set")));
    assert!(Avcc::parse(&Bytes::from_static(&[1, 100, 0, 31, 0xFF, 0xE0, 0])).is_err());
    assert!(Avcc::parse(&Bytes::from_static(&[2, 100, 0, 31, 0xFF, 0xE1, 0])).is_err());
}

#[test]
fn every_truncation_of_a_record_is_an_error() {
    let config = Avcc::new(set(SPS_720), set(PPS)).unwrap().to_config().unwrap();
    let whole = config.avcc.len() - 4;
    for end in 0..whole {
        assert!(Avcc::parse(&config.avcc.slice(..end)).is_err(), "{end}");
    }
}

#[test]
fn start_codes_become_lengths_and_delimiters_go() {
    let stream =
        [&[0, 0, 0, 1, 9, 0xF0][..], &[0, 0, 1, 0x65, 1, 2, 0, 0, 3, 0][..], &[0, 0, 1, 0x41, 7]].concat();
    assert_eq!(from_annexb(&stream), prefixed(&[&[0x65, 1, 2, 0, 0, 3], &[0x41, 7]]));
    assert_eq!(annexb(b"no start code").count(), 0);
}

#[test]
fn a_length_beyond_the_access_unit_is_an_error_and_the_end() {
    let unit = [0, 0, 0, 9, 0x65, 1];
    let found: Vec<_> = nals(&unit).collect();
    assert_eq!(found, [Err(AvcError::NalLength { claimed: 9, left: 2 })]);
    assert!(!is_idr(&unit));
}

#[test]
fn short_lengths_are_widened() {
    let narrow = Bytes::from_static(&[0, 2, 0x65, 1, 0, 1, 0x41]);
    assert_eq!(widen_lengths(&narrow, 2), Ok(prefixed(&[&[0x65, 1], &[0x41]])));
    assert!(widen_lengths(&Bytes::from_static(&[9, 0x65]), 1).is_err());
    assert!(widen_lengths(&narrow, 3).is_err());
}

#[test]
fn an_intra_picture_after_a_recovery_point_message_can_start_decoding() {
    let recovery = [6, 6, 1, 0x84, 0x80];
    let intra = [0x41, 0x88, 0x80];
    let predicted = [0x41, 0x9A, 0x80];
    assert!(is_recovery_point(&prefixed(&[&recovery, &intra])));
    assert!(!is_recovery_point(&prefixed(&[&recovery, &predicted])));
    assert!(!is_recovery_point(&prefixed(&[&intra])));
    let later = [6, 6, 1, 0x48, 0x80];
    assert!(!is_recovery_point(&prefixed(&[&later, &intra])));
}

#[test]
fn parameter_sets_in_an_access_unit_are_found() {
    let unit = prefixed(&[SPS_720, PPS, &[0x65, 1]]);
    assert_eq!(in_band(&unit), (set(SPS_720), set(PPS)));
    assert!(is_idr(&unit));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = Sps::parse(&bytes);
        let _ = Sps::parse(&[&[0x67, 100, 0, 31], &bytes[..]].concat());
        let _ = Avcc::parse(&bytes).and_then(|record| record.to_config());
        let _ = (is_idr(&bytes), is_recovery_point(&bytes), in_band(&bytes));
        prop_assert!(from_annexb(&bytes).len() <= bytes.len() * 2 + 4);
    }

    #[test]
    fn a_damaged_sps_never_panics(at in 1..SPS_720.len(), flip in 1..=255_u8) {
        let mut sps = SPS_720.to_vec();
        sps[at] ^= flip;
        if let Ok(sps) = Sps::parse(&sps) {
            prop_assert!(sps.width > 0 && sps.height > 0 && sps.pixels() < 1 << 31);
        }
    }

    #[test]
    fn any_units_survive_the_way_through_start_codes(units in proptest::collection::vec("[a-z]{1,40}", 1..8)) {
        let stream: Vec<u8> = units.iter().flat_map(|unit| [b"\0\0\0\x01e", unit.as_bytes()].concat()).collect();
        let back: Vec<_> = annexb(&stream).map(|nal| nal[1..].to_vec()).collect();
        prop_assert_eq!(back, units.iter().map(|unit| unit.as_bytes().to_vec()).collect::<Vec<_>>());
    }
}
