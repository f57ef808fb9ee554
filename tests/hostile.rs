//! A whole node under attack: ten hostile inputs or more at each of its doors, all at once, while an honest publisher streams
//! through it. Every stranger is told what is wrong or cut off; the stream loses nothing; the node lives and does not grow.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "hostile/control.rs"]
mod control;
#[path = "hostile/media.rs"]
mod media;
#[path = "hostile/push.rs"]
mod push;
#[path = "hostile/rtmp.rs"]
mod rtmp;
#[allow(dead_code, reason = "shared with the tests of whole nodes")]
#[path = "node/world.rs"]
mod world;

use std::time::Duration;

use serde_json::Value;
use world::{Node, World};

/// Longest wait for an answer or a cut.
const SOON: Duration = Duration::from_secs(40);
/// Seconds that the honest publisher streams.
const SECONDS: u32 = 24;
/// What a node may grow by, bytes.
const GROWTH: u64 = 50 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_under_attack_at_every_door_loses_nothing_of_an_honest_stream() {
    let world = World::with(0).await;
    let clip = world.clip("clip.mp4", "320x240", SECONDS, 60);
    let record = world.path("record");
    // A place for the honest stream whatever strangers have transcoded.
    let args = ["--rtmp", "127.0.0.1:0", "--capacity", "3", "--record", record.to_str().unwrap()];
    let mut node = world.start("node", &args).await;

    let publisher = node.publish(&clip, "me");
    let attack = async {
        node.until("the first segment", async |node| segments(node).await.first().cloned()).await;
        let before = resident(&node);
        let strangers = (
            rtmp::attack(&node),
            push::attack(&node, &world),
            control::attack(&node),
            media::attack(&node, &world),
        );
        tokio::join!(strangers.0, strangers.1, strangers.2, strangers.3);
        before
    };
    let (before, ()) = tokio::join!(attack, publisher);
    let all = (SECONDS / 2) as usize;
    let traces =
        node.until("all segments", async |node| Some(segments(node).await).filter(|t| t.len() >= all)).await;
    for trace in &traces {
        assert_eq!(trace["outcome"], "complete", "{trace}");
    }
    let after = resident(&node);
    println!("{} segments, resident {} KiB before and {} KiB after", traces.len(), before >> 10, after >> 10);
    assert!(after < before + GROWTH, "grown from {before} to {after} bytes");
    assert!(node.child.try_wait().unwrap().is_none(), "the node lives");

    assert!(node.interrupt().await, "it ends well");
    for rung in ["240p", "source"] {
        let text = std::fs::read_to_string(record.join("me").join(rung).join("index.m3u8")).unwrap();
        let (files, gaps) = (text.matches("#EXTINF").count(), text.matches("EXT-X-GAP").count());
        assert_eq!(
            (files, gaps, text.matches("#EXT-X-DISCONTINUITY\n").count()),
            (all, 0, 0),
            "{rung}: {text}"
        );
    }
}

/// The segments of the honest stream that are over.
async fn segments(node: &Node) -> Vec<Value> {
    let traces = node.json("/api/v1/streams/me/explain").await;
    let over = |trace: &&Value| trace["outcome"].is_string();
    traces.as_array().map(|all| all.iter().filter(over).cloned().collect()).unwrap_or_default()
}

/// Resident memory of the node's own process, bytes.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Bytes that do not repeat early and look like nothing.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..len).map(|_| next()).collect()
}
