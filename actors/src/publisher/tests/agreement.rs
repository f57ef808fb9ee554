//! Whatever is lost or comes in whatever order, the playlists agree and nothing goes backwards.

use std::collections::BTreeMap;

use m3u8_rs::MediaPlaylist;
use proptest::prelude::*;

use crate::publisher::world::*;

/// One message of a stream's life.
#[derive(Clone, Debug)]
enum Step {
    Cut { seq: u64, discontinuity: bool, height: u32, millis: i64 },
    Audio { seq: u64, sound: bool },
    Made { seq: u64, mask: u8 },
    Wait { millis: u64 },
}

/// The messages of `len` segments; each is displaced by up to some places and may be lost or doubled.
fn life(len: u64) -> impl Strategy<Value = Vec<Step>> {
    let segment = |seq: u64| {
        let cut =
            (prop::bool::weighted(0.1), prop::sample::select(vec![720_u32, 720, 720, 480]), 50..6000_i64)
                .prop_map(move |(discontinuity, height, millis)| Step::Cut {
                    seq,
                    discontinuity,
                    height,
                    millis,
                });
        let audio = prop::bool::weighted(0.8).prop_map(move |sound| Step::Audio { seq, sound });
        let made = (0..4_u8).prop_map(move |mask| Step::Made { seq, mask });
        let wait = (0..4000_u64).prop_map(|millis| Step::Wait { millis });
        let place = |step: BoxedStrategy<Step>| {
            (step, 0..24_u64, prop::sample::select(vec![0_usize, 1, 1, 1, 1, 1, 1, 1, 2]))
        };
        (place(cut.boxed()), place(audio.boxed()), place(made.boxed()), place(wait.boxed())).prop_map(
            move |(mut cut, audio, made, wait)| {
                cut.1 %= 4;
                [cut, audio, made, wait].map(|(step, late, times)| (seq * 4 + late, step, times))
            },
        )
    };
    (0..len).map(segment).collect::<Vec<_>>().prop_map(|steps| {
        let mut steps: Vec<_> = steps.into_iter().flatten().collect();
        steps.sort_by_key(|(at, ..)| *at);
        steps.into_iter().flat_map(|(_, step, times)| std::iter::repeat_n(step, times)).collect()
    })
}

fn play(world: &mut World, step: Step) {
    match step {
        Step::Cut { seq, discontinuity, height, millis } => {
            let start = protocol::Ticks(SECOND * (10 + 2 * seq as i64));
            let mut cut = cut_at(seq, start, protocol::Ticks::from_millis(millis), height);
            cut.segment.discontinuity = discontinuity;
            world.cut(cut);
        }
        Step::Audio { seq, sound: true } => drop(world.audio(sound(seq))),
        Step::Audio { seq, sound: false } => drop(world.audio(silence(seq))),
        Step::Made { seq, mask } => {
            let mut made = made(seq);
            made.renditions
                .iter_mut()
                .enumerate()
                .filter(|(i, _)| mask >> i & 1 == 0)
                .for_each(|(_, r)| *r = None);
            world.made(made);
        }
        Step::Wait { millis } => world.now += millis,
    }
}

/// What one playlist says of time and order, its own gaps left out.
fn timing(playlist: &MediaPlaylist) -> (u64, u64, u64, bool, Vec<String>) {
    let rows = playlist.segments.iter().map(|s| {
        format!(
            "{} {} {} {:?}",
            s.uri,
            s.duration,
            s.discontinuity,
            s.program_date_time.map(|t| t.timestamp_millis())
        )
    });
    let head = (
        playlist.media_sequence,
        playlist.discontinuity_sequence,
        playlist.target_duration,
        playlist.end_list,
    );
    (head.0, head.1, head.2, head.3, rows.collect())
}

/// What has been seen of the stream so far, by one viewer who looks after every message.
#[derive(Default)]
struct Viewer {
    first: u64,
    end: u64,
    discontinuities: u64,
    /// EXTINF, time and discontinuity of every segment ever seen.
    seen: BTreeMap<u64, String>,
    /// Discontinuity sequence number of every segment ever seen.
    eras: BTreeMap<u64, u64>,
}

impl Viewer {
    fn look(&mut self, world: &World) {
        let tracks = world.tracks();
        let playlists: Vec<_> = tracks.iter().map(|track| world.playlist(track)).collect();
        let Some(one) = playlists.first() else { return };
        for (track, other) in tracks.iter().zip(&playlists) {
            assert_eq!(timing(one), timing(other), "source and {track} disagree");
        }
        assert!(one.media_sequence >= self.first && one.discontinuity_sequence >= self.discontinuities);
        let end = one.media_sequence + one.segments.len() as u64;
        assert!(end >= self.end);
        (self.first, self.end, self.discontinuities) = (one.media_sequence, end, one.discontinuity_sequence);
        let mut era = one.discontinuity_sequence;
        let mut clock = None;
        for (segment, seq) in one.segments.iter().zip(one.media_sequence..) {
            era += u64::from(segment.discontinuity);
            assert!(segment.duration.round() as u64 <= one.target_duration);
            let at = segment.program_date_time.unwrap();
            assert!(clock < Some(at), "the wall clock rises");
            clock = Some(at);
            let said = format!("{} {} {at} {}", segment.uri, segment.duration, segment.discontinuity);
            assert_eq!(
                self.seen.entry(seq).or_insert_with(|| said.clone()),
                &said,
                "a segment never changes"
            );
            assert_eq!(*self.eras.entry(seq).or_insert(era), era, "its discontinuity sequence neither");
        }
        for (track, playlist) in tracks.iter().zip(&playlists) {
            self.fetch(world, track, playlist);
        }
    }

    /// Everything that a playlist names and is not a gap can be had; nothing that is a gap can.
    fn fetch(&self, world: &World, track: &str, playlist: &MediaPlaylist) {
        let missing = gaps(playlist);
        let get = |uri: &str| {
            world.library.resource(&stream(), &format!("{track}/{}", uri.split('?').next().unwrap()))
        };
        for (segment, seq) in playlist.segments.iter().zip(playlist.media_sequence..) {
            assert_eq!(get(&segment.uri).is_none(), missing.contains(&seq), "{track}/{seq}");
            assert!(segment.map.as_ref().is_none_or(|map| get(&map.uri).is_some()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn all_playlists_agree_and_nothing_goes_backwards(steps in life(24)) {
        let (mut world, mut viewer) = (World::new(), Viewer::default());
        for step in steps {
            play(&mut world, step);
            viewer.look(&world);
            prop_assert!(world.core.waiting() <= 2 * crate::budget::AHEAD_SEGMENTS as usize);
        }
        world.end();
        world.now += crate::budget::END_GRACE.as_millis() as u64;
        world.wake();
        viewer.look(&world);
        prop_assert!(world.core.ended());
        prop_assert_eq!(world.core.waiting(), 0);
    }
}
