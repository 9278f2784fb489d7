//! Keep the debug files of what was built, by the hash of the deployed code, and find source lines in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kumiki_contract_build::{DebugFile, SourceLine, compact, own_lines};
use kumiki_protocol::Hash;

use crate::failure::{Failure, Outcome};
use crate::project::Project;
use crate::sdk_sources::write_if_changed;
use crate::wasm_file;

/// Builds whose debug files are kept; the oldest go first.
const KEPT_MAX: usize = 24;

/// A line of the author's, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShownLine {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) function: String,
}

/// The debug file of some code.
pub(crate) struct Found {
    debug: Vec<u8>,
    deployed: Vec<u8>,
    /// Folder of the contract's package, and of its workspace, from that of the project.
    package: PathBuf,
    workspace: PathBuf,
}

fn folder(project: &Project) -> PathBuf {
    project.private_folder().join("build").join("debug")
}

/// Keeps `debug`, the file that the compiler made of what is deployed as `code_hash`.
pub(crate) fn keep(project: &Project, name: &str, code_hash: &Hash, debug: &[u8]) -> Outcome<()> {
    let folder = folder(project);
    write_if_changed(&folder.join(format!("{code_hash}.{name}.wasm")), debug)?;
    forget_oldest(&folder).map_err(|error| Failure::io(&folder, &error))
}

fn forget_oldest(folder: &Path) -> std::io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let too_many = files.len().saturating_sub(KEPT_MAX);
    for (_, path) in files.into_iter().take(too_many) {
        // Another build may have been faster.
        let _gone = fs::remove_file(path);
    }
    Ok(())
}

/// What is known of the code with this hash; `None` where it was not built here, or long ago.
pub(crate) fn find(project: &Project, code_hash: &Hash) -> Option<Found> {
    let prefix = format!("{code_hash}.");
    let entries = fs::read_dir(folder(project)).ok()?;
    let path = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(&prefix))
        })?;
    let debug = fs::read(&path).ok()?;
    // As it is deployed, but for the metadata, which comes after the code.
    let deployed = wasm_file::finish(&compact(&debug).ok()?, &[]).ok()?;
    let name = path.file_name()?.to_str()?;
    let name = name.strip_prefix(&prefix)?.strip_suffix(".wasm")?;
    let contract = project.contracts.iter().find(|one| one.name == name);
    let inside = |folder: &Path| {
        let inside = folder.strip_prefix(&project.folder);
        inside.unwrap_or(folder).to_owned()
    };
    Some(Found {
        debug,
        deployed,
        package: contract.map(|one| inside(&one.folder)).unwrap_or_default(),
        workspace: inside(&project.cargo_root),
    })
}

impl Found {
    /// The author's lines that led to the instructions at `offsets`, innermost first.
    pub(crate) fn lines(&self, offsets: &[u32]) -> Vec<ShownLine> {
        let Ok(file) = DebugFile::new(&self.debug, &self.deployed) else {
            return Vec::new();
        };
        let lines = offsets.iter().flat_map(|offset| file.lines_at(*offset));
        let shown = own_lines(lines.collect()).into_iter();
        shown.map(|line| self.shown(line)).collect()
    }

    fn shown(&self, line: SourceLine) -> ShownLine {
        let file = line.path_from(&self.package, &self.workspace);
        ShownLine {
            file: file.components().collect::<PathBuf>().display().to_string(),
            line: line.line,
            function: line.function,
        }
    }
}
