//! The H.264 level that a rendition is labelled with (ITU-T H.264 table A-1).
//!
//! Left alone, an encoder reads the level off each segment's average frame rate and two segments of one rendition disagree.
//! Here it follows from the specification, with the frame rate rounded up to a class.

use protocol::RenditionSpec;

/// Name, macroblocks a second, macroblocks a picture, kbit/s of Baseline and Main, from small to large.
const LEVELS: [(&str, u64, u64, u64); 14] = [
    ("2.1", 19_800, 792, 4_000),
    ("2.2", 20_250, 1_620, 4_000),
    ("3.0", 40_500, 1_620, 10_000),
    ("3.1", 108_000, 3_600, 14_000),
    ("3.2", 216_000, 5_120, 20_000),
    ("4.0", 245_760, 8_192, 20_000),
    ("4.1", 245_760, 8_192, 50_000),
    ("4.2", 522_240, 8_704, 50_000),
    ("5.0", 589_824, 22_080, 135_000),
    ("5.1", 983_040, 36_864, 240_000),
    ("5.2", 2_073_600, 36_864, 240_000),
    ("6.0", 4_177_920, 139_264, 240_000),
    ("6.1", 8_355_840, 139_264, 480_000),
    ("6.2", 16_711_680, 139_264, 800_000),
];
/// Frame rates that are told apart; sources near one of them wander a little.
const CLASSES: [u64; 4] = [30, 60, 120, 240];
/// For what exceeds the table.
const LARGEST: &str = "6.2";

/// The smallest level that admits `spec` at `fps` frames a second.
pub(crate) fn level(spec: &RenditionSpec, fps: (u32, u32)) -> &'static str {
    let blocks = u64::from(spec.width.div_ceil(16)) * u64::from(spec.height.div_ceil(16));
    // One per cent of slack: 30.1 pictures a second are a wandering 30.
    let rate = u64::from(fps.0) * 99 / (u64::from(fps.1.max(1)) * 100);
    let class = CLASSES.into_iter().find(|&class| rate < class).unwrap_or(CLASSES[CLASSES.len() - 1]);
    let kbits = u64::from(spec.bitrate).div_ceil(1000);
    LEVELS
        .iter()
        .find(|(_, per_second, picture, rate)| {
            blocks * class <= *per_second && blocks <= *picture && kbits <= *rate
        })
        .map_or(LARGEST, |(name, ..)| name)
}

#[cfg(test)]
mod tests {
    use protocol::rendition::H264Profile;

    use super::*;

    fn spec(width: u32, height: u32, bitrate: u32) -> RenditionSpec {
        RenditionSpec {
            name: "x".into(),
            width,
            height,
            bitrate,
            fps: None,
            profile: H264Profile::High,
            b_frames: 3,
            gop: None,
        }
    }

    #[test]
    fn the_usual_sizes_get_the_usual_levels() {
        assert_eq!(level(&spec(426, 240, 250_000), (30, 1)), "2.1");
        assert_eq!(level(&spec(640, 360, 800_000), (30, 1)), "3.0");
        assert_eq!(level(&spec(1280, 720, 3_000_000), (30, 1)), "3.1");
        assert_eq!(level(&spec(1920, 1080, 6_000_000), (60, 1)), "4.2");
        assert_eq!(level(&spec(4096, 2304, 20_000_000), (240, 1)), "6.2");
    }

    #[test]
    fn a_wandering_frame_rate_does_not_change_the_level() {
        let levels: Vec<_> =
            [(25, 1), (2997, 100), (30, 1), (301, 10)].map(|fps| level(&spec(1280, 720, 1), fps)).into();
        assert!(levels.windows(2).all(|w| w[0] == w[1]), "{levels:?}");
    }
}
