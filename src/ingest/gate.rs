//! The way from a protocol server to the ingest actor: the operator's webhook first, then the actor's own rules.

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use actors::ingest::{Close, Open, Opened, Refused, Via};
use protocol::StreamId;
use protocol::ladder::LadderPlan;

use super::webhook::{Denied, Webhook};

/// The actor answers at once unless the node is on its knees.
const ASK: Duration = Duration::from_secs(5);

/// Asks for permission to publish. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    open: Recipient<Open>,
    close: Recipient<Close>,
    webhook: Option<Arc<Webhook>>,
}

/// Somebody who wants to publish.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The address as it was asked for, without the key where it is known to be one; for the webhook.
    pub url: String,
    /// The stream's name.
    pub name: String,
    /// The stream key, where one came along.
    pub key: Option<String>,
    /// The protocol.
    pub via: Via,
    /// Who it is, for people.
    pub from: String,
    /// The ladder that came along with the request; the webhook's wins.
    pub ladder: Option<LadderPlan>,
}

impl Visitor {
    /// The operator, with a local file.
    pub(crate) fn file(stream: &StreamId, path: String) -> Self {
        let (url, name) = (format!("file:{path}"), stream.to_string());
        Self { url, name, key: None, via: Via::File, from: path, ladder: None }
    }
}

/// Why a publisher is sent away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Turned {
    /// The name cannot be one.
    #[error(transparent)]
    BadName(#[from] protocol::stream::BadStreamId),
    /// The ingest says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The webhook says no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The ingest does not answer.
    #[error("the node is overloaded or stopping: try again in a few seconds")]
    Unavailable,
}

impl Gate {
    /// A gate to the ingest actor. Without a webhook only the actor's rules count.
    #[must_use]
    pub(crate) fn new(open: Recipient<Open>, close: Recipient<Close>, webhook: Option<Webhook>) -> Self {
        Self { open, close, webhook: webhook.map(Arc::new) }
    }

    /// Asks the webhook, which may rename the stream, then the actor.
    ///
    /// # Errors
    /// [`Turned`] says who refused and why.
    pub(crate) async fn open(&self, visitor: Visitor) -> Result<Opened, Turned> {
        let Visitor { url, mut name, mut key, via, from, mut ladder } = visitor;
        // A local file is the operator's own.
        if let Some(webhook) = self.webhook.as_ref().filter(|_| via != Via::File) {
            let answer = webhook.ask(&url).await?;
            name = answer.manifest_id.unwrap_or(name);
            key = key.or(answer.stream_key);
            ladder = answer.ladder.or(ladder);
            tracing::debug!(
                name,
                stream_id = answer.stream_id,
                session_id = answer.session_id,
                "admitted by the webhook"
            );
        }
        let stream: StreamId = name.parse()?;
        let open = Open { stream, key, via, from, ladder };
        match tokio::time::timeout(ASK, self.open.send(open)).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) | Err(_) => Err(Turned::Unavailable),
        }
    }

    /// Says that the stream is over now. Drop the packets' sender too.
    pub(crate) async fn finish(&self, stream: StreamId, session: u64) {
        let close = Close { stream, session, finish: true };
        if !matches!(tokio::time::timeout(ASK, self.close.send(close)).await, Ok(Ok(()))) {
            tracing::warn!("the ingest does not answer; the stream ends after its grace time");
        }
    }
}

#[cfg(test)]
mod tests {
    use actors::ingest::{Config, Keys};

    use super::*;
    use crate::ingest::testing::{Taken, answering, http};

    fn visitor(key: Option<&str>) -> Visitor {
        let (url, from) = ("rtmp://h/live/me".into(), "somebody".into());
        Visitor { url, name: "me".into(), key: key.map(str::to_owned), via: Via::Rtmp, from, ladder: None }
    }

    #[actix::test]
    async fn the_webhook_renames_gives_a_key_and_sets_the_ladder() {
        let reply = r#"{"manifestID":"you","streamKey":"k","presets":["P144p30fps16x9"]}"#;
        let (hook, asked) = answering(http("200 OK", reply)).await;
        let (taken, keys) = (Taken::new(), Keys::Shared(vec!["k".into()]));
        let (gate, _ingest) = taken.gate(Config { keys, ..Config::default() }, Some(hook));
        let opened = gate.open(visitor(None)).await.unwrap();
        assert_eq!(opened.stream.as_str(), "you");
        assert!(asked.await.unwrap().contains("rtmp://h/live/me"));
        assert_eq!(taken.of("you").ladder.unwrap().profiles()[0].name, "P144p30fps16x9");
    }

    #[actix::test]
    async fn whom_the_webhook_denies_never_becomes_a_stream_but_the_operators_file_is_not_asked_for() {
        let (hook, _asked) = answering(http("401 Unauthorized", "")).await;
        let taken = Taken::new();
        let (gate, _ingest) = taken.gate(Config::default(), Some(hook));
        assert!(matches!(gate.open(visitor(None)).await, Err(Turned::Denied(Denied::Status(401)))));
        assert!(taken.names().is_empty());
        assert!(gate.open(Visitor::file(&"mine".parse().unwrap(), "a.mp4".into())).await.is_ok());
    }
}
