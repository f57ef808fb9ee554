//! Livepeer's auth webhook: `POST {"url": ".."}`; an empty 200 allows, a 200 with JSON allows and configures, all else
//! denies.

use std::time::Duration;

use protocol::ladder::{BadLadder, LadderPlan, Profile};
use serde::Deserialize;

use super::presets;

/// Longest wait for an answer; the publisher waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest answer, bytes; one with twelve profiles has three thousand.
const MAX_ANSWER: usize = 64 * 1024;

/// The operator's webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    url: url::Url,
    client: reqwest::Client,
}

/// What the webhook, or a `Livepeer-Transcode-Configuration` header, says of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// The name under which the stream goes on.
    pub manifest_id: Option<String>,
    /// The operator's name for it, for logs.
    pub stream_id: Option<String>,
    /// The operator's name for this connection, for logs.
    pub session_id: Option<String>,
    /// The key to use where the publisher gave none.
    pub stream_key: Option<String>,
    /// The ladder of this stream.
    pub ladder: Option<LadderPlan>,
}

/// Why the webhook lets nobody in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// It said so.
    #[error("the auth webhook answered {0}: this publisher is not allowed")]
    Status(u16),
    /// It did not answer.
    #[error("the auth webhook cannot be asked ({0}): check its address")]
    Unreachable(String),
    /// It answered nonsense.
    #[error("the auth webhook's answer cannot be used: {0}")]
    Answer(#[from] BadConfiguration),
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadConfiguration {
    /// Too large.
    #[error("it exceeds {MAX_ANSWER} bytes")]
    TooLarge,
    /// Not JSON of the expected form.
    #[error("it is not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No name.
    #[error("manifestID is missing")]
    NoManifest,
    /// No such preset.
    #[error("there is no preset {0:?}: use one of {known}", known = presets::names())]
    Preset(String),
    /// A profile that cannot be made.
    #[error(transparent)]
    Ladder(#[from] BadLadder),
}

/// The JSON as Livepeer's gateways read it. Fields that livemesh has no use for are accepted and ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Wire {
    #[serde(rename = "manifestID")]
    manifest_id: String,
    #[serde(rename = "streamID")]
    stream_id: String,
    #[serde(rename = "sessionID")]
    session_id: String,
    stream_key: String,
    presets: Vec<String>,
    profiles: Vec<Profile>,
}

impl Configuration {
    /// Reads the JSON; a webhook's has to name the stream, a header's need not.
    ///
    /// # Errors
    /// [`BadConfiguration`] says which part cannot be used.
    pub(crate) fn parse(json: &[u8], must_name: bool) -> Result<Self, BadConfiguration> {
        if json.len() > MAX_ANSWER {
            return Err(BadConfiguration::TooLarge);
        }
        let wire: Wire = serde_json::from_slice(json)?;
        if must_name && wire.manifest_id.is_empty() {
            return Err(BadConfiguration::NoManifest);
        }
        let mut rungs = Vec::new();
        for name in &wire.presets {
            rungs.push(presets::profile(name).ok_or_else(|| BadConfiguration::Preset(name.clone()))?);
        }
        rungs.extend(wire.profiles);
        let some = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            manifest_id: some(wire.manifest_id),
            stream_id: some(wire.stream_id),
            session_id: some(wire.session_id),
            stream_key: some(wire.stream_key),
            ladder: if rungs.is_empty() { None } else { Some(LadderPlan::new(rungs)?) },
        })
    }
}

impl Webhook {
    /// A webhook at `url`.
    ///
    /// # Errors
    /// [`Denied::Unreachable`] when no HTTP client can be made, for want of certificates for example.
    pub(crate) fn new(url: url::Url) -> Result<Self, Denied> {
        let client =
            reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { url, client: client.map_err(unreachable)? })
    }

    /// Asks whether `request`, a publisher's address, is allowed.
    ///
    /// # Errors
    /// [`Denied`] unless it is.
    pub(crate) async fn ask(&self, request: &str) -> Result<Configuration, Denied> {
        let body = serde_json::json!({ "url": request });
        let mut answer = self.client.post(self.url.clone()).json(&body).send().await.map_err(unreachable)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(Denied::Status(answer.status().as_u16()));
        }
        let mut json = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unreachable)? {
            if json.len() + part.len() > MAX_ANSWER {
                return Err(BadConfiguration::TooLarge.into());
            }
            json.extend_from_slice(&part);
        }
        if json.is_empty() {
            return Ok(Configuration::default());
        }
        Ok(Configuration::parse(&json, true)?)
    }
}

/// The error without the webhook's address, which may hold a secret.
fn unreachable(e: reqwest::Error) -> Denied {
    let e = e.without_url();
    let source = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
    Denied::Unreachable(format!("{e}{source}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::testing::{answering, http};

    #[tokio::test]
    async fn an_empty_answer_allows_and_a_full_one_configures() {
        let (hook, asked) = answering(http("200 OK", "")).await;
        assert_eq!(hook.ask("rtmp://h/live/me").await.unwrap(), Configuration::default());
        assert!(asked.await.unwrap().ends_with(r#"{"url":"rtmp://h/live/me"}"#));
        let json = r#"{"manifestID":"you","streamID":"s","sessionID":"x","streamKey":"k","presets":["P240p30fps16x9"],
            "profiles":[{"name":"p","width":640,"height":360,"bitrate":500000,"fps":30,"profile":"H264High","gop":"2"}],
            "objectStore":"s3://x","recordObjectStore":"","verificationFreq":3,"previousSessions":["a"]}"#;
        let (hook, _) = answering(http("200 OK", json)).await;
        let configuration = hook.ask("rtmp://h/live/me").await.unwrap();
        assert_eq!(configuration.manifest_id.as_deref(), Some("you"));
        let ladder = configuration.ladder.unwrap();
        let names: Vec<_> = ladder.profiles().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["P240p30fps16x9", "p"]);
    }

    #[tokio::test]
    async fn any_other_answer_denies_and_says_which() {
        let (hook, _) = answering(http("403 Forbidden", "no")).await;
        assert!(matches!(hook.ask("u").await, Err(Denied::Status(403))));
        let (hook, _) = answering(http("200 OK", "maybe")).await;
        assert!(matches!(hook.ask("u").await, Err(Denied::Answer(BadConfiguration::Json(_)))));
        let (hook, _) = answering(http("200 OK", r#"{"streamID":"x"}"#)).await;
        assert!(matches!(hook.ask("u").await, Err(Denied::Answer(BadConfiguration::NoManifest))));
        let (hook, _) = answering(http("200 OK", &" ".repeat(MAX_ANSWER + 1))).await;
        assert!(matches!(hook.ask("u").await, Err(Denied::Answer(BadConfiguration::TooLarge))));
    }

    #[tokio::test]
    async fn a_webhook_that_is_not_there_denies_without_telling_its_address() {
        let hook = Webhook::new("http://127.0.0.1:1/?secret=1".parse().unwrap()).unwrap();
        let said = hook.ask("u").await.unwrap_err().to_string();
        assert!(said.contains("cannot be asked") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn presets_and_profiles_that_cannot_be_made_are_named() {
        let said = |json: &str| Configuration::parse(json.as_bytes(), false).unwrap_err().to_string();
        assert!(said(r#"{"presets":["P999"]}"#).contains("P240p30fps16x9"));
        assert!(said(r#"{"profiles":[{"name":"x","height":1,"bitrate":500000}]}"#).contains("height"));
    }
}
