//! Read the tables as one commit left them.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::{
    Block, Certificate, Decode, Hash, Header, Height, Receipt, TransactionHash, ValidatorSet,
    sha2_256,
};
use kumiki_state::{
    Found, ScanDirection, Scanned, StateError, StateReader, VisitScanned, is_empty_range,
};
use redb::{Database, ReadOnlyTable, ReadableDatabase as _};

use crate::schema::{self, Stored, damaged, exact, failed, packed_count, unpack};
use crate::{Base, StorageError};

type Bytes = ReadOnlyTable<&'static [u8], &'static [u8]>;
type ByHeight = ReadOnlyTable<u64, &'static [u8]>;

/// All tables in one read transaction. Lookups take no lock.
#[derive(Debug)]
pub(crate) struct View {
    state: Bytes,
    blobs: Bytes,
    codes: Bytes,
    pub(crate) tree: Bytes,
    pub(crate) undo: ReadOnlyTable<(u64, &'static [u8]), &'static [u8]>,
    headers: ByHeight,
    bodies: ByHeight,
    receipts: ByHeight,
    certificates: ByHeight,
    roots: ByHeight,
    validators: ByHeight,
    heights: ReadOnlyTable<&'static [u8], u64>,
    transactions: ReadOnlyTable<&'static [u8], (u64, u32)>,
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
}

impl View {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        let transaction = database.begin_read().map_err(failed("begin reading"))?;
        let bytes = |table| {
            transaction
                .open_table(table)
                .map_err(failed("open a table"))
        };
        let by_height = |table| {
            transaction
                .open_table(table)
                .map_err(failed("open a table"))
        };
        Ok(Self {
            state: bytes(schema::STATE)?,
            blobs: bytes(schema::BLOBS)?,
            codes: bytes(schema::CODES)?,
            tree: bytes(schema::TREE)?,
            undo: transaction
                .open_table(schema::UNDO)
                .map_err(failed("open a table"))?,
            headers: by_height(schema::HEADERS)?,
            bodies: by_height(schema::BODIES)?,
            receipts: by_height(schema::RECEIPTS)?,
            certificates: by_height(schema::CERTIFICATES)?,
            roots: by_height(schema::ROOTS)?,
            validators: by_height(schema::VALIDATORS)?,
            heights: transaction
                .open_table(schema::HEIGHTS)
                .map_err(failed("open a table"))?,
            transactions: transaction
                .open_table(schema::TRANSACTIONS)
                .map_err(failed("open a table"))?,
            meta: transaction
                .open_table(schema::META)
                .map_err(failed("open a table"))?,
        })
    }

    pub(crate) fn meta<T: Decode>(&self, name: &'static str) -> Result<Option<T>, StorageError> {
        let row = self.meta.get(name).map_err(failed("read meta"))?;
        row.map(|row| exact(row.value(), name)).transpose()
    }

    pub(crate) fn header(&self, height: Height) -> Result<Option<Header>, StorageError> {
        decoded(&self.headers, height, "header")
    }

    pub(crate) fn block(&self, height: Height) -> Result<Option<Block>, StorageError> {
        let Some(header) = self.header(height)? else {
            return Ok(None);
        };
        let Some(transactions) = unpacked(&self.bodies, height, "transaction")? else {
            // Of what lies below the base, there are some headers and no bodies.
            let below = self.base()?.is_some_and(|base| height <= base.height());
            let missing = || damaged(&format!("block {height} has no body"));
            return below.then_some(None).ok_or_else(missing);
        };
        Ok(Some(Block {
            header,
            transactions,
        }))
    }

    pub(crate) fn certificate(&self, height: Height) -> Result<Option<Certificate>, StorageError> {
        decoded(&self.certificates, height, "certificate")
    }

    pub(crate) fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StorageError> {
        unpacked(&self.receipts, height, "receipt")
    }

    /// One receipt, and the bytes of the row that was read for it.
    pub(crate) fn receipt(
        &self,
        height: Height,
        index: u32,
    ) -> Result<Option<(Receipt, usize)>, StorageError> {
        let row = self.receipts.get(height).map_err(failed("read receipts"))?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(row) = row else {
            return Ok(None);
        };
        let row = row.value();
        unpack(row, index)
            .map(|bytes| Ok((exact(bytes, "receipt")?, row.len())))
            .transpose()
    }

    /// Where the chain begins here; `None`: with genesis.
    pub(crate) fn base(&self) -> Result<Option<Base>, StorageError> {
        self.meta(schema::META_BASE)
    }

    /// The validators of `epoch`, if it is not later than the newest that is fixed.
    pub(crate) fn validators_of(&self, epoch: u64) -> Result<Option<ValidatorSet>, StorageError> {
        let mut rows = self
            .validators
            .range(..=epoch)
            .map_err(failed("read validators"))?;
        let row = rows.next_back().transpose();
        let row = row.map_err(failed("read validators"))?;
        row.map(|(_, row)| exact(row.value(), "validator set"))
            .transpose()
    }

    /// Root and entry count of the state after the block at `height`.
    pub(crate) fn root(&self, height: Height) -> Result<Option<(Hash, u64)>, StorageError> {
        decoded(&self.roots, height, "root")
    }

    pub(crate) fn height_of(&self, hash: &Hash) -> Result<Option<Height>, StorageError> {
        let row = self
            .heights
            .get(hash.0.as_slice())
            .map_err(failed("read a block hash"))?;
        Ok(row.map(|row| row.value()))
    }

    pub(crate) fn transaction_location(
        &self,
        hash: &TransactionHash,
    ) -> Result<Option<(Height, u32)>, StorageError> {
        let row = self.transactions.get(hash.0.as_slice());
        Ok(row
            .map_err(failed("read a transaction hash"))?
            .map(|row| row.value()))
    }

    /// The large value, as its row of `state` says: what rotted on disk is never read as if it were right.
    fn blob(&self, key: &[u8], hash: &Hash, bytes: usize) -> Result<Vec<u8>, StorageError> {
        let row = self.blobs.get(key).map_err(failed("read a large value"))?;
        row.map(|row| row.value().to_vec())
            .filter(|value| value.len() == bytes && sha2_256(&[value]) == *hash)
            .ok_or_else(|| damaged("a large value is missing or is another one"))
    }

    fn value(&self, key: &[u8], bytes_max: usize) -> Result<Found, StorageError> {
        let Some(row) = self.state.get(key).map_err(failed("read the state"))? else {
            return Ok(Found::Nothing);
        };
        Ok(match Stored::read(row.value())? {
            Stored::Inline(value) if value.len() > bytes_max => Found::Longer(value.len()),
            Stored::Inline(value) => Found::Value(value.to_vec()),
            Stored::Blob { bytes, .. } if bytes > bytes_max => Found::Longer(bytes),
            Stored::Blob { hash, bytes } => Found::Value(self.blob(key, &hash, bytes)?),
        })
    }

    fn scan_rows(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut dyn FnMut(&[u8], Stored<'_>) -> Result<ControlFlow<()>, StorageError>,
    ) -> Result<(), StorageError> {
        if is_empty_range(range) {
            return Ok(());
        }
        let mut rows = self
            .state
            .range::<&[u8]>(range)
            .map_err(failed("scan the state"))?;
        loop {
            let row = match direction {
                ScanDirection::Ascending => rows.next(),
                ScanDirection::Descending => rows.next_back(),
            };
            let Some(row) = row else {
                return Ok(());
            };
            let (key, value) = row.map_err(failed("scan the state"))?;
            if visit(key.value(), Stored::read(value.value())?)?.is_break() {
                return Ok(());
            }
        }
    }
}

fn decoded<T: Decode>(
    table: &ByHeight,
    height: Height,
    what: &str,
) -> Result<Option<T>, StorageError> {
    let row = table.get(height).map_err(failed("read a row"))?;
    row.map(|row| exact(row.value(), what)).transpose()
}

fn unpacked<T: Decode>(
    table: &ByHeight,
    height: Height,
    what: &str,
) -> Result<Option<Vec<T>>, StorageError> {
    let Some(row) = table.get(height).map_err(failed("read a row"))? else {
        return Ok(None);
    };
    let row = row.value();
    let item = |index| {
        let bytes = unpack(row, index).ok_or_else(|| damaged(&format!("a {what} is cut off")))?;
        exact(bytes, what)
    };
    (0..packed_count(row))
        .map(item)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn unreadable(error: &StorageError) -> StateError {
    StateError {
        reason: error.to_string(),
    }
}

impl StateReader for View {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        self.value(key, bytes_max)
            .map_err(|error| unreadable(&error))
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        let mut failed = None;
        let scanned = self.scan_rows(range, direction, &mut |key, stored| {
            let shown = match stored {
                Stored::Inline(value) => visit(key, Scanned::Loaded(value)),
                Stored::Blob { hash, bytes } => {
                    let load = || {
                        self.blob(key, &hash, bytes)
                            .map_err(|error| unreadable(&error))
                    };
                    visit(key, Scanned::Stored { bytes, load: &load })
                }
            };
            Ok(shown.unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            }))
        });
        scanned.map_err(|error| unreadable(&error))?;
        failed.map_or(Ok(()), Err)
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        let row = self
            .codes
            .get(hash.0.as_slice())
            .map_err(failed("read code"));
        Ok(row
            .map_err(|error| unreadable(&error))?
            .map(|row| Arc::from(row.value())))
    }

    fn scan_value_hashes(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut dyn FnMut(&[u8], &Hash),
    ) -> Result<(), StateError> {
        self.scan_rows(range, ScanDirection::Ascending, &mut |key, stored| {
            match stored {
                Stored::Inline(value) => visit(key, &kumiki_protocol::sha2_256(&[value])),
                Stored::Blob { hash, .. } => visit(key, &hash),
            }
            Ok(ControlFlow::Continue(()))
        })
        .map_err(|error| unreadable(&error))
    }
}
