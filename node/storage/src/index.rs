//! Find events by contract and topic, in `index.redb`, which can be made again from the receipts.

mod rows;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use kumiki_protocol::{Decode, Encode, Hash, Height, Receipt};
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition, WriteTransaction};

use crate::head::Head;
use crate::interface::PageBudget;
use crate::schema::{damaged, exact, failed};
use crate::{EventCursor, EventFilter, EventPage, OpenCheck, StorageError, Tip};
use rows::{bounds, collect_rows, read_cursor};

/// See [`rows`].
const ROWS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("events");
const MARK: TableDefinition<'_, (), &[u8]> = TableDefinition::new("mark");
/// Changes whenever the form of a row does.
const SCHEMA: u32 = 1;
/// Every so many blocks the index is synced; what a crash takes is made again from the receipts.
const SYNC_EVERY: u64 = 256;
/// Blocks indexed in one transaction when catching up.
const CATCH_UP_BLOCKS: u64 = 1_024;

/// The block up to which events are indexed.
#[derive(Debug, PartialEq, Eq, Encode, Decode)]
struct Mark {
    schema: u32,
    height: Height,
    block_hash: Hash,
}

/// The index of events. Where it fails it says so; blocks and state do not depend on it.
#[derive(Debug)]
pub(crate) struct EventIndex {
    database: Database,
    failed: AtomicBool,
}

impl EventIndex {
    /// Opens the index in the file at `path`, as [`Self::open`] does.
    pub(crate) fn open_file(
        path: &Path,
        cache_bytes: usize,
        check: OpenCheck,
    ) -> Result<Self, StorageError> {
        let make = || {
            Database::builder()
                .set_cache_size(cache_bytes)
                .set_check_integrity_on_open(check == OpenCheck::Full)
                .create(path)
                .map_err(failed("open index.redb"))
        };
        let remove = || {
            std::fs::remove_file(path).map_err(|source| StorageError::Io {
                operation: "remove",
                path: path.to_owned(),
                source,
            })
        };
        Self::open(&make, &remove)
    }

    /// Opens the index with what `make` opens, or makes an empty one, after `remove`, where it cannot be read.
    pub(crate) fn open(
        make: &dyn Fn() -> Result<Database, StorageError>,
        remove: &dyn Fn() -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        make().and_then(Self::new).or_else(|error| {
            tracing::warn!(%error, "event index unreadable, making it again");
            remove()?;
            Self::new(make()?)
        })
    }

    pub(crate) fn new(database: Database) -> Result<Self, StorageError> {
        let transaction = database
            .begin_write()
            .map_err(failed("begin writing the index"))?;
        transaction
            .open_table(ROWS)
            .map_err(failed("make the index"))?;
        transaction
            .open_table(MARK)
            .map_err(failed("make the index"))?;
        transaction.commit().map_err(failed("make the index"))?;
        Ok(Self {
            database,
            failed: AtomicBool::new(false),
        })
    }

    /// Indexes what is not indexed yet, from the receipts.
    pub(crate) fn catch_up(&self, head: &Head) -> Result<(), StorageError> {
        // Of what lies below the base there are no receipts.
        let first = head.view.base()?.map_or(0, |base| base.height() + 1);
        let mut next = match self.mark()? {
            Some(mark) if mark.schema == SCHEMA && follows(head, &mark)? => mark.height + 1,
            None => first,
            Some(_) => {
                self.clear()?;
                first
            }
        };
        while next <= head.tip.height {
            let last = head.tip.height.min(next + CATCH_UP_BLOCKS - 1);
            let mut rows = BTreeSet::new();
            for height in next..=last {
                let receipts = head.view.receipts(height)?;
                let receipts =
                    receipts.ok_or_else(|| damaged(&format!("block {height} has no receipts")))?;
                collect_rows(height, &receipts, &mut rows);
            }
            let header = head.view.header(last)?;
            let header = header.ok_or_else(|| damaged(&format!("block {last} is missing")))?;
            self.write(last, header.hash(), &rows, Durability::Immediate)?;
            next = last + 1;
        }
        Ok(())
    }

    /// Indexes the block that is the tip now. A failure is noted, and told to whoever asks for events.
    pub(crate) fn add(&self, tip: &Tip, receipts: &[Receipt]) {
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        let mut rows = BTreeSet::new();
        collect_rows(tip.height, receipts, &mut rows);
        let durability = if tip.height.is_multiple_of(SYNC_EVERY) {
            Durability::Immediate
        } else if rows.is_empty() {
            // A gap without events is as good as indexed.
            return;
        } else {
            Durability::None
        };
        if let Err(error) = self.write(tip.height, tip.block_hash, &rows, durability) {
            tracing::error!(%error, height = tip.height, "event index failed; restart to make it again");
            self.failed.store(true, Ordering::Release);
        }
    }

    /// Forgets the events of blocks that were taken back; `tip` is the newest block now. A failure is noted as in
    /// [`Self::add`].
    pub(crate) fn forget(
        &self,
        tip: &Tip,
        undone: impl Iterator<Item = Result<(Height, Vec<Receipt>), StorageError>>,
    ) {
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.remove(tip, undone) {
            tracing::error!(%error, height = tip.height, "event index failed; restart to make it again");
            self.failed.store(true, Ordering::Release);
        }
    }

    /// One page of events that pass `filter`, as of `head`.
    pub(crate) fn find(
        &self,
        head: &Head,
        filter: &EventFilter,
        after: Option<EventCursor>,
        budget: PageBudget,
    ) -> Result<EventPage, StorageError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StorageError::IndexUnavailable);
        }
        let examined_to = filter.to_height.unwrap_or(Height::MAX).min(head.tip.height);
        let mut page = EventPage {
            items: Vec::new(),
            next: None,
            examined_to,
        };
        let Some((start, end)) = bounds(filter, after, examined_to) else {
            return Ok(page);
        };
        let transaction = self
            .database
            .begin_read()
            .map_err(failed("begin reading the index"))?;
        let table = transaction
            .open_table(ROWS)
            .map_err(failed("open the index"))?;
        let rows = table
            .range(start.as_slice()..=end.as_slice())
            .map_err(failed("read the index"))?;
        let mut loaded: Option<((Height, u32), Receipt)> = None;
        let mut last: Option<EventCursor> = None;
        let (mut event_bytes, mut read_bytes) = (0_usize, 0_usize);
        for (examined, row) in rows.enumerate() {
            // At least one row each time, or the next page would begin where this one did.
            let spent = page.items.len() >= budget.events.max(1)
                || examined >= budget.rows
                || event_bytes >= budget.event_bytes
                || read_bytes >= budget.read_bytes;
            if spent && last.is_some() {
                page.next = last;
                break;
            }
            let (key, _) = row.map_err(failed("read the index"))?;
            let cursor = read_cursor(key.value())?;
            let same_row = last.is_some_and(|last| last.height == cursor.height);
            last = Some(cursor);
            let place = (cursor.height, cursor.transaction);
            let receipt = match loaded.take().filter(|(known, _)| *known == place) {
                Some((_, receipt)) => receipt,
                None => {
                    let (receipt, row_bytes) = head
                        .view
                        .receipt(cursor.height, cursor.transaction)?
                        .ok_or_else(|| damaged("the index names a receipt that is not there"))?;
                    read_bytes += if same_row { 0 } else { row_bytes };
                    read_bytes += receipt.encoded_size();
                    receipt
                }
            };
            let position = usize::try_from(cursor.index).unwrap_or(usize::MAX);
            let event = receipt.events.get(position);
            let event =
                event.ok_or_else(|| damaged("the index names an event that is not there"))?;
            if filter.passes(event) {
                event_bytes += event.data.len();
                page.items
                    .push((cursor, receipt.transaction, event.clone()));
            }
            loaded = Some((place, receipt));
        }
        Ok(page)
    }

    fn mark(&self) -> Result<Option<Mark>, StorageError> {
        let transaction = self
            .database
            .begin_read()
            .map_err(failed("begin reading the index"))?;
        let table = transaction
            .open_table(MARK)
            .map_err(failed("open the index"))?;
        let row = table.get(()).map_err(failed("read the index"))?;
        Ok(row.and_then(|row| exact(row.value(), "mark").ok()))
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> Result<(), StorageError> {
        let transaction = self
            .database
            .begin_write()
            .map_err(failed("begin writing the index"))?;
        transaction
            .delete_table(ROWS)
            .map_err(failed("clear the index"))?;
        transaction
            .delete_table(MARK)
            .map_err(failed("clear the index"))?;
        transaction
            .open_table(ROWS)
            .map_err(failed("make the index"))?;
        transaction
            .open_table(MARK)
            .map_err(failed("make the index"))?;
        transaction.commit().map_err(failed("clear the index"))
    }

    fn write(
        &self,
        height: Height,
        block_hash: Hash,
        rows: &BTreeSet<Vec<u8>>,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut transaction = self
            .database
            .begin_write()
            .map_err(failed("begin writing the index"))?;
        transaction
            .set_durability(durability)
            .map_err(failed("begin writing the index"))?;
        {
            let mut table = transaction
                .open_table(ROWS)
                .map_err(failed("open the index"))?;
            for row in rows {
                table
                    .insert(row.as_slice(), ())
                    .map_err(failed("write the index"))?;
            }
        }
        write_mark(&transaction, height, block_hash)?;
        transaction.commit().map_err(failed("commit the index"))
    }

    fn remove(
        &self,
        tip: &Tip,
        undone: impl Iterator<Item = Result<(Height, Vec<Receipt>), StorageError>>,
    ) -> Result<(), StorageError> {
        let transaction = self
            .database
            .begin_write()
            .map_err(failed("begin writing the index"))?;
        {
            let mut table = transaction
                .open_table(ROWS)
                .map_err(failed("open the index"))?;
            for block in undone {
                let (height, receipts) = block?;
                let mut rows = BTreeSet::new();
                collect_rows(height, &receipts, &mut rows);
                for row in &rows {
                    table
                        .remove(row.as_slice())
                        .map_err(failed("write the index"))?;
                }
            }
        }
        write_mark(&transaction, tip.height, tip.block_hash)?;
        transaction.commit().map_err(failed("commit the index"))
    }
}

/// Says up to which block events are indexed.
fn write_mark(
    transaction: &WriteTransaction,
    height: Height,
    block_hash: Hash,
) -> Result<(), StorageError> {
    let mut table = transaction
        .open_table(MARK)
        .map_err(failed("open the index"))?;
    let mark = Mark {
        schema: SCHEMA,
        height,
        block_hash,
    };
    table
        .insert((), mark.encode().as_slice())
        .map_err(failed("write the index"))?;
    Ok(())
}

/// Whether the index ends at a block of this chain.
fn follows(head: &Head, mark: &Mark) -> Result<bool, StorageError> {
    let header = head.view.header(mark.height)?;
    Ok(header.is_some_and(|header| header.hash() == mark.block_hash))
}
