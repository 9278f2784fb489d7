//! Play the disk under an engine's journals: a killed process keeps what it wrote, lost power drops and tears it.
//!
//! The deterministic runtime's own files show, when they are opened again, what was synced and nothing else. This
//! remembers what was written since, and brings back as much of it as the kind of crash leaves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use commonware_runtime::{
    Blob, BlobVersion, Error, Handle, IoBufs, IoBufsMut, ReadOptions, Storage as _, WriteOptions,
    deterministic,
};
use kumiki_testkit::Random;

/// A file, by partition and name.
type File = (String, Vec<u8>);

/// The version of a file is its reader's to check.
const ANY: std::ops::RangeInclusive<BlobVersion> = BlobVersion::new(0)..=BlobVersion::new(u16::MAX);

type InnerBlob = <deterministic::Context as commonware_runtime::Storage>::Blob;

/// The unsynced part of a disk; what is synced lies on the runtime's.
#[derive(Clone, Default)]
pub(crate) struct JournalDisk(Arc<Mutex<Vec<Change>>>);

struct Change {
    file: File,
    what: What,
    /// Synced by itself, while changes before it are not.
    synced: bool,
}

enum What {
    Write(u64, Vec<u8>),
    Resize(u64),
}

impl JournalDisk {
    fn changes(&self) -> MutexGuard<'_, Vec<Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watch(&self, partition: &str, name: &[u8], inner: InnerBlob) -> JournalBlob {
        JournalBlob {
            inner,
            file: (partition.to_owned(), name.to_vec()),
            disk: self.clone(),
        }
    }

    /// Takes note that a file, or all of a partition, is gone.
    pub(crate) fn forget(&self, partition: &str, name: Option<&[u8]>) {
        self.changes().retain(|change| {
            change.file.0 != partition || name.is_some_and(|name| change.file.1 != name)
        });
    }

    fn synced(&self, file: &File) {
        self.changes().retain(|change| change.file != *file);
    }

    fn note(&self, file: &File, what: What, synced: bool) {
        let mut changes = self.changes();
        if synced && changes.iter().all(|change| change.file != *file) {
            return;
        }
        changes.push(Change {
            file: file.clone(),
            what,
            synced,
        });
    }

    /// Loses power: of what was not synced, some pieces of some writes stay.
    pub(crate) fn lose_power(&self, random: &mut Random) {
        // Some failures lose nearly all, some nearly nothing.
        let survival = random.below(5);
        let piece = 1 + random.below(64);
        let mut kept = Vec::new();
        for change in self.changes().drain(..) {
            match change.what {
                _ if change.synced => kept.push(change),
                What::Write(offset, bytes) => {
                    for (at, part) in (offset..).step_by(piece).zip(bytes.chunks(piece)) {
                        if random.below(4) < survival {
                            kept.push(Change {
                                file: change.file.clone(),
                                what: What::Write(at, part.to_vec()),
                                synced: false,
                            });
                        }
                    }
                }
                What::Resize(_) if random.below(4) < survival => kept.push(change),
                What::Resize(_) => {}
            }
        }
        *self.changes() = kept;
    }

    /// Before a node starts again: lets its files have what the crash left.
    pub(crate) async fn recover(&self, env: &deterministic::Context) -> Result<(), Error> {
        let left = std::mem::take(&mut *self.changes());
        for change in left {
            let (partition, name) = &change.file;
            let (blob, _length, _version) = env.open_versioned(partition, name, ANY).await?;
            match change.what {
                What::Write(offset, bytes) => {
                    blob.write_at(offset, bytes, WriteOptions::default())
                        .await?;
                }
                What::Resize(length) => blob.resize(length).await?,
            }
            blob.sync().await?;
        }
        Ok(())
    }
}

/// A file whose unsynced changes are remembered.
pub(crate) struct JournalBlob {
    inner: InnerBlob,
    file: File,
    disk: JournalDisk,
}

impl Blob for JournalBlob {
    async fn read_at_buf(
        &self,
        offset: u64,
        len: usize,
        bufs: impl Into<IoBufsMut> + Send,
        options: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        self.inner.read_at_buf(offset, len, bufs, options).await
    }

    async fn read_at(
        &self,
        offset: u64,
        len: usize,
        options: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        self.inner.read_at(offset, len, options).await
    }

    async fn write_at(
        &self,
        offset: u64,
        bufs: impl Into<IoBufs> + Send,
        options: WriteOptions,
    ) -> Result<(), Error> {
        let bytes = bufs.into().coalesce().as_ref().to_vec();
        self.inner.write_at(offset, bytes.clone(), options).await?;
        let synced = options.contains(WriteOptions::SYNC);
        self.disk
            .note(&self.file, What::Write(offset, bytes), synced);
        Ok(())
    }

    async fn resize(&self, len: u64) -> Result<(), Error> {
        self.inner.resize(len).await?;
        self.disk.note(&self.file, What::Resize(len), false);
        Ok(())
    }

    async fn sync(&self) -> Result<(), Error> {
        self.inner.sync().await?;
        self.disk.synced(&self.file);
        Ok(())
    }

    async fn start_sync(&self) -> Handle<()> {
        Handle::ready(self.sync().await)
    }
}
