//! Pack the sources of the SDK, and the templates, into files that the binary carries.
//!
//! An archive is, per file in path order: path length (u32 LE), path, content length (u32 LE), content. The
//! same sources always give the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates that a project's contract and its tests are built from.
const CRATES: [&str; 9] = [
    "runtime/protocol",
    "runtime/abi",
    "runtime/state",
    "runtime/vm",
    "runtime/executor",
    "sdk/contract",
    "sdk/contract-build",
    "sdk/contract-macros",
    "sdk/contract-testing",
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    pack_sdk(&root);
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    println!("cargo::rerun-if-changed={}", templates.display());
    let mut paths = Vec::new();
    collect(&templates, &mut paths);
    write_archive("templates.archive", named(&templates, paths));
}

fn pack_sdk(root: &Path) {
    let mut files = vec![(
        "Cargo.toml".to_owned(),
        workspace_manifest(&read(&root.join("Cargo.toml"))).into_bytes(),
    )];
    let mut paths = vec![root.join("Cargo.lock")];
    for name in CRATES {
        let folder = root.join(name);
        paths.push(folder.join("Cargo.toml"));
        collect(&folder.join("src"), &mut paths);
        for extra in ["README.md", "build.rs"] {
            paths.extend(Some(folder.join(extra)).filter(|path| path.exists()));
        }
        println!("cargo::rerun-if-changed={}", folder.join("src").display());
        println!(
            "cargo::rerun-if-changed={}",
            folder.join("Cargo.toml").display()
        );
    }
    println!(
        "cargo::rerun-if-changed={}",
        root.join("Cargo.toml").display()
    );
    println!(
        "cargo::rerun-if-changed={}",
        root.join("Cargo.lock").display()
    );
    files.extend(named(root, paths));
    write_archive("sdk.archive", files);
}

/// Each file's content, by its path below `root` with forward slashes.
fn named(root: &Path, paths: Vec<PathBuf>) -> Vec<(String, Vec<u8>)> {
    paths
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(root).expect("found below the root");
            let name = relative
                .to_str()
                .expect("our paths are UTF-8")
                .replace('\\', "/");
            (name, fs::read(&path).expect("a source file is readable"))
        })
        .collect()
}

fn write_archive(name: &str, mut files: Vec<(String, Vec<u8>)>) {
    files.sort();
    let mut archive = Vec::new();
    for (name, content) in files {
        for part in [name.as_bytes(), &content] {
            let length = u32::try_from(part.len()).expect("sources are small");
            archive.extend_from_slice(&length.to_le_bytes());
            archive.extend_from_slice(part);
        }
    }
    let output = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(output.join(name), archive).expect("the output folder is writable");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the workspace's files are readable")
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("a folder entry is readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// The workspace's manifest with only the packed crates as members, and without profiles.
fn workspace_manifest(manifest: &str) -> String {
    let mut output = String::new();
    let mut skipping_list = false;
    for line in manifest.lines() {
        if line.starts_with("[profile") || line.starts_with("# One profile") {
            break;
        }
        if skipping_list {
            skipping_list = !line.starts_with(']');
            continue;
        }
        if line.starts_with("members = [") {
            let members: Vec<String> = CRATES.iter().map(|name| format!("{name:?}")).collect();
            output.push_str(&format!("members = [{}]\n", members.join(", ")));
            skipping_list = !line.ends_with(']');
            continue;
        }
        if line.starts_with("default-members") || line.starts_with("exclude") {
            continue;
        }
        output.push_str(line);
        output.push('\n');
    }
    output
}
