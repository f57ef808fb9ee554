//! Requests to one HTTP server that is not trusted: bounded in time, bytes and number, redirects off.
//!
//! In flow a path or a body, out flow status, type and at most so many bytes. What they mean is not known here. Addresses may
//! carry keys, so no error and no log shows more than host and port.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use thiserror::Error;
use tokio::time::Instant;
use url::{Host, Url};

use super::Fault;
use super::budget::{Allowance, Budget, BudgetView};

/// Time for a connection and its TLS handshake.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Time for a whole exchange unless somebody says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a failure's body that are quoted.
const QUOTED: usize = 200;
/// Bytes of a failure's body that are read.
const FAILURE_BYTES: usize = 4096;

/// How a server is to be treated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its address, `http` or `https`; may hold a path, a query with a key, and a user.
    pub url: String,
    /// What people call it; host and port when none is given.
    pub name: Option<String>,
    /// How often it may be asked.
    pub allowance: Allowance,
    /// Time for a whole exchange.
    pub timeout: Duration,
    /// What this program calls itself there.
    pub user_agent: String,
}

impl Settings {
    /// A server at this address, treated as an own one when it is on this machine and as a public one otherwise.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let local = Url::parse(&url).is_ok_and(|url| is_loopback(&url));
        Self {
            url,
            name: None,
            allowance: if local { Allowance::OWN } else { Allowance::PUBLIC },
            timeout: ANSWER_WITHIN,
            user_agent: concat!("livemesh/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// An address that cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadEndpoint {
    /// It is no address.
    #[error("{0:?} is no address: {1}; write http://host:port or https://host/path")]
    NoUrl(String, String),
    /// It is of another kind.
    #[error("{0:?} is neither http nor https")]
    Scheme(String),
    /// The system's TLS cannot be used.
    #[error("no HTTPS on this machine: {0}")]
    Tls(String),
}

/// One server.
pub struct Endpoint {
    name: Arc<str>,
    url: Url,
    client: reqwest::Client,
    timeout: Duration,
    budget: Mutex<Budget>,
    start: Instant,
}

/// A whole answer with a status of success.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: bytes::Bytes,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Prepares requests; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadEndpoint`] when the address cannot be used.
    pub fn new(settings: Settings) -> Result<Self, BadEndpoint> {
        let shown: String = settings.url.chars().take(40).collect();
        let url = Url::parse(&settings.url).map_err(|e| BadEndpoint::NoUrl(shown.clone(), e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadEndpoint::Scheme(shown));
        }
        let builder = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(settings.timeout);
        // A proxy of the environment is for the way out, not for this machine.
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|e| BadEndpoint::Tls(e.to_string()))?;
        Ok(Self {
            name: settings.name.unwrap_or_else(|| host_of(&url)).into(),
            url,
            client,
            timeout: settings.timeout,
            budget: Mutex::new(Budget::new(settings.allowance)),
            start: Instant::now(),
        })
    }

    /// What people call it.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What was sent and what may still be.
    #[must_use]
    pub fn budget(&self) -> BudgetView {
        self.counted().view(self.now_ms())
    }

    /// Gets what is at `path` below the address, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Fault`] when there is no answer of success.
    pub async fn get(&self, path: &str, query: &str, accept: &str, limit: usize) -> Result<Reply, Fault> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        if !query.is_empty() {
            let own = self.url.query().map(|own| format!("{own}&")).unwrap_or_default();
            url.set_query(Some(&format!("{own}{query}")));
        }
        self.send(self.client.get(url).header(ACCEPT, accept), limit).await
    }

    /// Posts JSON to the address and reads an answer of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Fault`] when there is no answer of success.
    pub async fn post(&self, json: Vec<u8>, limit: usize) -> Result<Reply, Fault> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(json);
        self.send(request, limit).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, limit: usize) -> Result<Reply, Fault> {
        self.counted().take(self.now_ms()).map_err(later)?;
        let response = request.send().await.map_err(|e| self.fault(&e))?;
        let status = response.status();
        let headers = response.headers().clone();
        if status.is_success() {
            let body = self.read(response, limit).await?;
            self.counted().answered(body.len() as u64);
            return Ok(Reply { headers, body });
        }
        if matches!(status.as_u16(), 429 | 503) {
            let pause = self.counted().refused(self.now_ms(), retry_after_ms(&headers), rand::random());
            return Err(later(pause));
        }
        let said = quoted(&self.read(response, FAILURE_BYTES).await.unwrap_or_default());
        match status.as_u16() {
            404 | 410 => Err(Fault::NotHere(said)),
            status => Err(Fault::Http { status, said }),
        }
    }

    async fn read(&self, mut response: reqwest::Response, limit: usize) -> Result<bytes::Bytes, Fault> {
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(Fault::TooLarge { limit });
        }
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|e| self.fault(&e))? {
            if body.len() + part.len() > limit {
                return Err(Fault::TooLarge { limit });
            }
            body.extend_from_slice(&part);
        }
        Ok(body.freeze())
    }

    fn fault(&self, error: &reqwest::Error) -> Fault {
        if error.is_timeout() {
            return Fault::Timeout { after: self.timeout };
        }
        let mut why: &dyn std::error::Error = error;
        // The outermost words are the address, the innermost what the system said.
        while let Some(cause) = why.source() {
            why = cause;
        }
        let why =
            if std::ptr::addr_eq(why, error) { "the exchange broke off".to_owned() } else { why.to_string() };
        Fault::Unreachable(why)
    }

    fn counted(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

const fn later(ms: u64) -> Fault {
    Fault::RateLimited { retry_after: Duration::from_millis(ms) }
}

/// `Retry-After` in seconds (RFC 9110 10.2.3); a date is answered with a pause of our own.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1000))
}

/// The start of what a server said, fit for a log line.
pub(super) fn quoted(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTED)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
