//! Show that mutated proofs never verify.

use std::ops::Bound;

use kumiki_protocol::Encode as _;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::Tree;
use crate::tree::tests::{MapState, changes_of};

#[derive(Clone, Debug)]
enum Mutation {
    Flip { byte: Index, bit: u8 },
    Truncate { to: Index },
    Extend { with: Vec<u8> },
    Swap { one: Index, other: Index },
    Insert { at: Index, step: (u16, [u8; 32]) },
    Drop { at: Index },
    Reorder,
}

fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(byte, bit)| Mutation::Flip { byte, bit }),
        1 => any::<Index>().prop_map(|to| Mutation::Truncate { to }),
        1 => proptest::collection::vec(any::<u8>(), 1..40).prop_map(|with| Mutation::Extend { with }),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Mutation::Swap { one, other }),
        1 => (any::<Index>(), any::<(u16, [u8; 32])>())
            .prop_map(|(at, step)| Mutation::Insert { at, step }),
        1 => any::<Index>().prop_map(|at| Mutation::Drop { at }),
        1 => Just(Mutation::Reorder),
    ]
}

fn mutate_path(path: &mut Vec<Step>, mutation: &Mutation) {
    match mutation {
        Mutation::Swap { one, other } if !path.is_empty() => {
            let (one, other) = (one.index(path.len()), other.index(path.len()));
            let sibling = path[one].sibling;
            path[one].sibling = path[other].sibling;
            path[other].sibling = sibling;
        }
        Mutation::Insert { at, step } => {
            let (bit, sibling) = (step.0 % 1_800, Hash(step.1));
            path.insert(at.index(path.len() + 1), Step { bit, sibling });
        }
        Mutation::Drop { at } if !path.is_empty() => {
            path.remove(at.index(path.len()));
        }
        Mutation::Reorder => path.reverse(),
        _ => {}
    }
}

fn mutate_bytes(mut bytes: Vec<u8>, mutation: &Mutation) -> Vec<u8> {
    match mutation {
        Mutation::Flip { byte, bit } => {
            let at = byte.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Mutation::Truncate { to } => bytes.truncate(to.index(bytes.len())),
        Mutation::Extend { with } => bytes.extend(with),
        _ => {}
    }
    bytes
}

fn state() -> (MapState, Tree) {
    let state: MapState = (0_u16..300)
        .map(|number| {
            let mut key = number.wrapping_mul(40_503).to_be_bytes().to_vec();
            key.extend(vec![0; usize::from(number % 5)]);
            (key, vec![number.to_be_bytes()[1]; 3])
        })
        .collect();
    let tree = Tree::empty()
        .update(&changes_of(&state), &MapState::default())
        .unwrap();
    (state, tree)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn mutated_proof_never_verifies(
        key in prop_oneof![any::<Index>().prop_map(Ok), any::<[u8; 3]>().prop_map(Err)],
        mutation in mutations(),
    ) {
        let (state, tree) = state();
        let key = match key {
            Ok(index) => state.0.keys().nth(index.index(state.0.len())).unwrap().clone(),
            Err(bytes) => bytes.to_vec(),
        };
        let proof = tree.prove(&key, &state).unwrap();
        let mut mutant = proof.clone();
        mutate_path(&mut mutant.path, &mutation);
        let bytes = mutate_bytes(mutant.encode(), &mutation);
        let Ok(mutant) = Proof::decode_checked(&bytes) else { return Ok(()) };
        prop_assume!(mutant != proof);
        let value = state.0.get(&key).map(Vec::as_slice);
        prop_assert!(verify(&tree.root(), &key, value, &mutant).is_err());
    }

    #[test]
    fn mutated_range_proof_never_verifies(
        low in any::<[u8; 2]>(),
        width in 1_u16..3_000,
        limit in 1_usize..30,
        side in 0..4_u8,
        mutation in mutations(),
    ) {
        let (state, tree) = state();
        let high = u16::from_be_bytes(low).saturating_add(width).to_be_bytes();
        let range = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
        let page = tree.prove_range(range, limit, &state).unwrap();
        let last = page.entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
        let proved = if page.more { (range.0, Bound::Included(last.as_slice())) } else { range };
        prop_assert_eq!(verify_range(&tree.root(), proved, &page.entries, &page.proof), Ok(()));
        let mut mutant = page.proof.clone();
        match side {
            0 => mutate_path(&mut mutant.left_path, &mutation),
            1 => mutate_path(&mut mutant.right_path, &mutation),
            2 => mutant.left = None,
            _ => mutant.right = None,
        }
        let bytes = mutate_bytes(mutant.encode(), &mutation);
        let Ok(mutant) = RangeProof::decode_checked(&bytes) else { return Ok(()) };
        prop_assume!(mutant != page.proof);
        prop_assert!(verify_range(&tree.root(), proved, &page.entries, &mutant).is_err());
    }

    #[test]
    fn hostile_bytes_neither_panic_nor_verify(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let root = Hash([9; 32]);
        if let Ok(proof) = Proof::decode_checked(&bytes) {
            prop_assert!(verify(&root, &bytes, None, &proof).is_err());
        }
        if let Ok(proof) = RangeProof::decode_checked(&bytes) {
            let everything = (Bound::Unbounded, Bound::Unbounded);
            prop_assert!(verify_range(&root, everything, &[], &proof).is_err());
        }
    }
}

#[test]
fn overlong_paths_and_keys_are_refused_before_any_hashing() {
    let step = |bit| Step {
        bit,
        sibling: Hash::ZERO,
    };
    let leaf = |length| {
        Some(Leaf {
            key: vec![1; length],
            value_hash: Hash::ZERO,
        })
    };
    let longest = Proof {
        leaf: leaf(KEY_BYTES_MAX),
        path: (0..=1_728).map(step).collect(),
    };
    assert!(Proof::decode_checked(&longest.encode()).is_ok());
    for proof in [
        Proof {
            path: (0..=1_729).map(step).collect(),
            ..longest.clone()
        },
        Proof {
            leaf: leaf(60_000),
            path: Vec::new(),
        },
    ] {
        assert_eq!(verify(&Hash::ZERO, &[], None, &proof), Err(ProofError));
    }
}
