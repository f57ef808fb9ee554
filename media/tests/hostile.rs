//! What a publisher's file may be that broke on the way: the worker says so, and takes what is whole of it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::process::Command;

use bytes::Bytes;
use media::packet::Packet;
use media::worker::{WorkerConfig, WorkerError, Workers};

/// A second of transport stream, or `None` where there is no ffmpeg.
fn transport_stream() -> Option<Bytes> {
    let args = "-v error -f lavfi -i testsrc2=s=640x360:r=30:d=1 -f lavfi -i sine=d=1 \
                -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -f mpegts -";
    let made = Command::new("ffmpeg").args(args.split_whitespace()).output().ok()?;
    made.status.success().then(|| made.stdout.into())
}

async fn worker() -> Workers {
    let config = WorkerConfig::new(env!("CARGO_BIN_EXE_media-worker"), vec![], 1);
    Workers::start(config).await.unwrap()
}

#[tokio::test]
async fn a_file_that_ends_within_its_first_picture_is_refused() {
    let Some(file) = transport_stream() else { return };
    let workers = worker().await;
    let refused = workers.demux(file.slice(..3000)).await.unwrap_err();
    assert!(matches!(&refused, WorkerError::Input(why) if why.contains("was it sent whole")), "{refused}");
}

#[tokio::test]
async fn a_file_that_ends_within_a_later_picture_keeps_those_before() {
    let Some(file) = transport_stream() else { return };
    let packets = worker().await.demux(file.slice(..file.len() / 2 / 188 * 188 + 7)).await.unwrap();
    let pictures = packets.iter().filter(|packet| matches!(packet, Packet::Video(_))).count();
    assert!((5..30).contains(&pictures), "{pictures}");
}

#[tokio::test]
async fn no_place_where_a_file_may_break_off_harms_the_worker() {
    let Some(file) = transport_stream() else { return };
    let workers = worker().await;
    let pid = workers.idle_pids();
    for end in (0..file.len().min(20_000)).step_by(331) {
        match workers.demux(file.slice(..end)).await {
            Ok(packets) => assert!(packets.iter().any(|packet| matches!(packet, Packet::Video(_)))),
            Err(why) => assert!(matches!(why, WorkerError::Input(_)), "{why}"),
        }
    }
    assert_eq!(workers.idle_pids(), pid, "none of this killed the worker");
}
