//! Read and write a chain's `genesis.json`.

use std::path::Path;

use kumiki_protocol::Genesis;

use crate::failure::{Exit, Failure, Outcome};

/// A larger file is no genesis.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Reads the genesis at `path` and checks that it starts a chain.
pub(crate) fn read(path: &Path) -> Outcome<Genesis> {
    let text = std::fs::metadata(path)
        .and_then(|file| {
            if file.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other("the file is too large for a genesis"));
            }
            std::fs::read_to_string(path)
        })
        .map_err(|error| {
            Failure::io(path, &error)
                .expected("the genesis.json of a chain")
                .next("kumiki node genesis --help")
        })?;
    let refused = |problem: String| {
        Failure::new(
            Exit::Usage,
            "genesisRefused",
            "this genesis starts no chain",
        )
        .at(path.display().to_string())
        .expected("a file as 'kumiki node genesis' writes it")
        .found(problem)
        .next("kumiki node genesis --help")
    };
    let genesis: Genesis =
        serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    genesis
        .check()
        .map_err(|error| refused(error.to_string()))?;
    Ok(genesis)
}

/// The text of `genesis` as a file.
pub(crate) fn text(genesis: &Genesis) -> Outcome<String> {
    let text = serde_json::to_string_pretty(genesis);
    let text = text.map_err(|error| Failure::new(Exit::System, "genesis", error.to_string()))?;
    Ok(format!("{text}\n"))
}
