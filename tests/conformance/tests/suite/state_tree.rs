//! Hold roots and proofs of the state tree to golden bytes.

use std::ops::Bound;

use kumiki_conformance::Golden;
use kumiki_protocol::{Address, Encode, state_key};
use kumiki_state::{MemoryState, Proof, RangeProof, StateChanges, Tree, proof};

fn entry(number: u8) -> (Vec<u8>, Vec<u8>) {
    let contract = Address([number % 3; 32]);
    let key = state_key::storage(&contract, &[number, 0, number]);
    (key, vec![number; 1 + usize::from(number)])
}

/// A state of the first `count` entries and its tree.
fn state(count: u8) -> (MemoryState, Tree) {
    let changes = StateChanges {
        entries: (0..count)
            .map(entry)
            .map(|(key, value)| (key, Some(value)))
            .collect(),
        ..StateChanges::default()
    };
    let mut state = MemoryState::default();
    let tree = Tree::empty().update(&changes, &state).unwrap();
    state.apply(&changes);
    (state, tree)
}

#[test]
fn roots_are_as_ever() {
    let mut golden = Golden::new("state_root.txt");
    for count in [0, 1, 2, 3, 16, 17, 100] {
        golden.add(format!("root.{count}"), state(count).1.root().to_string());
    }
    golden.compare();
}

#[test]
fn proofs_are_as_ever_and_verify() {
    let mut golden = Golden::new("state_proof.txt");
    let (state, tree) = state(20);
    let root = tree.root();
    for number in [0, 7, 19] {
        let (key, value) = entry(number);
        let shown = tree.prove(&key, &state).unwrap();
        assert_eq!(proof::verify(&root, &key, Some(&value), &shown), Ok(()));
        let bytes = shown.encode();
        assert_eq!(Proof::decode_checked(&bytes), Ok(shown));
        golden.add(format!("present.{number}"), hex::encode(bytes));
    }
    for number in [20, 200] {
        let (key, _value) = entry(number);
        let shown = tree.prove(&key, &state).unwrap();
        assert_eq!(proof::verify(&root, &key, None, &shown), Ok(()));
        golden.add(format!("absent.{number}"), hex::encode(shown.encode()));
    }
    let (first, _) = entry(3);
    let (last, _) = entry(13);
    let range = (Bound::Included(&first[..]), Bound::Excluded(&last[..]));
    let proven = tree.prove_range(range, 100, &state).unwrap();
    assert!(!proven.entries.is_empty() && !proven.more);
    assert_eq!(
        proof::verify_range(&root, range, &proven.entries, &proven.proof),
        Ok(())
    );
    let bytes = proven.proof.encode();
    assert_eq!(RangeProof::decode_checked(&bytes), Ok(proven.proof));
    golden.add("range", hex::encode(bytes));
    golden.compare();
}
