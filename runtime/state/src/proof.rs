//! Check, trusting nothing but a state root, what is in the state and what is not.
//!
//! Needs a hash function and no store. Everything a proof says is bounded before work is done with it, and
//! no proof makes these functions panic. The rules are in `docs/spec/state.md`.

use std::ops::Bound;

use kumiki_protocol::{DecodeError, Hash, decode_bounded, sha2_256};
use parity_scale_codec::{Decode, Encode};

use crate::key_bits;

/// Bytes of the longest key.
pub const KEY_BYTES_MAX: usize = 192;
/// Branches on the longest path: one for each bit of the longest key, and one for its end.
pub const PATH_STEPS_MAX: usize = 9 * KEY_BYTES_MAX + 1;
/// Bytes of the largest encoded [`Proof`] or [`RangeProof`].
pub const PROOF_BYTES_MAX: usize = 2 * (PATH_STEPS_MAX * 34 + KEY_BYTES_MAX + 64);

/// One entry of the state as the tree commits to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Leaf {
    /// The key.
    pub key: Vec<u8>,
    /// SHA-256 of the value.
    pub value_hash: Hash,
}

/// A branch on the way from the root to a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Step {
    /// The bit of the key that decides the side.
    pub bit: u16,
    /// Hash of the side not taken.
    pub sibling: Hash,
}

/// Shows that a key is there with its value, or that it is not there: the one leaf its bits lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Proof {
    /// The leaf; `None` only where the state is empty.
    pub leaf: Option<Leaf>,
    /// Branches from the root down.
    pub path: Vec<Step>,
}

/// Shows that a list of entries is all there is in a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct RangeProof {
    /// The entry before the range; `None` where there is none, or the first entry stands at the bound.
    pub left: Option<Leaf>,
    /// The entry after the range; `None` where there is none, or the last entry stands at the bound.
    pub right: Option<Leaf>,
    /// Branches from the root down whose hidden side lies left of the first leaf.
    pub left_path: Vec<Step>,
    /// Branches from the root down whose hidden side lies right of the last leaf.
    pub right_path: Vec<Step>,
}

/// The proof does not show what it is said to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not verify")]
pub struct ProofError;

impl Proof {
    /// Decodes a proof from outside.
    ///
    /// # Errors
    /// `DecodeError` when it is too long or malformed.
    pub fn decode_checked(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_bounded(bytes, PROOF_BYTES_MAX)
    }
}

impl RangeProof {
    /// Decodes a proof from outside.
    ///
    /// # Errors
    /// `DecodeError` when it is too long or malformed.
    pub fn decode_checked(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_bounded(bytes, PROOF_BYTES_MAX)
    }
}

/// Checks that under `root` the value of `key` is `value`, or that it has none if `None`.
///
/// # Errors
/// `ProofError` when the proof does not show that.
pub fn verify(
    root: &Hash,
    key: &[u8],
    value: Option<&[u8]>,
    proof: &Proof,
) -> Result<(), ProofError> {
    let Some(leaf) = &proof.leaf else {
        let empty = value.is_none() && proof.path.is_empty() && *root == Hash::ZERO;
        return empty.then_some(()).ok_or(ProofError);
    };
    if key.len() > KEY_BYTES_MAX || leaf.key.len() > KEY_BYTES_MAX {
        return Err(ProofError);
    }
    check_path(&proof.path)?;
    let found = proof.path.iter().rev().fold(leaf_hash(leaf), |hash, step| {
        if key_bits::bit(&leaf.key, step.bit) {
            inner_hash(step.bit, &step.sibling, &hash)
        } else {
            inner_hash(step.bit, &hash, &step.sibling)
        }
    });
    let led_here = proof
        .path
        .iter()
        .all(|step| key_bits::bit(key, step.bit) == key_bits::bit(&leaf.key, step.bit));
    let shown = match value {
        Some(value) => leaf.key == key && leaf.value_hash == value_hash(value),
        None => leaf.key != key,
    };
    (found == *root && led_here && shown)
        .then_some(())
        .ok_or(ProofError)
}

/// Checks that under `root` the entries between the bounds are exactly `entries`.
///
/// The caller bounds how many entries it takes; the work is one pass over them.
///
/// # Errors
/// `ProofError` when the proof does not show that.
pub fn verify_range(
    root: &Hash,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    entries: &[(Vec<u8>, Vec<u8>)],
    proof: &RangeProof,
) -> Result<(), ProofError> {
    check_path(&proof.left_path)?;
    check_path(&proof.right_path)?;
    let inside = |key: &[u8]| above(range.0, key) && below(range.1, key);
    let left_of = |leaf: &Leaf| !above(range.0, &leaf.key);
    let right_of = |leaf: &Leaf| !below(range.1, &leaf.key);
    if !entries.iter().all(|(key, _)| inside(key))
        || !proof.left.as_ref().is_none_or(left_of)
        || !proof.right.as_ref().is_none_or(right_of)
    {
        return Err(ProofError);
    }
    let middle = entries.iter().map(|(key, value)| Leaf {
        key: key.clone(),
        value_hash: value_hash(value),
    });
    let leaves: Vec<Leaf> = proof
        .left
        .iter()
        .cloned()
        .chain(middle)
        .chain(proof.right.iter().cloned())
        .collect();
    let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
        let hides_nothing = proof.left_path.is_empty() && proof.right_path.is_empty();
        return (hides_nothing && *root == Hash::ZERO)
            .then_some(())
            .ok_or(ProofError);
    };
    let ordered = leaves.windows(2).all(|pair| pair[0].key < pair[1].key);
    let short = leaves.iter().all(|leaf| leaf.key.len() <= KEY_BYTES_MAX);
    // Something may be hidden beside the leaves only where the outermost leaf already stands at or past the bound.
    let left_closed = proof.left_path.is_empty() || reaches_start(range.0, &first.key);
    let right_closed = proof.right_path.is_empty() || reaches_end(range.1, &last.key);
    let left_sided = sided(&proof.left_path, &first.key, true);
    let right_sided = sided(&proof.right_path, &last.key, false);
    if !(ordered && short && left_closed && right_closed && left_sided && right_sided) {
        return Err(ProofError);
    }
    let found = fold(&leaves, &proof.left_path, &proof.right_path).ok_or(ProofError)?;
    (found == *root).then_some(()).ok_or(ProofError)
}

/// SHA-256 of a value.
pub(crate) fn value_hash(value: &[u8]) -> Hash {
    sha2_256(&[value])
}

/// SHA-256(0x00, varint key length, key, 0x20, SHA-256(value)).
pub(crate) fn leaf_hash(leaf: &Leaf) -> Hash {
    leaf_hash_of(&leaf.key, &leaf.value_hash)
}

/// [`leaf_hash`] of parts.
pub(crate) fn leaf_hash_of(key: &[u8], value_hash: &Hash) -> Hash {
    let (low, high) = (key.len() & 0x7f, key.len() >> 7);
    let byte = |bits: usize| u8::try_from(bits & 0xff).unwrap_or(u8::MAX);
    let length = [byte(low | 0x80), byte(high)];
    let varint: &[u8] = if high == 0 { &[byte(low)] } else { &length };
    sha2_256(&[&[0], varint, key, &[32], &value_hash.0])
}

/// SHA-256(0x01, bit in two bytes big-endian, left, right).
pub(crate) fn inner_hash(bit: u16, left: &Hash, right: &Hash) -> Hash {
    sha2_256(&[&[1], &bit.to_be_bytes(), &left.0, &right.0])
}

fn check_path(path: &[Step]) -> Result<(), ProofError> {
    let rising = path.windows(2).all(|pair| pair[0].bit < pair[1].bit);
    (path.len() <= PATH_STEPS_MAX && rising)
        .then_some(())
        .ok_or(ProofError)
}

fn sided(path: &[Step], key: &[u8], side: bool) -> bool {
    path.iter().all(|step| key_bits::bit(key, step.bit) == side)
}

fn above(start: Bound<&[u8]>, key: &[u8]) -> bool {
    match start {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    }
}

fn below(end: Bound<&[u8]>, key: &[u8]) -> bool {
    match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    }
}

pub(crate) fn reaches_start(start: Bound<&[u8]>, key: &[u8]) -> bool {
    match start {
        Bound::Included(start) | Bound::Excluded(start) => key <= start,
        Bound::Unbounded => false,
    }
}

pub(crate) fn reaches_end(end: Bound<&[u8]>, key: &[u8]) -> bool {
    match end {
        Bound::Included(end) | Bound::Excluded(end) => key >= end,
        Bound::Unbounded => false,
    }
}

/// Folds neighbours into the root: of two neighbouring joints the one at the higher bit lies deeper.
fn fold(leaves: &[Leaf], left_path: &[Step], right_path: &[Step]) -> Option<Hash> {
    let mut stack = Stack::default();
    let mut joint = None;
    for step in left_path {
        stack.push(joint, step.sibling)?;
        joint = Some(step.bit);
    }
    let mut before: Option<&Leaf> = None;
    for leaf in leaves {
        if let Some(before) = before {
            joint = Some(key_bits::first_difference(&before.key, &leaf.key)?);
        }
        stack.push(joint, leaf_hash(leaf))?;
        before = Some(leaf);
    }
    for step in right_path.iter().rev() {
        stack.push(Some(step.bit), step.sibling)?;
    }
    stack.finish()
}

/// Subtrees from left to right, each with the bit at which it parts from the one before it. The bits rise.
#[derive(Default)]
struct Stack {
    subtrees: Vec<(u16, Hash)>,
}

impl Stack {
    fn push(&mut self, joint: Option<u16>, hash: Hash) -> Option<()> {
        let joint = match joint {
            Some(joint) => joint,
            // Only the first has nothing before it.
            None if self.subtrees.is_empty() => 0,
            None => return None,
        };
        while self.subtrees.len() > 1 && self.subtrees.last()?.0 > joint {
            self.join()?;
        }
        if self.subtrees.len() > 1 && self.subtrees.last()?.0 == joint {
            return None;
        }
        self.subtrees.push((joint, hash));
        Some(())
    }

    fn join(&mut self) -> Option<()> {
        let (bit, right) = self.subtrees.pop()?;
        let (_, left) = self.subtrees.last_mut()?;
        *left = inner_hash(bit, left, &right);
        Some(())
    }

    fn finish(mut self) -> Option<Hash> {
        while self.subtrees.len() > 1 {
            self.join()?;
        }
        self.subtrees.pop().map(|(_, hash)| hash)
    }
}

#[cfg(test)]
mod tests;
