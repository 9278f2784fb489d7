//! Play a disk that loses power: what was not synced is dropped, reordered and torn. For tests and the simulator.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, StorageBackend};

use crate::index::EventIndex;
use crate::schema::failed;
use crate::{Storage, StorageError, StorageOptions};

const SECTOR: usize = 512;
/// The files on the disk, by number.
const CHAIN: usize = 0;
const INDEX: usize = 1;

/// A disk that outlives the program using it. It holds the chain and its index.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<Platters>>);

#[derive(Debug, Default)]
struct Platters {
    files: [Image; 2],
    /// What was done since the last sync of its file, with the file.
    unsynced: Vec<(usize, Operation)>,
    /// Operations until the power fails.
    left: Option<u64>,
    syncs: u64,
    operations: u64,
    /// Says that it has synced, and has not.
    #[cfg(test)]
    lies: bool,
}

#[derive(Clone, Debug, Default)]
struct Image {
    /// What survives for sure.
    synced: Vec<u8>,
    /// What a running program reads.
    shown: Vec<u8>,
}

#[derive(Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Resize(usize),
}

/// One of the files, as the database uses it.
#[derive(Debug)]
struct DiskFile {
    disk: SimulatedDisk,
    number: usize,
}

impl Storage {
    /// Opens the chain on `disk`. Nobody else may have it open.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn open_simulated(
        disk: &SimulatedDisk,
        options: StorageOptions,
    ) -> std::result::Result<Self, StorageError> {
        let open = |number: usize, operation: &'static str| {
            Self::builder(options)
                .create_with_backend(disk.file(number))
                .map_err(failed(operation))
        };
        let database: Database = open(CHAIN, "open the simulated disk")?;
        let make_index = || open(INDEX, "open the simulated index");
        let remove_index = || disk.remove(INDEX);
        let index = EventIndex::open(&make_index, &remove_index)?;
        Self::assemble(database, index, options, None)
    }
}

impl SimulatedDisk {
    fn platters(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, number: usize) -> DiskFile {
        DiskFile {
            disk: self.clone(),
            number,
        }
    }

    /// Removes a file; no sync makes sure of it, so that a failure may bring it back.
    fn remove(&self, number: usize) -> std::result::Result<(), StorageError> {
        let removed = self.file(number).set_len(0);
        removed.map_err(|source| StorageError::Io {
            operation: "remove",
            path: "the simulated index".into(),
            source,
        })
    }

    /// Lets the power fail after so many more operations that change something.
    pub fn fail_after(&self, operations: u64) {
        self.platters().left = Some(operations);
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.platters().left == Some(0)
    }

    /// Brings the power back: of what was not synced, some sectors of some writes are there. `below` draws a number
    /// below its argument. Where a disk writes one sector twice in another order, what is there in the end is as if it
    /// had dropped one of the two.
    pub fn restart(&self, below: &mut dyn FnMut(usize) -> usize) {
        let mut platters = self.platters();
        platters.left = None;
        let unsynced = std::mem::take(&mut platters.unsynced);
        // Some failures lose nearly all, some nearly nothing.
        let survival = below(5);
        for (file, operation) in unsynced {
            let image = &mut platters.files[file].synced;
            match operation {
                Operation::Write(offset, data) => {
                    for (at, sector) in (0..).step_by(SECTOR).zip(data.chunks(SECTOR)) {
                        if below(4) < survival {
                            put(image, offset + at, sector);
                        }
                    }
                }
                Operation::Resize(length) if below(4) < survival => image.resize(length, 0),
                Operation::Resize(_) => {}
            }
        }
        for file in &mut platters.files {
            file.shown.clone_from(&file.synced);
        }
    }

    /// How many syncs and how many changing operations there were.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let platters = self.platters();
        (platters.syncs, platters.operations)
    }

    /// Makes sure of all that was written.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        let mut platters = self.platters();
        platters.unsynced.clear();
        for file in &mut platters.files {
            file.synced.clone_from(&file.shown);
        }
    }

    /// From now on syncs do nothing, as on disks that lie about them.
    #[cfg(test)]
    pub(crate) fn lie(&self) {
        self.platters().lies = true;
    }
}

impl Platters {
    fn change(&mut self) -> Result<()> {
        self.operations += 1;
        match &mut self.left {
            None => Ok(()),
            Some(0) => Err(Error::other("the power has failed")),
            Some(left) => {
                *left -= 1;
                if *left == 0 {
                    Err(Error::other("the power fails"))
                } else {
                    Ok(())
                }
            }
        }
    }

    fn sync(&mut self, file: usize) {
        #[cfg(test)]
        if self.lies {
            return;
        }
        let synced = &mut self.files[file].synced;
        for (_, operation) in self.unsynced.extract_if(.., |(other, _)| *other == file) {
            match operation {
                Operation::Write(offset, data) => put(synced, offset, &data),
                Operation::Resize(length) => synced.resize(length, 0),
            }
        }
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(data);
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl StorageBackend for DiskFile {
    fn len(&self) -> Result<u64> {
        Ok(self.disk.platters().files[self.number].shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let platters = self.disk.platters();
        let start = position(offset);
        let shown = &platters.files[self.number].shown;
        let bytes = shown.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| Error::other("read past the end"))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut platters = self.disk.platters();
        let resize = Operation::Resize(position(len));
        platters.unsynced.push((self.number, resize));
        platters.change()?;
        platters.files[self.number].shown.resize(position(len), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut platters = self.disk.platters();
        // A sync during which the power fails has done some of its work: all stays in doubt.
        platters.change()?;
        platters.syncs += 1;
        platters.sync(self.number);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut platters = self.disk.platters();
        let write = Operation::Write(position(offset), data.to_vec());
        platters.unsynced.push((self.number, write));
        platters.change()?;
        put(
            &mut platters.files[self.number].shown,
            position(offset),
            data,
        );
        Ok(())
    }
}
