//! Give a test a small disk of its own, to fill it and to make it refuse all writing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::tool::tool;

/// A file system in a file. The test must be in a world of its own, whose end unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    image: PathBuf,
    /// Where it is mounted.
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Makes one of so many MiB, in `scratch`.
    ///
    /// # Errors
    /// What a tool says.
    pub fn make(scratch: &Path, mib: u32) -> Result<Self, String> {
        let disk = Self {
            image: scratch.join("disk.img"),
            folder: scratch.join("disk"),
        };
        std::fs::create_dir_all(&disk.folder).map_err(|error| error.to_string())?;
        let image = disk.image.display().to_string();
        tool(&["truncate", "-s", &format!("{mib}M"), &image])?;
        tool(&["mkfs.ext4", "-q", "-m", "0", "-F", &image])?;
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        let (image, folder) = self.names();
        tool(&["mount", "-o", "loop", &image, &folder]).map(drop)
    }

    fn names(&self) -> (String, String) {
        let text = |path: &Path| path.display().to_string();
        (text(&self.image), text(&self.folder))
    }

    /// Fills it to the last block.
    ///
    /// # Errors
    /// When it refuses for another reason.
    pub fn fill(&self) -> Result<(), String> {
        let mut file =
            File::create(self.folder.join("filler")).map_err(|error| error.to_string())?;
        for size in [1 << 20, 4_096, 1] {
            let part = vec![1; size];
            while file.write_all(&part).is_ok() {}
        }
        match file.write_all(&[1]) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            other => Err(format!("the disk is not full: {other:?}")),
        }
    }

    /// Makes room again.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_room(&self) -> Result<(), String> {
        std::fs::remove_file(self.folder.join("filler")).map_err(|error| error.to_string())
    }

    /// Lets the file system give up, as it does when the device fails: from now on it is read-only, also for files that
    /// are open.
    ///
    /// # Errors
    /// What a tool says.
    pub fn give_up(&self) -> Result<(), String> {
        let (_, folder) = self.names();
        tool(&["mount", "-o", "remount,abort", &folder])?;
        match File::create(self.folder.join("probe")) {
            Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            other => Err(format!("the disk is not read-only: {other:?}")),
        }
    }

    /// Mounts it anew, with writing allowed. No file on it may be open.
    ///
    /// # Errors
    /// What a tool says.
    pub fn mount_again(&self) -> Result<(), String> {
        let (_, folder) = self.names();
        tool(&["umount", &folder])?;
        self.mount()
    }
}
