//! Keep the authenticated tree over the flat table of entries: its top in memory, its bottom recomputed.
//!
//! A subtree of at most `bucket_max` entries is a bucket: only its hash and count are kept, its inside is
//! recomputed from the table when needed, and compared with the hash. Nodes are shared and never change, so
//! an old tree stays whole beside a new one.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use kumiki_protocol::Hash;

use crate::proof::{KEY_BYTES_MAX, inner_hash, leaf_hash_of, value_hash};
use crate::{StateChanges, StateError, StateReader, key_bits};

mod proving;
mod records;

pub use proving::ProvenRange;
pub use records::{Bucket, BucketRecord};

/// Entries of a bucket, at most.
pub const BUCKET_MAX: u64 = 16;

/// Changes on each side of a branch from which on a second thread is worth its start.
const FORK_CHANGES_MIN: usize = 256;

/// The authenticated tree over one state. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Option<Arc<Node>>,
    bucket_max: u64,
}

#[derive(Debug)]
enum Node {
    Bucket(Bucket),
    Inner(Inner),
}

#[derive(Debug)]
struct Inner {
    /// The lowest key that the right side may hold; tells the bit and the bits that all keys here share.
    split: Arc<[u8]>,
    bit: u16,
    hash: Hash,
    count: u64,
    left: Arc<Node>,
    right: Arc<Node>,
}

/// Where the keys of a subtree lie: from `lower` to before `upper`.
#[derive(Clone, Copy)]
struct Extent<'a> {
    lower: &'a [u8],
    upper: Option<&'a [u8]>,
}

/// A leaf or an existing subtree, to be put together with its neighbours.
struct Piece<'a> {
    /// The leaf's key; for a subtree any key with the bits that all keys in it share.
    key: Cow<'a, [u8]>,
    hash: Hash,
    count: u64,
    node: Option<Arc<Node>>,
}

/// A key and the hash of its new value; `None`: removed.
type Change<'a> = (&'a [u8], Option<Hash>);

impl Default for Tree {
    fn default() -> Self {
        Self::empty()
    }
}

impl Tree {
    /// The tree over no entries.
    #[must_use]
    pub const fn empty() -> Self {
        Self::with_bucket_max(BUCKET_MAX)
    }

    /// The tree over no entries with buckets of another size: same root, other records.
    #[must_use]
    pub const fn with_bucket_max(bucket_max: u64) -> Self {
        Self {
            root: None,
            bucket_max,
        }
    }

    /// The root hash: a function of the entries alone; zero when there is none.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root.as_ref().map_or(Hash::ZERO, |node| node.hash())
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.root.as_ref().map_or(0, |node| node.count())
    }

    /// The tree after `changes`, where `reader` holds the entries this tree is over.
    ///
    /// # Errors
    /// `StateError` when the reader fails, does not hold what this tree commits to, or a key is too long.
    pub fn update(
        &self,
        changes: &StateChanges,
        reader: &dyn StateReader,
    ) -> Result<Self, StateError> {
        let changes: Vec<Change<'_>> = changes
            .entries
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref().map(value_hash)))
            .collect();
        if let Some((key, _)) = changes.iter().find(|(key, _)| key.len() > KEY_BYTES_MAX) {
            return Err(StateError {
                reason: format!("a key of {} bytes, at most {KEY_BYTES_MAX} fit", key.len()),
            });
        }
        let root = match &self.root {
            None => self.build_some(&inserted(&changes)),
            Some(node) => self.update_node(node, Extent::EVERYTHING, &changes, reader)?,
        };
        Ok(Self {
            root,
            bucket_max: self.bucket_max,
        })
    }

    /// The tree over all entries of `reader`: a pass over all of them.
    ///
    /// # Errors
    /// `StateError` when the reader fails.
    pub fn rebuild(reader: &dyn StateReader) -> Result<Self, StateError> {
        let mut leaves = Vec::new();
        reader.scan_value_hashes((Bound::Unbounded, Bound::Unbounded), &mut |key, hash| {
            leaves.push(Piece::leaf(Cow::Owned(key.to_vec()), hash));
        })?;
        let mut tree = Self::empty();
        tree.root = tree.build_some(&leaves);
        Ok(tree)
    }

    fn update_node(
        &self,
        node: &Arc<Node>,
        extent: Extent<'_>,
        changes: &[Change<'_>],
        reader: &dyn StateReader,
    ) -> Result<Option<Arc<Node>>, StateError> {
        if changes.is_empty() {
            return Ok(Some(Arc::clone(node)));
        }
        match &**node {
            Node::Bucket(bucket) => {
                let leaves = read_bucket(bucket, extent, reader)?;
                Ok(self.build_some(&merge(leaves, changes)))
            }
            Node::Inner(inner) => self.update_inner(node, inner, extent, changes, reader),
        }
    }

    fn update_inner(
        &self,
        node: &Arc<Node>,
        inner: &Inner,
        extent: Extent<'_>,
        changes: &[Change<'_>],
        reader: &dyn StateReader,
    ) -> Result<Option<Arc<Node>>, StateError> {
        // Changes to keys without the shared bits lie outside on either side; what they remove is not there.
        let outside = |key: &[u8]| !key_bits::alike_before(key, &inner.split, inner.bit);
        let split = &*inner.split;
        let start = changes.partition_point(|(key, _)| *key < split && outside(key));
        let middle = changes.partition_point(|(key, _)| *key < split);
        let end = changes.partition_point(|(key, _)| *key < split || !outside(key));
        let (left_extent, right_extent) = extent.halves(split);
        let update_left =
            || self.update_node(&inner.left, left_extent, &changes[start..middle], reader);
        let update_right =
            || self.update_node(&inner.right, right_extent, &changes[middle..end], reader);
        // The sides share nothing, so where each has much to do they are worked out side by side.
        let (left, right) = if (middle - start).min(end - middle) < FORK_CHANGES_MIN {
            (update_left(), update_right())
        } else {
            side_by_side(update_left, update_right)
        };
        let (left, right) = (left?, right?);
        let joined = match (left, right) {
            (Some(left), Some(right)) => {
                let same = Arc::ptr_eq(&left, &inner.left) && Arc::ptr_eq(&right, &inner.right);
                Some(if same {
                    Arc::clone(node)
                } else {
                    self.join(Arc::clone(&inner.split), inner.bit, left, right)
                })
            }
            (Some(only), None) | (None, Some(only)) => Some(only),
            (None, None) => None,
        };
        let mut pieces = inserted(&changes[..start]);
        let after = inserted(&changes[end..]);
        if pieces.is_empty() && after.is_empty() {
            return Ok(joined);
        }
        pieces.extend(joined.map(|node| Piece::subtree(node, split)));
        pieces.extend(after);
        Ok(self.build_some(&pieces))
    }

    fn build_some(&self, pieces: &[Piece<'_>]) -> Option<Arc<Node>> {
        (!pieces.is_empty()).then(|| self.build(pieces))
    }

    /// Puts one or more pieces, in key order, together.
    fn build(&self, pieces: &[Piece<'_>]) -> Arc<Node> {
        let Some((bit, at)) = split_point(pieces) else {
            let only = &pieces[0];
            return only.node.clone().unwrap_or_else(|| {
                Arc::new(Node::Bucket(Bucket {
                    hash: only.hash,
                    count: only.count,
                }))
            });
        };
        let count = pieces.iter().map(|piece| piece.count).sum();
        if count <= self.bucket_max {
            let hash = fold(pieces);
            return Arc::new(Node::Bucket(Bucket { hash, count }));
        }
        let (left, right) = pieces.split_at(at);
        let split = key_bits::split_key(&right[0].key, bit);
        self.join(split.into(), bit, self.build(left), self.build(right))
    }

    fn join(&self, split: Arc<[u8]>, bit: u16, left: Arc<Node>, right: Arc<Node>) -> Arc<Node> {
        let hash = inner_hash(bit, &left.hash(), &right.hash());
        let count = left.count() + right.count();
        Arc::new(if count <= self.bucket_max {
            Node::Bucket(Bucket { hash, count })
        } else {
            Node::Inner(Inner {
                split,
                bit,
                hash,
                count,
                left,
                right,
            })
        })
    }
}

impl Node {
    const fn hash(&self) -> Hash {
        match self {
            Self::Bucket(bucket) => bucket.hash,
            Self::Inner(inner) => inner.hash,
        }
    }

    const fn count(&self) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.count,
            Self::Inner(inner) => inner.count,
        }
    }
}

impl<'a> Extent<'a> {
    const EVERYTHING: Self = Self {
        lower: &[],
        upper: None,
    };

    const fn halves(self, split: &'a [u8]) -> (Self, Self) {
        let left = Self {
            lower: self.lower,
            upper: Some(split),
        };
        let right = Self {
            lower: split,
            upper: self.upper,
        };
        (left, right)
    }
}

impl<'a> Piece<'a> {
    fn leaf(key: Cow<'a, [u8]>, value_hash: &Hash) -> Self {
        let hash = leaf_hash_of(&key, value_hash);
        Self {
            key,
            hash,
            count: 1,
            node: None,
        }
    }

    fn subtree(node: Arc<Node>, key: &'a [u8]) -> Self {
        Self {
            key: Cow::Borrowed(key),
            hash: node.hash(),
            count: node.count(),
            node: Some(node),
        }
    }
}

/// Runs both, `left` in a thread of its own. Results do not depend on which ends first.
fn side_by_side<T: Send>(left: impl FnOnce() -> T + Send, right: impl FnOnce() -> T) -> (T, T) {
    std::thread::scope(|scope| {
        let left = scope.spawn(left);
        let right = right();
        match left.join() {
            Ok(left) => (left, right),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn inserted<'a>(changes: &[Change<'a>]) -> Vec<Piece<'a>> {
    changes
        .iter()
        .filter_map(|(key, value)| Some(Piece::leaf(Cow::Borrowed(*key), value.as_ref()?)))
        .collect()
}

/// The bit in which the pieces differ first and the position of the first piece that has a 1 there.
fn split_point(pieces: &[Piece<'_>]) -> Option<(u16, usize)> {
    let bit = key_bits::first_difference(&pieces.first()?.key, &pieces.last()?.key)?;
    Some((
        bit,
        pieces.partition_point(|piece| !key_bits::bit(&piece.key, bit)),
    ))
}

/// The hash over one or more pieces in key order.
fn fold(pieces: &[Piece<'_>]) -> Hash {
    match split_point(pieces) {
        None => pieces[0].hash,
        Some((bit, at)) => inner_hash(bit, &fold(&pieces[..at]), &fold(&pieces[at..])),
    }
}

/// Reads the leaves of a bucket and holds them against what the tree commits to.
fn read_bucket(
    bucket: &Bucket,
    extent: Extent<'_>,
    reader: &dyn StateReader,
) -> Result<Vec<Piece<'static>>, StateError> {
    let mut leaves = Vec::new();
    let upper = extent.upper.map_or(Bound::Unbounded, Bound::Excluded);
    reader.scan_value_hashes((Bound::Included(extent.lower), upper), &mut |key, hash| {
        leaves.push(Piece::leaf(Cow::Owned(key.to_vec()), hash));
    })?;
    let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    if count != bucket.count || leaves.is_empty() || fold(&leaves) != bucket.hash {
        return Err(StateError {
            reason: format!(
                "damaged: the {count} entries from key {:02x?} on are not those the tree commits to",
                extent.lower
            ),
        });
    }
    Ok(leaves)
}

/// The leaves after the changes, both in key order.
fn merge<'a>(leaves: Vec<Piece<'a>>, changes: &[Change<'a>]) -> Vec<Piece<'a>> {
    let mut merged = Vec::with_capacity(leaves.len() + changes.len());
    let mut changes = changes.iter().peekable();
    let insert = |merged: &mut Vec<Piece<'a>>, (key, value): &Change<'a>| {
        if let Some(value) = value {
            merged.push(Piece::leaf(Cow::Borrowed(*key), value));
        }
    };
    for leaf in leaves {
        while let Some(change) = changes.next_if(|(key, _)| *key < &*leaf.key) {
            insert(&mut merged, change);
        }
        match changes.next_if(|(key, _)| *key == &*leaf.key) {
            Some(change) => insert(&mut merged, change),
            None => merged.push(leaf),
        }
    }
    for change in changes {
        insert(&mut merged, change);
    }
    merged
}

#[cfg(test)]
pub(crate) mod tests;
