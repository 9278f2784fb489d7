//! Name the files of a node that become durable one by one.

use std::path::{Path, PathBuf};

/// Views after the newest whose journals are named: more than there are until a kill.
const VIEWS: u64 = 400;

/// The chain's own file.
#[must_use]
pub fn chain_file(data: &Path) -> Vec<PathBuf> {
    vec![data.join("chain/chain.redb")]
}

/// The journals of votes of the newest view and of those after it: a file each, named by its number.
///
/// # Panics
/// When the folder is not what the engine makes: the test is wrong.
#[must_use]
pub fn vote_journals(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("consensus/votes-0");
    let names = std::fs::read_dir(&folder).expect("a validator has journals of votes");
    let newest = names
        .map(|entry| entry.expect("a folder that can be read").file_name())
        .map(|name| name.into_string().expect("a number"))
        .map(|name| u64::from_str_radix(&name, 16).expect("a number"))
        .max()
        .unwrap_or(0);
    (newest..newest + VIEWS)
        .map(|view| folder.join(format!("{view:016x}")))
        .collect()
}
