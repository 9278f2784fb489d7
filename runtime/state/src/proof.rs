//! Prove to somebody who trusts nothing but a state root what is in the state and what is not.

use kumiki_protocol::Hash;
use parity_scale_codec::{Decode, Encode};

/// Bytes of the longest key.
pub const KEY_BYTES_MAX: usize = 192;

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

/// Shows that a key is there with its value, or that it is not there: the one leaf that the key's bits lead to.
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
    /// The entry before the range; `None` where there is none or the first entry stands at the bound.
    pub left: Option<Leaf>,
    /// The entry after the range; `None` where there is none or the last entry stands at the bound.
    pub right: Option<Leaf>,
    /// Branches from the root down whose hidden side lies left of the first leaf.
    pub left_path: Vec<Step>,
    /// Branches from the root down whose hidden side lies right of the last leaf.
    pub right_path: Vec<Step>,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not verify")]
pub struct ProofError;

/// Checks that under `root` the value of `key` is `value`, or that there is none if `None`.
///
/// # Errors
/// `ProofError` when the proof does not show that.
pub fn verify(
    _root: &Hash,
    _key: &[u8],
    _value: Option<&[u8]>,
    _proof: &Proof,
) -> Result<(), ProofError> {
    Err(ProofError)
}
