//! Play a disk that loses power: what was not synced is dropped, reordered and torn.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::chain::Random;

const SECTOR: usize = 512;

/// A disk that outlives the program using it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Platters>>);

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

impl Disk {
    fn platters(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap()
    }

    /// Lets the power fail after so many more operations that change something.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.platters().left = Some(operations);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.platters().left == Some(0)
    }

    /// Brings the power back: of what was not synced, some sectors of some writes are there.
    pub(crate) fn restart(&self, random: &mut Random) {
        let mut platters = self.platters();
        platters.left = None;
        let unsynced = std::mem::take(&mut platters.unsynced);
        // Some failures lose nearly all, some nearly nothing.
        let survival = random.below(5);
        for operation in unsynced {
            match operation {
                Operation::Write(offset, data) => {
                    for (at, sector) in (0..).step_by(SECTOR).zip(data.chunks(SECTOR)) {
                        if random.below(4) < survival {
                            put(&mut platters.synced, offset + at, sector);
                        }
                    }
                }
                Operation::Resize(length) if random.below(4) < survival => {
                    platters.synced.resize(length, 0);
                }
                Operation::Resize(_) => {}
            }
        }
        platters.shown = platters.synced.clone();
    }

    /// How many syncs and how many changing operations there were.
    pub(crate) fn counts(&self) -> (u64, u64) {
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
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
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
