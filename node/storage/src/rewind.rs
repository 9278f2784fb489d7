//! Take the newest blocks back, with all they led to: for chains that a developer moves, never for others.

use std::ops::RangeInclusive;

use kumiki_protocol::{Encode as _, Header, Height, Receipt, state_key};
use kumiki_state::StateChanges;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use crate::commit::{begin, write_meta, write_records, write_state};
use crate::head::Head;
use crate::schema::{self, damaged, failed};
use crate::view::View;
use crate::{Storage, StorageError, Tip};

impl Storage {
    /// Takes every block above `height` back, in one durable transaction: on return the chain is what it was when that
    /// block was the newest. Code that came later stays, and is found by nothing.
    ///
    /// Whoever calls this knows that nobody else relies on these blocks: on a chain with other validators, never.
    ///
    /// # Errors
    /// `HeightUnavailable`, which changes nothing, when the state at `height` is not kept. After any other error the
    /// handle refuses every further commit.
    pub fn rewind(&self, height: Height) -> Result<Tip, StorageError> {
        let mut writer = self.writer()?;
        let head = self.head()?;
        let state = self.snapshot_at(height)?;
        if height == head.tip.height {
            return Ok(head.tip);
        }
        let header = read_header(&head.view, height)?;
        let tip = Tip {
            height,
            block_hash: header.hash(),
            time_ms: header.time_ms,
            state_root: state.state_root(),
            state_entries: state.state_entries(),
        };
        let changes = StateChanges {
            entries: (*head.overlay(height)?).clone(),
            ..StateChanges::default()
        };
        let tree = head.tree.update(&changes, &head.view)?;
        if tree.root() != tip.state_root {
            return Err(damaged(&format!(
                "undoing down to block {height} does not lead to its state root"
            )));
        }
        let first = height.saturating_add(1);
        // Read block by block, twice: there can be more of them than memory holds.
        let undone = || {
            let receipts = |height| Ok((height, read_receipts(&head.view, height)?));
            (first..=head.tip.height).map(receipts)
        };
        let genesis = self.genesis().ok_or(StorageError::NotInitialised)?;

        writer.fail();
        let transaction = begin(&self.database)?;
        write_state(&transaction, &changes.entries)?;
        write_records(&transaction, &tree.records_changed_since(&head.tree))?;
        forget_validators(&transaction, first, |height| {
            genesis.parameters.validators_epoch(height)
        })?;
        forget_rows(&transaction, first)?;
        forget_blocks(&transaction, &head.view, first..=head.tip.height)?;
        forget_transactions(&transaction, height, undone())?;
        write_meta(&transaction, &[(schema::META_TIP, tip.encode())])?;
        transaction.commit().map_err(failed("commit"))?;

        let view = View::open(&self.database)?;
        self.index.forget(&tip, undone());
        let rewound = Head::new(view, tip, tree, head.oldest.min(height)).rewound_from(&head);
        self.set_head(rewound);
        writer.recover();
        Ok(tip)
    }
}

fn read_header(view: &View, height: Height) -> Result<Header, StorageError> {
    let header = view.header(height)?;
    header.ok_or_else(|| damaged(&format!("block {height} is missing")))
}

fn read_receipts(view: &View, height: Height) -> Result<Vec<Receipt>, StorageError> {
    let receipts = view.receipts(height)?;
    receipts.ok_or_else(|| damaged(&format!("block {height} has no receipts")))
}

/// Forgets the validators that blocks from `first` on have fixed. Their undo rows say which blocks that are.
fn forget_validators(
    transaction: &WriteTransaction,
    first: Height,
    epoch_fixed_by: impl Fn(Height) -> u64,
) -> Result<(), StorageError> {
    let undo = transaction
        .open_table(schema::UNDO)
        .map_err(failed("open undo"))?;
    let mut validators = transaction
        .open_table(schema::VALIDATORS)
        .map_err(failed("open validators"))?;
    let key = state_key::validators();
    let from = (first, &[][..]);
    for row in undo.range(from..).map_err(failed("read undo"))? {
        let (place, _before) = row.map_err(failed("read undo"))?;
        let (height, changed) = place.value();
        if changed == key {
            validators
                .remove(epoch_fixed_by(height))
                .map_err(failed("forget validators"))?;
        }
    }
    Ok(())
}

/// Forgets all rows by height from `first` on.
fn forget_rows(transaction: &WriteTransaction, first: Height) -> Result<(), StorageError> {
    let forget = |table: TableDefinition<'_, u64, &[u8]>| {
        let mut table = transaction
            .open_table(table)
            .map_err(failed("open a block table"))?;
        table
            .retain_in(first.., |_, _| false)
            .map_err(failed("forget blocks"))
    };
    forget(schema::HEADERS)?;
    forget(schema::BODIES)?;
    forget(schema::RECEIPTS)?;
    forget(schema::CERTIFICATES)?;
    forget(schema::ROOTS)?;
    let mut undo = transaction
        .open_table(schema::UNDO)
        .map_err(failed("open undo"))?;
    undo.retain_in((first, &[][..]).., |_, _| false)
        .map_err(failed("forget undo"))
}

/// Forgets where the blocks `undone` are found by their hashes.
fn forget_blocks(
    transaction: &WriteTransaction,
    view: &View,
    undone: RangeInclusive<Height>,
) -> Result<(), StorageError> {
    let mut heights = transaction
        .open_table(schema::HEIGHTS)
        .map_err(failed("open hashes"))?;
    for height in undone {
        heights
            .remove(read_header(view, height)?.hash().0.as_slice())
            .map_err(failed("forget a hash"))?;
    }
    Ok(())
}

/// Forgets where transactions of the blocks `undone` are found, which lie above `height`.
fn forget_transactions(
    transaction: &WriteTransaction,
    height: Height,
    undone: impl Iterator<Item = Result<(Height, Vec<Receipt>), StorageError>>,
) -> Result<(), StorageError> {
    let mut transactions = transaction
        .open_table(schema::TRANSACTIONS)
        .map_err(failed("open transactions"))?;
    for block in undone {
        let (_, receipts) = block?;
        for receipt in &receipts {
            let key = receipt.transaction.0.as_slice();
            let location = transactions
                .get(key)
                .map_err(failed("read transactions"))?
                .map(|location| location.value());
            if location.is_some_and(|(found, _)| found > height) {
                transactions
                    .remove(key)
                    .map_err(failed("forget transactions"))?;
            }
        }
    }
    Ok(())
}
