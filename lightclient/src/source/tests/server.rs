//! A tiny HTTP server on loopback that says what a test wants.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
pub(super) enum Reply {
    /// Status, header lines and body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A body that never ends.
    Endless,
    /// Says that a body of so many bytes comes.
    Huge(u64),
    /// Nothing at all.
    Silence,
}

impl Reply {
    pub(super) fn json(body: &Value) -> Self {
        Self::Whole(200, vec![("content-type", "application/json".into())], body.to_string().into_bytes())
    }

    pub(super) fn status(status: u16) -> Self {
        Self::Whole(status, Vec::new(), b"no".to_vec())
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Path and query.
    pub(super) path: String,
    /// Header lines, in lower case.
    pub(super) head: String,
    pub(super) body: Value,
}

pub(super) struct Server {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) async fn start(handle: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (handle, log) = (Arc::new(handle), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&handle), Arc::clone(&log)));
            }
        });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve<H: Fn(&Request) -> Reply>(
    mut stream: TcpStream,
    handle: Arc<H>,
    log: Arc<Mutex<Vec<Request>>>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let reply = handle(&request);
    log.lock().unwrap().push(request);
    match reply {
        Reply::Whole(status, headers, body) => {
            let mut head =
                format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            head.push_str("\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            while stream.write_all(&[b' '; 65_536]).await.is_ok() {}
        }
        Reply::Huge(bytes) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.read(&mut [0; 1]).await;
        }
        Reply::Silence => {
            let _ = stream.read(&mut [0; 1]).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    let head = head.to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { path, head, body: serde_json::from_slice(&bytes[end..]).unwrap_or_default() })
}
