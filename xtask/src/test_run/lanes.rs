//! Which test programs run beside which: those that wait for networks, and those that compute.

use cargo_metadata::{Metadata, MetadataCommand, TargetKind};

use crate::workspace;

/// The crate whose tests run networks of real processes, which mostly wait for time limits of the protocol.
const WAITING: &str = "kumiki-chaos";
/// Programs of other crates that wait as well, for contracts to be built and nodes to start: both lanes take about as long.
const ALSO_WAITING: [&str; 1] = ["command_line"];

/// The arguments of `cargo test` for each lane's runs, one run after another. All name the whole workspace: another
/// selection of crates would have other features and be built again.
///
/// # Errors
/// What `cargo metadata` says.
pub(super) fn of_everything() -> Result<[Vec<Vec<String>>; 2], String> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(|error| error.to_string())?;
    let (waiting, computing) = test_programs(&metadata);
    Ok([
        vec![
            selected(&["--lib", "--bins"], &computing),
            selected(&["--doc"], &[]),
        ],
        vec![selected(&[], &waiting)],
    ])
}

/// Names of test programs: those that wait, and all others. Cargo selects by name alone, so a name
/// that both have is in the first only, or it would run twice.
fn test_programs(metadata: &Metadata) -> (Vec<String>, Vec<String>) {
    let names = |waits: bool| {
        let packages = metadata
            .packages
            .iter()
            .filter(move |package| (package.name.as_str() == WAITING) == waits);
        let targets = packages.flat_map(|package| &package.targets);
        let mut names: Vec<String> = targets
            .filter(|target| target.kind.contains(&TargetKind::Test))
            .map(|target| target.name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let mut waiting = names(true);
    waiting.extend(ALSO_WAITING.map(str::to_owned));
    let mut computing = names(false);
    computing.retain(|name| !waiting.contains(name));
    (waiting, computing)
}

fn selected(kinds: &[&str], tests: &[String]) -> Vec<String> {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned());
    let tests = tests
        .iter()
        .flat_map(|name| ["--test".to_owned(), name.clone()]);
    std::iter::once("--workspace".to_owned())
        .chain(kinds)
        .chain(tests)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_program_is_in_one_lane() {
        let [computing, waiting] = of_everything().unwrap();
        let waiting = waiting.concat();
        let computing = computing.concat();
        for name in ["partitions", "short", "hostile_peers", "command_line"] {
            assert!(waiting.contains(&name.to_owned()), "{name}");
            assert!(!computing.contains(&name.to_owned()), "{name}");
        }
        for name in ["--lib", "--bins", "--doc", "seeds", "documents", "suite"] {
            assert!(computing.contains(&name.to_owned()), "{name}");
            assert!(!waiting.contains(&name.to_owned()), "{name}");
        }
    }
}
