//! Commit to a list by an ordered binary Merkle tree in the shape of RFC 6962, with SHA-256.
//!
//! Leaf hash: SHA-256(0x00, leaf). Inner hash: SHA-256(0x01, left, right). A list of n > 1 leaves splits at
//! the largest power of two below n. The root of no leaves is 32 zero bytes.

use parity_scale_codec::{Decode, Encode};

use crate::{Hash, sha2_256};

/// The hashes beside the path from one leaf to the root, leaf first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ListProof {
    /// Position of the leaf.
    pub index: u32,
    /// Length of the list.
    pub count: u32,
    /// Sibling hashes, leaf first.
    pub siblings: Vec<Hash>,
}

/// The root over `leaves`.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> Hash {
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    root_of(&hashes)
}

/// A proof that the leaf at `index` is in the list; `None` when the list is not that long.
#[must_use]
pub fn prove<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Option<ListProof> {
    if index >= leaves.len() {
        return None;
    }
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    let mut siblings = Vec::new();
    collect_siblings(&hashes, index, &mut siblings);
    Some(ListProof {
        index: u32::try_from(index).ok()?,
        count: u32::try_from(leaves.len()).ok()?,
        siblings,
    })
}

/// Whether `proof` shows that `leaf` stands at `proof.index` of the list of `proof.count` under `root`.
#[must_use]
pub fn verify(root: &Hash, leaf: &[u8], proof: &ListProof) -> bool {
    let mut siblings = proof.siblings.iter();
    let Some(found) = fold(leaf_hash(leaf), proof.index, proof.count, &mut siblings) else {
        return false;
    };
    siblings.next().is_none() && found == *root
}

fn leaf_hash(leaf: &[u8]) -> Hash {
    sha2_256(&[&[0], leaf])
}

fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    sha2_256(&[&[1], &left.0, &right.0])
}

/// The largest power of two below `count`; `count` is at least 2.
const fn split_at(count: usize) -> usize {
    1 << (usize::BITS - 1 - (count - 1).leading_zeros())
}

fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::ZERO,
        [only] => *only,
        many => {
            let (left, right) = many.split_at(split_at(many.len()));
            inner_hash(&root_of(left), &root_of(right))
        }
    }
}

fn collect_siblings(hashes: &[Hash], index: usize, siblings: &mut Vec<Hash>) {
    if hashes.len() < 2 {
        return;
    }
    let (left, right) = hashes.split_at(split_at(hashes.len()));
    if index < left.len() {
        collect_siblings(left, index, siblings);
        siblings.push(root_of(right));
    } else {
        collect_siblings(right, index - left.len(), siblings);
        siblings.push(root_of(left));
    }
}

fn fold<'a>(
    leaf: Hash,
    index: u32,
    count: u32,
    siblings: &mut impl Iterator<Item = &'a Hash>,
) -> Option<Hash> {
    if index >= count {
        return None;
    }
    if count == 1 {
        return Some(leaf);
    }
    let split = u32::try_from(split_at(usize::try_from(count).ok()?)).ok()?;
    if index < split {
        let left = fold(leaf, index, split, siblings)?;
        Some(inner_hash(&left, siblings.next()?))
    } else {
        let right = fold(leaf, index - split, count - split, siblings)?;
        Some(inner_hash(siblings.next()?, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_length_is_proved_and_no_other() {
        for count in 0_u32..40 {
            let leaves: Vec<[u8; 4]> = (0..count).map(u32::to_be_bytes).collect();
            let root = root(&leaves);
            for index in 0..leaves.len() {
                let proof = prove(&leaves, index).unwrap();
                assert!(verify(&root, &leaves[index], &proof));
                assert!(!verify(&root, b"other", &proof));
                let mut moved = proof.clone();
                moved.index = (moved.index + 1) % count.max(2);
                assert!(!verify(&root, &leaves[index], &moved));
                let mut longer = proof.clone();
                longer.siblings.push(Hash::ZERO);
                assert!(!verify(&root, &leaves[index], &longer));
                let mut recounted = proof.clone();
                recounted.count = u32::MAX;
                assert!(!verify(&root, &leaves[index], &recounted));
            }
            assert!(prove(&leaves, leaves.len()).is_none());
        }
    }
}
