//! The program itself takes streams in: segments pushed over HTTP come back transcoded, a publisher that reconnects goes on.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(60);

struct Node {
    http: String,
    rtmp: String,
    client: reqwest::Client,
    _child: Child,
    dir: TempDir,
}

impl Node {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_livemesh"));
        command.args(["node", "--json", "--allow-unstaked", "--no-mdns", "--data-dir"]).arg(dir.path());
        command.args(["--http", any, "--rtmp", any, "--control", any, "--media", any]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready =
            timeout(SOON, lines.next_line()).await.expect("the node does not start").unwrap().unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let of = |name: &str| ready["ready"][name].as_str().unwrap().to_owned();
        Self { http: of("http"), rtmp: of("rtmp"), client: reqwest::Client::new(), _child: child, dir }
    }

    async fn ffmpeg(&self, args: &str) {
        let input = "-hide_banner -loglevel error -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine";
        let codecs =
            "-pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 60 -keyint_min 60 -sc_threshold 0 -c:a aac";
        let args = format!("{input} {codecs} {args}");
        let ran = Command::new("ffmpeg").args(args.split(' ')).current_dir(self.dir.path()).status();
        assert!(timeout(SOON, ran).await.expect("ffmpeg does not end").unwrap().success());
    }

    async fn push(&self, path: &str, body: Vec<u8>) -> (u16, String) {
        let request =
            self.client.put(format!("http://{}{path}", self.http)).header("Accept", "multipart/mixed");
        let answer = request.timeout(SOON).body(body).send().await.unwrap();
        (answer.status().as_u16(), String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned())
    }

    async fn playlist(&self, path: &str) -> String {
        self.client.get(format!("http://{}{path}", self.http)).send().await.unwrap().text().await.unwrap()
    }
}

#[tokio::test]
async fn pushed_segments_come_back_transcoded_and_bad_ones_harm_nobody() {
    let node = Node::start().await;
    node.ffmpeg("-t 4 -f segment -segment_time 2 -segment_format mpegts %d.ts").await;
    for seq in 0..2 {
        let rubbish = node.push("/live/rubbish/0.ts", vec![0x47; 50_000]).await;
        assert_eq!(rubbish.0, 422, "{}", rubbish.1);
        let segment = std::fs::read(node.dir.path().join(format!("{seq}.ts"))).unwrap();
        let (status, body) = node.push(&format!("/live/me/{seq}.ts"), segment).await;
        assert_eq!(status, 200, "{body}");
        for rung in ["240p", "360p"] {
            assert!(
                body.contains(&format!("Content-Type: video/mp2t; name=\"{rung}_{seq}.ts\"")),
                "{rung} is missing"
            );
        }
    }
    assert!(node.playlist("/live/me/240p/index.m3u8").await.contains("1.m4s"));
}

#[tokio::test]
async fn a_publisher_that_reconnects_goes_on_behind_a_discontinuity() {
    let node = Node::start().await;
    for _ in 0..2 {
        node.ffmpeg(&format!("-t 4 -f flv rtmp://{}/live/me", node.rtmp)).await;
    }
    let whole = async {
        loop {
            let playlist = node.playlist("/live/me/360p/index.m3u8").await;
            if playlist.contains("3.m4s") {
                return playlist;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let playlist = timeout(SOON, whole).await.expect("four segments do not appear");
    let breaks = playlist.lines().filter(|line| *line == "#EXT-X-DISCONTINUITY").count();
    assert_eq!(breaks, 1, "{playlist}");
    assert!(!playlist.contains("EXT-X-ENDLIST") && !playlist.contains("EXT-X-GAP"), "{playlist}");
}
