//! Strangers at the RTMP port: each hears why it is sent away, or, before hands are shaken, is cut off.

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use crate::world::Node;
use crate::{SOON, noise};

/// How a stranger begins.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Rude,
    Greets,
    Connects,
    Publishes(&'static str),
}

pub(crate) async fn attack(node: &Node) {
    let at = node.ready["rtmp"].as_str().unwrap();
    use Manner::*;
    let told = [
        (Rude, noise(1, 5000), ""),
        (Rude, b"GET / HTTP/1.1\r\nHost: me\r\n\r\n".to_vec(), ""),
        (Rude, vec![3; 700], ""),
        (Rude, vec![], ""),
        (Greets, [vec![0x40 | 7], noise(2, 4000)].concat(), "begins without a header"),
        (Greets, command("connect", &[3, 0, 1, b'a'].repeat(2000)), "nested more than"),
        (Greets, command("connect", &[10, 0xFF, 0xFF, 0xFF, 0xFF]), "cut short"),
        (Greets, message(20, &noise(3, 15_000)), "a command"),
        (Connects, vec![], "no publish command within"),
        (Connects, vec![4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0], "exceeds the limit"),
        (Connects, message(18, &[0; 8000]).repeat(20), "before the publish command"),
        (Connects, command("play", &[&[5][..], &text("me")].concat()), "playing over RTMP is not supported"),
        (Connects, publish("..%2f.."), "cannot name a stream"),
        (Connects, publish("me"), "is being published already"),
        (
            Publishes("hevc"),
            message(9, &[&[0x90][..], b"hvc1", &[0; 30]].concat()),
            "set the encoder to H.264",
        ),
        (Publishes("old"), message(9, &[0x12, 0, 0, 0, 0]), "set the encoder to H.264"),
        (
            Publishes("rubbish"),
            message(9, &[0x27, 1, 0, 0, 0, 0xFF, 0xFF]).repeat(100),
            "unusable messages in a row",
        ),
    ];
    let strangers = told.iter().map(|(manner, bytes, why)| stranger(at, *manner, bytes, why));
    tokio::join!(join_all(strangers), drips(at));
}

async fn stranger(at: &str, manner: Manner, bytes: &[u8], why: &str) {
    let mut socket = TcpStream::connect(at).await.unwrap();
    if manner != Manner::Rude {
        socket.write_all(&[&[3][..], &[0; 2 * 1536]].concat()).await.unwrap();
        socket.read_exact(&mut [0; 1 + 2 * 1536]).await.unwrap();
    }
    if matches!(manner, Manner::Connects | Manner::Publishes(_)) {
        let connect = command("connect", &[&[3, 0, 3][..], b"app", &text("live"), &[0, 0, 9]].concat());
        socket.write_all(&[connect, command("createStream", &[5])].concat()).await.unwrap();
    }
    if let Manner::Publishes(name) = manner {
        socket.write_all(&publish(name)).await.unwrap();
    }
    // The node may have heard enough before everything is sent.
    let _ = socket.write_all(bytes).await;
    let said = hears(socket).await;
    assert!(said.contains(why), "{said:?} does not say {why:?}");
    assert!(manner != Manner::Rude || said.len() <= 2 * 1537, "nothing is told to who does not speak RTMP");
}

/// One byte after the other is not enough to keep a connection.
async fn drips(at: &str) {
    let (mut from, mut to) = TcpStream::connect(at).await.unwrap().into_split();
    let drip = async {
        while to.write_all(&[3]).await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    let mut said = Vec::new();
    let heard = timeout(SOON, from.read_to_end(&mut said));
    tokio::select! {
        heard = heard => drop(heard.expect("cut off")),
        () = drip => {}
    }
}

/// Everything that the node says until it closes; a reset is an end too.
async fn hears(mut socket: TcpStream) -> String {
    let mut said = vec![];
    let _ = timeout(SOON, socket.read_to_end(&mut said)).await.expect("the node keeps the connection");
    String::from_utf8_lossy(&said).into_owned()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    for (i, part) in body.chunks(128).enumerate() {
        match i {
            0 => {
                bytes.extend([3, 0, 0, 0]);
                bytes.extend(&(body.len() as u32).to_be_bytes()[1..]);
                bytes.extend([kind, 1, 0, 0, 0]);
            }
            _ => bytes.push(0xC3),
        }
        bytes.extend(part);
    }
    bytes
}

fn command(name: &str, rest: &[u8]) -> Vec<u8> {
    message(20, &[&text(name)[..], &[0], &1.0_f64.to_be_bytes(), rest].concat())
}

fn publish(name: &str) -> Vec<u8> {
    command("publish", &[&[5][..], &text(name), &text("live")].concat())
}

fn text(s: &str) -> Vec<u8> {
    [&[2][..], &(s.len() as u16).to_be_bytes(), s.as_bytes()].concat()
}
