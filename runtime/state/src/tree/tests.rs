//! Hold the tree to a naive root and to a sorted map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use kumiki_protocol::Hash;
use proptest::prelude::*;

use super::*;
use crate::proof::{verify, verify_range};
use crate::{Found, ScanDirection, Scanned, VisitScanned};

/// Entries in memory: the model that everything is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapState(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>);

impl FromIterator<(Vec<u8>, Vec<u8>)> for MapState {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl StateReader for MapState {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        Ok(Found::within(self.0.get(key).cloned(), bytes_max))
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        let mut entries: Vec<_> = self.0.range::<[u8], _>(range).collect();
        if direction == ScanDirection::Descending {
            entries.reverse();
        }
        for (key, value) in entries {
            if visit(key, Scanned::Loaded(value))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn code(&self, _hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(None)
    }
}

pub(crate) fn changes_of(state: &MapState) -> StateChanges {
    let entries = state.0.iter();
    StateChanges {
        entries: entries
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect(),
        codes: BTreeMap::new(),
    }
}

impl MapState {
    pub(crate) fn apply(&mut self, changes: &StateChanges) {
        for (key, value) in &changes.entries {
            match value {
                Some(value) => self.0.insert(key.clone(), value.clone()),
                None => self.0.remove(key),
            };
        }
    }
}

/// The root by the definition alone, without sharing a line with the tree.
fn naive_root(entries: &[(&Vec<u8>, &Vec<u8>)]) -> [u8; 32] {
    let bits = |key: &[u8]| -> Vec<bool> {
        let byte = |byte: &u8| -> Vec<bool> {
            std::iter::once(true)
                .chain((0..8).map(|bit| byte << bit & 0x80 != 0))
                .collect()
        };
        let mut bits: Vec<bool> = key.iter().flat_map(byte).collect();
        bits.resize(9 * 192 + 1, false);
        bits
    };
    match entries {
        [] => [0; 32],
        [(key, value)] => {
            let low = |number: usize| number.to_le_bytes()[0];
            let mut varint = vec![low(key.len())];
            if key.len() > 0x7f {
                varint = vec![low(key.len() | 0x80), low(key.len() >> 7)];
            }
            let value = kumiki_protocol::sha2_256(&[value]);
            kumiki_protocol::sha2_256(&[&[0], &varint, key, &[0x20], &value.0]).0
        }
        many => {
            let (first, last) = (bits(many[0].0), bits(many[many.len() - 1].0));
            let bit = (0..first.len())
                .find(|bit| first[*bit] != last[*bit])
                .unwrap();
            let (left, right): (Vec<_>, Vec<_>) = many.iter().partition(|(key, _)| !bits(key)[bit]);
            let at = u16::try_from(bit).unwrap().to_be_bytes();
            let (left, right) = (naive_root(&left), naive_root(&right));
            kumiki_protocol::sha2_256(&[&[1], &at, &left, &right]).0
        }
    }
}

/// Keys that collide, nest and share long prefixes.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(0x80), Just(0xff), any::<u8>()];
    prop_oneof![
        8 => proptest::collection::vec(byte, 0..4),
        1 => (0_usize..=192).prop_map(|length| vec![0x80; length]),
    ]
}

fn batches() -> impl Strategy<Value = Vec<StateChanges>> {
    let value = proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..3));
    let batch =
        proptest::collection::btree_map(keys(), value, 0..60).prop_map(|entries| StateChanges {
            entries,
            codes: BTreeMap::new(),
        });
    proptest::collection::vec(batch, 1..6)
}

fn grown(batches: &[StateChanges], bucket_max: u64) -> (MapState, Tree) {
    let mut state = MapState::default();
    let mut tree = Tree::with_bucket_max(bucket_max);
    for batch in batches {
        tree = tree.update(batch, &state).unwrap();
        state.apply(batch);
    }
    (state, tree)
}

proptest! {
    #[test]
    fn root_is_that_of_the_definition_whatever_the_history(batches in batches()) {
        let (state, tree) = grown(&batches, BUCKET_MAX);
        let entries: Vec<_> = state.0.iter().collect();
        prop_assert_eq!(tree.root().0, naive_root(&entries));
        prop_assert_eq!(tree.entries(), state.0.len() as u64);
        let (_, unbucketed) = grown(&batches, 1);
        prop_assert_eq!(unbucketed.root(), tree.root());
        let once = Tree::empty().update(&changes_of(&state), &MapState::default()).unwrap();
        prop_assert_eq!(once.root(), tree.root());
        prop_assert_eq!(Tree::rebuild(&state).unwrap().root(), tree.root());
        // One by one, backwards: the order of history cannot show.
        let mut singly = (MapState::default(), Tree::empty());
        for (key, value) in state.0.iter().rev() {
            let entries = BTreeMap::from([(key.clone(), Some(value.clone()))]);
            let change = StateChanges { entries, codes: BTreeMap::new() };
            singly.1 = singly.1.update(&change, &singly.0).unwrap();
            singly.0.apply(&change);
        }
        prop_assert_eq!(singly.1.root(), tree.root());
    }

    #[test]
    fn records_kept_by_differences_are_those_of_the_whole_tree(batches in batches()) {
        for bucket_max in [1, 3, BUCKET_MAX] {
            let mut state = MapState::default();
            let mut tree = Tree::with_bucket_max(bucket_max);
            let mut records = BTreeMap::new();
            for batch in &batches {
                let next = tree.update(batch, &state).unwrap();
                state.apply(batch);
                for (lower, bucket) in next.records_changed_since(&tree) {
                    match bucket {
                        Some(bucket) => records.insert(lower, bucket),
                        None => records.remove(&lower),
                    };
                }
                tree = next;
                let whole = tree.records_changed_since(&Tree::with_bucket_max(bucket_max));
                let whole: BTreeMap<_, _> =
                    whole.into_iter().filter_map(|(lower, bucket)| Some((lower, bucket?))).collect();
                prop_assert_eq!(&whole, &records);
                let loaded = Tree::from_records(records.clone().into_iter().map(Ok)).unwrap();
                prop_assert_eq!(loaded.root(), tree.root());
                prop_assert_eq!(loaded.entries(), tree.entries());
            }
            // What was loaded goes on as what it was stored from.
            let loaded = Tree::from_records(records.into_iter().map(Ok)).unwrap();
            let more = StateChanges {
                entries: BTreeMap::from([(vec![3, 3], Some(vec![3])), (vec![0x80; 7], None)]),
                codes: BTreeMap::new(),
            };
            prop_assert_eq!(
                loaded.update(&more, &state).unwrap().root(),
                tree.update(&more, &state).unwrap().root()
            );
        }
    }

    #[test]
    fn every_key_is_proved_present_or_absent_and_never_both(batches in batches(), asked in keys()) {
        let (state, tree) = grown(&batches, BUCKET_MAX);
        let root = tree.root();
        for key in state.0.keys().chain([&asked]) {
            let proof = tree.prove(key, &state).unwrap();
            let value = state.0.get(key).map(Vec::as_slice);
            prop_assert_eq!(verify(&root, key, value, &proof), Ok(()));
            let opposite = if value.is_some() { None } else { Some(&b"x"[..]) };
            prop_assert!(verify(&root, key, opposite, &proof).is_err());
            prop_assert!(verify(&root, key, Some(b"not this one"), &proof).is_err());
        }
    }

    #[test]
    fn every_page_of_every_range_is_proved_and_nothing_may_be_missing(
        batches in batches(),
        bounds in (keys(), keys()),
        kinds in (0..3_u8, 0..3_u8),
        limit in 1_usize..20,
    ) {
        let (state, tree) = grown(&batches, BUCKET_MAX);
        let root = tree.root();
        let (low, high) = (bounds.0.clone().min(bounds.1.clone()), bounds.0.max(bounds.1));
        prop_assume!(low != high);
        let bound = |kind, key| match kind {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        let range = (bound(kinds.0, low.as_slice()), bound(kinds.1, high.as_slice()));
        let page = tree.prove_range(range, limit, &state).unwrap();
        let all: Vec<_> = state.0.range::<[u8], _>(range).collect();
        prop_assert_eq!(page.more, all.len() > limit);
        let expected: Vec<_> =
            all.iter().take(limit).map(|(key, value)| ((*key).clone(), (*value).clone())).collect();
        prop_assert_eq!(&page.entries, &expected);
        let last = page.entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
        let proved = if page.more { (range.0, Bound::Included(last.as_slice())) } else { range };
        prop_assert_eq!(verify_range(&root, proved, &page.entries, &page.proof), Ok(()));
        if page.more {
            prop_assert!(verify_range(&root, range, &page.entries, &page.proof).is_err());
        }
        for missing in 0..page.entries.len() {
            let mut fewer = page.entries.clone();
            fewer.remove(missing);
            prop_assert!(verify_range(&root, proved, &fewer, &page.proof).is_err());
            let mut forged = page.entries.clone();
            forged[missing].1.push(0);
            prop_assert!(verify_range(&root, proved, &forged, &page.proof).is_err());
        }
    }
}

#[test]
fn large_batches_worked_out_side_by_side_come_to_the_same_root() {
    let key = |number: u32| {
        kumiki_protocol::sha2_256(&[&number.to_be_bytes()])
            .0
            .to_vec()
    };
    let state: MapState = (0..3_000).map(|number| (key(number), vec![1])).collect();
    let tree = Tree::rebuild(&state).unwrap();
    let entries = (1_500..4_500)
        .map(|number| (key(number), (number % 5 > 0).then(|| vec![2])))
        .collect();
    let changes = StateChanges {
        entries,
        codes: BTreeMap::new(),
    };
    let mut after = state.clone();
    after.apply(&changes);
    let updated = tree.update(&changes, &state).unwrap();
    assert_eq!(updated.root(), Tree::rebuild(&after).unwrap().root());
    assert_eq!(updated.entries(), after.0.len() as u64);
}

#[test]
fn tree_refuses_to_build_on_entries_it_does_not_commit_to() {
    let state: MapState = (0_u8..100).map(|byte| (vec![byte], vec![byte])).collect();
    let tree = Tree::empty()
        .update(&changes_of(&state), &MapState::default())
        .unwrap();
    let change = StateChanges {
        entries: BTreeMap::from([(vec![50], Some(vec![1, 2]))]),
        codes: BTreeMap::new(),
    };
    let mut damaged = state.clone();
    damaged.0.insert(vec![51], vec![0]);
    assert!(tree.update(&change, &damaged).is_err());
    assert!(tree.prove(&[50], &damaged).is_err());
    damaged.0.remove(&vec![51]);
    assert!(tree.update(&change, &damaged).is_err());
    assert!(tree.update(&change, &state).is_ok());
}

#[test]
fn key_past_the_limit_is_refused() {
    let change = |length: usize| StateChanges {
        entries: BTreeMap::from([(vec![1; length], Some(vec![1]))]),
        codes: BTreeMap::new(),
    };
    let nothing = MapState::default();
    assert!(Tree::empty().update(&change(192), &nothing).is_ok());
    assert!(Tree::empty().update(&change(193), &nothing).is_err());
}

#[test]
fn contradictory_records_make_no_tree() {
    let bucket = Bucket {
        hash: Hash([1; 32]),
        count: 3,
    };
    let from = |lowers: &[&[u8]]| {
        Tree::from_records(lowers.iter().map(|lower| Ok((lower.to_vec(), bucket))))
    };
    assert!(from(&[&[], &[0x80], &[0xc0]]).is_ok());
    assert!(from(&[&[0x80]]).is_err());
    assert!(from(&[&[], &[]]).is_err());
    assert!(from(&[&[], &[0x80], &[0x80]]).is_err());
}
