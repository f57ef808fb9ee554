//! `PUT` and `POST /live/NAME/SEQ.ts` and `.mp4`: Livepeer's push ingest in HTTP terms.

#[cfg(test)]
mod tests;

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use actors::ingest::{Refused, Via};
use futures::StreamExt;
use tokio::time::{timeout, timeout_at};

use super::{Site, refuse};
use crate::ingest::gate::{Turned, Visitor};
use crate::ingest::push::{Container, MAX_BODY, Part, PushError, Segment, Unusable};
use crate::ingest::webhook::{BadConfiguration, Configuration};

/// Longest pause in a body.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest time for a body: 32 MiB at 10 Mbit/s take 27 s.
const WHOLE: Duration = Duration::from_secs(30);
/// Longest that a segment may say it is, milliseconds.
const MAX_DURATION_MS: u64 = protocol::Segment::MAX_DURATION.as_millis() as u64;

/// Why a push is refused before it reaches the stream.
#[derive(Debug, thiserror::Error)]
enum BadPush {
    #[error("this node takes no streams: push to one with the role broadcaster")]
    NoIngest,
    #[error("{0:?} is not a segment: push to /live/NAME/SEQ.ts or .mp4")]
    Path(String),
    #[error("the header {0} cannot be read: {1}")]
    Header(&'static str, &'static str),
    #[error("the header Livepeer-Transcode-Configuration cannot be used: {0}")]
    Configuration(#[from] BadConfiguration),
    #[error("a web page cannot push segments: use a program that sends no Origin header")]
    WebPage,
    #[error("the segment is empty")]
    Empty,
    #[error("the segment exceeds {MAX_BODY} bytes: push shorter segments")]
    TooLarge,
    #[error("the segment came too slowly: at least every {PAUSE:?} something, and all within {WHOLE:?}")]
    TooSlow,
    #[error("the segment broke off: {0}")]
    Broken(String),
    #[error(transparent)]
    Push(#[from] PushError),
}

pub(crate) async fn receive(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: Payload,
    site: web::Data<Site>,
) -> HttpResponse {
    let (name, file) = path.into_inner();
    match push(&request, name, &file, body, &site).await {
        Ok(response) => response,
        Err(why) => {
            tracing::info!(path = request.path(), "pushed segment refused: {why}");
            refuse(HttpResponseBuilder::new(status(&why)), why)
        }
    }
}

async fn push(
    request: &HttpRequest,
    name: String,
    file: &str,
    body: Payload,
    site: &Site,
) -> Result<HttpResponse, BadPush> {
    // Any page that the operator has open could otherwise publish on this node by a POST that needs no permission.
    if request.headers().contains_key(header::ORIGIN) {
        return Err(BadPush::WebPage);
    }
    let push = site.push.as_ref().ok_or(BadPush::NoIngest)?;
    let (seq, container) =
        segment_name(file).ok_or_else(|| BadPush::Path(file.chars().take(64).collect()))?;
    check_headers(request)?;
    let visitor = visitor(request, name)?;
    let _place = push.place()?;
    let bytes = read(request, body).await?;
    let segment = push.publish(Segment { visitor, container, bytes }).await?;
    if !wants_parts(request) {
        return Ok(HttpResponse::Ok().finish());
    }
    Ok(multipart(&push.parts(&segment, container).await?, seq, container))
}

/// `7.ts`; a name that is not a number counts as 0, as Livepeer has it.
fn segment_name(file: &str) -> Option<(u64, Container)> {
    let (stem, extension) = file.rsplit_once('.')?;
    if stem.is_empty() || stem.contains('/') {
        return None;
    }
    Some((stem.parse().unwrap_or(0), Container::of(extension)?))
}

/// The sizes and times that Livepeer's clients send are checked; the segment's own are used.
fn check_headers(request: &HttpRequest) -> Result<(), BadPush> {
    if let Some(size) = text(request, "Content-Resolution")? {
        let sides = size.split_once('x').map(|(w, h)| (w.parse::<u32>(), h.parse::<u32>()));
        let Some((Ok(1..=16_384), Ok(1..=16_384))) = sides else {
            return Err(BadPush::Header("Content-Resolution", "write it as 1280x720"));
        };
    }
    if let Some(duration) = text(request, "Content-Duration")? {
        let Ok(1..=MAX_DURATION_MS) = duration.parse::<u64>() else {
            return Err(BadPush::Header("Content-Duration", "write it in milliseconds, 1 to 30000"));
        };
    }
    for part in ["Content-Slice-From", "Content-Slice-To"] {
        if text(request, part)?.is_some() {
            return Err(BadPush::Header(part, "segments are transcoded whole here; cut before you push"));
        }
    }
    Ok(())
}

fn visitor(request: &HttpRequest, mut name: String) -> Result<Visitor, BadPush> {
    let mut ladder = None;
    if let Some(json) = text(request, "Livepeer-Transcode-Configuration")? {
        let configuration = Configuration::parse(json.as_bytes(), false)?;
        name = configuration.manifest_id.unwrap_or(name);
        ladder = configuration.ladder;
    }
    let bearer = text(request, "Authorization")?.and_then(|value| value.strip_prefix("Bearer "));
    let query = || {
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        pairs.into_iter().find(|(name, _)| name == "key").map(|(_, key)| key.into_owned())
    };
    let connection = request.connection_info();
    Ok(Visitor {
        url: format!("{}://{}{}", connection.scheme(), connection.host(), request.path()),
        name,
        key: bearer.map(str::to_owned).or_else(query),
        via: Via::Push,
        from: request.peer_addr().map(|peer| peer.to_string()).unwrap_or_default(),
        ladder,
    })
}

fn text<'a>(request: &'a HttpRequest, name: &'static str) -> Result<Option<&'a str>, BadPush> {
    let value = request.headers().get(name).map(header::HeaderValue::to_str).transpose();
    value.map_err(|_| BadPush::Header(name, "use plain text"))
}

fn wants_parts(request: &HttpRequest) -> bool {
    let accept = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accept.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("multipart/mixed"))
}

/// Reads the body, bounded in size and time; nothing is reserved on a claim.
async fn read(request: &HttpRequest, mut body: Payload) -> Result<Bytes, BadPush> {
    let claimed =
        request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<usize>().ok());
    if claimed.is_some_and(|n| n > MAX_BODY) {
        return Err(BadPush::TooLarge);
    }
    let (mut bytes, end) = (BytesMut::new(), tokio::time::Instant::now() + WHOLE);
    loop {
        let part = timeout_at(end, timeout(PAUSE, body.next())).await;
        match part.map_err(|_| BadPush::TooSlow)?.map_err(|_| BadPush::TooSlow)? {
            Some(Ok(part)) if bytes.len() + part.len() > MAX_BODY => return Err(BadPush::TooLarge),
            Some(Ok(part)) => bytes.extend_from_slice(&part),
            Some(Err(e)) => return Err(BadPush::Broken(e.to_string())),
            None if bytes.is_empty() => return Err(BadPush::Empty),
            None => return Ok(bytes.freeze()),
        }
    }
}

fn status(why: &BadPush) -> StatusCode {
    match why {
        BadPush::Path(_)
        | BadPush::Header(..)
        | BadPush::Configuration(_)
        | BadPush::Empty
        | BadPush::Broken(_) => StatusCode::BAD_REQUEST,
        BadPush::WebPage => StatusCode::FORBIDDEN,
        BadPush::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BadPush::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BadPush::NoIngest => StatusCode::SERVICE_UNAVAILABLE,
        BadPush::Push(why) => match why {
            PushError::Turned(turned) => turned_status(turned),
            PushError::NoVideo | PushError::Unusable(Unusable::Input(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            PushError::Unusable(Unusable::Worker(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            PushError::Busy | PushError::Ended | PushError::NoSessions => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

fn turned_status(turned: &Turned) -> StatusCode {
    match turned {
        Turned::BadName(_) => StatusCode::BAD_REQUEST,
        Turned::Denied(_) => StatusCode::FORBIDDEN,
        Turned::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Turned::Refused(refused) => match refused {
            Refused::Occupied { .. } | Refused::KeyRequired(_) | Refused::BadKey(_) => StatusCode::FORBIDDEN,
            Refused::Full { .. } | Refused::Finishing(_) | Refused::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        },
    }
}

/// One part a rendition, as Livepeer's gateways write them.
fn multipart(parts: &[Part], seq: u64, container: Container) -> HttpResponse {
    let boundary = format!("{:032x}", rand::random::<u128>());
    let mut body = BytesMut::new();
    for Part { name, bytes } in parts {
        let (file, mime) = (format!("{name}_{seq}.{}", container.extension()), container.mime());
        let head = format!(
            "--{boundary}\r\nContent-Disposition: attachment; filename=\"{file}\"\r\nContent-Length: {}\r\n\
             Content-Type: {mime}; name=\"{file}\"\r\nRendition-Name: {name}\r\n\r\n",
            bytes.len()
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    HttpResponse::Ok().content_type(format!("multipart/mixed; boundary={boundary}")).body(body.freeze())
}
