//! Livepeer's named profiles, as its gateways and webhooks use them (sizes and rates of LPMS).

use protocol::ladder::Profile;

/// Name, width, height, frames per second, bits per second.
const PRESETS: [(&str, u32, u32, u32, u32); 14] = [
    ("P720p60fps16x9", 1280, 720, 60, 6_000_000),
    ("P720p30fps16x9", 1280, 720, 30, 4_000_000),
    ("P720p25fps16x9", 1280, 720, 25, 3_500_000),
    ("P720p30fps4x3", 960, 720, 30, 3_500_000),
    ("P576p30fps16x9", 1024, 576, 30, 1_500_000),
    ("P576p25fps16x9", 1024, 576, 25, 1_500_000),
    ("P360p30fps16x9", 640, 360, 30, 1_200_000),
    ("P360p25fps16x9", 640, 360, 25, 1_000_000),
    ("P360p30fps4x3", 480, 360, 30, 1_000_000),
    ("P240p30fps16x9", 426, 240, 30, 600_000),
    ("P240p25fps16x9", 426, 240, 25, 600_000),
    ("P240p30fps4x3", 320, 240, 30, 600_000),
    ("P144p30fps16x9", 256, 144, 30, 400_000),
    ("P144p25fps16x9", 256, 144, 25, 400_000),
];

/// The profile of that name.
#[must_use]
pub(crate) fn profile(name: &str) -> Option<Profile> {
    let &(name, width, height, fps, bitrate) = PRESETS.iter().find(|preset| preset.0 == name)?;
    Some(Profile {
        name: name.into(),
        width,
        height,
        bitrate,
        fps,
        fps_den: 1,
        profile: String::new(),
        gop: String::new(),
        encoder: String::new(),
        color_depth: 0,
        chroma_format: 0,
        quality: 0,
    })
}

/// All names, for people.
#[must_use]
pub(crate) fn names() -> String {
    PRESETS.map(|preset| preset.0).join(", ")
}

#[cfg(test)]
mod tests {
    use protocol::Hash;
    use protocol::ladder::LadderPlan;

    use super::*;

    #[test]
    fn the_names_are_livepeers_own_by_their_wire_identifiers() {
        let ids = PRESETS.map(|p| hex::encode(&Hash::of(p.0.as_bytes()).0[..4]));
        let known = [
            "a7ac137a", "49d54ea9", "e4a64019", "79332fe7", "5ecf4b52", "8b1843d6", "93c717e7", "7cd40fc7",
            "b60382a0", "c0a6517a", "1301a7d0", "d435c53a", "fca40bf9", "03f01d1f",
        ];
        assert_eq!(ids, known);
    }

    #[test]
    fn every_preset_can_be_made() {
        for preset in PRESETS {
            assert!(LadderPlan::new(vec![profile(preset.0).unwrap()]).is_ok(), "{}", preset.0);
        }
    }
}
