//! Name a test so that the name is the same on each machine and in each run.

/// A test's place in its project, as the macros of this crate fill it in.
#[derive(Clone, Copy, Debug)]
pub struct TestName {
    /// Name of its cargo package.
    pub package: &'static str,
    /// Folder of that package where it was compiled.
    pub manifest_dir: &'static str,
    /// Its path in the test program, from the program's name on: `token::transfers::nobody_spends_more`.
    pub path: &'static str,
}

impl TestName {
    /// Its name in the whole project: with the package before it, unless the test program is called like that.
    #[must_use]
    pub fn full(&self) -> String {
        let program = self.path.split("::").next().unwrap_or_default();
        if program == self.package.replace('-', "_") {
            self.path.to_owned()
        } else {
            format!("{}/{}", self.package, self.path)
        }
    }

    /// What of the name a test filter takes: without the test program.
    #[must_use]
    pub fn filter(&self) -> &'static str {
        self.path
            .split_once("::")
            .map_or(self.path, |(_, rest)| rest)
    }
}
