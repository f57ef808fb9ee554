//! Any timestamps, told or not, of pictures and sounds: decoding times rise, no picture is shown before it is decoded or at
//! another's time, and an IDR picture not before what is taken.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use media::timeline::Timeline;
use protocol::Ticks;

fuzz_target!(|data: &[u8]| {
    let mut timeline = Timeline::new();
    let (mut last_dts, mut latest, mut floor) = (i64::MIN, i64::MIN, i64::MIN);
    let mut shown = BTreeSet::new();
    for event in data.chunks(17) {
        let mut event = Reader(event);
        let kind = event.byte();
        let (pts, dts) = (event.time(kind >> 4 & 1 == 0), event.time(kind >> 5 & 1 == 0));
        match kind & 7 {
            0..=4 => {
                let time = timeline.video(pts, dts, kind & 7 == 0);
                assert!(time.dts.0 > last_dts, "decoding times rise");
                assert!(time.pts >= time.dts, "decoded before it is shown");
                assert!(shown.insert(time.pts.0) || kind & 7 != 0, "an IDR picture has a time of its own");
                if kind & 7 == 0 {
                    assert!(time.pts.0 > latest && time.pts.0 >= floor);
                }
                (last_dts, latest) = (time.dts.0, latest.max(time.pts.0));
            }
            5 => drop(timeline.audio(pts, Ticks(i64::from(event.byte()) * 16))),
            6 => timeline.discontinuity(),
            _ => {
                let end = latest.max(0) + 3000;
                timeline.taken_until(Ticks(end));
                floor = floor.max(end);
            }
        }
    }
});

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// Any 64 bits, as no container checks more.
    fn time(&mut self, told: bool) -> Option<Ticks> {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        told.then(|| Ticks(i64::from_le_bytes(bytes)))
    }
}
