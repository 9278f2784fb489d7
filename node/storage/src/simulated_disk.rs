//! Play a disk that loses power: what was not synced is dropped, reordered and torn. For tests and the simulator.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use crate::index::EventIndex;
use crate::schema::failed;
use crate::{Storage, StorageError, StorageOptions};

const SECTOR: usize = 512;

/// A disk that outlives the program using it.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<Platters>>);

#[derive(Debug, Default)]
struct Platters {
    /// What survives for sure.
    synced: Vec<u8>,
    /// What a running program reads.
    shown: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Operation>,
    /// Operations until the power fails.
    left: Option<u64>,
    syncs: u64,
    operations: u64,
}

#[derive(Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Storage {
    /// Opens the chain on `disk`, with its index in memory. Nobody else may have it open.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn open_simulated(
        disk: &SimulatedDisk,
        options: StorageOptions,
    ) -> std::result::Result<Self, StorageError> {
        let database = Self::builder(options)
            .create_with_backend(disk.clone())
            .map_err(failed("open the simulated disk"))?;
        let memory = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(failed("make an index in memory"))?;
        Self::assemble(database, EventIndex::new(memory)?, options, None)
    }
}

impl SimulatedDisk {
    fn platters(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// below its argument.
    pub fn restart(&self, below: &mut dyn FnMut(usize) -> usize) {
        let mut platters = self.platters();
        platters.left = None;
        let unsynced = std::mem::take(&mut platters.unsynced);
        // Some failures lose nearly all, some nearly nothing.
        let survival = below(5);
        for operation in unsynced {
            match operation {
                Operation::Write(offset, data) => {
                    for (at, sector) in (0..).step_by(SECTOR).zip(data.chunks(SECTOR)) {
                        if below(4) < survival {
                            put(&mut platters.synced, offset + at, sector);
                        }
                    }
                }
                Operation::Resize(length) if below(4) < survival => {
                    platters.synced.resize(length, 0);
                }
                Operation::Resize(_) => {}
            }
        }
        platters.shown = platters.synced.clone();
    }

    /// How many syncs and how many changing operations there were.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let platters = self.platters();
        (platters.syncs, platters.operations)
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

impl StorageBackend for SimulatedDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.platters().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let platters = self.platters();
        let start = position(offset);
        let bytes = platters.shown.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| Error::other("read past the end"))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut platters = self.platters();
        platters.unsynced.push(Operation::Resize(position(len)));
        platters.change()?;
        platters.shown.resize(position(len), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut platters = self.platters();
        // A sync during which the power fails has done some of its work: all stays in doubt.
        platters.change()?;
        platters.syncs += 1;
        for operation in std::mem::take(&mut platters.unsynced) {
            match operation {
                Operation::Write(offset, data) => put(&mut platters.synced, offset, &data),
                Operation::Resize(length) => platters.synced.resize(length, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut platters = self.platters();
        platters
            .unsynced
            .push(Operation::Write(position(offset), data.to_vec()));
        platters.change()?;
        put(&mut platters.shown, position(offset), data);
        Ok(())
    }
}
