//! Hold the journal to a model that copies everything.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::Hash;
use proptest::prelude::*;

use super::*;
use crate::tree::tests::MapState;

#[derive(Clone, Debug)]
enum Operation {
    Write(Vec<u8>, Option<Vec<u8>>),
    Read(Vec<u8>),
    AddCode(u8),
    Checkpoint,
    Revert(usize),
    EndTransaction,
    Scan(Vec<u8>, Vec<u8>, (u8, u8), ScanDirection, usize),
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..4, 0..3)
}

fn values() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::weighted(0.7, proptest::collection::vec(0_u8..3, 0..2))
}

fn operations() -> impl Strategy<Value = Operation> {
    let direction = prop_oneof![
        Just(ScanDirection::Ascending),
        Just(ScanDirection::Descending)
    ];
    prop_oneof![
        6 => (keys(), values()).prop_map(|(key, value)| Operation::Write(key, value)),
        2 => keys().prop_map(Operation::Read),
        1 => (0_u8..3).prop_map(Operation::AddCode),
        2 => Just(Operation::Checkpoint),
        2 => (0_usize..4).prop_map(Operation::Revert),
        1 => Just(Operation::EndTransaction),
        3 => (keys(), keys(), (0_u8..3, 0_u8..3), direction, 0_usize..6).prop_map(
            |(low, high, kinds, direction, limit)| {
                Operation::Scan(low, high, kinds, direction, limit)
            }
        ),
    ]
}

/// What the journal should show: whole copies, no cleverness.
#[derive(Clone, Default)]
struct Model {
    shown: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    codes: BTreeMap<u8, ()>,
}

fn bound(kind: u8, key: &[u8]) -> Bound<&[u8]> {
    match kind {
        0 => Bound::Included(key),
        1 => Bound::Excluded(key),
        _ => Bound::Unbounded,
    }
}

type Seen = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn scan_model(
    base: &MapState,
    model: &Model,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    direction: ScanDirection,
    limit: usize,
) -> Seen {
    if is_empty_range(range) {
        return Vec::new();
    }
    let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> = base
        .0
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    merged.extend(model.shown.clone());
    let seen = merged
        .range::<[u8], _>(range)
        .map(|(key, value)| (key.clone(), value.clone()));
    match direction {
        ScanDirection::Ascending => seen.take(limit + 1).collect(),
        ScanDirection::Descending => seen.rev().take(limit + 1).collect(),
    }
}

fn scan_journal(
    journal: &mut Journal,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    direction: ScanDirection,
    limit: usize,
) -> Seen {
    let mut seen = Vec::new();
    journal
        .scan(range, direction, &mut |key, value| {
            let value = value.map(|value| value.load().unwrap().into_owned());
            seen.push((key.to_vec(), value));
            Ok(if seen.len() > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn journal_shows_what_a_pile_of_copies_would(
        base in proptest::collection::btree_map(keys(), proptest::collection::vec(0_u8..3, 0..2), 0..12),
        operations in proptest::collection::vec(operations(), 0..60),
    ) {
        let base = MapState(base);
        let mut journal = Journal::new(Arc::new(base.clone()));
        let mut model = Model::default();
        let mut marks: Vec<(Checkpoint, Model)> = Vec::new();
        let mut at_start = Model::default();
        for operation in operations {
            match operation {
                Operation::Write(key, value) => {
                    model.shown.insert(key.clone(), value.clone());
                    match value {
                        Some(value) => journal.set(key, value),
                        None => journal.remove(key),
                    }
                }
                Operation::Read(key) => {
                    let expected =
                        model.shown.get(&key).cloned().unwrap_or_else(|| base.0.get(&key).cloned());
                    prop_assert_eq!(journal.contains(&key).unwrap(), expected.is_some());
                    prop_assert_eq!(journal.get(&key).unwrap(), expected.as_deref());
                }
                Operation::AddCode(code) => {
                    model.codes.insert(code, ());
                    journal.add_code(Hash([code; 32]), Arc::from([code]));
                }
                Operation::Checkpoint => marks.push((journal.checkpoint(), model.clone())),
                Operation::Revert(back) => {
                    if marks.len() > back {
                        marks.truncate(marks.len() - back);
                        let (mark, earlier) = marks.pop().unwrap();
                        journal.revert_to(mark);
                        model = earlier;
                    }
                }
                Operation::EndTransaction => {
                    marks.clear();
                    let access = journal.end_transaction();
                    for (key, value) in &model.shown {
                        let written = at_start.shown.get(key) != Some(value);
                        prop_assert!(!written || access.writes.contains(key));
                    }
                    at_start = model.clone();
                }
                Operation::Scan(low, high, kinds, direction, limit) => {
                    let range = (bound(kinds.0, &low), bound(kinds.1, &high));
                    let expected = scan_model(&base, &model, range, direction, limit);
                    prop_assert_eq!(scan_journal(&mut journal, range, direction, limit), expected);
                }
            }
            for code in 0..3 {
                let known = journal.code(&Hash([code; 32])).unwrap().is_some();
                prop_assert_eq!(known, model.codes.contains_key(&code));
            }
        }
        let changes = journal.into_changes().unwrap();
        let expected: BTreeMap<_, _> = model
            .shown
            .into_iter()
            .filter(|(key, value)| base.0.get(key) != value.as_ref())
            .collect();
        prop_assert_eq!(changes.entries, expected);
        prop_assert_eq!(changes.codes.len(), model.codes.len());
    }
}

/// The bits at which some key parts from `key`, of those past its first `shared` bytes.
fn branches_of_all(keys: &BTreeMap<Vec<u8>, Option<Vec<u8>>>, key: &[u8], shared: usize) -> usize {
    let parted: std::collections::BTreeSet<_> = keys
        .keys()
        .filter(|other| other.len() >= shared && key.len() > shared)
        .filter(|other| other[..shared] == key[..shared])
        .filter_map(|other| crate::key_bits::first_difference(key, other))
        .collect();
    parted.len()
}

fn bytes_that_part_anywhere() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(0),
        Just(0xff),
        (0_u32..8).prop_map(|bit| 1 << bit),
        any::<u8>()
    ];
    proptest::collection::vec(byte, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_walk_finds_each_branch_and_pays_for_each_seek(
        base in proptest::collection::btree_map(bytes_that_part_anywhere(), values_there(), 0..40),
        changed in proptest::collection::btree_map(bytes_that_part_anywhere(), values(), 0..10),
        key in bytes_that_part_anywhere(),
        shared in 0_usize..3,
        seeks_paid in 0_usize..30,
    ) {
        let mut all: BTreeMap<_, _> =
            base.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let mut journal = Journal::new(Arc::new(MapState(base)));
        for (key, value) in changed {
            all.insert(key.clone(), value.clone());
            journal.write(key, value);
        }
        let branches = branches_of_all(&all, &key, shared);
        let mut seeks = 0;
        let mut walk = |limit| {
            seeks = 0;
            journal
                .walk_branches(&key, shared, &mut || {
                    seeks += 1;
                    if seeks > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
            seeks
        };
        let expected = if branches == 0 { 0 } else { branches + 2 };
        // A side whose last branch is the last key there is has no seek that finds nothing.
        let found = walk(usize::MAX);
        prop_assert!(found == expected || found + 1 == expected, "{found} of {expected}");
        prop_assert_eq!(walk(seeks_paid), found.min(seeks_paid + 1));
    }
}

fn values_there() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..3, 0..2)
}

fn journal() -> Journal {
    let base: MapState = (0_u8..10).map(|byte| (vec![byte], vec![byte])).collect();
    Journal::new(Arc::new(base))
}

#[test]
fn accesses_are_recorded_even_of_what_was_undone() {
    let mut journal = journal();
    let mark = journal.checkpoint();
    journal.get(&[1]).unwrap();
    journal.contains(&[2]).unwrap();
    journal.set(vec![3], vec![9]);
    journal.revert_to(mark);
    journal.set(vec![4], vec![9]);
    let access = journal.end_transaction();
    assert!(access.reads.contains([1].as_slice()));
    assert!(access.existence_reads.contains([2].as_slice()));
    assert_eq!(access.writes.into_iter().collect::<Vec<_>>(), [vec![4]]);
    assert_eq!(journal.end_transaction(), AccessSet::default());
}

#[test]
fn scan_that_breaks_off_records_only_what_it_saw() {
    let mut journal = journal();
    let range = (Bound::Included(&[2][..]), Bound::Excluded(&[8][..]));
    let all = scan_journal(&mut journal, range, ScanDirection::Ascending, 100);
    assert_eq!(all.len(), 6);
    scan_journal(&mut journal, range, ScanDirection::Ascending, 1);
    scan_journal(&mut journal, range, ScanDirection::Descending, 1);
    let scans: Vec<_> = journal.end_transaction().scans.into_iter().collect();
    let expected = [(vec![2], vec![3]), (vec![2], vec![8]), (vec![6], vec![8])];
    assert_eq!(scans, expected);
}
