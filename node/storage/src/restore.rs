//! Take a state that comes in pieces from peers, beside the chain that is there, and put it into its place when whole.
//!
//! The pieces lie in a file of their own until then, so a crash leaves what was there before. Opening the store
//! afterwards works out the tree from the entries and refuses them where they do not lead to the root.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kumiki_protocol::{Certificate, Encode as _, EpochEnd, Genesis, Hash, Header, Height};
use redb::Database;

use crate::commit::{begin, create_tables, write_codes, write_state};
use crate::open::{CHAIN_FILE, lock};
use crate::schema::{self, failed};
use crate::{Base, Storage, StorageError, StorageOptions, Tip};

const RESTORE_FILE: &str = "restore.redb";

/// A state on its way in.
#[derive(Debug)]
pub struct Restore {
    dir: PathBuf,
    database: Database,
    _lock: File,
}

/// What a chain goes on from once its state is there. All of it has been verified.
#[derive(Clone, Debug)]
pub struct Restored<'a> {
    /// The chain.
    pub genesis: &'a Genesis,
    /// The header of the block after which the state is.
    pub block: &'a Header,
    /// Its results and its certificate.
    pub base: &'a Base,
    /// The headers of the blocks before it whose results are in the base.
    pub headers: &'a [Header],
    /// The ends of the epochs before it, so that this node can show them to others.
    pub epochs: &'a [EpochEnd],
}

impl Restore {
    /// Begins anew in `dir`, whatever was fetched there before, and locks the folder.
    ///
    /// # Errors
    /// `Locked`, `Io`, `Database`.
    pub fn begin(dir: &Path, options: StorageOptions) -> Result<Self, StorageError> {
        let lock = lock(dir)?;
        let file = dir.join(RESTORE_FILE);
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StorageError::Io {
                    operation: "remove",
                    path: file,
                    source,
                });
            }
            _ => {}
        }
        let database = Storage::builder(options)
            .create(&file)
            .map_err(failed("make restore.redb"))?;
        create_tables(&database)?;
        Ok(Self {
            dir: dir.to_owned(),
            database,
            _lock: lock,
        })
    }

    /// Adds entries. They may come in any order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add(&self, entries: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), StorageError> {
        let writes: BTreeMap<_, _> = entries
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        let transaction = begin(&self.database)?;
        write_state(&transaction, &writes)?;
        transaction.commit().map_err(failed("commit"))
    }

    /// Adds the Wasm with this hash.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_code(&self, hash: Hash, code: Arc<[u8]>) -> Result<(), StorageError> {
        let transaction = begin(&self.database)?;
        write_codes(&transaction, &BTreeMap::from([(hash, code)]))?;
        transaction.commit().map_err(failed("commit"))
    }

    /// Puts what was added into the place of the chain in the folder, synced. The store is to be opened next; it checks
    /// that the entries lead to the root.
    ///
    /// # Errors
    /// When the store or the file system fails.
    pub fn finish(self, restored: &Restored<'_>) -> Result<(), StorageError> {
        self.write_chain(restored)?;
        self.database
            .close()
            .map_err(failed("close restore.redb"))?;
        let io = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| StorageError::Io {
                operation,
                path,
                source,
            }
        };
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        let file = self.dir.join(RESTORE_FILE);
        let chain = self.dir.join(CHAIN_FILE);
        sync(&file).map_err(io("sync", &file))?;
        std::fs::rename(&file, &chain).map_err(io("replace", &chain))?;
        sync(&self.dir).map_err(io("sync", &self.dir))
    }

    fn write_chain(&self, restored: &Restored<'_>) -> Result<(), StorageError> {
        let mut rows = Rows::default();
        for (result, _) in &restored.base.results {
            let root = (result.state_root, result.state_entries);
            rows.push(schema::ROOTS, result.height, root.encode());
        }
        for header in restored.headers {
            rows.header(header, None);
        }
        rows.header(restored.block, Some(&restored.base.certificate));
        for end in restored.epochs {
            rows.header(&end.header, Some(&end.certificate));
            let epoch = restored
                .genesis
                .parameters
                .epoch_of(end.header.height.saturating_add(1));
            rows.push(schema::VALIDATORS, epoch, end.next_validators.encode());
        }
        if let Some(first) = restored.genesis.validator_set() {
            rows.push(schema::VALIDATORS, 0, first.encode());
        }
        let transaction = begin(&self.database)?;
        for (table, height, row) in rows.by_height {
            let mut table = transaction
                .open_table(table)
                .map_err(failed("open a block table"))?;
            table
                .insert(height, row.as_slice())
                .map_err(failed("write a block"))?;
        }
        let mut heights = transaction
            .open_table(schema::HEIGHTS)
            .map_err(failed("open hashes"))?;
        for (hash, height) in rows.heights {
            heights
                .insert(hash.0.as_slice(), height)
                .map_err(failed("write a hash"))?;
        }
        drop(heights);
        let header = restored.block;
        let (state_root, state_entries) = restored
            .base
            .results
            .last()
            .map_or((Hash::ZERO, 0), |(result, _)| {
                (result.state_root, result.state_entries)
            });
        let tip = Tip {
            height: header.height,
            block_hash: header.hash(),
            time_ms: header.time_ms,
            state_root,
            state_entries,
        };
        let undo_from: Height = header.height.saturating_add(1);
        let mut meta = transaction
            .open_table(schema::META)
            .map_err(failed("open meta"))?;
        for (name, row) in [
            (schema::META_GENESIS, restored.genesis.encode()),
            (schema::META_BASE, restored.base.encode()),
            (schema::META_TIP, tip.encode()),
            (schema::META_UNDO_FROM, undo_from.encode()),
        ] {
            meta.insert(name, row.as_slice())
                .map_err(failed("write meta"))?;
        }
        drop(meta);
        transaction.commit().map_err(failed("commit"))
    }
}

type ByHeight = redb::TableDefinition<'static, u64, &'static [u8]>;

/// Rows for the tables of the chain.
#[derive(Default)]
struct Rows {
    by_height: Vec<(ByHeight, u64, Vec<u8>)>,
    heights: Vec<(Hash, Height)>,
}

impl Rows {
    fn push(&mut self, table: ByHeight, at: u64, row: Vec<u8>) {
        self.by_height.push((table, at, row));
    }

    fn header(&mut self, header: &Header, certificate: Option<&Certificate>) {
        self.push(schema::HEADERS, header.height, header.encode());
        if let Some(certificate) = certificate {
            self.push(schema::CERTIFICATES, header.height, certificate.encode());
        }
        self.heights.push((header.hash(), header.height));
    }
}
