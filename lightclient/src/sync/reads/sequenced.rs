//! The newest tier: what enough sources say alike, compared with what L1 shows.

use super::error::ReadError;
use crate::arbitrum::L2Anchor;
use crate::arbitrum::sequenced::{Claim, SequencedError, agree};
use crate::exec::ExecHeader;
use crate::source::crowd::{Outcome, Refusal};
use crate::source::{Answer, Ask, At, Layer};
use crate::sync::shared::Shared;

impl Shared {
    /// The newest L2 header that enough sources name. First each says how far it is, then all are asked for
    /// the highest block that enough of them can have.
    pub(super) async fn sequenced(&self, least: u16) -> Result<L2Anchor, ReadError> {
        let latest = self.claims(At::Latest).await;
        let mut heights: Vec<u64> = latest.iter().map(|claim| claim.header.number).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let asked = u16::try_from(self.crowd.count(&head(At::Latest))).unwrap_or(u16::MAX);
        let enough = usize::from(least.max(1));
        let Some(height) = heights.get(enough - 1) else {
            let agree = u16::try_from(heights.len()).unwrap_or(u16::MAX);
            return Err(ReadError::Sequenced(SequencedError::TooFew { agree, asked, least }));
        };
        let claims = self.claims(At::Number(*height)).await;
        let way = self.anchors.way()?;
        let asserted: Vec<&ExecHeader> = way.shown.iter().map(|anchor| &anchor.header).collect();
        let agreed = agree(&claims, asked, least, &asserted).map_err(ReadError::Sequenced)?;
        L2Anchor::sequenced(agreed, way.l1.slot).map_err(ReadError::L2)
    }

    async fn claims(&self, at: At) -> Vec<Claim> {
        let ask = head(at);
        let mut claims = Vec::new();
        for (source, (by, answer)) in (0..).zip(self.crowd.ask_each(&ask).await) {
            let Ok(Answer::Header(raw)) = answer else { continue };
            let header = ExecHeader::decode(&raw).ok();
            match header.filter(|header| matches!(at, At::Latest) || at == At::Number(header.number)) {
                Some(header) => claims.push(Claim { source, header }),
                None => {
                    let why = "it is no header, or of another height".to_owned();
                    self.crowd.note(&by, &ask, Outcome::Refused(Refusal::Lie(why)));
                }
            }
        }
        claims
    }
}

const fn head(at: At) -> Ask {
    Ask::HeaderAt { layer: Layer::L2, at }
}
