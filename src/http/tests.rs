//! The server on loopback, asked by an HTTP client and by strangers.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::dispatcher::trace::{SegmentTrace, TraceOutcome};
use actors::publisher::Library;
use protocol::StreamId;
use reqwest::{Client, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::state::{MeshNode, State};
use super::{NodeView, Site, events, serve};

const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct View {
    state: Mutex<State>,
    traces: broadcast::Sender<Arc<SegmentTrace>>,
}

impl NodeView for View {
    fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }
    fn traces(&self, stream: &StreamId) -> Vec<SegmentTrace> {
        if stream.as_str() == "me" { vec![trace(7)] } else { vec![] }
    }
    fn subscribe_traces(&self) -> broadcast::Receiver<Arc<SegmentTrace>> {
        self.traces.subscribe()
    }
    fn metrics(&self) -> String {
        "# EOF\n".into()
    }
    fn ready(&self) -> Result<(), String> {
        Err("no orchestrator is known yet".into())
    }
}

fn trace(seq: u64) -> SegmentTrace {
    SegmentTrace {
        stream: "me".parse().unwrap(),
        seq,
        cut_unix_ms: 1,
        duration_ms: 2000,
        bytes: 10,
        asks: vec![],
        renditions: vec![],
        latency_ms: Some(5),
        outcome: Some(TraceOutcome::Complete),
    }
}

struct World {
    address: SocketAddr,
    view: Arc<View>,
    client: Client,
}

impl World {
    fn new() -> Self {
        let view = Arc::new(View { state: Mutex::default(), traces: broadcast::channel(16).0 });
        let site = Site { library: Library::new(), view: view.clone(), push: None };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (server, address) = serve(listener, site).unwrap();
        actix_rt::spawn(server);
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, view, client }
    }

    async fn ask(&self, method: Method, path: &str) -> reqwest::Response {
        let request = self.client.request(method, format!("http://{}{path}", self.address)).timeout(SOON);
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.ask(Method::GET, path).await
    }
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[actix::test]
async fn every_endpoint_of_the_description_answers() {
    let world = World::new();
    let document: serde_json::Value = world.get("/api/v1/openapi.json").await.json().await.unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        let path = path.replace("{stream}", "me").replace("{path}", "master.m3u8");
        let answer = world.get(&path).await;
        let expected = match path.as_str() {
            // There is no such stream, and this node follows no chain and keeps no ledger.
            "/live/me/master.m3u8" | "/api/v1/chain" | "/api/v1/payments" => StatusCode::NOT_FOUND,
            "/stream/me.m3u8" => StatusCode::TEMPORARY_REDIRECT,
            "/readyz" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        assert_eq!(answer.status(), expected, "{path}");
    }
}

#[actix::test]
async fn the_state_has_the_names_that_were_agreed() {
    let world = World::new();
    world.view.state.lock().unwrap().mesh.nodes.push(MeshNode { is_self: true, ..MeshNode::default() });
    let state: serde_json::Value = world.get("/api/v1/state").await.json().await.unwrap();
    let of =
        |path: &str| state.pointer(path).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(of(""), ["mesh", "node", "streams"]);
    assert_eq!(of("/node"), ["key", "name", "peer_id", "roles", "uptime_s", "version"]);
    let node = [
        "avoided_for_ms",
        "backend",
        "capacity",
        "key",
        "load",
        "name",
        "peer_id",
        "price",
        "roles",
        "rtt_ms",
        "score",
        "self",
        "stake",
        "unpaid",
    ];
    assert_eq!(of("/mesh/nodes/0"), node);
    let back: State = serde_json::from_value(state).unwrap();
    assert_eq!(back, *world.view.state.lock().unwrap());
}

#[actix::test]
async fn any_page_may_play_and_none_may_ask_more() {
    let world = World::new();
    let preflight = world.ask(Method::OPTIONS, "/live/me/master.m3u8").await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&preflight, "access-control-allow-origin"), "*");
    assert_eq!(header(&preflight, "access-control-allow-methods"), "GET, HEAD, OPTIONS");
    let missing = world.get("/live/me/master.m3u8").await;
    assert_eq!(
        (missing.status(), header(&missing, "access-control-allow-origin")),
        (StatusCode::NOT_FOUND, "*")
    );
    assert_eq!(header(&missing, "cache-control"), "no-store");
    assert_eq!(header(&world.get("/api/v1/state").await, "access-control-allow-origin"), "");
    let moved = world.get("/stream/me.m3u8").await;
    assert_eq!(header(&moved, "location"), "/live/me/master.m3u8");
    let moved = world.get("/stream/me/240p.m3u8").await;
    assert_eq!(header(&moved, "location"), "/live/me/240p/index.m3u8");
    assert_eq!(world.get("/stream/me/%0d%0aX.m3u8").await.status(), StatusCode::NOT_FOUND);
    let deleted = world.ask(Method::DELETE, "/live/me/0.ts").await;
    assert_eq!(deleted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(header(&deleted, "allow").contains("PUT"));
}

#[actix::test]
async fn the_page_is_there_and_nothing_outside_it() {
    let world = World::new();
    let page = world.get("/").await;
    assert_eq!((page.status(), header(&page, "content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.text().await.unwrap().contains("livemesh"));
    for path in
        ["/Cargo.toml", "/..%2fCargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd", "/assets/../../Cargo.toml"]
    {
        assert_eq!(world.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix::test]
async fn explain_is_an_answer_or_a_reason() {
    let world = World::new();
    let traces: Vec<SegmentTrace> = world.get("/api/v1/streams/me/explain").await.json().await.unwrap();
    assert_eq!(traces, [trace(7)]);
    assert_eq!(world.get("/api/v1/streams/you/explain").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.get("/api/v1/streams/..a/explain").await.status(), StatusCode::BAD_REQUEST);
}

#[actix::test]
async fn events_bring_the_state_at_once_and_each_segment() {
    let world = World::new();
    let mut events = world.get("/api/v1/events").await;
    assert_eq!(header(&events, "content-type"), "text/event-stream");
    let mut said = String::new();
    let mut hear = async |wanted: &str| {
        while !said.contains(wanted) {
            let part = timeout(SOON, events.chunk()).await.expect("no event").unwrap().expect("the end");
            said.push_str(std::str::from_utf8(&part).unwrap());
        }
        std::mem::take(&mut said)
    };
    hear("event: state\ndata: {\"node\"").await;
    world.view.traces.send(Arc::new(trace(9))).unwrap();
    let heard = hear("event: segment").await;
    assert!(heard.contains("\"seq\":9") || hear("\n\n").await.contains("\"seq\":9"));
    world.view.state.lock().unwrap().mesh.nodes.push(MeshNode { key: "new".into(), ..MeshNode::default() });
    hear("\"key\":\"new\"").await;
}

#[actix::test]
async fn followers_are_bounded_and_places_come_back() {
    let world = World::new();
    let mut pages = vec![];
    for _ in 0..events::FOLLOWERS {
        let page = world.get("/api/v1/events").await;
        assert_eq!(page.status(), StatusCode::OK);
        pages.push(page);
    }
    assert_eq!(world.get("/api/v1/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    pages.clear();
    let again = async { while world.get("/api/v1/events").await.status() != StatusCode::OK {} };
    timeout(SOON, again).await.expect("no place comes back");
}

#[actix::test]
async fn a_node_without_ingest_says_so() {
    let world = World::new();
    let refused = world.ask(Method::PUT, "/live/me/0.ts").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.text().await.unwrap().contains("takes no streams"));
}

#[actix::test]
async fn strangers_get_an_error_or_the_end_and_others_are_served() {
    let world = World::new();
    let huge = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(300_000));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5000));
    let rubbish: &[&[u8]] =
        &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\0\0\0\0\r\n\r\n", huge.as_bytes(), headers.as_bytes()];
    for bytes in rubbish {
        let mut stranger = TcpStream::connect(world.address).await.unwrap();
        // The server may close before it has read everything.
        let _ = stranger.write_all(bytes).await;
        let mut said = vec![];
        let _ =
            timeout(SOON, stranger.read_to_end(&mut said)).await.expect("the server keeps the connection");
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
        assert_eq!(world.get("/healthz").await.status(), StatusCode::OK);
    }
}
