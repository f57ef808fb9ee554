//! Strangers at the HTTP port, who push what is no segment: each gets the status and the words that say so.

use std::path::Path;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use crate::world::{Node, World, ffmpeg, succeeded};
use crate::{SOON, noise};

/// A path, a header and its value, a body; the status and the words that must come back.
type Told = (&'static str, &'static str, &'static str, Vec<u8>, u16, &'static str);

pub(crate) async fn attack(node: &Node, world: &World) {
    let good = make(world, "good.ts", "-c:v libx264 -preset ultrafast -g 30 -c:a aac");
    let old = make(world, "old.ts", "-c:v mpeg2video -c:a aac");
    let deaf = make(world, "deaf.ts", "-vn -c:a aac");
    let mp4 = make(world, "good.mp4", "-c:v libx264 -preset ultrafast -c:a aac");
    let twisted: Vec<u8> =
        good.iter().zip(noise(9, good.len())).map(|(a, b)| a ^ if b < 64 { b } else { 0 }).collect();
    let told: [Told; 12] = [
        ("/live/noise/0.ts", "", "", noise(5, 200_000), 422, "cannot be transcoded"),
        ("/live/sync/0.ts", "", "", [0x47; 188].repeat(300), 422, "cannot be transcoded"),
        ("/live/cut/0.ts", "", "", good[..3000].to_vec(), 422, "whole"),
        ("/live/half/0.mp4", "", "", mp4[..mp4.len() / 2].to_vec(), 422, "cannot be transcoded"),
        ("/live/old/0.ts", "", "", old, 422, "publish H.264"),
        ("/live/deaf/0.ts", "", "", deaf, 422, "H.264"),
        ("/live/empty/0.ts", "", "", vec![], 400, "empty"),
        ("/live/name/0.exe", "", "", good.clone(), 400, "push to /live/NAME/SEQ.ts"),
        ("/live/me/0.ts", "", "", good.clone(), 403, "is being published already"),
        ("/live/size/0.ts", "Content-Resolution", "0x99999999", good.clone(), 400, "Content-Resolution"),
        (
            "/live/json/0.ts",
            "Livepeer-Transcode-Configuration",
            "{\"profiles\":[{}]}",
            good.clone(),
            400,
            "Configuration",
        ),
        ("/live/page/0.ts", "Origin", "http://evil.example", good.clone(), 403, "web page"),
    ];
    let client = reqwest::Client::new();
    let pushes = told.into_iter().map(async |(path, header, value, body, status, why)| {
        let mut request =
            client.post(node.http(path)).header("Accept", "multipart/mixed").body(body).timeout(SOON);
        if !header.is_empty() {
            request = request.header(header, value);
        }
        let reply = request.send().await.unwrap_or_else(|e| panic!("{path}: {e}"));
        let (found, said) = (reply.status().as_u16(), reply.text().await.unwrap());
        assert!(found == status && said.contains(why), "{path}: {found} {said}, not {status} {why}");
    });
    // What is damaged on the way may hold pictures: any answer, but an answer.
    let damaged = async {
        let request =
            client.post(node.http("/live/twisted/0.ts")).body(twisted).timeout(SOON).send().await.unwrap();
        assert!([200, 422, 503].contains(&request.status().as_u16()), "{}", request.status());
    };
    let raw = |head: &'static str, drip, status| raw(node, head, drip, status);
    tokio::join!(
        join_all(pushes),
        damaged,
        raw("POST /live/huge/0.ts HTTP/1.1\r\nHost: me\r\nContent-Length: 99999999999\r\n\r\n", false, "413"),
        raw("POST /live/slow/0.ts HTTP/1.1\r\nHost: me\r\nContent-Length: 99999\r\n\r\nG", false, "408"),
        raw("POST /live/drip/0.ts HTTP/1.1\r\nHost: me\r\nContent-Length: 99999\r\n\r\n", true, "408"),
        raw("\x16\x03\x01 this is no HTTP\r\n\r\n", false, "400"),
        endless(node),
    );
}

/// A segment of a second.
fn make(world: &World, name: &str, codecs: &str) -> Vec<u8> {
    let path = world.path(name);
    let input = "-f lavfi -i testsrc2=s=320x240:r=30:d=1 -f lavfi -i sine=d=1";
    let args: Vec<_> = input.split(' ').chain(["-pix_fmt", "yuv420p"]).chain(codecs.split(' ')).collect();
    let said = ffmpeg(&args).arg(Path::new(&path)).output().unwrap();
    succeeded("ffmpeg", &said);
    std::fs::read(path).unwrap()
}

/// Bytes as they are, then nothing or a byte now and then: the node answers with `status` and closes, or only closes.
async fn raw(node: &Node, head: &str, drip: bool, status: &str) {
    let (mut from, mut to) =
        TcpStream::connect(node.ready["http"].as_str().unwrap()).await.unwrap().into_split();
    to.write_all(head.as_bytes()).await.unwrap();
    let drips = async {
        while drip && to.write_all(b"G").await.is_ok() {
            sleep(Duration::from_millis(300)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let answer = async {
        while !said.windows(4).any(|w| w == b"\r\n\r\n")
            && from.read_buf(&mut said).await.is_ok_and(|n| n > 0)
        {}
    };
    tokio::select! {
        () = drips => {}
        answered = timeout(SOON, answer) => answered.unwrap_or_else(|_| panic!("no answer to {head:?}")),
    }
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {said:?}");
}

/// More than a segment may have, of which nothing is announced.
async fn endless(node: &Node) {
    let address = node.ready["http"].as_str().unwrap();
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    to.write_all(b"POST /live/endless/0.ts HTTP/1.1\r\nHost: me\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let pour = async {
        let chunk = [&b"10000\r\n"[..], &[0x47; 65_536], b"\r\n"].concat();
        while to.write_all(&chunk).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        () = pour => {}
        read = timeout(SOON, from.read_buf(&mut said)) => drop(read.expect("an answer or an end")),
    }
    let said = String::from_utf8_lossy(&said);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 413"), "{said:?}");
}
