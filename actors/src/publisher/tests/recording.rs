//! A recording can be played at every moment, also after a crash, and never harms the stream.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use m3u8_rs::{MediaPlaylist, MediaPlaylistType};
use prometheus_client::metrics::counter::Counter;

use crate::publisher::record::Recorder;
use crate::publisher::world::*;

/// Feeds a world and its recorder alike.
fn record(world: &mut World, recorder: &Recorder, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        world.cut(cut(seq));
        world.audio(if seq < 2 { silence(seq) } else { sound(seq) });
        let appeared = world.made(made(seq));
        let shelf = Arc::new(world.core.shelf().clone());
        appeared.iter().for_each(|segment| recorder.row(&shelf, &segment.row));
    }
}

fn read(dir: &Path, track: &str) -> MediaPlaylist {
    let text = fs::read(dir.join(track).join("index.m3u8")).unwrap();
    m3u8_rs::parse_media_playlist_res(&text).unwrap()
}

/// Every file that the playlist names is there and whole.
fn assert_playable(dir: &Path, track: &str, playlist: &MediaPlaylist) {
    let missing = gaps(playlist);
    for (segment, seq) in playlist.segments.iter().zip(playlist.media_sequence..) {
        let there = dir.join(track).join(&segment.uri).exists();
        assert_eq!(there, !missing.contains(&seq), "{track}/{}", segment.uri);
        assert!(segment.map.as_ref().is_none_or(|map| dir.join(track).join(&map.uri).exists()));
    }
}

#[tokio::test]
async fn the_whole_stream_is_on_disk_as_vod() {
    let disk = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(disk.path(), "me", Counter::default());
    let mut world = World::new();
    record(&mut world, &recorder, 0..25);
    recorder.finish().await;
    let dir = disk.path().join("me");
    for track in ["source", "240p", "360p", "audio"] {
        let playlist = read(&dir, track);
        assert_eq!(
            (playlist.segments.len(), playlist.media_sequence, playlist.end_list),
            (25, 0, true),
            "{track}"
        );
        assert_eq!(playlist.playlist_type, Some(MediaPlaylistType::Vod));
        assert_playable(&dir, track, &playlist);
    }
    assert_eq!(gaps(&read(&dir, "audio")), [0, 1], "audio that began later is filled up with gaps");
    let master = m3u8_rs::parse_master_playlist_res(&fs::read(dir.join("master.m3u8")).unwrap()).unwrap();
    assert_eq!((master.variants.len(), master.alternatives.len()), (3, 1));
    assert!(read(&dir, "240p").segments.iter().all(|segment| !segment.uri.contains('?')));
}

#[tokio::test]
async fn while_it_runs_it_is_an_event_and_everything_named_is_there() {
    let disk = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(disk.path(), "me", Counter::default());
    let mut world = World::new();
    let dir = disk.path().join("me");
    for seq in 0..8 {
        record(&mut world, &recorder, [seq]);
        wait_for(|| {
            dir.join("master.m3u8").exists() && read(&dir, "source").segments.len() as u64 == seq + 1
        })
        .await;
        let playlist = read(&dir, "source");
        assert_eq!(
            (playlist.playlist_type.clone(), playlist.end_list),
            (Some(MediaPlaylistType::Event), false)
        );
        assert_playable(&dir, "source", &playlist);
    }
}

#[tokio::test]
async fn an_earlier_recording_is_kept_and_closed() {
    let disk = tempfile::tempdir().unwrap();
    let crashed = Recorder::start(disk.path(), "me", Counter::default());
    let mut world = World::new();
    record(&mut world, &crashed, 0..3);
    drop(crashed);
    let dir = disk.path().join("me");
    wait_for(|| dir.join("master.m3u8").exists() && read(&dir, "source").segments.len() == 3).await;
    let next = Recorder::start(disk.path(), "me", Counter::default());
    let mut world = World::new();
    record(&mut world, &next, 0..1);
    next.finish().await;
    assert!(read(&dir, "240p").end_list && read(&dir, "240p").segments.len() == 3);
    assert_eq!(read(&disk.path().join("me~2"), "240p").segments.len(), 1);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_ends_the_recording_only() {
    let disk = tempfile::tempdir().unwrap();
    let failures = Counter::default();
    let recorder = Recorder::start(disk.path(), "me", failures.clone());
    let mut world = World::new();
    record(&mut world, &recorder, 0..1);
    let dir = disk.path().join("me");
    wait_for(|| dir.join("master.m3u8").exists()).await;
    // A file where a directory must be: what a full or damaged disk looks like, without filling one.
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, b"").unwrap();
    record(&mut world, &recorder, 1..60);
    recorder.finish().await;
    assert_eq!(failures.get(), 1);
    assert_eq!(world.playlist("source").media_sequence, 54);
}

#[tokio::test]
async fn nothing_half_written_stays_behind() {
    let disk = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(disk.path(), "me", Counter::default());
    let mut world = World::new();
    record(&mut world, &recorder, 0..4);
    recorder.finish().await;
    let mut dirs = vec![disk.path().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.extension().is_none_or(|ext| ext != "part"), "{}", path.display());
            if path.is_dir() {
                dirs.push(path);
            }
        }
    }
}

/// Waits for the recording thread.
async fn wait_for(there: impl Fn() -> bool) {
    let wait = async {
        while !there() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .expect("the recording thread writes");
}
