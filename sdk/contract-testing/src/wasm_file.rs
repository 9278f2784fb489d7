//! Find or build the Wasm of a contract crate, once per process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kumiki_contract::Contract;
use kumiki_contract_build::{ContractBuild, DebugFile, compact, ensure_target, own_lines};
use kumiki_protocol::{Hash, sha3_256};

/// Names a folder of Wasm files that are built already, `<package>.wasm` each.
const WASM_DIR: &str = "KUMIKI_WASM_DIR";

static FILES: Mutex<BTreeMap<String, File>> = Mutex::new(BTreeMap::new());

/// A contract's Wasm.
struct File {
    code: Arc<[u8]>,
    hash: Hash,
    /// The file as the compiler made it, with line table; absent where only the other is built.
    debug: Option<Vec<u8>>,
}

/// The deployable Wasm of `C`.
///
/// # Panics
/// With what cargo printed, when the crate does not build; that is the test's failure.
pub(crate) fn code<C: Contract>() -> Arc<[u8]> {
    // Held while building: tests of one process wait for one build instead of starting their own.
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = files.get(C::PACKAGE) {
        return Arc::clone(&file.code);
    }
    let name = C::PACKAGE.replace('-', "_");
    let (path, debug_path) = match std::env::var_os(WASM_DIR) {
        Some(folder) => {
            let file = |ending: &str| Path::new(&folder).join(format!("{name}.{ending}"));
            (file("wasm"), file("debug.wasm"))
        }
        None => {
            let built = build(C::PACKAGE, Path::new(C::MANIFEST_DIR));
            (built.clone(), built)
        }
    };
    let wasm =
        std::fs::read(&path).unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())));
    let code: Arc<[u8]> = compact(&wasm)
        .unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())))
        .into();
    let file = File {
        hash: sha3_256(&[&code]),
        code: Arc::clone(&code),
        debug: std::fs::read(debug_path).ok(),
    };
    files.insert(C::PACKAGE.to_owned(), file);
    code
}

/// The name of the package whose code has this hash, and the author's lines that led to the instructions at `offsets`,
/// innermost first.
pub(crate) fn lines(hash: &Hash, offsets: &[u32]) -> Option<(String, Vec<String>)> {
    let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let (package, file) = files.iter().find(|(_, file)| file.hash == *hash)?;
    let debug = file.debug.as_deref().unwrap_or_default();
    let Ok(table) = DebugFile::new(debug, &file.code) else {
        return Some((package.clone(), Vec::new()));
    };
    let lines = offsets.iter().flat_map(|offset| table.lines_at(*offset));
    let shown = own_lines(lines.collect()).into_iter().map(|line| {
        let path = line.path_from(Path::new(""), Path::new(""));
        format!("{}:{}  {}", path.display(), line.line, line.function)
    });
    Some((package.clone(), shown.collect()))
}

fn build(package: &str, package_dir: &Path) -> PathBuf {
    if let Err(error) = ensure_target() {
        fail(&error.to_string());
    }
    let build = ContractBuild {
        package_dir: package_dir.to_owned(),
        package: package.to_owned(),
        target_dir: target_dir(package_dir),
        cargo_arguments: Vec::new(),
    };
    let mut command = build.command();
    let output = command
        .output()
        .unwrap_or_else(|error| fail(&format!("cargo could not be started: {error}")));
    if !output.status.success() {
        fail(&format!(
            "building the Wasm of {package} failed\n$ {command:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    build.wasm_path()
}

/// A folder beside the target folder's profiles: the test binary lies in `<target>/…/deps`.
fn target_dir(package_dir: &Path) -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let target = executable
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(
        || package_dir.join("target/kumiki"),
        |target| target.join("kumiki"),
    )
}

/// Ends the test.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub(crate) fn fail(message: &str) -> ! {
    panic!("{message}")
}
