//! Between what sources say and what the core takes: a claim is decoded by what was asked for, and what
//! verified is written down again as an answer for others. Bytes that cannot be read are a lie; a fork that
//! this program does not know is not.

use alloy_primitives::B256;

use super::core::{Item, Want};
use crate::consensus::{Bootstrap, FinalityUpdate, OptimisticUpdate, Update};
use crate::forks::{ChainSpec, Fork};
use crate::source::crowd::Refusal;
use crate::source::{Answer, Ask, BeaconClaim, Form};

/// The question that answers a want.
pub(super) const fn ask_for(want: Want) -> Ask {
    match want {
        Want::Bootstrap { root } => Ask::Bootstrap { root },
        Want::Update { period } => Ask::Update { period },
        Want::Finality => Ask::Finality,
        Want::Optimistic => Ask::Optimistic,
    }
}

/// The want that an answer of a beacon source would serve, and its claim; nothing for other kinds.
pub(super) fn claim_of(answer: &Answer, bootstrap_root: Option<B256>) -> Option<(Want, &BeaconClaim)> {
    match answer {
        Answer::Bootstrap(claim) => Some((Want::Bootstrap { root: bootstrap_root? }, claim)),
        Answer::Update(claim) => Some((Want::Update { period: 0 }, claim)),
        Answer::Finality(claim) => Some((Want::Finality, claim)),
        Answer::Optimistic(claim) => Some((Want::Optimistic, claim)),
        Answer::Checkpoint { .. }
        | Answer::Config { .. }
        | Answer::Header(_)
        | Answer::Proof(_)
        | Answer::Code(_)
        | Answer::Assertions(_)
        | Answer::Bundle(_)
        | Answer::Members(_)
        | Answer::Call(_) => None,
    }
}

/// Decodes the answer to a want.
pub(super) fn decode(spec: &ChainSpec, want: Want, answer: &Answer) -> Result<Item, Refusal> {
    let root = if let Want::Bootstrap { root } = want { Some(root) } else { None };
    let Some((kind, claim)) = claim_of(answer, root) else { return Err(off_topic()) };
    match (want, kind) {
        (Want::Bootstrap { root }, Want::Bootstrap { .. }) => {
            let bootstrap = read(
                claim,
                |json| Bootstrap::from_json(spec, json),
                |f, b| Bootstrap::decode_ssz(spec, f, b),
            )?;
            Ok(Item::Bootstrap { root, bootstrap: Box::new(bootstrap) })
        }
        (Want::Update { .. }, Want::Update { .. }) => {
            let update =
                read(claim, |json| Update::from_json(spec, json), |f, b| Update::decode_ssz(spec, f, b))?;
            Ok(Item::Update(Box::new(update)))
        }
        (Want::Finality, Want::Finality) => {
            let update = read(
                claim,
                |json| FinalityUpdate::from_json(spec, json),
                |f, b| FinalityUpdate::decode_ssz(spec, f, b),
            )?;
            Ok(Item::Finality(Box::new(update)))
        }
        (Want::Optimistic, Want::Optimistic) => {
            let update = read(
                claim,
                |json| OptimisticUpdate::from_json(spec, json),
                |f, b| OptimisticUpdate::decode_ssz(spec, f, b),
            )?;
            Ok(Item::Optimistic(Box::new(update)))
        }
        _ => Err(off_topic()),
    }
}

fn read<T, J: ToString, S: ToString>(
    claim: &BeaconClaim,
    json: impl FnOnce(&[u8]) -> Result<T, J>,
    ssz: impl FnOnce(Fork, &[u8]) -> Result<T, S>,
) -> Result<T, Refusal> {
    match &claim.form {
        Form::Json => json(&claim.bytes).map_err(|why| Refusal::Lie(why.to_string())),
        Form::Ssz { fork } => {
            let fork = fork.parse::<Fork>().map_err(|unknown| Refusal::Useless(unknown.to_string()))?;
            ssz(fork, &claim.bytes).map_err(|why| Refusal::Lie(why.to_string()))
        }
    }
}

/// An answer to another question than the one asked.
pub(super) fn off_topic() -> Refusal {
    Refusal::Lie("the answer is not of the kind that was asked for".to_owned())
}

/// A verified item as others may be given it.
pub(super) fn relayed(spec: &ChainSpec, item: &Item) -> (Ask, Answer) {
    let claim = |fork: Fork, bytes: Vec<u8>| BeaconClaim {
        form: Form::Ssz { fork: fork.name().to_owned() },
        bytes: bytes.into(),
    };
    match item {
        Item::Bootstrap { root, bootstrap } => {
            (Ask::Bootstrap { root: *root }, Answer::Bootstrap(claim(bootstrap.fork, bootstrap.encode_ssz())))
        }
        Item::Update(update) => {
            let period = spec.period_at(update.attested.slot());
            (Ask::Update { period }, Answer::Update(claim(update.fork, update.encode_ssz())))
        }
        Item::Finality(update) => (Ask::Finality, Answer::Finality(claim(update.fork, update.encode_ssz()))),
        Item::Optimistic(update) => {
            (Ask::Optimistic, Answer::Optimistic(claim(update.fork, update.encode_ssz())))
        }
    }
}

impl Item {
    /// Slot of the header that was signed, or that a root names.
    pub(super) fn slot(&self) -> u64 {
        match self {
            Self::Bootstrap { bootstrap, .. } => bootstrap.header.slot(),
            Self::Update(update) => update.attested.slot(),
            Self::Finality(update) => update.attested.slot(),
            Self::Optimistic(update) => update.attested.slot(),
        }
    }
}
