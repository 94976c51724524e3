//! Cuts what has to be sent into messages of about 1 MiB, one at a time: a large model is never in memory twice.

use crate::codec::{Digest, Entry, Key};
use crate::proto;

/// Bytes of a message, give or take one resource.
const SIZE: usize = 1 << 20;

/// Bytes that a name and its surroundings take besides the name.
const OVERHEAD: usize = 16;

/// The messages of one update.
pub(super) struct Updates<I: Iterator> {
    sequence: u64,
    put: std::iter::Peekable<I>,
    removed: std::iter::Peekable<std::vec::IntoIter<Key>>,
    ended: bool,
}

impl<I: Iterator<Item = proto::Resource>> Updates<I> {
    pub(super) fn new(sequence: u64, put: I, removed: Vec<Key>) -> Self {
        let removed = removed.into_iter().peekable();
        Self { sequence, put: put.peekable(), removed, ended: false }
    }
}

/// Writes entries when their turn comes.
pub(super) fn write(entries: Vec<(Key, Entry)>) -> impl Iterator<Item = proto::Resource> {
    entries.into_iter().map(|(key, entry)| entry.encode(&key.id))
}

impl<I: Iterator<Item = proto::Resource>> Iterator for Updates<I> {
    type Item = proto::Update;

    fn next(&mut self) -> Option<proto::Update> {
        if self.ended {
            return None;
        }
        let mut update = proto::Update { sequence: self.sequence, ..proto::Update::default() };
        let mut size = 0;
        while size < SIZE
            && let Some(key) = self.removed.next()
        {
            size += OVERHEAD + key.id.len();
            update.removed.push(key.encode());
        }
        while size < SIZE
            && let Some(resource) = self.put.next()
        {
            size += OVERHEAD + resource.id.len() + resource.body.len();
            update.put.push(resource);
        }
        self.ended = self.removed.peek().is_none() && self.put.peek().is_none();
        update.end = self.ended;
        Some(update)
    }
}

/// Gives the messages that say what a proxy holds.
pub(super) fn inventory<'a>(
    held: impl Iterator<Item = (&'a Key, &'a Digest)>,
) -> Vec<proto::Inventory> {
    let mut all = vec![proto::Inventory::default()];
    let mut size = 0;
    for (key, digest) in held {
        if size >= SIZE {
            all.push(proto::Inventory::default());
            size = 0;
        }
        size += OVERHEAD + key.id.len() + digest.len();
        if let Some(last) = all.last_mut() {
            let Key { kind, id } = key;
            let (kind, id) = (kind.encode(), id.to_string());
            last.resources.push(proto::Held { kind, id, digest: digest.to_vec() });
        }
    }
    if let Some(last) = all.last_mut() {
        last.last = true;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Kind;

    #[test]
    fn a_large_update_comes_in_parts_and_only_the_last_one_ends_it() {
        let resource = |n: usize| proto::Resource {
            kind: 1,
            id: format!("gateway/{n}"),
            features: Vec::new(),
            body: vec![0; 300 << 10].into(),
        };
        let removed: Vec<Key> = (0..3).map(|n| Key::new(Kind::Route, &n.to_string())).collect();
        let parts: Vec<_> = Updates::new(7, (0..10).map(resource), removed).collect();
        assert!(parts.len() == 3 && parts.iter().all(|part| part.sequence == 7));
        let ends: Vec<bool> = parts.iter().map(|part| part.end).collect();
        assert_eq!(ends, [false, false, true]);
        assert_eq!(parts.iter().map(|part| part.put.len()).sum::<usize>(), 10);
        assert_eq!(parts.iter().map(|part| part.removed.len()).sum::<usize>(), 3);
        let none: Vec<_> = Updates::new(1, std::iter::empty(), Vec::new()).collect();
        assert!(none.len() == 1 && none.iter().all(|part| part.end), "an empty one is one too");
    }
}
