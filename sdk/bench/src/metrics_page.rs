//! Read the numbers of a `/metrics` page.

use std::collections::BTreeMap;

/// The samples without labels of a page, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct MetricsPage {
    samples: BTreeMap<String, f64>,
}

impl MetricsPage {
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (name, value) = line.split_once(' ')?;
                Some((name.to_owned(), value.trim().parse().ok()?))
            })
            .collect();
        Self { samples }
    }

    /// The sample called `name`, if there is one.
    pub(crate) fn sample(&self, name: &str) -> Option<f64> {
        self.samples.get(name).copied()
    }

    /// How much `name` grew from `earlier` to this page; 0 where it is missing.
    pub(crate) fn growth(&self, earlier: &Self, name: &str) -> f64 {
        let at = |page: &Self| page.sample(name).unwrap_or(0.0);
        at(self) - at(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_difference_of_plain_samples() {
        let earlier = MetricsPage::parse("# HELP a b\na_total 5\nb_bucket{le=\"1\"} 3\n");
        let later = MetricsPage::parse("a_total 12.5\n");
        assert!((later.growth(&earlier, "a_total") - 7.5).abs() < 1e-9);
        assert!(later.growth(&earlier, "missing").abs() < 1e-9);
    }
}
