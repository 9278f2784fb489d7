//! Take a state that comes in pieces from peers, beside the chain that is there, and put it into its place when whole.
//!
//! The pieces lie in a file of their own until then, so a crash leaves what was there before. Opening the store
//! afterwards works out the tree from the entries and refuses them where they do not lead to the root.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kumiki_protocol::{
    Certificate, Encode as _, EpochEnd, Genesis, Hash, Header, Height, ValidatorSet,
};
use redb::{Database, WriteTransaction};

use crate::commit::{
    begin, create_tables, write_codes, write_hash, write_meta, write_row, write_state,
};
use crate::open::{CHAIN_FILE, FolderLock, lock, put_in_place, remove};
use crate::schema::{self, failed};
use crate::{Base, Storage, StorageError, StorageOptions, Tip};

const RESTORE_FILE: &str = "restore.redb";

/// A state on its way in.
#[derive(Debug)]
pub struct Restore {
    dir: PathBuf,
    database: Database,
    _lock: FolderLock,
}

/// What a chain goes on from once its state is there. All of it has been verified.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The header of the block after which the state is.
    pub block: Header,
    /// Its results and its certificate.
    pub base: Base,
    /// The headers of the blocks before it whose results are in the base.
    pub headers: Vec<Header>,
    /// The epoch that verification started in, and its validators.
    pub start: (u64, ValidatorSet),
    /// The ends of the epochs from there to the block, so that this node can show them to others.
    pub epochs: Vec<EpochEnd>,
}

impl Restore {
    /// Begins anew in `dir`, whatever was fetched there before, and locks the folder.
    ///
    /// # Errors
    /// `Locked`, `Io`, `Database`.
    pub fn begin(dir: &Path, options: StorageOptions) -> Result<Self, StorageError> {
        let lock = lock(dir)?;
        let file = dir.join(RESTORE_FILE);
        remove(&file)?;
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
    pub fn finish(self, genesis: &Genesis, restored: &Restored) -> Result<(), StorageError> {
        self.write_chain(genesis, restored)?;
        self.database
            .close()
            .map_err(failed("close restore.redb"))?;
        let file = self.dir.join(RESTORE_FILE);
        put_in_place(&file, &self.dir.join(CHAIN_FILE))
    }

    fn write_chain(&self, genesis: &Genesis, restored: &Restored) -> Result<(), StorageError> {
        let transaction = begin(&self.database)?;
        for (result, _) in restored.base.results() {
            let root = (result.state_root, result.state_entries).encode();
            write_row(&transaction, schema::ROOTS, result.height, &root)?;
        }
        for header in &restored.headers {
            write_header(&transaction, header, None)?;
        }
        let certificate = Some(&restored.base.certificate);
        write_header(&transaction, &restored.block, certificate)?;
        let (epoch, validators) = &restored.start;
        write_row(
            &transaction,
            schema::VALIDATORS,
            *epoch,
            &validators.encode(),
        )?;
        for (epoch, end) in (epoch.saturating_add(1)..).zip(&restored.epochs) {
            write_header(&transaction, &end.header, Some(&end.certificate))?;
            let validators = end.next_validators.encode();
            write_row(&transaction, schema::VALIDATORS, epoch, &validators)?;
        }
        let state = &restored.base.state;
        let tip = Tip {
            height: state.height,
            block_hash: restored.block.hash(),
            time_ms: restored.block.time_ms,
            state_root: state.state_root,
            state_entries: state.state_entries,
        };
        let undo_from: Height = tip.height.saturating_add(1);
        let rows = [
            (schema::META_GENESIS, genesis.encode()),
            (schema::META_BASE, restored.base.encode()),
            (schema::META_TIP, tip.encode()),
            (schema::META_UNDO_FROM, undo_from.encode()),
        ];
        write_meta(&transaction, &rows)?;
        transaction.commit().map_err(failed("commit"))
    }
}

fn write_header(
    transaction: &WriteTransaction,
    header: &Header,
    certificate: Option<&Certificate>,
) -> Result<(), StorageError> {
    let height = header.height;
    write_row(transaction, schema::HEADERS, height, &header.encode())?;
    if let Some(certificate) = certificate {
        write_row(
            transaction,
            schema::CERTIFICATES,
            height,
            &certificate.encode(),
        )?;
    }
    write_hash(transaction, &header.hash(), height)
}
