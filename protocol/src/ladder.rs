//! The ladder: which renditions a stream gets.
//!
//! A [`LadderPlan`] is what a person wrote (Livepeer's JSON profiles or the default); [`LadderPlan::resolve`] turns it into
//! a [`Ladder`] for a source of a known size, where every number is final.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Ticks;
use crate::rendition::{Fps, H264Profile, RenditionSpec};

/// The resolved outputs for one source size, at most [`Ladder::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ladder(pub Vec<RenditionSpec>);

impl Ladder {
    /// More rungs than any viewer needs, few enough to bound a job's memory.
    pub const MAX: usize = 12;

    /// Pixels of one frame of every rung.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        self.0.iter().map(RenditionSpec::pixels).sum()
    }

    /// Pixels of so many seconds of all rungs, of a source with so many pictures a second.
    #[must_use]
    pub fn pixels_in(&self, seconds: u64, source: Fps) -> u64 {
        self.0.iter().fold(0, |sum, rung| sum.saturating_add(rung.pixels_in(seconds, source)))
    }
}

/// The outputs that a broadcaster wants, before the source's size is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderPlan {
    rungs: Vec<Profile>,
}

/// One of Livepeer's JSON transcoding profiles (`-transcodingOptions` file, webhook field `profiles`). Unknown fields are
/// refused so that a typing error cannot change the ladder silently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Name of the rendition; empty becomes `<height>p`.
    #[serde(default)]
    pub name: String,
    /// Width, pixels; 0 follows the source's aspect ratio.
    #[serde(default)]
    pub width: u32,
    /// Height, pixels: the shorter side of the picture.
    pub height: u32,
    /// Bits per second.
    pub bitrate: u32,
    /// Frames per second; 0 keeps the source's.
    #[serde(default)]
    pub fps: u32,
    /// Denominator of the frame rate; 0 means 1.
    #[serde(default)]
    pub fps_den: u32,
    /// `H264Baseline`, `H264Main`, `H264High`, `H264ConstrainedHigh`, `None` or empty.
    #[serde(default)]
    pub profile: String,
    /// Key frame interval in seconds as text; empty or `0` for one a segment, `intra` is not supported.
    #[serde(default)]
    pub gop: String,
    /// `H.264` or empty; others are refused.
    #[serde(default)]
    pub encoder: String,
    /// 0 or 8.
    #[serde(default)]
    pub color_depth: u32,
    /// 0 (4:2:0).
    #[serde(default)]
    pub chroma_format: u32,
    /// Ignored: the bit rate decides.
    #[serde(default)]
    pub quality: u32,
}

/// Why a profile list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLadder {
    /// Not JSON of the expected form.
    #[error("the profiles are not Livepeer's JSON: {0}")]
    Json(String),
    /// Too many or none.
    #[error("a ladder has 1 to {max} profiles, this one has {0}", max = Ladder::MAX)]
    Count(usize),
    /// A field has a value that cannot be made.
    #[error("profile {name:?}: {field} {value} is not supported: {hint}")]
    Field {
        /// Which profile.
        name: String,
        /// Which field.
        field: &'static str,
        /// What was found.
        value: String,
        /// What would work.
        hint: &'static str,
    },
    /// Two profiles share a name.
    #[error("two profiles are named {0:?}: give each its own name")]
    Duplicate(String),
}

/// Smallest side that every H.264 encoder takes (NVENC's minimum height is 50 pixels).
const MIN_SIDE: u32 = 50;
/// Largest side of an H.264 picture that NVENC takes.
const MAX_SIDE: u32 = 4096;

impl LadderPlan {
    /// Parses Livepeer's JSON: a list of profiles.
    ///
    /// # Errors
    /// [`BadLadder`] says which profile and field, and what would work.
    pub fn from_json(text: &str) -> Result<Self, BadLadder> {
        Self::new(serde_json::from_str(text).map_err(|e| BadLadder::Json(e.to_string()))?)
    }

    /// Checks a list of profiles.
    ///
    /// # Errors
    /// [`BadLadder`] says which profile and field, and what would work.
    pub fn new(mut rungs: Vec<Profile>) -> Result<Self, BadLadder> {
        if rungs.is_empty() || rungs.len() > Ladder::MAX {
            return Err(BadLadder::Count(rungs.len()));
        }
        let mut names = BTreeSet::new();
        for rung in &mut rungs {
            if rung.name.is_empty() {
                rung.name = format!("{}p", rung.height);
            }
            rung.check()?;
            if !names.insert(rung.name.clone()) {
                return Err(BadLadder::Duplicate(rung.name.clone()));
            }
        }
        Ok(Self { rungs })
    }

    /// The profiles as written.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.rungs
    }

    /// Resolves the plan for a source of `width` x `height` pixels: rungs above the source are left out, the others follow
    /// its aspect ratio, portrait included (a profile's height is the shorter side).
    #[must_use]
    pub fn resolve(&self, width: u32, height: u32) -> Ladder {
        let short = width.min(height);
        Ladder(
            self.rungs
                .iter()
                .filter(|rung| rung.height <= short)
                .map(|rung| rung.resolve(width.max(1), height.max(1)))
                .collect(),
        )
    }
}

impl Default for LadderPlan {
    /// 240p 250k, 360p 800k, 480p 1600k, 720p 3000k at the source's frame rate: Livepeer Studio's default ladder.
    fn default() -> Self {
        let rungs = [(240, 250_000), (360, 800_000), (480, 1_600_000), (720, 3_000_000)];
        Self {
            rungs: rungs
                .into_iter()
                .map(|(height, bitrate)| Profile {
                    name: format!("{height}p"),
                    width: 0,
                    height,
                    bitrate,
                    fps: 0,
                    fps_den: 0,
                    profile: String::new(),
                    gop: String::new(),
                    encoder: String::new(),
                    color_depth: 0,
                    chroma_format: 0,
                    quality: 0,
                })
                .collect(),
        }
    }
}

impl Profile {
    fn check(&self) -> Result<(), BadLadder> {
        let field = |field, value: String, hint| {
            Err(BadLadder::Field { name: self.name.clone(), field, value, hint })
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if self.name.len() > 32
            || !self.name.bytes().all(named)
            || self.name == "source"
            || self.name == "audio"
        {
            return field(
                "name",
                self.name.clone(),
                "up to 32 letters, digits, '_' or '-', and not 'source' or 'audio'",
            );
        }
        if !(MIN_SIDE..=MAX_SIDE).contains(&self.height) {
            return field("height", self.height.to_string(), "50 to 4096 pixels");
        }
        if self.width != 0 && !(MIN_SIDE..=MAX_SIDE).contains(&self.width) {
            return field("width", self.width.to_string(), "0, or 50 to 4096 pixels");
        }
        if !(10_000..=100_000_000).contains(&self.bitrate) {
            return field("bitrate", self.bitrate.to_string(), "10000 to 100000000 bits per second");
        }
        if self.fps / self.fps_den.max(1) > 240 {
            return field("fps", format!("{}/{}", self.fps, self.fps_den), "at most 240");
        }
        if self.h264_profile().is_none() {
            return field(
                "profile",
                self.profile.clone(),
                "H264Baseline, H264Main, H264High or H264ConstrainedHigh",
            );
        }
        if self.gop_ticks().is_err() {
            return field("gop", self.gop.clone(), "seconds between key frames, such as \"2.0\"");
        }
        if !matches!(self.encoder.as_str(), "" | "H.264" | "h264" | "H264") {
            return field("encoder", self.encoder.clone(), "H.264");
        }
        if !matches!(self.color_depth, 0 | 8) {
            return field("colorDepth", self.color_depth.to_string(), "8");
        }
        if self.chroma_format != 0 {
            return field("chromaFormat", self.chroma_format.to_string(), "0 (4:2:0)");
        }
        Ok(())
    }

    fn h264_profile(&self) -> Option<H264Profile> {
        match self.profile.as_str() {
            "" | "None" | "none" | "H264High" | "h264high" => Some(H264Profile::High),
            "H264Main" | "h264main" => Some(H264Profile::Main),
            "H264Baseline" | "h264baseline" => Some(H264Profile::ConstrainedBaseline),
            "H264ConstrainedHigh" | "h264constrainedhigh" => Some(H264Profile::ConstrainedHigh),
            _ => None,
        }
    }

    fn gop_ticks(&self) -> Result<Option<i64>, ()> {
        if self.gop.is_empty() {
            return Ok(None);
        }
        match self.gop.parse::<f64>() {
            Ok(0.0) => Ok(None),
            Ok(s) if (0.02..=60.0).contains(&s) => Ok(Some((s * Ticks::PER_SECOND as f64).round() as i64)),
            _ => Err(()),
        }
    }

    fn resolve(&self, width: u32, height: u32) -> RenditionSpec {
        let even = |side: f64| ((side / 2.0).round() as u32).clamp(1, MAX_SIDE / 2) * 2;
        let aspect = f64::from(width) / f64::from(height);
        let short = f64::from(self.height);
        let (width, height) = if aspect >= 1.0 {
            (even(short * aspect), even(short))
        } else {
            (even(short), even(short / aspect))
        };
        let profile = self.h264_profile().unwrap_or(H264Profile::High);
        RenditionSpec {
            name: self.name.clone(),
            width,
            height,
            bitrate: self.bitrate,
            fps: (self.fps > 0).then_some(Fps { num: self.fps, den: self.fps_den.max(1) }),
            profile,
            b_frames: if profile.allows_b_frames() { 3 } else { 0 },
            gop: self.gop_ticks().unwrap_or(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(ladder: &Ladder) -> Vec<(u32, u32)> {
        ladder.0.iter().map(|r| (r.width, r.height)).collect()
    }

    #[test]
    fn the_default_ladder_never_rises_above_the_source() {
        let plan = LadderPlan::default();
        assert_eq!(sizes(&plan.resolve(1920, 1080)), [(426, 240), (640, 360), (854, 480), (1280, 720)]);
        assert_eq!(sizes(&plan.resolve(720, 405)), [(426, 240), (640, 360)]);
        assert!(plan.resolve(160, 120).0.is_empty());
    }

    #[test]
    fn a_portrait_source_keeps_its_shape() {
        assert_eq!(sizes(&LadderPlan::default().resolve(720, 1280))[3], (720, 1280));
    }

    #[test]
    fn a_source_of_any_shape_has_a_ladder() {
        assert_eq!(sizes(&LadderPlan::default().resolve(u32::MAX, 240)), [(4096, 240)]);
        assert_eq!(sizes(&LadderPlan::default().resolve(240, u32::MAX)), [(240, 4096)]);
    }

    #[test]
    fn livepeers_own_json_is_understood() {
        let plan = LadderPlan::from_json(
            r#"[{"name":"low","width":426,"height":240,"bitrate":250000,"fps":30,"fpsDen":1,
                 "profile":"H264ConstrainedHigh","gop":"2.0","encoder":"H.264","colorDepth":8,"chromaFormat":0}]"#,
        )
        .unwrap();
        let spec = &plan.resolve(1280, 720).0[0];
        assert_eq!((spec.width, spec.b_frames, spec.gop), (426, 0, Some(180_000)));
        assert_eq!(spec.fps, Some(Fps { num: 30, den: 1 }));
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_its_place() {
        let refused = |json: &str| LadderPlan::from_json(json).unwrap_err().to_string();
        assert!(refused("[]").contains("has 0"));
        assert!(refused(r#"[{"name":"a","height":240,"bitrate":1}]"#).contains("bitrate"));
        assert!(
            refused(r#"[{"name":"a","height":240,"bitrate":250000,"encoder":"HEVC"}]"#).contains("encoder")
        );
        assert!(refused(r#"[{"name":"a/b","height":240,"bitrate":250000}]"#).contains("name"));
        assert!(
            refused(r#"[{"name":"a","height":240,"bitrate":250000,"bitrat":1}]"#).contains("unknown field")
        );
        let twice = r#"[{"height":240,"bitrate":250000},{"height":240,"bitrate":300000}]"#;
        assert!(refused(twice).contains("two profiles"));
    }
}
