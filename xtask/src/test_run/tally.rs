//! Count passed and failed tests in the text that test programs print.

/// What the tests came to so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Tests that passed.
    pub(super) passed: u64,
    /// Tests that failed, and programs that died before they said how many did.
    pub(super) failed: u64,
    /// Tests that were not run.
    pub(super) ignored: u64,
    /// Names of what failed.
    pub(super) failures: Vec<String>,
    /// A program has said how many tests it runs, and not yet what they came to.
    unfinished: bool,
}

impl Tally {
    /// Takes one line of output.
    pub(super) fn read(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.end_program();
            self.unfinished = true;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
            self.unfinished = false;
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
    }

    /// Ends the count; `success` is what cargo made of it all.
    pub(super) fn finish(&mut self, success: bool) {
        self.end_program();
        if !success && self.failed == 0 {
            self.failed = 1;
            self.failures
                .push("cargo test itself; see its output".to_owned());
        }
    }

    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.failures.extend(other.failures);
        self
    }

    fn end_program(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            self.failed += 1;
            self.failures
                .push("a test program that died before it ended; see its output".to_owned());
        }
    }
}

/// The number before `word` in `ok. 5 passed; 1 failed; 0 ignored; …`.
fn count(counts: &str, word: &str) -> u64 {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str, success: bool) -> Tally {
        let mut tally = Tally::default();
        for line in text.lines() {
            tally.read(line);
        }
        tally.finish(success);
        tally
    }

    const PASSING: &str = "running 2 tests\ntest a ... ok\ntest b ... ok\n\
        test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    const FAILING: &str = "running 3 tests\ntest a ... ok\ntest b ... FAILED\ntest c ... ignored\n\
        test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn results_of_all_programs_are_added_up() {
        let found = tally(&format!("{PASSING}{FAILING}{PASSING}"), false);
        assert_eq!((found.passed, found.failed, found.ignored), (5, 1, 1));
        assert_eq!(found.failures, ["b"]);
    }

    #[test]
    fn lanes_are_added_up() {
        let found = tally(PASSING, true).and(tally(FAILING, false));
        assert_eq!((found.passed, found.failed, found.ignored), (3, 1, 1));
        assert_eq!(found.failures, ["b"]);
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        assert_eq!(
            tally(&format!("running 7 tests\ntest a ... ok\n{PASSING}"), false).failed,
            1
        );
        assert_eq!(
            tally(&format!("{PASSING}running 1 test\n"), false).failed,
            1
        );
    }

    #[test]
    fn a_failure_that_no_test_reports_still_counts() {
        assert_eq!(tally(PASSING, false).failed, 1);
        assert_eq!(tally(PASSING, true).failed, 0);
        assert_eq!(tally("", true).failed, 0);
    }
}
