//! Who is scaled from whom: a rung is made from the next larger one when that costs less and shows the same picture.

use protocol::rendition::H264Profile;
use protocol::{Ladder, RenditionSpec};

use super::InputError;

/// Furthest a rung is scaled down from another one, tenths: beyond two the larger rung's pixels are scaled for nothing.
const CASCADE_TENTHS: u64 = 21;
/// Largest difference of shape between a rung and what it is scaled from, per mille: rounding to even sides stays below it.
const SHAPE_PER_MILLE: u64 = 10;
/// Longest side of a picture, pixels (H.264 encoders take no more).
const MAX_SIDE: u32 = 4096;
/// Bit rates that encoders take, bits per second.
const BITRATES: std::ops::RangeInclusive<u32> = 1_000..=500_000_000;
/// Fastest frame rate, frames per second.
const MAX_FPS: u32 = 240;
/// Shortest key frame interval, 90 kHz ticks.
const MIN_GOP: i64 = 1800;

/// For each rung the rungs that are scaled from its pictures; `roots` are scaled from the source's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cascade {
    pub(crate) roots: Vec<usize>,
    pub(crate) children: Vec<Vec<usize>>,
}

/// Plans a ladder.
pub(crate) fn cascade(ladder: &Ladder) -> Cascade {
    let specs = &ladder.0;
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(specs[i].pixels()), i));
    let mut plan = Cascade { roots: Vec::new(), children: vec![Vec::new(); specs.len()] };
    for (placed, &i) in order.iter().enumerate() {
        // The last one placed that fits is the smallest one.
        match order[..placed].iter().rev().find(|&&parent| feeds(&specs[parent], &specs[i])) {
            Some(&parent) => plan.children[parent].push(i),
            None => plan.roots.push(i),
        }
    }
    plan
}

fn feeds(parent: &RenditionSpec, child: &RenditionSpec) -> bool {
    let (pw, ph) = (u64::from(parent.width), u64::from(parent.height));
    let (cw, ch) = (u64::from(child.width), u64::from(child.height));
    let near = pw * 10 <= cw * CASCADE_TENTHS && ph * 10 <= ch * CASCADE_TENTHS;
    let same_shape = (pw * ch).abs_diff(ph * cw) * 1000 <= pw * ch * SHAPE_PER_MILLE;
    pw >= cw && ph >= ch && near && same_shape
}

/// Refuses what no encoder can make, whoever asks.
pub(crate) fn check(ladder: &Ladder) -> Result<(), InputError> {
    if ladder.0.is_empty() || ladder.0.len() > Ladder::MAX {
        let what = format!("a ladder has 1 to {} renditions, this one has {}", Ladder::MAX, ladder.0.len());
        return Err(InputError::Spec { rendition: String::new(), what });
    }
    ladder.0.iter().try_for_each(|spec| {
        fault(spec).map_or(Ok(()), |what| Err(InputError::Spec { rendition: spec.name.clone(), what }))
    })
}

fn fault(spec: &RenditionSpec) -> Option<String> {
    let side = |side: u32| (16..=MAX_SIDE).contains(&side) && side.is_multiple_of(2);
    if !side(spec.width) || !side(spec.height) {
        return Some(format!("{} x {}: sides are even, 16 to {MAX_SIDE} pixels", spec.width, spec.height));
    }
    if !BITRATES.contains(&spec.bitrate) {
        return Some(format!("{} bit/s: use {} to {}", spec.bitrate, BITRATES.start(), BITRATES.end()));
    }
    if let Some(fps) = spec.fps
        && (fps.den == 0
            || fps.num == 0
            || fps.num / fps.den >= MAX_FPS
            || i32::try_from(fps.num.max(fps.den)).is_err())
    {
        return Some(format!("{}/{} frames a second: use up to {MAX_FPS}", fps.num, fps.den));
    }
    if spec.gop.is_some_and(|gop| gop < MIN_GOP) {
        return Some(format!("a key frame every {:?} ticks: use {MIN_GOP} and more", spec.gop));
    }
    let depth = if spec.profile.allows_b_frames() { 3 } else { 0 };
    (spec.b_frames > depth)
        .then(|| format!("{} B-frames in profile {:?}: use up to {depth}", spec.b_frames, spec.profile))
}

/// Name of a profile as x264 knows it.
pub(crate) const fn profile_name(profile: H264Profile) -> &'static str {
    match profile {
        H264Profile::ConstrainedBaseline => "baseline",
        H264Profile::Main => "main",
        H264Profile::High | H264Profile::ConstrainedHigh => "high",
    }
}

#[cfg(test)]
mod tests {
    use protocol::ladder::LadderPlan;
    use protocol::rendition::Fps;

    use super::*;

    #[test]
    fn the_default_ladder_is_one_chain_from_the_source() {
        let plan = cascade(&LadderPlan::default().resolve(1920, 1080));
        assert_eq!(plan, Cascade { roots: vec![3], children: vec![vec![], vec![0], vec![1], vec![2]] });
    }

    #[test]
    fn a_rung_of_another_shape_or_far_below_is_scaled_from_the_source() {
        let mut ladder = LadderPlan::default().resolve(1280, 720);
        ladder.0.remove(2);
        ladder.0.remove(1);
        assert_eq!(cascade(&ladder).roots, [1, 0]);
        let mut ladder = LadderPlan::default().resolve(1280, 720);
        ladder.0[2].width = 640;
        assert_eq!(cascade(&ladder).roots, [3, 2]);
    }

    #[test]
    fn a_rung_that_nobody_can_make_is_refused_with_the_reason() {
        let refused = |change: fn(&mut RenditionSpec)| {
            let mut ladder = LadderPlan::default().resolve(1280, 720);
            change(&mut ladder.0[0]);
            check(&ladder).unwrap_err().to_string()
        };
        assert!(refused(|s| s.width = 427).contains("even"));
        assert!(refused(|s| s.height = 0).contains("16 to 4096"));
        assert!(refused(|s| s.bitrate = 0).contains("bit/s"));
        assert!(refused(|s| s.fps = Some(Fps { num: 30, den: 0 })).contains("frames a second"));
        assert!(refused(|s| s.gop = Some(0)).contains("key frame"));
        assert!(refused(|s| s.b_frames = 16).contains("B-frames"));
        assert!(check(&Ladder::default()).is_err());
    }
}
