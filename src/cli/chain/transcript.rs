//! What was said during a proof, kept and played back: a recorder around a source, and a source that knows nothing else.
//!
//! In flow questions and answers of untrusted sources; out flow bytes for a file, and back. Nothing here is believed: whoever
//! plays a transcript back verifies it like any other source.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{B256, keccak256};
use async_trait::async_trait;
use lightclient::source::budget::BudgetView;
use lightclient::source::wire::{decode_answer, decode_ask, encode_answer, encode_ask};
use lightclient::source::{Answer, Ask, At, Fault, Layer, Source, SourceError};

/// First bytes of a transcript.
const MAGIC: &[u8; 8] = b"lmproof\x01";
/// Largest transcript, bytes: a few bundles.
pub(super) const MAX_BYTES: usize = 32 << 20;
/// Exchanges in a transcript.
const MAX_EXCHANGES: usize = 4096;

/// Questions with their answers, oldest first.
pub(super) type Exchanges = Vec<(Ask, Answer)>;

/// A source whose answers are kept.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn Source>,
    kept: Arc<Mutex<Exchanges>>,
}

impl Recorder {
    pub(super) fn new(inner: Arc<dyn Source>, kept: Arc<Mutex<Exchanges>>) -> Self {
        Self { inner, kept }
    }
}

#[async_trait]
impl Source for Recorder {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn can(&self, ask: &Ask) -> bool {
        self.inner.can(ask)
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let answer = self.inner.ask(ask).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_EXCHANGES {
            kept.push((ask.clone(), answer.clone()));
        }
        drop(kept);
        Ok(answer)
    }

    fn budget(&self) -> Option<BudgetView> {
        self.inner.budget()
    }
}

/// A source that says what a transcript holds.
#[derive(Debug)]
pub(super) struct Replay(pub(super) Exchanges);

impl Replay {
    /// The last answer to this very question. Nodes prove what they prove, whichever question brought them; logs too.
    fn find(&self, ask: &Ask) -> Option<Answer> {
        match ask {
            Ask::Proof { layer, block, .. } => {
                let same = |known: &Ask| matches!(known, Ask::Proof { layer: l, block: b, .. } if l == layer && b == block);
                let nodes =
                    self.0.iter().filter(|(known, _)| same(known)).filter_map(|(_, answer)| match answer {
                        Answer::Proof(nodes) => Some(nodes.clone()),
                        _ => None,
                    });
                let mut nodes: Vec<_> = nodes.flatten().collect();
                nodes.sort_unstable();
                nodes.dedup();
                (!nodes.is_empty()).then_some(Answer::Proof(nodes))
            }
            Ask::Assertions { .. } => {
                let logs = self.0.iter().filter_map(|(_, answer)| match answer {
                    Answer::Assertions(logs) => Some(logs.clone()),
                    _ => None,
                });
                Some(Answer::Assertions(logs.flatten().collect()))
            }
            // The newest header that the bundle knows is the one that it was made at.
            Ask::HeaderAt { layer, at: At::Latest } => {
                let same = |known: &Ask| matches!(known, Ask::HeaderAt { layer: l, at: At::Number(_) } if l == layer);
                self.0.iter().rev().find(|(known, _)| same(known)).map(|(_, answer)| answer.clone())
            }
            _ => self.0.iter().rev().find(|(known, _)| known == ask).map(|(_, answer)| answer.clone()),
        }
    }
}

#[async_trait]
impl Source for Replay {
    fn name(&self) -> &str {
        "the bundle"
    }

    fn can(&self, ask: &Ask) -> bool {
        !matches!(ask, Ask::Checkpoint | Ask::Config)
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let missing =
            || SourceError { by: self.name().into(), fault: Fault::NotHere("not in it".to_owned()) };
        self.find(ask).ok_or_else(missing)
    }
}

/// Of the headers that sources named without being asked for a hash, keeps the one that state was proven under: others are
/// what sources said that did not agree.
pub(super) fn keep_agreed(exchanges: &mut Exchanges) {
    let proven: Vec<B256> = exchanges
        .iter()
        .filter_map(|(ask, _)| match ask {
            Ask::Proof { layer: Layer::L2, block, .. } => Some(block.hash),
            _ => None,
        })
        .collect();
    exchanges.retain(|exchange| match exchange {
        (Ask::HeaderAt { at: At::Number(_), .. }, Answer::Header(raw)) => proven.contains(&keccak256(raw)),
        (ask, _) => !matches!(ask, Ask::HeaderAt { .. }),
    });
}

/// Whether a bundle was made at a header that nothing but the agreement of sources stands behind.
pub(super) fn is_sequenced(exchanges: &Exchanges) -> bool {
    exchanges.iter().any(|(ask, _)| matches!(ask, Ask::HeaderAt { .. }))
}

/// Writes exchanges, the last answer to each question; what is too large for the wire is left out.
pub(super) fn encode(exchanges: &Exchanges) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (at, (ask, answer)) in exchanges.iter().enumerate() {
        let again = exchanges[at + 1..].iter().any(|(later, _)| later == ask);
        let (Ok(ask), Ok(answer)) = (encode_ask(ask), encode_answer(answer)) else { continue };
        if again || out.len() + ask.len() + answer.len() + 8 > MAX_BYTES {
            continue;
        }
        for bytes in [ask, answer] {
            out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(&bytes);
        }
    }
    out
}

/// Reads exchanges; the error says what is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<Exchanges, String> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or("it was not written by livemesh chain proof --out")?;
    let mut exchanges = Vec::new();
    while !rest.is_empty() {
        let ask = decode_ask(take(&mut rest)?).map_err(|e| e.to_string())?;
        let answer = decode_answer(take(&mut rest)?).map_err(|e| e.to_string())?;
        exchanges.push((ask, answer));
        if exchanges.len() > MAX_EXCHANGES {
            return Err(format!("it has more than {MAX_EXCHANGES} parts"));
        }
    }
    Ok(exchanges)
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let torn = || "it is cut short".to_owned();
    let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(torn)?;
    let (item, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(torn)?;
    *rest = behind;
    Ok(item)
}

#[cfg(test)]
mod tests {
    use lightclient::source::Block;
    use lightclient::state::Keys;

    use super::*;

    #[test]
    fn what_was_said_comes_back_and_torn_files_are_refused() {
        let exchanges = vec![
            (Ask::Finality, Answer::Header(vec![1].into())),
            (Ask::Finality, Answer::Header(vec![2].into())),
            (Ask::Update { period: 3 }, Answer::Code(vec![3; 100].into())),
        ];
        let bytes = encode(&exchanges);
        assert_eq!(decode(&bytes).unwrap(), exchanges[1..], "the last answer counts");
        let whole = (0..bytes.len()).filter(|end| decode(&bytes[..*end]).is_ok()).count();
        assert_eq!(whole, 2, "only between exchanges");
        assert!(decode(b"something else").is_err());
    }

    #[test]
    fn of_what_sources_named_the_header_that_was_proven_under_is_kept() {
        let header = |bytes: &'static [u8]| Answer::Header(bytes.into());
        let at = |at| Ask::HeaderAt { layer: Layer::L2, at };
        let block = Block { number: 7, hash: keccak256(b"agreed") };
        let proof = Ask::Proof { layer: Layer::L2, block, keys: Keys::new() };
        let mut exchanges = vec![
            (at(At::Latest), header(b"newer")),
            (at(At::Number(7)), header(b"agreed")),
            (at(At::Number(7)), header(b"dissent")),
            (proof, Answer::Proof(vec![b"node".as_slice().into()])),
        ];
        keep_agreed(&mut exchanges);
        assert_eq!(exchanges.len(), 2);
        let replay = Replay(decode(&encode(&exchanges)).unwrap());
        assert!(is_sequenced(&replay.0));
        assert_eq!(replay.find(&at(At::Latest)), Some(header(b"agreed")));
        assert_eq!(replay.find(&at(At::Number(7))), Some(header(b"agreed")));
        assert_eq!(replay.find(&at(At::Number(8))), None);
    }
}
