//! Hold proofs in ICS23 form to the stock verifier.

use ::ics23::{HostFunctionsManager, InnerSpec, LeafOp, ProofSpec};
use prost::Message as _;

use crate::Tree;
use crate::tree::tests::{MapState, changes_of};

fn spec() -> ProofSpec {
    ProofSpec {
        leaf_spec: Some(LeafOp {
            hash: 1,
            prehash_key: 0,
            prehash_value: 1,
            length: 1,
            prefix: vec![0],
        }),
        inner_spec: Some(InnerSpec {
            child_order: vec![0, 1],
            child_size: 32,
            min_prefix_length: 3,
            max_prefix_length: 3,
            empty_child: Vec::new(),
            hash: 1,
        }),
        max_depth: 0,
        min_depth: 0,
        prehash_key_before_comparison: false,
    }
}

fn state() -> (MapState, Tree) {
    let state: MapState = (0_u16..400)
        .map(|number| {
            let mut key = number.wrapping_mul(40_503).to_be_bytes().to_vec();
            key.extend(vec![7; usize::from(number % 150)]);
            (key, number.to_be_bytes().to_vec())
        })
        .collect();
    let tree = Tree::empty()
        .update(&changes_of(&state), &MapState::default())
        .unwrap();
    (state, tree)
}

#[test]
fn stock_verifier_accepts_every_membership_and_no_other_value() {
    let (state, tree) = state();
    let root = tree.root().0.to_vec();
    for (key, value) in &state.0 {
        let bytes = tree.prove_ics23(key, &state).unwrap().unwrap();
        let proof = ::ics23::CommitmentProof::decode(bytes.as_slice()).unwrap();
        let accepts = |key: &[u8], value: &[u8]| {
            ::ics23::verify_membership::<HostFunctionsManager>(&proof, &spec(), &root, key, value)
        };
        assert!(accepts(key, value));
        assert!(!accepts(key, b"other"));
    }
}

#[test]
fn stock_verifier_accepts_every_non_membership_and_none_of_what_is_there() {
    let (state, tree) = state();
    let root = tree.root().0.to_vec();
    let mut shown = 0;
    for number in 0_u16..2_000 {
        let key = number.wrapping_mul(24_593).to_be_bytes().to_vec();
        let bytes = tree.prove_ics23(&key, &state).unwrap().unwrap();
        let proof = ::ics23::CommitmentProof::decode(bytes.as_slice()).unwrap();
        let accepts =
            ::ics23::verify_non_membership::<HostFunctionsManager>(&proof, &spec(), &root, &key);
        assert_eq!(accepts, !state.0.contains_key(&key));
        shown += u32::from(accepts);
    }
    assert!(shown > 1_000);
}

#[test]
fn what_ics23_cannot_express_has_no_proof() {
    let empty_value: MapState = [(vec![1], vec![]), (vec![5], vec![1])]
        .into_iter()
        .collect();
    let tree = Tree::empty()
        .update(&changes_of(&empty_value), &MapState::default())
        .unwrap();
    assert_eq!(tree.prove_ics23(&[1], &empty_value).unwrap(), None);
    assert_eq!(tree.prove_ics23(&[2], &empty_value).unwrap(), None);
    assert!(tree.prove_ics23(&[6], &empty_value).unwrap().is_some());
    let nothing = MapState::default();
    assert_eq!(Tree::empty().prove_ics23(&[1], &nothing).unwrap(), None);
}
