//! Commands in AMF 0 (Adobe AMF 0 specification): what a publisher asks, read with bounds.
//!
//! Ours and not the crate's because a stranger writes these bytes: a nested or huge claim costs neither stack nor memory.

/// Largest command, bytes; real ones have a few hundred.
pub(crate) const MAX_COMMAND: usize = 16 * 1024;
/// Objects in objects; real commands have one level.
const MAX_DEPTH: u8 = 8;

/// A command of a publisher.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    /// Such as `connect`.
    pub name: String,
    /// Comes back in the answer.
    pub transaction: f64,
    /// `app` of the command object: the first part of the address.
    pub app: Option<String>,
    /// The text arguments after the command object.
    pub texts: Vec<String>,
}

/// Bytes that are not an AMF 0 command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCommand {
    /// More than a command can need.
    #[error("a command of {0} bytes exceeds the limit of {MAX_COMMAND}")]
    TooLarge(usize),
    /// Ends too early.
    #[error("a command is cut short")]
    Truncated,
    /// Objects in objects in objects.
    #[error("a command is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A type that commands do not have.
    #[error("a command holds a value of type {0}, which AMF 0 commands do not have")]
    Marker(u8),
    /// Does not start with a name and a number.
    #[error("a command has to begin with its name and a number")]
    NoName,
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// [`BadCommand`] says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadCommand> {
        if bytes.len() > MAX_COMMAND {
            return Err(BadCommand::TooLarge(bytes.len()));
        }
        let mut reader = Reader { rest: bytes };
        let Value::Text(name) = reader.value(0)? else { return Err(BadCommand::NoName) };
        let Value::Number(transaction) = reader.value(0)? else { return Err(BadCommand::NoName) };
        let mut command = Self { name, transaction, app: None, texts: vec![] };
        while !reader.rest.is_empty() {
            match reader.value(0)? {
                Value::Text(text) => command.texts.push(text),
                Value::Object(app) => command.app = command.app.or(app),
                Value::Number(_) | Value::Other => {}
            }
        }
        Ok(command)
    }
}

/// A value, as far as anybody here asks.
enum Value {
    Number(f64),
    Text(String),
    /// With its field `app`.
    Object(Option<String>),
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], BadCommand> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(BadCommand::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, size: usize) -> Result<usize, BadCommand> {
        Ok(self.take(size)?.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn text(&mut self, length_size: usize) -> Result<String, BadCommand> {
        let length = self.number(length_size)?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, depth: u8) -> Result<Value, BadCommand> {
        if depth > MAX_DEPTH {
            return Err(BadCommand::TooDeep);
        }
        let other = |_| Value::Other;
        match self.number(1)? as u8 {
            0 => {
                let bits = self.take(8)?.iter().fold(0, |n, b| n << 8 | u64::from(*b));
                Ok(Value::Number(f64::from_bits(bits)))
            }
            1 => self.take(1).map(other),
            2 => self.text(2).map(Value::Text),
            12 | 15 => self.text(4).map(Value::Text),
            3 => self.fields(depth).map(Value::Object),
            16 => {
                self.text(2)?;
                self.fields(depth).map(Value::Object)
            }
            8 => {
                self.take(4)?;
                self.fields(depth).map(Value::Object)
            }
            5 | 6 => Ok(Value::Other),
            7 => self.take(2).map(other),
            10 => {
                for _ in 0..self.number(4)? {
                    self.value(depth + 1)?;
                }
                Ok(Value::Other)
            }
            11 => self.take(10).map(other),
            marker => Err(BadCommand::Marker(marker)),
        }
    }

    /// Reads names and values up to the end of the object.
    fn fields(&mut self, depth: u8) -> Result<Option<String>, BadCommand> {
        let mut app = None;
        loop {
            let name = self.text(2)?;
            if name.is_empty() && self.rest.first() == Some(&9) {
                self.take(1)?;
                return Ok(app);
            }
            if let (Value::Text(text), "app") = (self.value(depth + 1)?, name.as_str()) {
                app = Some(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Vec<u8> {
        [&[2][..], &(s.len() as u16).to_be_bytes(), s.as_bytes()].concat()
    }

    fn number(n: f64) -> Vec<u8> {
        [&[0][..], &n.to_be_bytes()].concat()
    }

    #[test]
    fn connect_says_its_app_and_publish_its_name() {
        let object =
            [&[3, 0, 3][..], b"app", &text("live"), &[0, 5], b"tcUrl", &text("rtmp://h/live"), &[0, 0, 9]]
                .concat();
        let connect = Command::parse(&[text("connect"), number(1.0), object].concat()).unwrap();
        assert_eq!((connect.name.as_str(), connect.app.as_deref()), ("connect", Some("live")));
        let publish = Command::parse(&[text("publish"), number(5.0), vec![5], text("me")].concat()).unwrap();
        assert_eq!((publish.transaction, publish.texts), (5.0, vec!["me".to_owned()]));
    }

    #[test]
    fn huge_and_nested_claims_are_errors_not_memory() {
        let start = [text("connect"), number(1.0)].concat();
        let with = |tail: &[u8]| Command::parse(&[&start[..], tail].concat()).unwrap_err();
        assert_eq!(with(&[10, 0xFF, 0xFF, 0xFF, 0xFF]), BadCommand::Truncated);
        assert_eq!(with(&[10, 0, 0, 0, 1].repeat(1000)), BadCommand::TooDeep);
        assert_eq!(with(&[3, 0, 1, b'a'].repeat(1000)), BadCommand::TooDeep);
        assert_eq!(with(&[12, 0xFF, 0xFF, 0xFF, 0xFF]), BadCommand::Truncated);
        assert_eq!(with(&[13]), BadCommand::Marker(13));
        assert_eq!(Command::parse(&[0; 20_000]), Err(BadCommand::TooLarge(20_000)));
        assert_eq!(Command::parse(&[5]), Err(BadCommand::NoName));
    }

    #[test]
    fn an_array_of_nothing_ends_with_the_command() {
        // Four thousand million empty values would fit into no bytes at all if a value could be empty: it cannot.
        let command = [text("connect"), number(1.0), vec![10, 0, 0, 0, 3, 5, 5, 5]].concat();
        assert_eq!(Command::parse(&command).unwrap().app, None);
    }
}
