//! Make proofs from the tree and the entries under it.

use std::ops::{Bound, ControlFlow};

use super::{Extent, Node, Piece, Tree, fold, read_bucket, split_point};
use crate::proof::{Leaf, Proof, RangeProof, Step, reaches_end, reaches_start, value_hash};
use crate::{ScanDirection, StateError, StateReader, key_bits};

type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Entries of a range, proved to be all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRange {
    /// Keys and values, by rising key.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the range goes on after the last entry. Then the proof holds up to and with the last key.
    pub more: bool,
    /// The proof.
    pub proof: RangeProof,
}

impl Tree {
    /// Proves that `key` is there with its value, or that it is not there.
    ///
    /// # Errors
    /// `StateError` when `reader` fails or does not hold what this tree commits to.
    pub fn prove(&self, key: &[u8], reader: &dyn StateReader) -> Result<Proof, StateError> {
        let Some(mut node) = self.root.as_ref() else {
            return Ok(Proof::default());
        };
        let mut path = Vec::new();
        let mut extent = Extent::EVERYTHING;
        let bucket = loop {
            match &**node {
                Node::Bucket(bucket) => break bucket,
                Node::Inner(inner) => {
                    let (left, right) = extent.halves(&inner.split);
                    let (taken, beside) = if key_bits::bit(key, inner.bit) {
                        extent = right;
                        (&inner.right, &inner.left)
                    } else {
                        extent = left;
                        (&inner.left, &inner.right)
                    };
                    path.push(Step {
                        bit: inner.bit,
                        sibling: beside.hash(),
                    });
                    node = taken;
                }
            }
        };
        let leaves = read_bucket(bucket, extent, reader)?;
        let leaf_key = descend(&leaves, key, &mut path);
        let value = reader.get(leaf_key)?.ok_or_else(|| StateError {
            reason: "damaged: an entry that a scan shows cannot be read".to_owned(),
        })?;
        let leaf = Leaf {
            key: leaf_key.to_vec(),
            value_hash: value_hash(&value),
        };
        Ok(Proof {
            leaf: Some(leaf),
            path,
        })
    }

    /// The first `limit` entries between the bounds, proved to be all there are up to the last one.
    ///
    /// # Errors
    /// `StateError` when `reader` fails or does not hold what this tree commits to.
    pub fn prove_range(
        &self,
        range: Range<'_>,
        limit: usize,
        reader: &dyn StateReader,
    ) -> Result<ProvenRange, StateError> {
        // A page of no entries would prove nothing and leave no key to go on from.
        let (entries, more) = first_entries(range, limit.max(1), reader)?;
        let cut = entries.last().filter(|_| more).map(|(key, _)| key.clone());
        let end = cut.as_deref().map_or(range.1, Bound::Included);
        let first = entries.first().map(|(key, _)| key.as_slice());
        let last = entries.last().map(|(key, _)| key.as_slice());
        let left = if first.is_some_and(|key| reaches_start(range.0, key)) {
            None
        } else {
            neighbour_before(range.0, reader)?
        };
        let right = if last.is_some_and(|key| reaches_end(end, key)) {
            None
        } else {
            neighbour_after(end, reader)?
        };
        let outermost_left = left.as_ref().map(|leaf| leaf.key.as_slice()).or(first);
        let outermost_right = right.as_ref().map(|leaf| leaf.key.as_slice()).or(last);
        let left_path = self.steps_beside(outermost_left.or(outermost_right), true, reader)?;
        let right_path = self.steps_beside(outermost_right.or(outermost_left), false, reader)?;
        let proof = RangeProof {
            left,
            right,
            left_path,
            right_path,
        };
        Ok(ProvenRange {
            entries,
            more,
            proof,
        })
    }

    /// The branches on the way to `key` whose other side lies left of it (`side`) or right of it.
    fn steps_beside(
        &self,
        key: Option<&[u8]>,
        side: bool,
        reader: &dyn StateReader,
    ) -> Result<Vec<Step>, StateError> {
        let Some(key) = key else {
            return Ok(Vec::new());
        };
        let mut path = self.prove(key, reader)?.path;
        path.retain(|step| key_bits::bit(key, step.bit) == side);
        Ok(path)
    }
}

/// Goes down a bucket as the bits of `key` say, notes the branches, and tells the key it ends at.
fn descend<'a>(mut leaves: &'a [Piece<'_>], key: &[u8], path: &mut Vec<Step>) -> &'a [u8] {
    while let Some((bit, at)) = split_point(leaves) {
        let (left, right) = leaves.split_at(at);
        let (taken, beside) = if key_bits::bit(key, bit) {
            (right, left)
        } else {
            (left, right)
        };
        path.push(Step {
            bit,
            sibling: fold(beside),
        });
        leaves = taken;
    }
    &leaves[0].key
}

fn first_entries(
    range: Range<'_>,
    limit: usize,
    reader: &dyn StateReader,
) -> Result<(Entries, bool), StateError> {
    let mut entries = Vec::new();
    let mut more = false;
    reader.scan(range, ScanDirection::Ascending, &mut |key, value| {
        if entries.len() == limit {
            more = true;
            return ControlFlow::Break(());
        }
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok((entries, more))
}

fn neighbour_before(
    start: Bound<&[u8]>,
    reader: &dyn StateReader,
) -> Result<Option<Leaf>, StateError> {
    let upper = match start {
        Bound::Included(key) => Bound::Excluded(key),
        Bound::Excluded(key) => Bound::Included(key),
        Bound::Unbounded => return Ok(None),
    };
    nearest((Bound::Unbounded, upper), ScanDirection::Descending, reader)
}

fn neighbour_after(
    end: Bound<&[u8]>,
    reader: &dyn StateReader,
) -> Result<Option<Leaf>, StateError> {
    let lower = match end {
        Bound::Included(key) => Bound::Excluded(key),
        Bound::Excluded(key) => Bound::Included(key),
        Bound::Unbounded => return Ok(None),
    };
    nearest((lower, Bound::Unbounded), ScanDirection::Ascending, reader)
}

fn nearest(
    range: Range<'_>,
    direction: ScanDirection,
    reader: &dyn StateReader,
) -> Result<Option<Leaf>, StateError> {
    let mut nearest = None;
    reader.scan(range, direction, &mut |key, value| {
        nearest = Some(Leaf {
            key: key.to_vec(),
            value_hash: value_hash(value),
        });
        ControlFlow::Break(())
    })?;
    Ok(nearest)
}
