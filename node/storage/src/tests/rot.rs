//! Flip bits in every page of the files: what has rotted is refused with advice, or is nothing that anybody is shown.

use std::collections::BTreeMap;
use std::path::Path;

use kumiki_testkit::Random;
use tempfile::TempDir;

use super::damage::{open, stored_chain};
use crate::StorageError;

const PAGE: usize = 4_096;
/// Flips in each page.
const FLIPS: usize = 2;

/// What a page of the database is, by its first byte and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The first page: which of two roots holds, and their checksums.
    Header,
    Leaf,
    Branch,
    /// The region's own page, and all but the first of those that hold one large leaf.
    Other,
}

fn kind(page: usize, first: u8) -> Kind {
    match (page, first) {
        (0, _) => Kind::Header,
        (_, 1) => Kind::Leaf,
        (_, 2) => Kind::Branch,
        _ => Kind::Other,
    }
}

/// A folder with both files, one of them with a bit flipped.
fn copy_with(chain: &[u8], index: &[u8]) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("chain.redb"), chain).unwrap();
    std::fs::write(dir.path().join("index.redb"), index).unwrap();
    dir
}

fn files(dir: &Path) -> [Vec<u8>; 2] {
    ["chain.redb", "index.redb"].map(|name| std::fs::read(dir.join(name)).unwrap())
}

/// Bits to flip: some in each page that holds anything, as byte and mask.
fn flips(file: &[u8], random: &mut Random) -> Vec<(Kind, usize, u8)> {
    let mut flips = Vec::new();
    for (number, page) in file.chunks(PAGE).enumerate() {
        let used: Vec<usize> = (0..page.len()).filter(|at| page[*at] != 0).collect();
        // The header is short and decides most.
        let count = if number == 0 { 200 } else { FLIPS };
        for _ in 0..count.min(used.len()) {
            let at = match number {
                0 => random.below(320),
                _ => used[random.below(used.len())],
            };
            flips.push((
                kind(number, page[0]),
                number * PAGE + at,
                1 << random.below(8),
            ));
        }
    }
    flips
}

fn refused_with_advice(error: &StorageError) {
    let text = error.to_string();
    let advised = matches!(error, StorageError::Corrupt { .. }) && text.contains("backup");
    let read = matches!(
        error,
        StorageError::Database { .. } | StorageError::Schema { .. }
    );
    assert!(advised || read, "{text}");
}

#[test]
fn a_rotten_page_of_the_chain_is_refused_or_holds_nothing_that_is_shown() {
    let dir = TempDir::new().unwrap();
    let chain = stored_chain(dir.path(), 40);
    let [whole, index] = files(dir.path());
    let mut counts: BTreeMap<Kind, [u32; 2]> = BTreeMap::new();
    for (kind, at, mask) in flips(&whole, &mut Random::new(11)) {
        let mut rotten = whole.clone();
        rotten[at] ^= mask;
        let dir = copy_with(&rotten, &index);
        let count = counts.entry(kind).or_default();
        match open(dir.path()) {
            Err(error) => {
                refused_with_advice(&error);
                count[0] += 1;
            }
            Ok(storage) => {
                let height = storage.tip().map(|tip| tip.height);
                assert_eq!(height, Some(40), "byte {at} of a {kind:?} page");
                chain.check_all(&storage);
                count[1] += 1;
            }
        }
    }
    println!("of each kind of page refused and harmless: {counts:?}");
    for kind in [Kind::Header, Kind::Leaf, Kind::Branch, Kind::Other] {
        let [refused, harmless] = counts[&kind];
        assert!(refused + harmless >= 4, "too few {kind:?}: {counts:?}");
    }
    let refused: u32 = counts.values().map(|count| count[0]).sum();
    assert!(refused > 100, "{counts:?}");
}

#[test]
fn a_rotten_page_of_the_index_changes_no_answer() {
    let dir = TempDir::new().unwrap();
    let chain = stored_chain(dir.path(), 40);
    let [whole, index] = files(dir.path());
    let flips = flips(&index, &mut Random::new(12));
    assert!(flips.len() > 100, "{}", flips.len());
    for (_, at, mask) in flips {
        let mut rotten = index.clone();
        rotten[at] ^= mask;
        let dir = copy_with(&whole, &rotten);
        chain.check_all(&open(dir.path()).unwrap());
    }
}
