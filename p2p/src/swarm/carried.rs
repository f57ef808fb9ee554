//! What gossip has carried lately, whoever said it: saying it once more would tell nobody anything.
//!
//! In flow the names of messages that were heard or said; out flows whether one was among the last of them. Pure.

use std::collections::VecDeque;

use libp2p::gossipsub::MessageId;

/// Messages remembered, 20 bytes each: more than a mesh of the largest roster says in ten seconds.
const REMEMBERED: usize = 1024;

/// The last messages.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    last: VecDeque<MessageId>,
}

impl Carried {
    /// A message was heard or said.
    pub(crate) fn note(&mut self, id: MessageId) {
        if self.last.len() >= REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(id);
    }

    /// Whether it was among the last.
    pub(crate) fn has(&self, id: &MessageId) -> bool {
        self.last.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_carried_is_known_until_much_else_has_been() {
        let (mut carried, id) = (Carried::default(), |n: usize| MessageId::new(&n.to_be_bytes()));
        (0..=REMEMBERED).for_each(|n| carried.note(id(n)));
        assert!(!carried.has(&id(0)) && carried.has(&id(1)) && carried.has(&id(REMEMBERED)));
        assert_eq!(carried.last.len(), REMEMBERED);
    }
}
