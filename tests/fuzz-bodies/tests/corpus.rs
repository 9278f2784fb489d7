//! Run every fuzz body on its saved corpus and on mutations of it, and show that bodies get past the first check.
#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use kumiki_fuzz_bodies::{TARGETS, Target, Verdict, clean_up};
use kumiki_testkit::Random;

/// Mutations of the corpus that each cheap body runs on.
const MUTATIONS: usize = 300;
/// The same for those that compile, or that wait for a node.
const DEAR_MUTATIONS: usize = 100;

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder.join(target.name)).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// `bytes` with one to four changes.
fn mutated(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.extend(random.bytes(8)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.bytes(1)[0];
                }
            }
        }
    }
    bytes
}

/// Runs a body on its corpus and on mutations, saying which input failed before it does.
fn hold(target: &Target) -> BTreeSet<Verdict> {
    let corpus = corpus(target);
    let mut verdicts = BTreeSet::new();
    for (path, bytes) in &corpus {
        println!("{}", path.display());
        verdicts.insert((target.body)(bytes));
    }
    let dear = ["module", "differential", "rpc"].contains(&target.name);
    let count = if dear { DEAR_MUTATIONS } else { MUTATIONS };
    let mut random = Random::new(1);
    for number in 0..count {
        let (path, bytes) = &corpus[random.below(corpus.len())];
        let input = mutated(bytes.clone(), &mut random);
        println!("mutation {number}, of {}: {input:02x?}", path.display());
        (target.body)(&input);
    }
    verdicts
}

#[test]
fn every_body_holds_on_its_corpus_and_goes_past_the_first_check() {
    for target in &TARGETS {
        let verdicts = hold(target);
        let both = BTreeSet::from([Verdict::Refused, Verdict::Accepted]);
        assert_eq!(verdicts, both, "the corpus of {}", target.name);
    }
    clean_up();
}

#[test]
fn every_body_has_a_program_for_the_fuzzer_and_a_corpus() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let names = |folder: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(root.join(folder)).unwrap();
        files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_owned())
            .map(|name| name.into_string().unwrap())
            .collect()
    };
    let bodies: BTreeSet<String> = TARGETS.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(names("fuzz/fuzz_targets"), bodies);
    assert_eq!(names("tests/fuzz-bodies/corpus"), bodies);
}
