//! What a publisher's address means. Clients split it in different places, so it is joined first.

use std::net::SocketAddr;

/// Longest part of an address that is looked at, bytes.
const MAX_PART: usize = 512;

/// A publisher's address, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// As one URL, for the webhook.
    pub(crate) url: String,
    /// The stream's name, unchecked.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: Option<String>,
}

impl Address {
    /// Reads `APP/NAME[/KEY]` or `NAME`, with or without `?key=KEY` behind either part.
    pub(crate) fn parse(local: SocketAddr, app: &str, name: &str) -> Self {
        let (app, name) = (clip(app), clip(name));
        let url = format!("rtmp://{local}/{}/{name}", app.trim_matches('/'));
        let (app, app_query) = split_query(app);
        let (name, name_query) = split_query(name);
        let key = [name_query, app_query].into_iter().find_map(key_of);
        let parts: Vec<&str> =
            app.split('/').chain(name.split('/')).filter(|part| !part.is_empty()).collect();
        let (name, path_key) = match parts[..] {
            [] => ("", None),
            [name] | [_, name] => (name, None),
            [_, name, key, ..] => (name, Some(key.to_owned())),
        };
        Self { url, name: name.into(), key: key.or(path_key) }
    }
}

fn clip(part: &str) -> &str {
    if part.len() <= MAX_PART { part } else { part.get(..MAX_PART).unwrap_or("") }
}

fn split_query(part: &str) -> (&str, &str) {
    part.split_once('?').unwrap_or((part, ""))
}

fn key_of(query: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "key")
        .map(|(_, key)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(app: &str, name: &str) -> (String, Option<String>) {
        let address = Address::parse("127.0.0.1:1935".parse().unwrap(), app, name);
        (address.name, address.key)
    }

    #[test]
    fn every_way_to_write_an_address_means_the_same() {
        for (app, name) in [("live", "me"), ("live/", "/me"), ("anything", "me"), ("", "me"), ("live/me", "")]
        {
            assert_eq!(parse(app, name), ("me".into(), None), "{app} {name}");
        }
        for (app, name) in [("live", "me/k"), ("live/me", "k"), ("live", "me?key=k"), ("live?key=k", "me")] {
            assert_eq!(parse(app, name), ("me".into(), Some("k".into())), "{app} {name}");
        }
        assert_eq!(parse("", ""), (String::new(), None));
        assert_eq!(parse(&"x".repeat(10_000), "me"), ("me".into(), None));
    }

    #[test]
    fn the_webhook_sees_the_whole_address() {
        let address = Address::parse("127.0.0.1:1935".parse().unwrap(), "live", "me?token=1");
        assert_eq!(address.url, "rtmp://127.0.0.1:1935/live/me?token=1");
    }
}
