//! Verify proofs against a state that is known: what verifies is true, and what is true can be proved.

use std::ops::Bound;
use std::sync::OnceLock;

use kumiki_protocol::Encode as _;
use kumiki_state::proof::{verify, verify_range};
use kumiki_state::{
    EmptyState, KEY_BYTES_MAX, MemoryState, Proof, RangeProof, StateChanges, Tree, is_empty_range,
};
use kumiki_testkit::Random;

use crate::Verdict;
use crate::choices::Choices;
use crate::encoding::decoded_by;

/// Entries of the state that proofs are about.
const ENTRIES: u16 = 300;
/// Entries that a page asks for, at most.
const PAGE_MAX: usize = 40;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;
type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A state and the tree over it.
struct Proven {
    state: MemoryState,
    tree: Tree,
}

impl Proven {
    fn of(entries: Entries) -> Self {
        let changes = changes(entries);
        let mut state = MemoryState::default();
        state.apply(&changes);
        let tree = Tree::empty().update(&changes, &EmptyState);
        Self {
            state,
            tree: tree.expect("keys that fit"),
        }
    }

    /// The one that most inputs are about.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Proven> = OnceLock::new();
        SHARED.get_or_init(|| {
            let mut random = Random::new(7);
            let entry = |number: u16| {
                let mut key = number.wrapping_mul(40_503).to_be_bytes().to_vec();
                key.extend(vec![0; usize::from(number % 5)]);
                let length = random.below(4);
                (key, random.bytes(length))
            };
            Self::of((0..ENTRIES).map(entry).collect())
        })
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.state.entries.get(key).map(Vec::as_slice)
    }

    fn within(&self, range: Range<'_>) -> Entries {
        let entries = self.state.entries.iter();
        entries
            .filter(|(key, _)| contains(range, key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// A key of the state, or near one, or any.
    fn key(&self, choices: &mut Choices<'_>) -> Vec<u8> {
        let place = choices.below(usize::from(ENTRIES));
        let known = self.state.entries.keys().nth(place).cloned();
        match (known, choices.byte() % 4) {
            (Some(key), 0 | 1) => key,
            (Some(mut key), 2) => {
                if choices.one_in(2) {
                    key.push(choices.byte());
                } else if let Some(last) = key.last_mut() {
                    *last ^= 1 << (choices.byte() % 8);
                }
                key
            }
            _ => choices.bytes(200).to_vec(),
        }
    }

    /// Holds that a proof, whoever made it, shows nothing that is not so.
    fn shows_truth(&self, key: &[u8], claims: &[Option<&[u8]>], proof: &Proof) -> bool {
        let mut shown = false;
        for claim in claims {
            if verify(&self.tree.root(), key, *claim, proof).is_ok() {
                assert_eq!(self.get(key), *claim, "a proof of what is not so");
                shown = true;
            }
        }
        shown
    }
}

fn contains((start, end): Range<'_>, key: &[u8]) -> bool {
    let above = match start {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    };
    let below = match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    };
    above && below
}

fn changes(entries: Entries) -> StateChanges {
    let mut changes = StateChanges::default();
    for (key, value) in entries {
        changes.entries.insert(key, Some(value));
    }
    changes
}

/// Verifies a proof of one key.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    match choices.byte() % 3 {
        0 => any_proof(choices),
        1 => changed_proof(choices),
        _ => small_state(choices),
    }
}

fn any_proof(mut choices: Choices<'_>) -> Verdict {
    let known = Proven::shared();
    let key = known.key(&mut choices);
    let claim = choices.bytes(8).to_vec();
    let Some(proof) = decoded_by(choices.rest(), Proof::decode_checked) else {
        return Verdict::Refused;
    };
    let claims = [known.get(&key), None, Some(claim.as_slice())];
    Verdict::of(known.shows_truth(&key, &claims, &proof))
}

fn changed_proof(mut choices: Choices<'_>) -> Verdict {
    let known = Proven::shared();
    let key = known.key(&mut choices);
    let truth = known.get(&key);
    let proof = known.tree.prove(&key, &known.state).expect("a sound state");
    let short = key.len() <= KEY_BYTES_MAX;
    let root = known.tree.root();
    assert_eq!(verify(&root, &key, truth, &proof).is_ok(), short);
    let other_key = known.key(&mut choices);
    let claim = choices.bytes(8).to_vec();
    let changed = choices.mutated(&proof.encode());
    if let Some(mutant) = decoded_by(&changed, Proof::decode_checked) {
        for key in [&key, &other_key] {
            let claims = [truth, known.get(key), None, Some(claim.as_slice())];
            known.shows_truth(key, &claims, &mutant);
        }
    }
    Verdict::of(short)
}

/// A state of the input's own keys: its root does not depend on how it came to be, and all of it can be proved.
fn small_state(mut choices: Choices<'_>) -> Verdict {
    let mut entries = Entries::new();
    for _ in 0..choices.below(40) {
        let key = choices.bytes(12).to_vec();
        entries.push((key, choices.bytes(3).to_vec()));
    }
    let at = choices.below(entries.len());
    let absent = choices.bytes(12).to_vec();
    let known = Proven::of(entries.clone());
    let (early, late) = entries.split_at(at);
    let first = Proven::of(early.to_vec());
    let both = first.tree.update(&changes(late.to_vec()), &first.state);
    let both = both.expect("keys that fit");
    assert_eq!(both.root(), known.tree.root());
    let rebuilt = Tree::rebuild(&known.state).expect("a sound state");
    assert_eq!(rebuilt.root(), known.tree.root());
    for key in known.state.entries.keys().chain([&absent]) {
        let proof = both.prove(key, &known.state).expect("a sound state");
        let claims = [known.get(key), None, Some(&[1][..])];
        assert!(
            known.shows_truth(key, &claims, &proof),
            "it cannot be proved"
        );
    }
    let mut removal = StateChanges::default();
    for (key, _) in &entries {
        removal.entries.insert(key.clone(), None);
    }
    let emptied = both.update(&removal, &known.state).expect("a sound state");
    assert_eq!(emptied.root(), Tree::empty().root());
    Verdict::of(!entries.is_empty())
}

/// Verifies a proof of a range.
///
/// # Panics
/// Where a promise is broken.
pub fn range_body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    let mode = choices.byte();
    let known = Proven::shared();
    let (low, high) = (known.key(&mut choices), known.key(&mut choices));
    let range = (bound(&mut choices, &low), bound(&mut choices, &high));
    if mode.is_multiple_of(2) {
        let mut entries = known.within(range);
        entries.truncate(PAGE_MAX);
        change_entries(&mut entries, &mut choices);
        let Some(proof) = decoded_by(choices.rest(), RangeProof::decode_checked) else {
            return Verdict::Refused;
        };
        return Verdict::of(range_shows_truth(known, range, &entries, &proof));
    }
    changed_range(known, range, choices)
}

fn bound<'a>(choices: &mut Choices<'_>, key: &'a [u8]) -> Bound<&'a [u8]> {
    match choices.byte() % 5 {
        0 | 1 => Bound::Included(key),
        2 | 3 => Bound::Excluded(key),
        _ => Bound::Unbounded,
    }
}

/// Holds that what verifies is all there is in the range.
fn range_shows_truth(
    known: &Proven,
    range: Range<'_>,
    entries: &[(Vec<u8>, Vec<u8>)],
    proof: &RangeProof,
) -> bool {
    let shown = verify_range(&known.tree.root(), range, entries, proof).is_ok();
    if shown {
        assert_eq!(known.within(range), entries, "a proof of what is not so");
    }
    shown
}

fn change_entries(entries: &mut Entries, choices: &mut Choices<'_>) {
    let at = choices.below(entries.len());
    match choices.byte() % 8 {
        0 if !entries.is_empty() => drop(entries.remove(at)),
        1 => entries.insert(at, (choices.bytes(8).to_vec(), choices.bytes(3).to_vec())),
        2 => entries.truncate(at),
        3 => {
            if let Some((_, value)) = entries.get_mut(at) {
                *value = choices.bytes(3).to_vec();
            }
        }
        4 => {
            let first = entries.first().cloned();
            entries.extend(first);
        }
        _ => {}
    }
}

fn changed_range(known: &Proven, range: Range<'_>, mut choices: Choices<'_>) -> Verdict {
    let limit = choices.below(PAGE_MAX);
    let page = known.tree.prove_range(range, limit, &known.state);
    let page = page.expect("a sound state");
    let last = page.entries.last().map(|(key, _)| key.clone());
    let cut = last.as_deref().filter(|_| page.more);
    let proved = (range.0, cut.map_or(range.1, Bound::Included));
    let shown = range_shows_truth(known, proved, &page.entries, &page.proof);
    // Nobody asks for what lies between a key and a lower one; that it is nothing is not always shown.
    assert!(shown || is_empty_range(range), "it cannot be proved");
    let mut entries = page.entries;
    change_entries(&mut entries, &mut choices);
    range_shows_truth(known, range, &entries, &page.proof);
    let other = known.key(&mut choices);
    let claimed = match choices.byte() % 4 {
        0 => (bound(&mut choices, &other), proved.1),
        1 => (proved.0, bound(&mut choices, &other)),
        _ => proved,
    };
    let changed = choices.mutated(&page.proof.encode());
    if let Some(mutant) = decoded_by(&changed, RangeProof::decode_checked) {
        range_shows_truth(known, claimed, &entries, &mutant);
    }
    Verdict::of(shown)
}
