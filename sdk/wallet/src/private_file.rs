//! Read and write files that only their owner may see.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Why a private file or folder was not used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// Others may read or change it.
    #[error("{path} has mode {found:o}, expected {expected:o}")]
    LooseMode {
        /// Which file or folder.
        path: PathBuf,
        /// Its permission bits.
        found: u32,
        /// The permission bits it must have.
        expected: u32,
    },
    /// It is a symbolic link, or no plain file or folder.
    #[error("{path} must be a plain {expected}, not a link or something else")]
    NotPlain {
        /// What it is.
        path: PathBuf,
        /// `file` or `folder`.
        expected: &'static str,
    },
    /// There is one already; it stays as it is.
    #[error("{path} exists already")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// It is longer than any such file should be.
    #[error("{path} has more than {max} bytes")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// How many bytes it may have.
        max: u64,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes `folder` (and its parents) with mode 0700 where it is missing, each synced into the one above it, and checks
/// that it is a plain folder of that mode.
///
/// # Errors
/// `LooseMode` or `NotPlain` when it exists otherwise, `Io`.
pub fn create_folder(folder: &Path) -> Result<(), PrivateFileError> {
    if !folder.exists() {
        make_folder(folder)?;
    }
    check_folder(folder)
}

fn make_folder(folder: &Path) -> Result<(), PrivateFileError> {
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    if !above.exists() {
        make_folder(above)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    match builder.create(folder) {
        // Another process made it meanwhile; whoever needs it private looks at it next.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made.map_err(|source| io_error(folder, source))?,
    }
    // A key that is synced in a folder whose own name is not would be gone with it.
    sync_folder(above)
}

/// Checks that `folder` is a plain folder of mode 0700.
pub(crate) fn check_folder(folder: &Path) -> Result<(), PrivateFileError> {
    let metadata = fs::symlink_metadata(folder).map_err(|source| io_error(folder, source))?;
    if !metadata.is_dir() {
        return Err(PrivateFileError::NotPlain {
            path: folder.to_owned(),
            expected: "folder",
        });
    }
    check_mode(folder, &metadata, FOLDER_MODE)
}

/// Reads `path`, which must be a plain file of mode 0600 and at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, PrivateFileError> {
    let named = fs::symlink_metadata(path).map_err(|source| io_error(path, source))?;
    if !named.is_file() {
        return Err(PrivateFileError::NotPlain {
            path: path.to_owned(),
            expected: "file",
        });
    }
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let opened = file.metadata().map_err(|source| io_error(path, source))?;
    // A link put there between the look and the open would be another file.
    if !same_file(&named, &opened) {
        return Err(PrivateFileError::NotPlain {
            path: path.to_owned(),
            expected: "file",
        });
    }
    check_mode(path, &opened, FILE_MODE)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| io_error(path, source))?;
    if bytes.len() as u64 > bytes_max {
        return Err(PrivateFileError::TooLong {
            path: path.to_owned(),
            max: bytes_max,
        });
    }
    Ok(bytes)
}

/// Writes a new file of mode 0600 whole and synced, or not at all.
///
/// # Errors
/// `Exists` when there is one of this name, which is left alone; `Io`.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // `tempfile` makes files of mode 0600.
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(|source| io_error(path, source))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| io_error(path, source))?;
    file.persist_noclobber(path).map_err(|error| {
        if error.error.kind() == io::ErrorKind::AlreadyExists {
            PrivateFileError::Exists {
                path: path.to_owned(),
            }
        } else {
            io_error(path, error.error)
        }
    })?;
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), PrivateFileError> {
    File::open(folder)
        .and_then(|open| open.sync_all())
        .map_err(|source| io_error(folder, source))
}

/// Windows syncs names with their files and opens no folders.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> Result<(), PrivateFileError> {
    Ok(())
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata, expected: u32) -> Result<(), PrivateFileError> {
    let found = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    // Stricter is fine: a read-only key file is still private.
    if found & !expected == 0 {
        Ok(())
    } else {
        Err(PrivateFileError::LooseMode {
            path: path.to_owned(),
            found,
            expected,
        })
    }
}

/// Windows keeps user folders private by access lists that have no mode bits.
#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata, _: u32) -> Result<(), PrivateFileError> {
    Ok(())
}

#[cfg(unix)]
fn same_file(left: &fs::Metadata, right: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (left.dev(), left.ino()) == (right.dev(), right.ino())
}

#[cfg(not(unix))]
fn same_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

fn io_error(path: &Path, source: io::Error) -> PrivateFileError {
    PrivateFileError::Io {
        path: path.to_owned(),
        source,
    }
}
