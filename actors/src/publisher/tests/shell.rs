//! The actor: messages in, library, subscribers and recording out, and a restart in between.

use std::future::Future;
use std::time::Duration;

use actix::prelude::*;

use crate::publisher::messages::{Audio, Cut, End, Made};
use crate::publisher::world::*;
use crate::publisher::{Library, Publisher, PublisherConfig, PublisherMetrics, StreamState};
use crate::supervise::{Group, Policy};

fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

fn config() -> PublisherConfig {
    PublisherConfig::new(stream())
}

async fn feed(to: &Addr<Publisher>, seq: u64) {
    to.send(cut(seq)).await.unwrap();
    to.send(sound(seq)).await.unwrap();
    to.send(made(seq)).await.unwrap();
}

fn text(library: &Library, path: &str) -> String {
    String::from_utf8(library.resource(&stream(), path).unwrap().body.to_vec()).unwrap()
}

#[test]
fn whoever_pushed_a_segment_hears_of_it_by_its_token() {
    run(async {
        let library = Library::new();
        let publisher = Publisher::new(config(), library.clone()).start();
        let (published, name) = (library.subscribe(), stream());
        let waiting = Library::wait_for(published, &name, 1001);
        let feeding = async {
            feed(&publisher, 0).await;
            feed(&publisher, 1).await;
        };
        let (published, ()) = futures::future::join(waiting, feeding).await;
        let published = published.unwrap();
        assert_eq!((published.seq, published.renditions.iter().flatten().count()), (1, 2));
        assert!(published.audio.is_some());
    });
}

#[test]
fn the_end_is_answered_when_playlists_and_recording_are_complete() {
    run(async {
        let disk = tempfile::tempdir().unwrap();
        let library = Library::new();
        let mut config = config();
        config.record = Some(disk.path().to_owned());
        let publisher = Publisher::new(config, library.clone()).start();
        feed(&publisher, 0).await;
        publisher.send(cut(1)).await.unwrap();
        publisher.send(End).await.unwrap();
        assert!(text(&library, "240p/index.m3u8").ends_with("#EXT-X-ENDLIST\n"));
        let recorded = std::fs::read_to_string(disk.path().join("me/240p/index.m3u8")).unwrap();
        assert!(recorded.contains("PLAYLIST-TYPE:VOD") && recorded.matches("#EXTINF").count() == 2);
        assert_eq!(library.streams()[0].state, StreamState::Ended);
    });
}

/// A publisher that can be killed from outside: tells one to panic by a message that only tests have.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Publisher {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("told to");
    }
}

#[test]
fn a_publisher_that_panics_goes_on_with_the_same_playlists_and_the_same_recording() {
    run(async {
        let disk = tempfile::tempdir().unwrap();
        let (library, metrics) = (Library::new(), PublisherMetrics::default());
        let group = Group::new("stream", Policy::default(), |why| panic!("{why}"));
        let (shelves, figures, dir) = (library.clone(), metrics.clone(), disk.path().to_owned());
        let slot = group.keep("publisher", move || {
            let config = PublisherConfig {
                metrics: figures.clone(),
                record: Some(dir.clone()),
                ..PublisherConfig::new(stream())
            };
            Publisher::new(config, shelves.clone())
        });
        let (cuts, sounds, mades) =
            (slot.recipient::<Cut>(), slot.recipient::<Audio>(), slot.recipient::<Made>());
        let mut before = 0;
        for seq in 0..12 {
            cuts.send(cut(seq)).await.unwrap();
            if seq == 5 {
                let _ = slot.recipient().send(Panic).await;
            }
            sounds.send(sound(seq)).await.unwrap();
            mades.send(made(seq)).await.unwrap();
            let info = &library.streams()[0];
            assert!(info.next_seq >= before);
            before = info.next_seq;
        }
        slot.recipient::<End>().send(End).await.unwrap();
        assert_eq!((library.streams()[0].next_seq, metrics.lost.get()), (12, 1), "segment 5 died with it");
        let recorded = std::fs::read_to_string(disk.path().join("me/360p/index.m3u8")).unwrap();
        assert_eq!((recorded.matches("#EXTINF").count(), recorded.matches("#EXT-X-GAP").count()), (12, 1));
        assert!(!disk.path().join("me~2").exists());
        assert_eq!(metrics.waiting.get(), 0);
        group.stop().await;
    });
}

#[test]
fn a_stream_that_ended_begins_anew_under_other_addresses() {
    run(async {
        let library = Library::new();
        let publisher = Publisher::new(config(), library.clone()).start();
        feed(&publisher, 0).await;
        publisher.send(End).await.unwrap();
        let old = text(&library, "source/index.m3u8");
        // The clock of the addresses is the real one, in milliseconds.
        std::iter::repeat_with(crate::publisher::library::unix_ms)
            .find(|now| !old.contains(&format!("{now:x}")));
        let publisher = Publisher::new(config(), library.clone()).start();
        feed(&publisher, 0).await;
        let new = text(&library, "source/index.m3u8");
        assert!(!new.contains("ENDLIST") && new != old);
        assert_ne!(
            new.lines().last(),
            old.lines().rev().nth(1),
            "a cache may hold the old segment 0 for ever"
        );
    });
}

#[test]
fn ended_streams_are_let_go_of_beyond_a_bound() {
    run(async {
        let library = Library::new();
        for n in 0..20 {
            let name: protocol::StreamId = format!("s{n}").parse().unwrap();
            let publisher = Publisher::new(PublisherConfig::new(name), library.clone()).start();
            publisher.send(End).await.unwrap();
        }
        assert_eq!(library.streams().len(), crate::budget::ENDED_STREAMS);
    });
}

#[test]
fn segments_in_work_at_the_end_are_waited_for_but_not_for_ever() {
    run(async {
        let library = Library::new();
        let publisher = Publisher::new(config(), library.clone()).start();
        feed(&publisher, 0).await;
        publisher.send(cut(1)).await.unwrap();
        publisher.send(sound(1)).await.unwrap();
        let ending = publisher.send(End);
        let late = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            publisher.send(made(1)).await.unwrap();
        };
        let (ended, ()) = futures::future::join(ending, late).await;
        ended.unwrap();
        assert_eq!(library.streams()[0].missing, 0);
    });
}
