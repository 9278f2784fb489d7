//! Look for a sequence that breaks a property: first those that did before, then random ones.

use std::fmt;
use std::path::{Path, PathBuf};

use kumiki_protocol::sha3_256;

use super::attempt::{Attempt, Broken, Ended, Rule, Step};
use super::random::Random;
use super::shrink::Shrinking;
use super::source_text::{CALLER_NAMES, Names};
use super::{Property, saved};
use crate::wasm_file::fail;
use crate::{TestChain, TestName};

/// Says how many random sequences are tried.
const RUNS: &str = "KUMIKI_FUZZ_RUNS";
/// Says with which seed to begin.
const SEED: &str = "KUMIKI_FUZZ_SEED";
/// Few enough that `kumiki test` stays quick.
const RUNS_DEFAULT: u64 = 16;
/// The most steps of a sequence.
const STEPS_MAX: u64 = 24;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Search {
    /// What a test filter finds the property by.
    pub name: String,
    /// How many random sequences are tried.
    pub runs: u64,
    /// Seed of the first; each further one has the next.
    pub seed: u64,
    /// Where sequences that broke the property are kept.
    pub saved: PathBuf,
}

/// What was looked at, without finding anything.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// Saved sequences that were run again.
    pub replayed: usize,
    /// Random sequences.
    pub runs: u64,
    /// Seed of the first.
    pub seed: u64,
    /// Calls and views that were sent.
    pub sent: u64,
    /// Those that were not refused.
    pub succeeded: u64,
    /// Sequences that ended where the Wasm ran out of gas or stack.
    pub exhausted: u64,
}

/// A sequence that breaks a property, as plain as it was found.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What is broken, and how.
    pub what: String,
    /// The sequence as statements of a test; after `//` how each ended.
    pub statements: Vec<String>,
    /// Seed of the random sequence that it is a part of; none where it was saved.
    pub seed: Option<u64>,
    /// Where it is kept, or why it is not.
    pub kept: Result<PathBuf, String>,
    name: String,
}

impl Search {
    /// Where this process is asked to look.
    pub(crate) fn from_environment(test: &TestName) -> Self {
        let [
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
            eighth,
            ..,
        ] = sha3_256(&[test.path.as_bytes()]).0;
        // The same sequences each time: a test that fails by chance helps nobody who did not ask for chance.
        let default = [first, second, third, fourth, fifth, sixth, seventh, eighth];
        let seed = from_variable(SEED);
        let file = format!("{}.txt", test.path.replace("::", "-"));
        Self {
            name: test.filter().to_owned(),
            runs: from_variable(RUNS).unwrap_or(if seed.is_some() { 1 } else { RUNS_DEFAULT }),
            seed: seed.unwrap_or(u64::from_le_bytes(default)),
            saved: Path::new(test.manifest_dir)
                .join("tests/regressions")
                .join(file),
        }
    }
}

fn from_variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_invalid| fail(&format!("{name} is '{text}', not a number"))))
}

/// Looks for a sequence that breaks the property which `set_up` makes.
///
/// # Errors
/// The sequence, shrunk and saved.
pub fn check(
    search: &Search,
    set_up: fn(&mut TestChain) -> Property,
) -> Result<Searched, Box<Counterexample>> {
    let mut searched = Searched {
        seed: search.seed,
        ..Searched::default()
    };
    let fresh = Attempt::begin(set_up);
    if fresh.chain.is_exhausted() {
        fail("the set-up runs out of gas or stack on the Wasm");
    }
    if let Err(broken) = fresh.check() {
        return Err(told(search, set_up, &[], &broken, None));
    }
    let saved = saved::read(&search.saved, &fresh).unwrap_or_else(|error| fail(&error));
    for (_, steps) in saved {
        searched.replayed += 1;
        if let Err(broken) = replay(set_up, &steps) {
            return Err(told(search, set_up, &steps, &broken, None));
        }
    }
    for run in 0..search.runs {
        searched.runs += 1;
        let seed = search.seed.wrapping_add(run);
        if let Err((steps, broken)) = random_run(set_up, seed, &mut searched) {
            let steps = Shrinking::new(set_up, &broken.rule).shrink(steps);
            return Err(told(search, set_up, &steps, &broken, Some(seed)));
        }
    }
    Ok(searched)
}

fn replay(set_up: fn(&mut TestChain) -> Property, steps: &[Step]) -> Result<(), Broken> {
    let mut attempt = Attempt::begin(set_up);
    for step in steps {
        attempt.take(step)?;
    }
    Ok(())
}

fn random_run(
    set_up: fn(&mut TestChain) -> Property,
    seed: u64,
    searched: &mut Searched,
) -> Result<(), (Vec<Step>, Broken)> {
    let mut random = Random::new(seed);
    let mut attempt = Attempt::begin(set_up);
    let mut steps = Vec::new();
    for _ in 0..=random.below(STEPS_MAX) {
        let step = attempt.choose(&mut random);
        steps.push(step.clone());
        match attempt.take(&step) {
            Ok(Ended::Waited) => {}
            Ok(Ended::Well) => {
                searched.sent += 1;
                searched.succeeded += 1;
            }
            Ok(Ended::Refused(_)) => searched.sent += 1,
            Ok(Ended::Exhausted) => {
                searched.exhausted += 1;
                return Ok(());
            }
            Err(broken) => return Err((steps, broken)),
        }
    }
    Ok(())
}

/// Runs the sequence once more to tell how each step ends, and saves it where a random run found it.
fn told(
    search: &Search,
    set_up: fn(&mut TestChain) -> Property,
    steps: &[Step],
    broken: &Broken,
    seed: Option<u64>,
) -> Box<Counterexample> {
    let mut attempt = Attempt::begin(set_up);
    let mut statements = Vec::new();
    let mut broken = broken.clone();
    for step in steps {
        let ended = attempt.take(step);
        let statement = Names::of(&attempt.property.targets).step(step);
        let comment = match ended {
            Ok(Ended::Waited) => "",
            Ok(Ended::Well) => "  // Ok",
            Ok(Ended::Refused(error)) => &format!("  // {error}"),
            Ok(Ended::Exhausted) => "  // out of gas or stack",
            Err(found) => {
                broken = found;
                "  // this one"
            }
        };
        statements.push(format!("{statement}{comment}"));
    }
    let rule = match broken.rule {
        Rule::Agreement => String::new(),
        Rule::Invariant(name) => format!("the invariant \"{name}\" does not hold\n"),
    };
    let what = format!("{rule}{}", broken.how);
    let kept = match seed {
        Some(seed) => {
            let why = format!("{what}\nseed {seed}");
            saved::add(&search.saved, &attempt, steps, &why)
        }
        None => Ok(()),
    };
    Box::new(Counterexample {
        what,
        statements,
        seed,
        kept: kept.map(|()| search.saved.clone()),
        name: search.name.clone(),
    })
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} saved and {} random sequences from seed {}: {} of {} messages succeeded, {} sequences ran out of gas",
            self.replayed, self.runs, self.seed, self.succeeded, self.sent, self.exhausted
        )
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        let when = match self.statements.len() {
            0 => "right after the set-up".to_owned(),
            1 => "after this step".to_owned(),
            count => format!("after these {count} steps"),
        };
        writeln!(f, "\n{when}:\n")?;
        if !self.statements.is_empty() {
            writeln!(
                f,
                "    let [{}] = chain.accounts();",
                CALLER_NAMES.join(", ")
            )?;
        }
        for statement in &self.statements {
            writeln!(f, "    {statement}")?;
        }
        match (&self.kept, self.seed) {
            (Ok(path), Some(seed)) => write!(
                f,
                "\nsaved in {}, with which every run begins\nseed {seed}: kumiki test {} --fuzz-seed {seed}",
                path.display(),
                self.name
            ),
            (Ok(path), None) if !self.statements.is_empty() => {
                write!(f, "\nfrom {}", path.display())
            }
            (Ok(_), None) => Ok(()),
            (Err(error), _) => write!(f, "\nnot saved: {error}"),
        }
    }
}
