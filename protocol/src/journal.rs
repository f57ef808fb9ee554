//! Storage that can take a write back: words and mappings as contracts have them, with layers of old values. A call that
//! reverts is undone by writing the old values again, so its cost is what it touched and never the size of the state. What
//! was changed for good is remembered until somebody asks, so that a trie can be brought up to date key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// What can begin, keep and take back a change.
pub trait Journal {
    /// From here on, old values are remembered.
    fn begin(&mut self);
    /// What was written since the last [`Self::begin`] stays.
    fn commit(&mut self);
    /// What was written since the last [`Self::begin`] never happened.
    fn rollback(&mut self);
}

/// One storage variable.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cell<T> {
    live: T,
    layers: Vec<Option<T>>,
}

impl<T: Clone> Cell<T> {
    /// A variable with a value.
    pub const fn new(live: T) -> Self {
        Self { live, layers: Vec::new() }
    }

    /// Writes it.
    pub fn set(&mut self, value: T) {
        let old = std::mem::replace(&mut self.live, value);
        if let Some(layer) = self.layers.last_mut() {
            layer.get_or_insert(old);
        }
    }
}

impl<T> Deref for Cell<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.live
    }
}

impl<T: Clone> Journal for Cell<T> {
    fn begin(&mut self) {
        self.layers.push(None);
    }

    fn commit(&mut self) {
        let top = self.layers.pop().flatten();
        if let (Some(old), Some(below)) = (top, self.layers.last_mut()) {
            below.get_or_insert(old);
        }
    }

    fn rollback(&mut self) {
        if let Some(old) = self.layers.pop().flatten() {
            self.live = old;
        }
    }
}

/// A mapping. A key that was never written reads as the default, as in Solidity.
#[derive(Clone, Debug)]
pub struct Map<K, V> {
    live: BTreeMap<K, V>,
    layers: Vec<Vec<(K, Option<V>)>>,
    changed: BTreeSet<K>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), layers: Vec::new(), changed: BTreeSet::new() }
    }
}

/// Two mappings are equal when they read alike; what is remembered for undoing does not count.
impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.live == other.live
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: Clone + Ord, V: Clone + Default> Map<K, V> {
    /// The value under a key, or the default.
    #[must_use]
    pub fn at(&self, key: &K) -> V {
        self.live.get(key).cloned().unwrap_or_default()
    }

    /// The value under a key, if it was ever written.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.live.get(key)
    }

    /// A value to change; the old one is remembered.
    pub fn edit(&mut self, key: &K) -> &mut V {
        self.remember(key);
        self.live.entry(key.clone()).or_default()
    }

    /// Writes a value.
    pub fn set(&mut self, key: &K, value: V) {
        *self.edit(key) = value;
    }

    /// Deletes a value: it reads as the default again.
    pub fn remove(&mut self, key: &K) {
        self.remember(key);
        self.live.remove(key);
    }

    /// Everything that was written and not deleted, in order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.live.iter()
    }

    /// Entries whose keys lie in a range, in order.
    pub fn range(&self, range: impl std::ops::RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.live.range(range)
    }

    /// Keys that were written since the last time that somebody asked.
    pub fn take_changed(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.changed)
    }

    fn remember(&mut self, key: &K) {
        match self.layers.last_mut() {
            Some(layer) => layer.push((key.clone(), self.live.get(key).cloned())),
            None => drop(self.changed.insert(key.clone())),
        }
    }
}

impl<K: Clone + Ord, V: Clone + Default> Journal for Map<K, V> {
    fn begin(&mut self) {
        self.layers.push(Vec::new());
    }

    fn commit(&mut self) {
        let top = self.layers.pop().unwrap_or_default();
        match self.layers.last_mut() {
            Some(below) => below.extend(top),
            None => self.changed.extend(top.into_iter().map(|(key, _)| key)),
        }
    }

    fn rollback(&mut self) {
        for (key, old) in self.layers.pop().unwrap_or_default().into_iter().rev() {
            match old {
                Some(value) => drop(self.live.insert(key, value)),
                None => drop(self.live.remove(&key)),
            }
        }
    }
}

/// Makes a struct of journaled fields a [`Journal`] itself.
macro_rules! journaled {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::journal::Journal for $name {
            fn begin(&mut self) { $(self.$field.begin();)* }
            fn commit(&mut self) { $(self.$field.commit();)* }
            fn rollback(&mut self) { $(self.$field.rollback();)* }
        }
    };
}
pub(crate) use journaled;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_never_happened() {
        let (mut map, mut cell) = (Map::<u8, u32>::default(), Cell::new(1));
        map.set(&1, 10);
        map.begin();
        cell.begin();
        map.set(&1, 11);
        map.set(&2, 20);
        cell.set(2);
        map.begin();
        cell.begin();
        map.remove(&1);
        *map.edit(&2) += 1;
        cell.set(3);
        map.commit();
        cell.commit();
        assert_eq!((map.at(&1), map.at(&2), *cell), (0, 21, 3));
        map.rollback();
        cell.rollback();
        assert_eq!((map.at(&1), map.get(&2), *cell), (10, None, 1));
        assert_eq!(map.take_changed(), BTreeSet::from([1]));
    }
}
