//! A live stream through a mesh of processes: published, transcoded by others, played, recorded, ended.

use std::process::Command;

use serde_json::Value;

use crate::world::{LIVEMESH, Node, World, ffmpeg, succeeded};

/// Coded pictures of the best video stream that ffprobe finds in a playlist.
fn pictures(playlist: &std::path::Path) -> u64 {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_packets",
            "-show_entries",
            "stream=nb_read_packets",
        ])
        .args(["-of", "csv=p=0", "-allowed_extensions", "ALL"])
        .arg(playlist)
        .output()
        .unwrap();
    succeeded("ffprobe", &output);
    String::from_utf8(output.stdout).unwrap().lines().next().unwrap().trim_end_matches(',').parse().unwrap()
}

async fn complete(node: &Node, stream: &str) -> Option<Vec<Value>> {
    let traces = node.json(&format!("/api/v1/streams/{stream}/explain")).await.as_array()?.clone();
    let over = |t: &Value| t["outcome"] == "complete";
    (traces.len() >= 3 && traces.iter().all(over)).then_some(traces)
}

#[tokio::test]
async fn a_published_stream_is_transcoded_by_others_played_and_recorded_whole() {
    let world = World::with(2).await;
    let clip = world.clip("clip.mp4", "640x360", 8, 60);
    let record = world.path("record");
    let broadcaster = world.broadcaster(&["--record", record.to_str().unwrap()]).await;
    broadcaster.publish(&clip, "me").await;
    let traces = broadcaster.until("four complete segments", async |node| complete(node, "me").await).await;
    assert_eq!(traces.len(), 4);
    let me = broadcaster.json("/api/v1/state").await["node"]["key"].clone();
    for rung in traces.iter().flat_map(|t| t["renditions"].as_array().unwrap()) {
        assert!(rung["by"].is_string() && rung["by"] != me, "made by another node: {rung}");
    }

    let master = broadcaster.get("/live/me/master.m3u8").await.unwrap();
    let Ok(m3u8_rs::Playlist::MasterPlaylist(parsed)) = m3u8_rs::parse_playlist_res(master.as_bytes()) else {
        panic!("no master playlist: {master}");
    };
    let heights: Vec<u64> = parsed.variants.iter().filter_map(|v| v.resolution).map(|r| r.height).collect();
    assert_eq!(heights.len(), 3, "240p, 360p and the source: {master}");
    assert!(broadcaster.interrupt().await, "Ctrl-C ends a node well");
    for rung in ["240p", "360p", "source"] {
        let playlist = record.join("me").join(rung).join("index.m3u8");
        let text = std::fs::read_to_string(&playlist).unwrap();
        assert!(text.contains("#EXT-X-ENDLIST") && !text.contains("EXT-X-GAP"), "{text}");
        assert_eq!(pictures(&playlist), 240, "{rung}");
    }
    let mut decoded = ffmpeg(&[
        "-xerror",
        "-i",
        record.join("me/master.m3u8").to_str().unwrap(),
        "-map",
        "0",
        "-f",
        "null",
        "-",
    ]);
    let output = decoded.output().unwrap();
    succeeded("ffmpeg", &output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the decoder has nothing to say");
}

#[tokio::test]
async fn a_node_alone_goes_live_on_its_own_cpu() {
    let world = World::with(0).await;
    let clip = world.clip("clip.mp4", "426x240", 6, 60);
    let node = world.start("node", &["--rtmp", "127.0.0.1:0"]).await;
    node.publish(&clip, "me").await;
    let traces = node.until("three complete segments", async |node| complete(node, "me").await).await;
    let me = node.json("/api/v1/state").await["node"]["key"].clone();
    assert_eq!(traces[0]["renditions"][0]["by"], me);
    assert!(node.interrupt().await);
}

#[tokio::test]
async fn a_pushed_segment_is_answered_with_its_renditions() {
    let world = World::with(1).await;
    let clip = world.clip("clip.ts", "640x360", 2, 60);
    let broadcaster = world.broadcaster(&[]).await;
    let push = reqwest::Client::new()
        .post(broadcaster.http("/live/pushed/0.ts"))
        .header("Accept", "multipart/mixed")
        .header("Content-Duration", "2000")
        .body(std::fs::read(clip).unwrap());
    let reply = push.send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("multipart/mixed"));
    let body = reply.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&body);
    for name in ["240p", "360p"] {
        assert!(text.contains(&format!("video/mp2t; name=\"{name}_0.ts\"")), "{name}");
    }
    assert!(broadcaster.interrupt().await);
}

#[tokio::test]
async fn a_file_is_transcoded_on_this_machine_without_a_mesh() {
    let world = World::with(0).await;
    let (clip, output) = (world.clip("clip.mp4", "640x360", 6, 60), world.path("out"));
    let made = tokio::process::Command::new(LIVEMESH)
        .args(["transcode", "--json", "--log", "warn"])
        .args([&clip, std::path::Path::new("--output"), &output])
        .output()
        .await
        .unwrap();
    succeeded("transcode", &made);
    for rung in ["240p", "360p", "source"] {
        assert_eq!(pictures(&output.join("clip").join(rung).join("index.m3u8")), 180, "{rung}");
    }
}

#[tokio::test]
async fn orchestrators_are_killed_and_nothing_goes_missing() {
    let world = World::with(0).await;
    let clip = world.clip("clip.mp4", "640x360", 20, 60);
    let demo = tokio::process::Command::new(LIVEMESH)
        .args([
            "demo",
            "--port",
            "0",
            "--for",
            "20s",
            "--kill-every",
            "5s",
            "--json",
            "--log",
            "warn",
            "--input",
        ])
        .arg(clip)
        .output()
        .await
        .unwrap();
    let report: Value = serde_json::from_slice(&demo.stdout).unwrap_or_default();
    assert!(demo.status.success(), "{report} {}", String::from_utf8_lossy(&demo.stderr));
    assert_eq!(report["missing"], 0);
    assert!(report["segments_in"].as_u64().unwrap() >= 8);
}
