//! Any text as Livepeer's JSON profiles, as they come in a push's header: an error, or a ladder that is within every bound for
//! a source of any size.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use protocol::Ladder;
use protocol::ladder::LadderPlan;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(plan) = LadderPlan::from_json(text) else { return };
    for (width, height) in
        [(1920, 1080), (1080, 1920), (1, 4096), (u32::MAX, 50), (0, 0), (u32::MAX, u32::MAX)]
    {
        let ladder = plan.resolve(width, height);
        assert!(ladder.0.len() <= Ladder::MAX);
        let names: BTreeSet<_> = ladder.0.iter().map(|rung| &rung.name).collect();
        assert_eq!(names.len(), ladder.0.len());
        for rung in &ladder.0 {
            assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
            assert!((2..=4096).contains(&rung.width) && (2..=4096).contains(&rung.height));
            assert!(rung.fps.is_none_or(|fps| fps.num > 0 && fps.den > 0));
            assert!(rung.gop.is_none_or(|gop| gop > 0));
        }
        let _ = ladder.pixels();
    }
});
