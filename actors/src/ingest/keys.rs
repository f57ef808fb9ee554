//! Stream keys: who may publish under which name.

use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;

use protocol::StreamId;

use super::messages::Refused;

/// Which keys open which streams.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Keys {
    /// Anybody may publish anything.
    #[default]
    Open,
    /// Any of these keys opens any stream.
    Shared(Vec<String>),
    /// Each stream has its own key; no other streams exist.
    PerStream(BTreeMap<StreamId, String>),
}

impl Keys {
    /// Says which stream `name` and `key` open. Where streams have their own keys, the key alone may stand for the name, as
    /// streaming programs with a single field for both send it.
    ///
    /// # Errors
    /// [`Refused::KeyRequired`] without a key, [`Refused::BadKey`] with one that does not fit.
    pub fn admit(&self, name: &StreamId, key: Option<&str>) -> Result<StreamId, Refused> {
        match (self, key) {
            (Self::Open, _) => Ok(name.clone()),
            (Self::Shared(keys), Some(key)) => {
                let fits = keys.iter().fold(false, |found, k| same(k, key) | found);
                if fits { Ok(name.clone()) } else { Err(Refused::BadKey(name.clone())) }
            }
            (Self::PerStream(keys), Some(key)) => match keys.get(name) {
                Some(k) if same(k, key) => Ok(name.clone()),
                _ => Err(Refused::BadKey(name.clone())),
            },
            (Self::PerStream(keys), None) => keys
                .iter()
                .fold(
                    None,
                    |found, (stream, k)| if same(k, name.as_str()) { Some(stream.clone()) } else { found },
                )
                .ok_or_else(|| Refused::KeyRequired(name.clone())),
            (Self::Shared(_), None) => Err(Refused::KeyRequired(name.clone())),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("Open"),
            Self::Shared(keys) => write!(f, "Shared({} keys)", keys.len()),
            Self::PerStream(keys) => f.debug_set().entries(keys.keys()).finish(),
        }
    }
}

/// Compares in a time that depends on the length of `given` alone, so that a key cannot be guessed letter by letter.
fn same(key: &str, given: &str) -> bool {
    let (key, given) = (key.as_bytes(), given.as_bytes());
    let mut differs = u8::from(key.len() != given.len() || key.is_empty());
    for (i, b) in given.iter().enumerate() {
        differs |= black_box(key.get(i).copied().unwrap_or(0) ^ b);
    }
    black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> StreamId {
        name.parse().unwrap()
    }

    #[test]
    fn a_shared_key_opens_any_stream_and_nothing_else_does() {
        let keys = Keys::Shared(vec!["one".into(), "two".into()]);
        assert_eq!(keys.admit(&id("me"), Some("two")), Ok(id("me")));
        assert_eq!(keys.admit(&id("me"), Some("tw")), Err(Refused::BadKey(id("me"))));
        assert_eq!(keys.admit(&id("me"), Some("")), Err(Refused::BadKey(id("me"))));
        assert_eq!(keys.admit(&id("me"), None), Err(Refused::KeyRequired(id("me"))));
    }

    #[test]
    fn a_streams_key_opens_it_alone_and_may_stand_for_its_name() {
        let keys = Keys::PerStream([(id("me"), "s3cret".into()), (id("you"), "other".into())].into());
        assert_eq!(keys.admit(&id("me"), Some("s3cret")), Ok(id("me")));
        assert_eq!(keys.admit(&id("me"), Some("other")), Err(Refused::BadKey(id("me"))));
        assert_eq!(keys.admit(&id("third"), Some("s3cret")), Err(Refused::BadKey(id("third"))));
        assert_eq!(keys.admit(&id("s3cret"), None), Ok(id("me")));
        assert_eq!(keys.admit(&id("me"), None), Err(Refused::KeyRequired(id("me"))));
    }

    #[test]
    fn an_empty_key_in_the_configuration_opens_nothing() {
        assert!(Keys::Shared(vec![String::new()]).admit(&id("me"), Some("")).is_err());
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", Keys::Shared(vec!["s3cret".into()])), "Shared(1 keys)");
    }
}
