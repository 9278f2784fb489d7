//! Say what the search found: the worst of each subject, the median over subjects, and how far the worst is from it.

use super::mixtures::SUBJECT;
use std::collections::BTreeMap;

/// Adds a line; a string takes every one.
macro_rules! line {
    ($text:ident, $($part:tt)*) => {
        $text.push_str(&format!($($part)*));
        $text.push('\n');
    };
}

/// A kernel's result.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The instruction or host function.
    pub subject: String,
    /// What of it.
    pub name: String,
    /// Nanoseconds for each gas.
    pub ns_per_gas: f64,
}

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every kernel, the worst first.
    pub entries: Vec<Entry>,
    /// The median over all instructions and host functions, each with its worst kernel. Mixtures are not counted.
    pub median: f64,
    /// How much longer the reference took at its worst than at its best.
    pub spread: f64,
    /// Of the mixtures.
    pub seed: u64,
    /// How long it took.
    pub seconds: u64,
    /// How long of that was spent on mixtures.
    pub mixing_seconds: u64,
}

impl Report {
    pub(super) fn of(mut entries: Vec<Entry>, spread: f64) -> Self {
        entries.sort_by(|one, other| other.ns_per_gas.total_cmp(&one.ns_per_gas));
        let mut report = Self {
            entries,
            median: 0.0,
            spread,
            seed: 0,
            seconds: 0,
            mixing_seconds: 0,
        };
        let mut worst: Vec<f64> = report
            .worst_of_each()
            .into_iter()
            .filter(|entry| entry.subject != SUBJECT)
            .map(|entry| entry.ns_per_gas)
            .collect();
        worst.sort_by(f64::total_cmp);
        report.median = match worst.len() {
            0 => 0.0,
            count if count % 2 == 1 => worst[count / 2],
            count => f64::midpoint(worst[count / 2 - 1], worst[count / 2]),
        };
        report
    }

    /// The worst kernel of each subject, the worst first.
    #[must_use]
    pub fn worst_of_each(&self) -> Vec<&Entry> {
        let mut worst: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in &self.entries {
            worst.entry(&entry.subject).or_insert(entry);
        }
        let mut worst: Vec<&Entry> = worst.into_values().collect();
        worst.sort_by(|one, other| other.ns_per_gas.total_cmp(&one.ns_per_gas));
        worst
    }

    /// How many times the median the worst is, mixtures counted.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let worst = self.entries.first().map_or(0.0, |entry| entry.ns_per_gas);
        worst / self.median.max(f64::MIN_POSITIVE)
    }

    /// For people: the worst of each subject, then the kernels beyond three medians.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let row = |entry: &Entry| {
            let (ns_per_gas, medians) = (entry.ns_per_gas, entry.ns_per_gas / self.median);
            format!(
                "{ns_per_gas:>8.3}  {medians:>5.1}x  {:18} {}",
                entry.subject, entry.name
            )
        };
        for entry in self.worst_of_each() {
            line!(text, "{}", row(entry));
        }
        let beyond = self.entries.iter();
        let beyond = beyond.filter(|entry| entry.ns_per_gas > 3.0 * self.median);
        line!(text, "\nbeyond three medians:");
        for entry in beyond {
            line!(text, "{}", row(entry));
        }
        let worst = self.entries.first().map_or(0.0, |entry| entry.ns_per_gas);
        line!(
            text,
            "\n{} kernels, seed {}, {} s ({} s mixing); reference at worst {:.2} of its best\n\
             median {:.3} ns per gas, worst {worst:.3}, ratio {:.2}",
            self.entries.len(),
            self.seed,
            self.seconds,
            self.mixing_seconds,
            self.spread,
            self.median,
            self.ratio()
        );
        text
    }

    /// For programs: all kernels. Names hold no character that JSON escapes.
    #[must_use]
    pub fn json(&self) -> String {
        let kernels: Vec<String> = self
            .entries
            .iter()
            .map(|entry| {
                format!(
                    "{{\"subject\":\"{}\",\"name\":\"{}\",\"nsPerGas\":{:.4}}}",
                    entry.subject, entry.name, entry.ns_per_gas
                )
            })
            .collect();
        format!(
            "{{\"seed\":{},\"seconds\":{},\"median\":{:.4},\"ratio\":{:.3},\"kernels\":[\n{}\n]}}",
            self.seed,
            self.seconds,
            self.median,
            self.ratio(),
            kernels.join(",\n")
        )
    }
}
