//! Describe the workspace as the rules see it: packages, their folders and direct dependencies, source files.

use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::process;

/// Why a crate depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To run, or to build.
    Product,
    /// For its tests only.
    Tests,
}

/// A direct dependency as written in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// Package name.
    pub(crate) name: String,
    /// Why.
    pub(crate) need: Need,
}

/// A package of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Package name.
    pub(crate) name: String,
    /// Folder relative to the workspace root, with `/`.
    pub(crate) folder: String,
    /// The manifest's description.
    pub(crate) description: String,
    /// Direct dependencies.
    pub(crate) dependencies: Vec<Dependency>,
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one folder below the workspace root")
}

/// The folder that cargo builds in.
///
/// # Errors
/// What `cargo metadata` says.
pub(crate) fn target() -> Result<PathBuf, String> {
    let mut metadata = process::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    metadata.stderr(std::process::Stdio::inherit());
    let metadata: serde_json::Value = serde_json::from_str(&process::output(metadata)?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let target = metadata["target_directory"].as_str();
    target
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target directory".to_owned())
}

/// All packages of the workspace, by folder.
///
/// # Errors
/// What `cargo metadata` says.
pub(crate) fn packages() -> Result<Vec<Package>, String> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(|error| error.to_string())?;
    let mut packages: Vec<Package> = metadata.packages.iter().map(package).collect();
    packages.sort_by(|left, right| left.folder.cmp(&right.folder));
    Ok(packages)
}

fn package(found: &cargo_metadata::Package) -> Package {
    let folder = found
        .manifest_path
        .parent()
        .and_then(|folder| folder.as_std_path().strip_prefix(root()).ok())
        .map(|folder| folder.to_string_lossy().replace('\\', "/"))
        .unwrap_or_default();
    let dependencies = found
        .dependencies
        .iter()
        .map(|dependency| Dependency {
            name: dependency.name.clone(),
            need: match dependency.kind {
                DependencyKind::Development => Need::Tests,
                _ => Need::Product,
            },
        })
        .collect();
    Package {
        name: found.name.to_string(),
        folder,
        description: found.description.clone().unwrap_or_default(),
        dependencies,
    }
}

/// Every file that is or could be committed, relative to the root, with `/`.
///
/// # Errors
/// What git says.
pub(crate) fn files() -> Result<Vec<String>, String> {
    let mut git = std::process::Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(root());
    let mut files: Vec<String> = process::output(git)?
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Reads a text file of the workspace; `None` where it is not text.
pub(crate) fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(PathBuf::from(path))).ok()
}
