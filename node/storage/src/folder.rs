//! Make folders that a power loss does not take away again.

use std::fs::File;
use std::path::Path;

use crate::StorageError;

/// Makes `folder` with the folders above it that are missing, and syncs each into the one above it: what is synced in a
/// folder whose own name is not would be gone with it. One that is there is synced too: a crash may have come between.
///
/// # Errors
/// `Io`.
pub fn create_folder(folder: &Path) -> Result<(), StorageError> {
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    if folder.is_dir() {
        // Whoever may not look into the one above has not made a folder in it.
        return File::open(above).map_or(Ok(()), |_readable| sync_folder(above));
    }
    create_folder(above)?;
    match std::fs::create_dir(folder) {
        // Somebody else makes it at the same time.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made.map_err(failed("make the folder", folder))?,
    }
    sync_folder(above)
}

/// Makes sure of the names in a folder.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    let synced = File::open(folder).and_then(|open| open.sync_all());
    synced.map_err(failed("sync", folder))
}

/// Windows syncs names with their files and opens no folders.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> Result<(), StorageError> {
    Ok(())
}

/// The operating system refuses an operation on a path.
pub(crate) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl Fn(std::io::Error) -> StorageError {
    let path = path.to_owned();
    move |source| StorageError::Io {
        operation,
        path: path.clone(),
        source,
    }
}
