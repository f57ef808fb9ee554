//! An execution node's JSON-RPC as a source, of Ethereum or of Arbitrum.
//!
//! In flow questions about blocks, state and logs; out flow header bytes, trie nodes, code and log entries. What a server
//! says about values is dropped: only what can be verified leaves. Large questions are split, and split again when refused.

mod pieces;

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::pieces::{Piece, halves, pieces};
use super::budget::BudgetView;
use super::http::{BadEndpoint, Endpoint, Settings};
use super::rpc::Rpc;
use super::{Answer, Ask, At, Fault, Layer, Log, Source, SourceError};
use crate::arbitrum::assertion::CREATED;
use crate::exec::header::{ExecHeader, HeaderError};
use crate::exec::proof::AccountProof;
use crate::livepeer::pool::MAX_MEMBERS;

/// Largest block without its transactions' bodies, bytes: a hash for each of a few thousand.
const BLOCK_BYTES: usize = 2 << 20;
/// Largest answer with proofs, bytes: 128 slots with ten nodes of half a kilobyte each, in hex, and room for deep tries.
const PROOF_BYTES: usize = 12 << 20;
/// Largest code in hex, bytes; EIP-170 allows 24 KiB of code, Amsterdam and other chains more.
const CODE_BYTES: usize = 1 << 20;
/// Largest answer with logs, bytes.
const LOGS_BYTES: usize = 8 << 20;
/// Small answers, bytes.
const SMALL_BYTES: usize = 64 * 1024;
/// Largest trie node, bytes: a branch of sixteen hashes has 532.
const NODE_BYTES: usize = 4096;
/// Trie nodes of one question.
const MAX_NODES: usize = 65_536;
/// Blocks that logs are asked for at once: what public servers allow.
const LOG_BLOCKS: u64 = 10_000;
/// Log entries of one question: a week of assertions is below 700.
const MAX_LOGS: usize = 4096;
/// Requests that one question may become by splitting.
const MAX_REQUESTS: usize = 256;

/// One execution node.
#[derive(Debug)]
pub struct ExecutionSource {
    rpc: Rpc,
    layer: Layer,
    chain_id: Option<u64>,
    /// Whether the server said that it is of the right chain.
    checked: OnceCell<()>,
}

impl ExecutionSource {
    /// A source at this address for one layer; with a chain id (EIP-155), a server of another chain is refused at once.
    ///
    /// # Errors
    /// [`BadEndpoint`] when the address cannot be used.
    pub fn new(settings: Settings, layer: Layer, chain_id: Option<u64>) -> Result<Self, BadEndpoint> {
        Ok(Self { rpc: Rpc::new(Endpoint::new(settings)?), layer, chain_id, checked: OnceCell::new() })
    }

    /// A server of the wrong chain would only ever send what does not verify: better said at once and in words.
    async fn check_chain(&self) -> Result<(), Fault> {
        let Some(expected) = self.chain_id else { return Ok(()) };
        let check = || async {
            let answer = self.rpc.call(("eth_chainId", json!([])), SMALL_BYTES).await?;
            match quantity(&answer)? {
                found if found == expected => Ok(()),
                found => Err(Fault::WrongChain { expected, found }),
            }
        };
        self.checked.get_or_try_init(check).await.copied()
    }

    async fn header(&self, hash: B256) -> Result<Answer, Fault> {
        let call = ("eth_getBlockByHash", json!([hash, false]));
        let block = present(self.rpc.call(call, BLOCK_BYTES).await?, "block")?;
        match ExecHeader::from_rpc_json(&block, Some(hash)) {
            Ok((_, raw)) => Ok(Answer::Header(raw)),
            Err(why) => self.raw_header(&block, &why).await,
        }
    }

    async fn header_at(&self, at: At) -> Result<Answer, Fault> {
        let tag = match at {
            At::Latest => "latest".to_owned(),
            At::Number(number) => format!("0x{number:x}"),
        };
        let block = present(
            self.rpc.call(("eth_getBlockByNumber", json!([tag, false])), BLOCK_BYTES).await?,
            "block",
        )?;
        match ExecHeader::from_rpc_json(&block, None) {
            Ok((_, raw)) => Ok(Answer::Header(raw)),
            Err(why) => self.raw_header(&block, &why).await,
        }
    }

    /// A header with fields that this program does not know is still known by its bytes, where the server gives them.
    async fn raw_header(&self, block: &Value, why: &HeaderError) -> Result<Answer, Fault> {
        let number = &block["number"];
        match self.rpc.call(("debug_getRawHeader", json!([number])), SMALL_BYTES).await {
            Ok(raw) => Ok(Answer::Header(data(&raw)?)),
            Err(_) => Err(Fault::Malformed(format!("block {number}: {why}"))),
        }
    }

    async fn proof(&self, number: u64, keys: &crate::state::Keys) -> Result<Answer, Fault> {
        let mut todo = pieces(keys);
        todo.reverse();
        let mut nodes: BTreeSet<Bytes> = BTreeSet::new();
        for _ in 0..MAX_REQUESTS {
            let Some(piece) = todo.pop() else { return Ok(Answer::Proof(nodes.into_iter().collect())) };
            match self.prove(number, &piece).await {
                Ok(proofs) => proofs.iter().try_for_each(|proof| collect(&mut nodes, proof))?,
                Err(fault) if splits(&fault) => match halves(piece) {
                    Some((first, second)) => todo.extend([second, first]),
                    None => return Err(fault),
                },
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::TooLarge { limit: PROOF_BYTES })
    }

    /// One request: a single call, or a batch of calls about several accounts.
    async fn prove(&self, number: u64, piece: &Piece) -> Result<Vec<AccountProof>, Fault> {
        let number = format!("0x{number:x}");
        let call =
            |(account, slots): &(Address, Vec<B256>)| ("eth_getProof", json!([account, slots, number]));
        let answers = match piece.as_slice() {
            [one] => vec![self.rpc.call(call(one), PROOF_BYTES).await?],
            many => self.rpc.batch(many.iter().map(call).collect(), PROOF_BYTES).await?,
        };
        let read = |answer: Value| {
            AccountProof::from_json(&present(answer, "proof")?).map_err(|e| Fault::Malformed(e.to_string()))
        };
        answers.into_iter().map(read).collect()
    }

    async fn code(&self, address: Address, number: u64) -> Result<Answer, Fault> {
        let call = ("eth_getCode", json!([address, format!("0x{number:x}")]));
        Ok(Answer::Code(data(&present(self.rpc.call(call, CODE_BYTES).await?, "code")?)?))
    }

    async fn assertions(
        &self,
        rollup: Address,
        from: u64,
        to: u64,
        hashes: &[B256],
    ) -> Result<Answer, Fault> {
        let mut todo: Vec<(u64, u64)> = Vec::new();
        let mut start = from;
        while start <= to {
            let end = to.min(start.saturating_add(LOG_BLOCKS - 1));
            todo.push((start, end));
            if todo.len() > MAX_REQUESTS {
                return Err(Fault::NotHere(format!("{from} to {to} are too many blocks for one question")));
            }
            let Some(next) = end.checked_add(1) else { break };
            start = next;
        }
        todo.reverse();
        let mut logs = Vec::new();
        for _ in 0..MAX_REQUESTS {
            let Some((from, to)) = todo.pop() else { return Ok(Answer::Assertions(logs)) };
            match self.logs(rollup, from, to, hashes).await {
                Ok(found) if logs.len() + found.len() > MAX_LOGS => {
                    return Err(Fault::TooLarge { limit: LOGS_BYTES });
                }
                Ok(found) => logs.extend(found),
                Err(fault) if splits(&fault) && from < to => {
                    let middle = from + (to - from) / 2;
                    todo.extend([(middle + 1, to), (from, middle)]);
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::TooLarge { limit: LOGS_BYTES })
    }

    async fn logs(&self, rollup: Address, from: u64, to: u64, hashes: &[B256]) -> Result<Vec<Log>, Fault> {
        let topics = if hashes.is_empty() { json!([CREATED]) } else { json!([CREATED, hashes]) };
        let filter = json!({
            "address": rollup, "topics": topics,
            "fromBlock": format!("0x{from:x}"), "toBlock": format!("0x{to:x}"),
        });
        let answer = self.rpc.call(("eth_getLogs", json!([filter])), LOGS_BYTES).await?;
        let Value::Array(entries) = answer else {
            return Err(Fault::Malformed("no list of logs".to_owned()));
        };
        entries.iter().map(log).collect()
    }

    /// Those who came to the pool and did not go, by its events. A server that does not search its whole chain at once for two
    /// rare events has no hint: asking it piece by piece would cost more than it saves.
    async fn members(&self, manager: Address, to: u64) -> Result<Answer, Fault> {
        let filter = json!({
            "address": manager, "topics": [[came(), went()]],
            "fromBlock": "0x0", "toBlock": format!("0x{to:x}"),
        });
        let answer = self.rpc.call(("eth_getLogs", json!([filter])), LOGS_BYTES).await;
        let Value::Array(entries) = answer.map_err(|fault| Fault::NotHere(fault.to_string()))? else {
            return Err(Fault::Malformed("no list of logs".to_owned()));
        };
        let mut members = Vec::new();
        for entry in entries.iter().map(log) {
            let topics = entry?.topics;
            let [event, who] = topics[..] else { continue };
            let who = Address::from_word(who);
            members.retain(|member| *member != who);
            if event == came() {
                members.push(who);
            }
        }
        // The newest are the likeliest.
        let old = members.len().saturating_sub(MAX_MEMBERS as usize);
        Ok(Answer::Members(members.split_off(old)))
    }

    async fn answer(&self, ask: &Ask) -> Result<Answer, Fault> {
        self.check_chain().await?;
        match ask {
            Ask::Header { hash, .. } => self.header(*hash).await,
            Ask::HeaderAt { at, .. } => self.header_at(*at).await,
            Ask::Proof { block, keys, .. } => self.proof(block.number, keys).await,
            Ask::Code { block, address, .. } => self.code(*address, block.number).await,
            Ask::Assertions { rollup, from_block, to_block, hashes } => {
                self.assertions(*rollup, *from_block, *to_block, hashes).await
            }
            Ask::Members { manager, block } => self.members(*manager, block.number).await,
            Ask::Call { block, to, data: input, .. } => {
                let call = json!([{"to": to, "data": input}, format!("0x{:x}", block.number)]);
                Ok(Answer::Call(data(&self.rpc.call(("eth_call", call), CODE_BYTES).await?)?))
            }
            _ => Err(Fault::Unsupported),
        }
    }
}

/// Topic of a bonding manager's event that somebody came to its pool.
fn came() -> B256 {
    keccak256("TranscoderActivated(address,uint256)")
}

/// Topic of its event that somebody left.
fn went() -> B256 {
    keccak256("TranscoderDeactivated(address,uint256)")
}

#[async_trait]
impl Source for ExecutionSource {
    fn name(&self) -> &str {
        self.rpc.endpoint.name()
    }

    fn can(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Header { layer, .. }
            | Ask::HeaderAt { layer, .. }
            | Ask::Proof { layer, .. }
            | Ask::Code { layer, .. }
            | Ask::Call { layer, .. } => *layer == self.layer,
            Ask::Assertions { .. } => self.layer == Layer::L1,
            Ask::Members { .. } => self.layer == Layer::L2,
            _ => false,
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let by = || Arc::clone(self.rpc.endpoint.name());
        self.answer(ask).await.map_err(|fault| SourceError { by: by(), fault })
    }

    fn budget(&self) -> Option<BudgetView> {
        Some(self.rpc.endpoint.budget())
    }
}

/// Whether asking for less may help.
const fn splits(fault: &Fault) -> bool {
    matches!(fault, Fault::TooLarge { .. } | Fault::Rpc { .. } | Fault::Http { status: 400 | 413 | 500, .. })
}

fn collect(nodes: &mut BTreeSet<Bytes>, proof: &AccountProof) -> Result<(), Fault> {
    let all = proof.nodes.iter().chain(proof.slots.iter().flat_map(|slot| &slot.nodes));
    for node in all {
        if node.len() > NODE_BYTES || nodes.len() >= MAX_NODES {
            return Err(Fault::Malformed("a proof with nodes that no trie has".to_owned()));
        }
        nodes.insert(node.clone());
    }
    Ok(())
}

fn log(entry: &Value) -> Result<Log, Fault> {
    let malformed = || Fault::Malformed("a log entry without address, topics and data".to_owned());
    let topics = entry["topics"].as_array().filter(|topics| topics.len() <= 4).ok_or_else(malformed)?;
    let topics = topics.iter().map(|topic| topic.as_str()?.parse().ok());
    Ok(Log {
        address: entry["address"].as_str().and_then(|text| text.parse().ok()).ok_or_else(malformed)?,
        topics: topics.collect::<Option<Vec<B256>>>().ok_or_else(malformed)?,
        data: data(&entry["data"])?,
        block_number: quantity(&entry["blockNumber"])?,
    })
}

/// A null is what servers say of what they do not have.
fn present(answer: Value, what: &str) -> Result<Value, Fault> {
    if answer.is_null() { Err(Fault::NotHere(format!("no such {what}"))) } else { Ok(answer) }
}

fn quantity(value: &Value) -> Result<u64, Fault> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| Fault::Malformed("something else where a number should be".to_owned()))
}

fn data(value: &Value) -> Result<Bytes, Fault> {
    let bytes = value.as_str().filter(|text| text.starts_with("0x")).and_then(|text| text.parse().ok());
    bytes.ok_or_else(|| Fault::Malformed("something else where bytes in hex should be".to_owned()))
}
