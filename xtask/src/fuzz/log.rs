//! Read what libFuzzer says of its runs.

/// What the runs of one target came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Inputs that were run.
    pub(super) executions: u64,
    seconds: u64,
    /// Inputs that are kept, each for something that no other reaches.
    corpus: u64,
    /// Edges of control flow that were reached: when the first run had read its corpus, and in the end.
    edges: (u64, u64),
    crashes: u64,
}

impl Progress {
    pub(super) const HEAD: &str = "\
| target | executions | seconds | executions per second | inputs kept | edges at start | edges at end | crashes |
|---|---|---|---|---|---|---|---|";

    /// Reads one log, which may hold several runs.
    pub(super) fn read(text: &str) -> Self {
        let mut progress = Self::default();
        // Of the run that is being read: its inputs, and whether it has said how long it took, which one that fails does not.
        let (mut executions, mut timed) = (0, false);
        for line in text.lines() {
            if line.contains("INITED") && progress.edges.0 == 0 {
                progress.edges.0 = number_after(line, "cov:").unwrap_or(0);
            }
            if let Some(edges) = number_after(line, "cov:") {
                progress.edges.1 = progress.edges.1.max(edges);
                progress.corpus = number_after(line, "corp:").unwrap_or(progress.corpus);
            }
            if let Some(seconds) = line.split(" runs in ").nth(1) {
                progress.seconds += first_number(seconds).unwrap_or(0);
                timed = true;
            }
            if let Some(found) = number_after(line, "stat::number_of_executed_units:") {
                progress.executions += found;
                executions = found;
            }
            if let Some(pace) = number_after(line, "stat::average_exec_per_sec:") {
                progress.seconds += if timed { 0 } else { executions / pace.max(1) };
                timed = false;
            }
            if line.contains("SUMMARY: libFuzzer:") {
                progress.crashes += 1;
            }
        }
        progress
    }

    /// Adds what another target came to.
    pub(super) fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.seconds += other.seconds;
        self.corpus += other.corpus;
        self.edges.0 += other.edges.0;
        self.edges.1 += other.edges.1;
        self.crashes += other.crashes;
    }

    /// The row of a table under [`Self::HEAD`].
    pub(super) fn row(&self, name: &str) -> String {
        let Self {
            executions,
            seconds,
            corpus,
            edges: (start, end),
            crashes,
        } = self;
        let pace = executions / seconds.max(&1);
        format!(
            "| {name} | {executions} | {seconds} | {pace} | {corpus} | {start} | {end} | {crashes} |"
        )
    }
}

fn number_after(line: &str, name: &str) -> Option<u64> {
    first_number(line.split_once(name)?.1)
}

fn first_number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
#3\tINITED cov: 120 ft: 200 corp: 2/10b exec/s: 0 rss: 40Mb
#50\tNEW    cov: 130 ft: 240 corp: 3/14b lim: 4 exec/s: 0 rss: 41Mb L: 4/4 MS: 1 ChangeByte-
#5000\tDONE   cov: 131 ft: 260 corp: 4/24b lim: 53 exec/s: 500 rss: 60Mb
Done 5000 runs in 10 second(s)
stat::number_of_executed_units: 5000
stat::average_exec_per_sec:     500
";

    #[test]
    fn runs_of_one_log_add_up() {
        let twice = format!("{RUN}{}", RUN.replace("cov: 131", "cov: 150"));
        let progress = Progress::read(&twice);
        assert_eq!(
            progress.row("`x`"),
            "| `x` | 10000 | 20 | 500 | 4 | 120 | 150 | 0 |"
        );
    }

    #[test]
    fn a_crash_is_counted_and_its_run_too() {
        let crash = "\
#9\tINITED cov: 20 ft: 20 corp: 1/1b
==7== ERROR: libFuzzer: deadly signal
SUMMARY: libFuzzer: deadly signal
stat::number_of_executed_units: 40
stat::average_exec_per_sec:     20
";
        let mut sum = Progress::read(crash);
        sum.add(&Progress::read(RUN));
        assert_eq!(
            sum.row("together"),
            "| together | 5040 | 12 | 420 | 5 | 140 | 151 | 1 |"
        );
    }
}
