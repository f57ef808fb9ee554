//! Every single change to a JSON document: each leaf altered or nulled, each key removed, each list cut or grown. In flows an
//! honest answer, out flow the changes; one is addressed by its path, so it applies to any answer of the same shape.

use std::fmt;

use serde_json::Value;

/// Characters of 32 bytes in hex; what is longer may be a trie node.
const LONGEST_WORD: usize = 66;

/// One step down a document.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Key(String),
    At(usize),
}

/// What is done at the end of the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    /// A number plus one, a nibble or a letter other than it was, a truth negated.
    Alter,
    /// Null instead of what was there.
    Null,
    /// The key is gone.
    Remove,
    /// The last item of a list is gone.
    Cut,
    /// The last item of a list is there twice.
    Grow,
}

/// One change to one place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mutation {
    path: Vec<Step>,
    change: Change,
}

impl Mutation {
    /// All changes to a document, in its order.
    pub(crate) fn all(document: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        visit(document, &mut Vec::new(), &mut found);
        found
    }

    /// The altered leaf at `path`, where a number is an index.
    pub(crate) fn alter(path: &[&str]) -> Self {
        let step = |step: &&str| step.parse().map_or_else(|_| Step::Key((*step).to_owned()), Step::At);
        Self { path: path.iter().map(step).collect(), change: Change::Alter }
    }

    /// Changes `document`; false when it has no such place.
    pub(crate) fn apply(&self, document: &mut Value) -> bool {
        let before = document.clone();
        self.change_in(document);
        *document != before
    }

    fn change_in(&self, document: &mut Value) -> Option<()> {
        if self.change == Change::Remove {
            let (Step::Key(key), way) = self.path.split_last()? else { return None };
            return place(document, way)?.as_object_mut()?.remove(key).map(drop);
        }
        let found = place(document, &self.path)?;
        match (self.change, &mut *found) {
            (Change::Null, _) => *found = Value::Null,
            (Change::Cut, Value::Array(items)) => drop(items.pop()),
            (Change::Grow, Value::Array(items)) => items.extend(items.last().cloned()),
            (Change::Alter, Value::String(node)) if node.len() > LONGEST_WORD => {
                let (old, new) = (node.clone(), altered_text(node, self.digit()));
                replace(document, &old, &new);
            }
            (Change::Alter, _) => alter(found, self.digit()),
            (Change::Cut | Change::Grow | Change::Remove, _) => {}
        }
        Some(())
    }

    /// The place with every index as `*`: what a reader of the answer ignores has one name.
    pub(crate) fn field(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Key(key) => key.as_str(),
            Step::At(_) => "*",
        });
        steps.collect::<Vec<_>>().join(".")
    }

    /// What is done there, in one word.
    pub(crate) const fn change(&self) -> &'static str {
        self.change.word()
    }

    /// Which digit to alter: neighbours on a list at different ones.
    fn digit(&self) -> usize {
        let mut indices = self.path.iter().filter_map(|step| match step {
            Step::At(at) => Some(*at),
            Step::Key(_) => None,
        });
        self.path.len() * 31 + indices.next_back().unwrap_or(0)
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, "/{key}")?,
                Step::At(at) => write!(f, "/{at}")?,
            }
        }
        write!(f, " {}", self.change())
    }
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Self::Alter => "altered",
            Self::Null => "nulled",
            Self::Remove => "removed",
            Self::Cut => "cut",
            Self::Grow => "grown",
        }
    }
}

fn visit(value: &Value, path: &mut Vec<Step>, found: &mut Vec<Mutation>) {
    let mut note = |path: &Vec<Step>, change| found.push(Mutation { path: path.clone(), change });
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                path.push(Step::Key(key.clone()));
                found.push(Mutation { path: path.clone(), change: Change::Remove });
                visit(field, path, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            if !items.is_empty() {
                note(path, Change::Cut);
                note(path, Change::Grow);
            }
            for (at, item) in items.iter().enumerate() {
                path.push(Step::At(at));
                visit(item, path, found);
                path.pop();
            }
        }
        Value::Null => note(path, Change::Alter),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            note(path, Change::Alter);
            note(path, Change::Null);
        }
    }
}

fn place<'a>(document: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(document, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::At(at) => value.get_mut(at),
    })
}

/// A trie node proves wherever in the answer it stands, so it is changed wherever it stands.
fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, old, new)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Another value of the same kind; `at` chooses the digit.
fn alter(value: &mut Value, at: usize) {
    *value = match &*value {
        Value::Null => Value::from(1),
        Value::Bool(truth) => Value::from(!truth),
        Value::Number(number) => Value::from(number.as_u64().unwrap_or(0) + 1),
        Value::String(text) => Value::from(altered_text(text, at)),
        Value::Array(_) | Value::Object(_) => return,
    };
}

fn altered_text(text: &str, at: usize) -> String {
    if let Ok(number) = text.parse::<u128>() {
        return (number + 1).to_string();
    }
    let Some(digits) = text.strip_prefix("0x") else { return format!("{text}x") };
    if digits.is_empty() {
        return "0x01".to_owned();
    }
    let at = 2 + at % digits.len();
    let nibble = u8::from_str_radix(&text[at..=at], 16).unwrap_or(0) ^ 1;
    format!("{}{nibble:x}{}", &text[..at], &text[at + 1..])
}
