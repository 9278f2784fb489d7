//! Read which targets to fuzz, and for how long.

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// All, unless some are named.
    pub(super) targets: Vec<String>,
    minutes: u64,
}

impl Options {
    /// Reads `[TARGET]... [--minutes M]`.
    ///
    /// # Errors
    /// When there is no such target, or no such time.
    pub(super) fn parse(arguments: &[&str], known: &[String]) -> Result<Self, String> {
        let mut options = Self {
            targets: Vec::new(),
            minutes: 20,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if *argument == "--minutes" {
                let minutes = rest.next().and_then(|text| text.parse().ok());
                let minutes = minutes.filter(|minutes| *minutes > 0);
                options.minutes = minutes.ok_or("--minutes needs a number above 0")?;
            } else if known.iter().any(|name| name == argument) {
                options.targets.push((*argument).to_owned());
            } else {
                let known = known.join(", ");
                return Err(format!(
                    "there is no target '{argument}', expected one of {known}"
                ));
            }
        }
        if options.targets.is_empty() {
            options.targets = known.to_vec();
        }
        Ok(options)
    }

    /// The share of each target, where so many run at a time.
    pub(super) fn seconds_each(&self, jobs: usize) -> u64 {
        let targets = u64::try_from(self.targets.len()).unwrap_or(u64::MAX);
        let jobs = u64::try_from(jobs).unwrap_or(1).min(targets);
        (self.minutes * 60 * jobs / targets.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shared_among_the_targets_that_are_named() {
        let known: Vec<String> = ["block", "proof", "rpc"].map(str::to_owned).to_vec();
        let parse = |arguments: &[&str]| Options::parse(arguments, &known);
        let all = parse(&[]).unwrap();
        assert_eq!((all.targets.len(), all.seconds_each(2)), (3, 800));
        let one = parse(&["rpc", "--minutes", "2"]).unwrap();
        assert_eq!(
            (one.targets.as_slice(), one.seconds_each(2)),
            (&known[2..], 120)
        );
        assert!(
            parse(&["wallet"])
                .unwrap_err()
                .contains("block, proof, rpc")
        );
        for wrong in [&["--minutes"][..], &["--minutes", "0"], &["--minutes", "x"]] {
            assert!(parse(wrong).is_err());
        }
    }
}
