//! Turn the tree's buckets into records for a store, and records into a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use kumiki_protocol::Hash;
use parity_scale_codec::{Decode, Encode};

use super::{Inner, Node, Tree};
use crate::{StateError, key_bits};

/// A subtree whose inside is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Bucket {
    /// Its hash.
    pub hash: Hash,
    /// Entries in it.
    pub count: u64,
}

/// A bucket under the lowest key it may hold. That key also tells where the bucket parts from the one before
/// it, so all records in order make the tree.
pub type BucketRecord = (Vec<u8>, Bucket);

impl Tree {
    /// The tree that `records`, by rising key, make.
    ///
    /// # Errors
    /// `StateError` when they make none. Whether it is the right one, its root tells.
    pub fn from_records(
        records: impl IntoIterator<Item = Result<BucketRecord, StateError>>,
    ) -> Result<Self, StateError> {
        let damaged = || StateError {
            reason: "damaged: the tree records contradict each other".to_owned(),
        };
        let tree = Self::empty();
        let mut stack: Vec<(Arc<[u8]>, u16, Arc<Node>)> = Vec::new();
        for record in records {
            let (lower, bucket) = record?;
            let position = key_bits::split_position(&lower);
            if lower.is_empty() != stack.is_empty() || bucket.count == 0 {
                return Err(damaged());
            }
            let position = position.unwrap_or(0);
            while stack.len() > 1 && stack.last().is_some_and(|top| top.1 > position) {
                tree.join_top(&mut stack);
            }
            if stack.len() > 1 && stack.last().is_some_and(|top| top.1 == position) {
                return Err(damaged());
            }
            let node = Arc::new(Node::Bucket(bucket));
            stack.push((lower.into(), position, node));
        }
        while stack.len() > 1 {
            tree.join_top(&mut stack);
        }
        Ok(Self {
            root: stack.pop().map(|(_, _, node)| node),
            bucket_max: tree.bucket_max,
        })
    }

    fn join_top(&self, stack: &mut Vec<(Arc<[u8]>, u16, Arc<Node>)>) {
        if let Some((split, bit, right)) = stack.pop()
            && let Some((_, _, left)) = stack.last_mut()
        {
            *left = self.join(split, bit, Arc::clone(left), right);
        }
    }

    /// Keys that divide the entries into about `parts` parts of the same size. Costs a pass over all buckets.
    #[must_use]
    pub fn split_keys(&self, parts: usize) -> Vec<Vec<u8>> {
        let parts = u64::try_from(parts.max(1)).unwrap_or(u64::MAX);
        let size = self.entries().div_ceil(parts).max(1);
        let mut splits = Vec::new();
        let mut passed = 0;
        let mut waiting: Vec<(&Arc<Node>, &[u8])> =
            self.root.iter().map(|root| (root, &[][..])).collect();
        while let Some((node, lower)) = waiting.pop() {
            match &**node {
                Node::Inner(inner) => {
                    waiting.push((&inner.right, &inner.split));
                    waiting.push((&inner.left, lower));
                }
                Node::Bucket(bucket) => {
                    if passed >= size {
                        splits.push(lower.to_vec());
                        passed = 0;
                    }
                    passed += bucket.count;
                }
            }
        }
        splits
    }

    /// The records that this tree has and `older` has not (`None`: the other way round), in key order.
    /// Costs what changed in between.
    #[must_use]
    pub fn records_changed_since(&self, older: &Self) -> BTreeMap<Vec<u8>, Option<Bucket>> {
        let mut difference = Difference::default();
        difference.compare(older.root.as_ref(), &[], self.root.as_ref(), &[]);
        let mut changed: BTreeMap<Vec<u8>, Option<Bucket>> = BTreeMap::new();
        changed.extend(difference.gone.into_iter().map(|lower| (lower, None)));
        for (lower, bucket) in difference.come {
            changed.insert(lower, Some(bucket));
        }
        changed
    }
}

#[derive(Default)]
struct Difference {
    gone: Vec<Vec<u8>>,
    come: Vec<BucketRecord>,
}

impl Difference {
    fn compare(
        &mut self,
        old: Option<&Arc<Node>>,
        old_lower: &[u8],
        new: Option<&Arc<Node>>,
        new_lower: &[u8],
    ) {
        let (old, new) = match (old, new) {
            (None, None) => return,
            (Some(old), None) => return self.all_gone(old, old_lower),
            (None, Some(new)) => return self.all_come(new, new_lower),
            (Some(old), Some(new)) => (old, new),
        };
        if Arc::ptr_eq(old, new) {
            self.moved(old, old_lower, new_lower);
            return;
        }
        match (&**old, &**new) {
            (Node::Bucket(before), Node::Bucket(after)) => {
                if old_lower != new_lower {
                    self.gone.push(old_lower.to_vec());
                }
                if old_lower != new_lower || before != after {
                    self.come.push((new_lower.to_vec(), *after));
                }
            }
            (Node::Inner(before), Node::Inner(after)) => {
                self.compare_inner((old, before, old_lower), (new, after, new_lower));
            }
            (Node::Bucket(_), Node::Inner(_)) | (Node::Inner(_), Node::Bucket(_)) => {
                self.all_gone(old, old_lower);
                self.all_come(new, new_lower);
            }
        }
    }

    fn compare_inner(
        &mut self,
        (old, before, old_lower): (&Arc<Node>, &Inner, &[u8]),
        (new, after, new_lower): (&Arc<Node>, &Inner, &[u8]),
    ) {
        let parted = key_bits::first_difference(&before.split, &after.split);
        if parted.is_none() {
            self.compare(Some(&before.left), old_lower, Some(&after.left), new_lower);
            let split = &*before.split;
            self.compare(Some(&before.right), split, Some(&after.right), split);
        } else if parted.is_some_and(|bit| bit < before.bit.min(after.bit)) {
            self.all_gone(old, old_lower);
            self.all_come(new, new_lower);
        } else if after.bit < before.bit {
            // The new branch stands above the old one, which lies on one side of it.
            if key_bits::bit(&before.split, after.bit) {
                self.all_come(&after.left, new_lower);
                self.compare(Some(old), old_lower, Some(&after.right), &after.split);
            } else {
                self.compare(Some(old), old_lower, Some(&after.left), new_lower);
                self.all_come(&after.right, &after.split);
            }
        } else if key_bits::bit(&after.split, before.bit) {
            self.all_gone(&before.left, old_lower);
            self.compare(Some(&before.right), &before.split, Some(new), new_lower);
        } else {
            self.compare(Some(&before.left), old_lower, Some(new), new_lower);
            self.all_gone(&before.right, &before.split);
        }
    }

    /// The same subtree under another lower bound: only its first bucket has another key.
    fn moved(&mut self, node: &Arc<Node>, old_lower: &[u8], new_lower: &[u8]) {
        if old_lower == new_lower {
            return;
        }
        let mut first = node;
        while let Node::Inner(inner) = &**first {
            first = &inner.left;
        }
        if let Node::Bucket(bucket) = &**first {
            self.gone.push(old_lower.to_vec());
            self.come.push((new_lower.to_vec(), *bucket));
        }
    }

    fn all_gone(&mut self, node: &Arc<Node>, lower: &[u8]) {
        match &**node {
            Node::Bucket(_) => self.gone.push(lower.to_vec()),
            Node::Inner(inner) => {
                self.all_gone(&inner.left, lower);
                self.all_gone(&inner.right, &inner.split);
            }
        }
    }

    fn all_come(&mut self, node: &Arc<Node>, lower: &[u8]) {
        match &**node {
            Node::Bucket(bucket) => self.come.push((lower.to_vec(), *bucket)),
            Node::Inner(inner) => {
                self.all_come(&inner.left, lower);
                self.all_come(&inner.right, &inner.split);
            }
        }
    }
}
