//! Define the arguments of `kumiki test`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Run only tests whose names contain this.
    pub(crate) filter: Option<String>,
    /// Folder of the project.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
    /// Write the gas of each message that the tests send on the Wasm to gas-snapshot.txt.
    #[arg(long, conflicts_with_all = ["gas_check", "filter"])]
    pub(crate) gas_snapshot: bool,
    /// Compare the gas of each message with gas-snapshot.txt, and fail where it differs.
    #[arg(long)]
    pub(crate) gas_check: bool,
    /// By how many percent gas may differ from the snapshot; by default 0.
    #[arg(long, value_name = "PERCENT", requires = "gas_check")]
    pub(crate) tolerance: Option<Percent>,
    /// Try so many random sequences of calls in each property test, with a seed of its own each time; by default 16, the
    /// same each time.
    #[arg(long, value_name = "N")]
    pub(crate) fuzz_runs: Option<u64>,
    /// Begin the random sequences with this seed, which a failure names; one sequence, unless --fuzz-runs says more.
    #[arg(long, value_name = "SEED")]
    pub(crate) fuzz_seed: Option<u64>,
    /// Arguments for the test program.
    #[arg(last = true)]
    pub(crate) arguments: Vec<String>,
}

/// A share in hundredths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Percent(u64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no percentage: 0, 2 or 0.25 are");
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_plain =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit());
        if !is_plain(whole) || !is_plain(part) || part.len() > 2 {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_long| wrong())?;
        let part: u64 = format!("{part:0<2}").parse().map_err(|_long| wrong())?;
        let hundredths = whole
            .checked_mul(100)
            .and_then(|whole| whole.checked_add(part));
        hundredths.map(Self).ok_or_else(wrong)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 % 100 {
            0 => write!(f, "{} %", self.0 / 100),
            part => write!(f, "{}.{part:02} %", self.0 / 100),
        }
    }
}

impl Percent {
    pub(crate) const fn hundredths(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_read_to_the_hundredth() {
        for (text, hundredths) in [("0", 0), ("2", 200), ("0.5", 50), ("12.25", 1_225)] {
            assert_eq!(text.parse(), Ok(Percent(hundredths)), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "0.125",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        assert_eq!(Percent(50).to_string(), "0.50 %");
        assert_eq!(Percent(200).to_string(), "2 %");
    }
}
