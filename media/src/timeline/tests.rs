use proptest::prelude::*;

use super::*;

const SECOND: i64 = Ticks::PER_SECOND;

fn video(timeline: &mut Timeline, pts: i64, dts: i64) -> VideoTime {
    timeline.video(Some(Ticks(pts)), Some(Ticks(dts)), false)
}

/// Runs pictures at their decoding times, without reordering; gives back decoding times from the start and the jumps.
fn run(times: impl IntoIterator<Item = i64>) -> (Vec<i64>, usize) {
    let mut timeline = Timeline::new();
    let out: Vec<_> = times.into_iter().map(|dts| video(&mut timeline, dts, dts)).collect();
    (out.iter().map(|time| time.dts.0 - START.0).collect(), out.iter().filter(|time| time.jump).count())
}

fn steps(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn a_well_behaved_publisher_gets_a_constant_offset() {
    let (out, jumps) = run((0..90).map(|n| 123_456 + n * 3003));
    assert_eq!((out, jumps), ((0..90).map(|n| n * 3003).collect(), 0));
}

#[test]
fn reordered_pictures_keep_their_order() {
    let mut timeline = Timeline::new();
    let shown = [2, 6, 4, 3, 5];
    for (dts, pts) in shown.into_iter().enumerate() {
        let time = video(&mut timeline, pts * 3000, dts as i64 * 3000);
        assert_eq!(time.pts.0 - time.dts.0, (pts - dts as i64).max(0) * 3000);
    }
}

#[test]
fn a_33_bit_counter_wraps_unseen() {
    let period = 1_i64 << 33;
    let (out, jumps) = run((0..60).map(|n| (period - 90_000 + n * 3000) % period));
    assert!(steps(&out).iter().all(|&step| step == 3000) && jumps == 0, "{out:?}");
}

#[test]
fn a_32_bit_millisecond_counter_wraps_unseen() {
    let period = 1_i64 << 32;
    let (out, jumps) = run((0..60).map(|n| (period - 1000 + n * 40) % period * 90));
    assert!(steps(&out).iter().all(|&step| step == 3600) && jumps == 0, "{out:?}");
}

#[test]
fn presentation_and_decoding_may_lie_on_both_sides_of_a_wrap() {
    let mut timeline = Timeline::new();
    let period = 1 << 33;
    video(&mut timeline, period - 3000, period - 9000);
    let time = video(&mut timeline, 0, period - 6000);
    assert_eq!(time.pts.0 - time.dts.0, 6000);
}

#[test]
fn duplicate_times_are_told_apart() {
    let (out, jumps) = run([0, 3000, 3000, 3000, 6000]);
    assert_eq!((out, jumps), (vec![0, 3000, 3001, 3002, 6000], 0));
}

#[test]
fn a_step_back_is_waited_out_without_losing_sync() {
    let (out, jumps) = run([0, 3000, 6000, 3000, 6000, 9000]);
    assert_eq!((out, jumps), (vec![0, 3000, 6000, 6001, 6002, 9000], 0));
}

#[test]
fn a_jump_either_way_continues_without_a_hole() {
    for far in [SECOND * 1000, -SECOND * 1000] {
        let (out, jumps) = run((0..20).map(|n| n * 3000 + if n < 10 { 0 } else { far }));
        assert!(steps(&out).iter().all(|&step| step == 3000) && jumps == 1, "{out:?}");
    }
}

#[test]
fn one_wrong_timestamp_leaves_the_mapping_as_it_was() {
    let (out, jumps) = run((0..20).map(|n| if n == 10 { SECOND * 5000 } else { n * 3000 }));
    assert_eq!((out, jumps), ((0..20).map(|n| n * 3000).collect(), 2));
}

#[test]
fn missing_times_are_filled_in() {
    let mut timeline = Timeline::new();
    let times: Vec<_> = (0..10)
        .map(|n| {
            let told = (!(3..=6).contains(&n)).then_some(Ticks(n * 3600));
            timeline.video(told, told, false).dts.0 - START.0
        })
        .collect();
    assert_eq!(times, (0..10).map(|n| n * 3600).collect::<Vec<_>>());
}

#[test]
fn a_stream_without_any_time_runs_at_thirty_pictures_a_second() {
    let mut timeline = Timeline::new();
    let times: Vec<_> = (0..5).map(|_| timeline.video(None, None, false).dts.0 - START.0).collect();
    assert_eq!(times, [0, 3000, 6000, 9000, 12_000]);
}

#[test]
fn decoding_times_are_found_where_only_presentation_is_told() {
    let mut timeline = Timeline::new();
    let shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8];
    let out: Vec<_> = shown.iter().map(|n| timeline.video(Some(Ticks(n * 3000)), None, false)).collect();
    assert!(out.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    assert_eq!(out.iter().map(|time| (time.pts - START).0).collect::<Vec<_>>(), shown.map(|n| n * 3000));
    assert!(out.iter().all(|time| time.pts >= time.dts));
}

#[test]
fn an_idr_picture_is_shown_after_all_before_it() {
    let mut timeline = Timeline::new();
    video(&mut timeline, 9000, 0);
    let idr = timeline.video(Some(Ticks(6000)), Some(Ticks(3000)), true);
    assert_eq!(idr.pts, START + Ticks(9001));
}

#[test]
fn audio_and_video_jump_together_and_stay_in_sync() {
    let mut timeline = Timeline::new();
    let frame = Ticks(1920);
    let mut apart = Vec::new();
    for n in 0..200 {
        let base = if n < 100 { 0 } else { SECOND * 77 };
        let picture = video(&mut timeline, base + n * 1920, base + n * 1920);
        let (sound, _) = timeline.audio(Some(Ticks(base + n * 1920 + 500)), frame);
        apart.push((sound - picture.dts).0);
    }
    assert!(apart.iter().all(|&ticks| ticks == 500), "{apart:?}");
}

#[test]
fn audio_that_jumps_first_takes_video_along() {
    let mut timeline = Timeline::new();
    for n in 0..50 {
        let base = if n < 25 { 0 } else { -SECOND * 30 };
        let (sound, _) = timeline.audio(Some(Ticks(base + n * 1920)), Ticks(1920));
        let picture = video(&mut timeline, base + n * 1920, base + n * 1920);
        assert_eq!(sound, picture.dts);
    }
}

#[test]
fn audio_with_a_clock_of_its_own_starts_where_video_is() {
    let mut timeline = Timeline::new();
    for n in 0..300 {
        video(&mut timeline, SECOND * 500 + n * 3000, SECOND * 500 + n * 3000);
    }
    let (sound, _) = timeline.audio(Some(Ticks(0)), Ticks(1920));
    assert_eq!(sound, START + Ticks(299 * 3000));
}

#[test]
fn a_reconnect_continues_after_both_tracks() {
    let mut timeline = Timeline::new();
    video(&mut timeline, 0, 0);
    timeline.audio(Some(Ticks(9000)), Ticks(1920));
    timeline.discontinuity();
    assert_eq!(video(&mut timeline, 77 * SECOND, 77 * SECOND).dts, START + Ticks(9000 + 1920));
}

#[test]
fn millisecond_rounding_does_not_reach_the_sample_count() {
    let mut grid = AudioGrid::new(44_100, 1024);
    let numbers: Vec<_> = (0..2000_i64)
        .map(|n| grid.place(Ticks::from_millis(10_000 + n * 1024 * 1000 / 44_100)).unwrap())
        .collect();
    assert!(steps(&numbers).iter().all(|&step| step == 1024));
}

#[test]
fn a_hole_in_audio_stays_a_hole_and_an_overlap_goes() {
    let mut grid = AudioGrid::new(48_000, 1024);
    assert_eq!(grid.place(Ticks(0)), Some(0));
    assert_eq!(grid.place(Ticks(SECOND)), Some(48_000));
    assert_eq!(grid.place(Ticks(SECOND / 2)), None);
    assert_eq!(grid.place(Ticks(SECOND + 1920)), Some(49_024));
}

fn time() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        4 => (0..200_i64).prop_map(|n| Some(n * 3000)),
        1 => Just(None),
        1 => any::<i64>().prop_map(Some),
        1 => prop_oneof![Just(Some(i64::MAX)), Just(Some(i64::MIN)), Just(Some(-1))],
        1 => ((1_i64 << 33) - 90_000..1 << 33).prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_comes_in_decoding_times_rise_and_presentation_follows(
        events in proptest::collection::vec((0..8_u8, time(), time(), any::<bool>()), 0..120),
    ) {
        let mut timeline = Timeline::new();
        let (mut last, mut count) = (i64::MIN, 0);
        for (kind, pts, dts, idr) in events {
            match kind {
                0 => timeline.discontinuity(),
                1 | 2 => {
                    let (sound, _) = timeline.audio(pts.map(Ticks), Ticks(1920));
                    count += 1;
                    prop_assert!(sound.0 >= 0);
                }
                _ => {
                    let time = timeline.video(pts.map(Ticks), dts.map(Ticks), idr);
                    count += 1;
                    prop_assert!(time.dts.0 > last && time.dts.0 >= 0);
                    prop_assert!(time.pts >= time.dts && time.pts.0 - time.dts.0 <= 2 * MAX_REORDER.0);
                    prop_assert!(time.dts.0 <= START.0 + (count + 4) * (MAX_SKEW.0 + JUMP.0));
                    last = time.dts.0;
                }
            }
        }
    }
}
