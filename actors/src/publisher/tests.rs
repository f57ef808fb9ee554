//! Claims about what viewers see, checked through the library with an independent playlist parser.

use protocol::Ticks;

use super::library::{Cache, StreamState};
use super::world::*;
use crate::budget::{PENDING_SEGMENTS, SERVED_AFTER};

mod agreement;
mod recording;
mod shell;

#[test]
fn a_segment_appears_only_when_cut_audio_and_renditions_are_there() {
    let mut world = World::new();
    assert!(world.cut(cut(0)).is_empty());
    assert!(world.audio(sound(0)).is_empty());
    let appeared = world.made(made(0));
    let published = appeared[0].published.as_ref().unwrap();
    assert_eq!((published.seq, published.token, published.renditions.len()), (0, Some(1000), 2));
    assert_eq!(world.tracks(), ["source", "240p", "360p", "audio"]);
    assert!(world.tracks().iter().all(|track| world.playlist(track).segments.len() == 1));
}

#[test]
fn a_segment_waits_for_all_earlier_ones() {
    let mut world = World::new();
    world.cut(cut(0));
    world.cut(cut(1));
    assert!(world.made(made(1)).is_empty() && world.audio(silence(1)).is_empty());
    assert!(world.made(made(0)).is_empty());
    assert_eq!(world.audio(silence(0)).len(), 2);
}

#[test]
fn the_master_says_what_was_measured() {
    let mut world = World::new();
    world.whole(0..3);
    let master = world.master();
    let order: Vec<&str> = master.variants.iter().map(|v| v.uri.as_str()).collect();
    assert_eq!(order, ["240p/index.m3u8", "360p/index.m3u8", "source/index.m3u8"]);
    let low = &master.variants[0];
    assert_eq!(low.codecs.as_deref(), Some("avc1.64001E,mp4a.40.2"));
    assert_eq!(low.resolution.map(|r| (r.width, r.height)), Some((256, 240)));
    assert_eq!((low.frame_rate, low.audio.as_deref()), (Some(30.0), Some("audio")));
    let media =
        |track: &str| world.library.resource(&stream(), &format!("{track}/1.m4s")).unwrap().body.len() as u64;
    let rate = (media("240p") + media("audio")) * 8 / 2;
    assert_eq!((low.bandwidth, low.average_bandwidth), (rate, Some(rate)));
    let group = &master.alternatives[0];
    assert_eq!((group.channels.as_deref(), group.uri.as_deref()), (Some("2"), Some("audio/index.m3u8")));
}

#[test]
fn a_missing_rendition_is_a_gap_in_its_own_playlist_only() {
    let mut world = World::new();
    world.whole(0..2);
    world.cut(cut(2));
    world.audio(sound(2));
    let mut partly = made(2);
    partly.renditions[0] = None;
    world.made(partly);
    assert_eq!(gaps(&world.playlist("240p")), [2]);
    assert!(["source", "360p", "audio"].iter().all(|track| gaps(&world.playlist(track)).is_empty()));
    assert!(world.library.resource(&stream(), "240p/2.m4s").is_none());
    assert_eq!(world.library.streams_at(world.now)[0].missing, 1);
}

#[test]
fn bytes_that_are_no_mp4_count_as_missing() {
    let mut world = World::new();
    world.whole(0..1);
    world.cut(cut(1));
    world.audio(sound(1));
    let mut bad = made(1);
    bad.renditions[1].as_mut().unwrap().bytes = bytes::Bytes::from_static(b"not an mp4 at all");
    world.made(bad);
    assert_eq!(gaps(&world.playlist("360p")), [1]);
}

#[test]
fn a_time_without_audio_is_a_gap_and_a_stream_that_never_had_any_has_no_group() {
    let mut world = World::new();
    for seq in 0..2 {
        world.cut(cut(seq));
        world.audio(silence(seq));
        world.made(made(seq));
    }
    assert!(world.master().alternatives.is_empty() && !world.tracks().contains(&"audio".to_owned()));
    assert_eq!(world.master().variants[0].codecs.as_deref(), Some("avc1.64001E"));
    world.whole(2..3);
    assert_eq!(world.master().alternatives.len(), 1);
    assert_eq!(gaps(&world.playlist("audio")), [0, 1]);
    assert!(!world.playlist("audio").segments[2].discontinuity);
}

#[test]
fn the_window_slides_and_what_left_it_is_served_a_little_longer() {
    let mut world = World::new();
    world.whole(0..20);
    let playlist = world.playlist("source");
    assert_eq!((playlist.media_sequence, playlist.segments.len()), (14, 6));
    let served = |seq: u64| world.library.resource(&stream(), &format!("source/{seq}.m4s")).is_some();
    assert!(served(14 - SERVED_AFTER as u64) && !served(13 - SERVED_AFTER as u64));
}

#[test]
fn short_segments_widen_the_window_to_three_target_durations() {
    let mut world = World::new();
    for seq in 0..60 {
        let start = Ticks(SECOND * 10 + SECOND / 4 * seq as i64);
        world.cut(cut_at(seq, start, Ticks(SECOND / 4), 720));
        world.audio(silence(seq));
        world.made(made(seq));
    }
    assert_eq!(world.playlist("source").segments.len(), 24);
}

#[test]
fn discontinuities_are_counted_as_they_leave_the_window() {
    let mut world = World::new();
    for seq in 0..20 {
        let mut cut = cut(seq);
        cut.segment.discontinuity = matches!(seq, 0 | 3 | 9 | 15);
        world.cut(cut);
        world.audio(sound(seq));
        world.made(made(seq));
        let playlist = world.playlist("240p");
        let shown = playlist.segments.iter().filter(|s| s.discontinuity).count() as u64;
        let passed = [3, 9, 15].iter().filter(|at| **at <= seq).count() as u64;
        assert_eq!(playlist.discontinuity_sequence + shown, passed, "at {seq}");
    }
    assert_eq!(world.playlist("audio").discontinuity_sequence, 2);
}

#[test]
fn parameter_sets_that_differ_get_a_map_but_only_a_new_size_is_a_discontinuity() {
    let mut world = World::new();
    world.whole(0..1);
    let mut feed = |seq, height| {
        world.cut(cut_at(seq, Ticks(SECOND * (10 + 2 * seq as i64)), Ticks(2 * SECOND), height));
        world.audio(sound(seq));
        world.made(made(seq));
    };
    feed(1, 720);
    feed(2, 480);
    feed(3, 720);
    let playlist = world.playlist("source");
    let maps: Vec<_> = playlist
        .segments
        .iter()
        .map(|s| s.map.as_ref().map(|m| m.uri.as_str().split('?').next().unwrap().to_owned()))
        .collect();
    let expected = [Some("init-0.mp4"), None, Some("init-1.mp4"), Some("init-0.mp4")];
    assert_eq!(maps, expected.map(|m| m.map(str::to_owned)), "maps are numbered by content");
    let broken: Vec<bool> = world.playlist("360p").segments.iter().map(|s| s.discontinuity).collect();
    assert_eq!(broken, [false, false, true, true], "in all playlists, also where nothing changed");
}

#[test]
fn a_longer_segment_raises_the_target_duration_rather_than_break_it() {
    let mut world = World::new();
    world.whole(0..1);
    world.cut(cut_at(1, Ticks(SECOND * 12), Ticks(SECOND * 46 / 10), 720));
    world.audio(silence(1));
    let appeared = world.made(made(1));
    assert_eq!(appeared[0].raised, Some((2, 5)));
    assert_eq!(world.playlist("source").target_duration, 5);
}

#[test]
fn the_end_shows_what_is_complete_and_makes_gaps_of_the_rest() {
    let mut world = World::new();
    world.whole(0..2);
    world.cut(cut(2));
    world.cut(cut(3));
    world.audio(silence(3));
    assert!(world.end().is_empty(), "segments in work have their time");
    world.made(made(3));
    assert!(!world.core.ended());
    world.now = world.core.next_wake().unwrap();
    assert_eq!(world.wake().len(), 2);
    let playlist = world.playlist("240p");
    assert!(playlist.end_list && world.core.ended());
    assert_eq!(gaps(&playlist), [2]);
    assert_eq!(world.library.streams_at(world.now)[0].state, StreamState::Ended);
}

#[test]
fn an_end_without_work_in_flight_is_at_once() {
    let mut world = World::new();
    world.whole(0..2);
    world.end();
    assert!(world.playlist("audio").end_list);
    assert!(world.cut(cut(2)).is_empty() && world.core.tally().ignored == 1);
}

#[test]
fn what_comes_too_late_or_twice_changes_nothing() {
    let mut world = World::new();
    world.whole(0..2);
    let before = world.text("240p/index.m3u8");
    world.made(made(1));
    world.audio(silence(0));
    world.cut(cut(1));
    world.made(made(9_999_999));
    assert_eq!((world.text("240p/index.m3u8"), world.core.tally().ignored), (before, 4));
}

#[test]
fn a_publisher_never_holds_more_than_its_bound() {
    let mut world = World::new();
    let appeared: usize = (0..30).map(|seq| world.cut(cut(seq)).len()).sum();
    assert_eq!((appeared, world.core.waiting()), (30 - PENDING_SEGMENTS, PENDING_SEGMENTS));
    assert_eq!(world.core.tally().forced as usize, appeared);
}

#[test]
fn cuts_that_were_lost_become_gaps_that_keep_the_time() {
    let mut world = World::new();
    world.whole((0..3).chain(5..7));
    let playlist = world.playlist("source");
    assert_eq!((gaps(&playlist), playlist.segments.len()), (vec![3, 4], 6));
    assert!(playlist.segments.iter().all(|s| (s.duration - 2.0).abs() < 1e-6 && !s.discontinuity));
    assert_eq!(world.core.tally().lost, 2);
}

#[test]
fn a_jump_beyond_the_window_begins_the_playlists_anew() {
    let mut world = World::new();
    world.whole((0..3).chain(5000..5002));
    let playlist = world.playlist("240p");
    assert_eq!((playlist.media_sequence, playlist.segments.len()), (5000, 2));
    assert!(gaps(&playlist).is_empty());
}

#[test]
fn a_restarted_publisher_goes_on_where_the_playlists_stood() {
    let mut world = World::new();
    world.whole(0..9);
    let (shelf, _) = world.library.resume(&stream()).unwrap();
    world.core = super::core::Core::new(shelf);
    world.whole(10..12);
    let playlist = world.playlist("360p");
    assert_eq!((playlist.media_sequence, gaps(&playlist)), (6, vec![9]));
}

#[test]
fn hostile_paths_find_nothing() {
    let mut world = World::new();
    world.whole(0..3);
    let found = |path: &str| world.library.resource(&stream(), path);
    for good in ["master.m3u8", "source/index.m3u8", "240p/init-0.mp4", "audio/2.m4s"] {
        assert!(found(good).is_some(), "{good}");
    }
    let long = "9".repeat(100_000);
    for bad in [
        "",
        "/",
        "//",
        "..",
        "../me/master.m3u8",
        "/master.m3u8",
        "source",
        "source/",
        "source/../240p/0.m4s",
        "source/00.m4s",
        "source/+1.m4s",
        "source/-1.m4s",
        "source/ 1.m4s",
        "source/1.m4s/",
        "source/1.m4s?t=1",
        "source/1e0.m4s",
        "source/18446744073709551616.m4s",
        "source/init-0.m4s",
        "source/init-4294967296.mp4",
        "source/init-.mp4",
        "source/init-0.mp4\0",
        "%73ource/0.m4s",
        "source\\0.m4s",
        "SOURCE/0.m4s",
        "\u{0661}/0.m4s",
        "source/\u{0661}.m4s",
        &format!("source/{long}.m4s"),
        &format!("{long}/0.m4s"),
    ] {
        assert_eq!(found(bad), None, "{:.40}", bad);
    }
    assert!(world.library.resource(&"other".parse().unwrap(), "master.m3u8").is_none());
}

#[test]
fn playlists_are_never_cached_and_segments_always() {
    let mut world = World::new();
    world.whole(0..1);
    let resource = |path: &str| world.library.resource(&stream(), path).unwrap();
    assert_eq!(resource("master.m3u8").cache, Cache::NoStore);
    assert_eq!(
        (resource("audio/0.m4s").cache, resource("audio/0.m4s").content_type),
        (Cache::Immutable, "audio/mp4")
    );
}

#[test]
fn a_silent_stream_is_reconnecting() {
    let mut world = World::new();
    world.whole(0..2);
    let state = |after| world.library.streams_at(world.now + after)[0].state;
    assert_eq!((state(6000), state(6001)), (StreamState::Live, StreamState::Reconnecting));
}

#[test]
fn a_raised_target_duration_never_brings_back_what_left_the_window() {
    let mut world = World::new();
    let feed = |world: &mut World, seq: u64, millis| {
        let start = Ticks(SECOND * (10 + seq as i64));
        world.cut(cut_at(seq, start, Ticks::from_millis(millis), 720));
        world.audio(silence(seq));
        world.made(made(seq));
        world.playlist("source").media_sequence
    };
    let before = (0..20).map(|seq| feed(&mut world, seq, 1000)).last();
    assert_eq!(before, Some(14));
    assert_eq!(feed(&mut world, 20, 12_000), 14, "36 s would reach back to rows that are still served");
}

#[test]
fn initialization_segments_are_kept_as_long_as_a_served_segment_needs_them() {
    let mut world = World::new();
    for seq in 0..40 {
        let start = Ticks(SECOND * (10 + 2 * seq as i64));
        world.cut(cut_at(seq, start, Ticks(2 * SECOND), 16 * (seq as u32 + 1)));
        world.audio(silence(seq));
        world.made(made(seq));
    }
    let there = |path: String| world.library.resource(&stream(), &path).is_some();
    let oldest = 34 - SERVED_AFTER as u64;
    assert!((oldest..40).all(|n| there(format!("source/{n}.m4s")) && there(format!("source/init-{n}.mp4"))));
    assert!(!there("source/init-0.mp4".into()), "and no longer than a few more");
}
