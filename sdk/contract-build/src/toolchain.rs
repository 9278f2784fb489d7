//! Make sure that the compiler can build for the contract target.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::TARGET;

/// The compiler cannot build contracts, and this could not change it.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A program is not there.
    #[error("{program} could not be started: {source}")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The target is missing and rustup could not add it.
    #[error("the target {TARGET} is missing and `rustup target add {TARGET}` failed: {output}")]
    AddTarget {
        /// What rustup printed.
        output: String,
    },
}

/// Adds the contract target with rustup where it is missing; returns whether it did.
///
/// # Errors
/// When rustc or rustup cannot be started, or rustup fails.
pub fn ensure_target() -> Result<bool, ToolchainError> {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|source| ToolchainError::Start {
            program: "rustc",
            source,
        })?;
    let folder = String::from_utf8_lossy(&printed.stdout);
    if printed.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(false);
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output()
        .map_err(|source| ToolchainError::Start {
            program: "rustup",
            source,
        })?;
    if added.status.success() {
        return Ok(true);
    }
    Err(ToolchainError::AddTarget {
        output: String::from_utf8_lossy(&added.stderr).trim().to_owned(),
    })
}
