//! Own the chain on disk: add blocks to it, read from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kumiki_protocol::{
    Block, Certificate, Encode as _, Genesis, Hash, Header, Height, Parameters, Receipt,
    TransactionHash, state_key,
};
use kumiki_state::{Bucket, EmptyState, StateChanges, StateReader, Tree};
use redb::Database;

use crate::commit::{BlockWrite, Writes, write_block};
use crate::head::Head;
use crate::index::EventIndex;
use crate::interface::PageBudget;
use crate::open::FolderLock;
use crate::result::check_result;
use crate::schema::{META_GENESIS, damaged};
use crate::view::View;
use crate::{
    BlockCommit, EventCursor, EventFilter, EventPage, Snapshot, StorageError, StorageOptions, Tip,
};

/// The chain on disk. Share it in an `Arc`; readers never wait for a commit.
#[derive(Debug)]
pub struct Storage {
    pub(crate) head: RwLock<Option<Arc<Head>>>,
    pub(crate) genesis: RwLock<Option<Arc<Genesis>>>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) index: EventIndex,
    pub(crate) database: Database,
    pub(crate) options: StorageOptions,
    /// Locked while this is held; `None` only where a test brings its own disk.
    pub(crate) _lock: Option<FolderLock>,
}

/// Whoever holds this may write.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    failed: bool,
}

impl Writer {
    /// From here on, until [`Self::recover`], what is on disk is not known.
    pub(crate) const fn fail(&mut self) {
        self.failed = true;
    }

    /// Everything has succeeded.
    pub(crate) const fn recover(&mut self) {
        self.failed = false;
    }
}

/// Changes with the state they lead to, not yet written.
#[derive(Debug)]
pub struct Prepared {
    /// Root of the state tree after the changes.
    pub state_root: Hash,
    /// Entries in the state after the changes.
    pub state_entries: u64,
    /// The tip they were prepared on.
    base: Option<Tip>,
    tree: Tree,
    records: BTreeMap<Vec<u8>, Option<Bucket>>,
    writes: Writes,
    codes: BTreeMap<Hash, Arc<[u8]>>,
}

impl Storage {
    /// The genesis of the chain; `None` before [`Self::initialise`].
    #[must_use]
    pub fn genesis(&self) -> Option<Arc<Genesis>> {
        self.genesis
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts the chain: stores its genesis, its first state and block 0, durably.
    ///
    /// # Errors
    /// `AlreadyInitialised` when there is a chain; else as [`Self::commit`].
    pub fn initialise(
        &self,
        genesis: &Genesis,
        changes: &StateChanges,
        block: &Block,
    ) -> Result<(), StorageError> {
        let mut writer = self.writer()?;
        if let Some(found) = self.genesis() {
            return Err(StorageError::AlreadyInitialised {
                found: found.hash(),
            });
        }
        if block.header.genesis_hash != genesis.hash() {
            return Err(StorageError::WrongResult { height: 0 });
        }
        if block.header.height != 0 {
            return Err(StorageError::NotNext {
                found: block.header.height,
                tip: 0,
            });
        }
        let prepared = prepare_on(None, &Tree::empty(), changes, &EmptyState)?;
        let meta = [(META_GENESIS, genesis.encode())];
        let parameters = &genesis.parameters;
        self.write(&mut writer, (block, None, &[]), prepared, parameters, &meta)?;
        let mut known = self.genesis.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::new(genesis.clone()));
        Ok(())
    }

    /// The newest block; `None` before [`Self::initialise`].
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        self.current().map(|head| head.tip)
    }

    /// Works out the state that `changes` lead to from the tip. Writes nothing.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prepare(&self, changes: &StateChanges) -> Result<Prepared, StorageError> {
        let head = self.head()?;
        prepare_on(Some(head.tip), &head.tree, changes, &head.view)
    }

    /// Works out the state that `changes` lead to from what `before` is prepared to, which will be `tip` once it is
    /// committed and whose state `reader` reads. Writes nothing.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prepare_after(
        &self,
        before: &Prepared,
        tip: Tip,
        reader: &dyn StateReader,
        changes: &StateChanges,
    ) -> Result<Prepared, StorageError> {
        prepare_on(Some(tip), &before.tree, changes, reader)
    }

    /// Adds the next block with all it leads to, atomically; on return it is synced to disk.
    ///
    /// # Errors
    /// `NotNext`, `StalePrepared` and `WrongResult` change nothing. After any other error the handle refuses
    /// every further commit.
    pub fn commit(&self, commit: BlockCommit<'_>) -> Result<(), StorageError> {
        let mut writer = self.writer()?;
        let tip = self.head()?.tip;
        let header = &commit.block.header;
        if Some(header.height) != tip.height.checked_add(1) || header.parent != tip.block_hash {
            return Err(StorageError::NotNext {
                found: header.height,
                tip: tip.height,
            });
        }
        if commit.prepared.base != Some(tip) {
            return Err(StorageError::StalePrepared);
        }
        let parts = (commit.block, commit.certificate, commit.receipts);
        let genesis = self.genesis().ok_or(StorageError::NotInitialised)?;
        let parameters = &genesis.parameters;
        self.write(&mut writer, parts, commit.prepared, parameters, &[])
    }

    fn write(
        &self,
        writer: &mut Writer,
        (block, certificate, receipts): (&Block, Option<&Certificate>, &[Receipt]),
        prepared: Prepared,
        parameters: &Parameters,
        meta: &[(&'static str, Vec<u8>)],
    ) -> Result<(), StorageError> {
        let before = self.current();
        let earlier = match &before {
            Some(before) => before.view.root(block.header.executed.height)?,
            None => None,
        };
        check_result(block, certificate, receipts, &prepared, earlier)?;
        let height = block.header.height;
        let tip = Tip {
            height,
            block_hash: block.hash(),
            time_ms: block.header.time_ms,
            state_root: prepared.state_root,
            state_entries: prepared.state_entries,
        };
        let oldest = before.as_ref().map_or(0, |head| {
            let wanted = height.saturating_sub(self.options.undo_heights);
            wanted.clamp(head.oldest, head.oldest.saturating_add(2))
        });
        let input = BlockWrite {
            block,
            block_hash: tip.block_hash,
            certificate,
            receipts,
            writes: &prepared.writes,
            codes: &prepared.codes,
            records: &prepared.records,
            validators: fixed_validators(&prepared.writes, parameters.validators_epoch(height)),
            tip: &tip,
            undo_from: oldest + 1,
            meta,
        };
        writer.fail();
        write_block(&self.database, &input)?;
        let view = View::open(&self.database)?;
        self.index.add(&tip, receipts);
        let head = Head::new(view, tip, prepared.tree, oldest);
        let head = match before {
            Some(before) => head.following(&before),
            None => head,
        };
        self.set_head(head);
        writer.recover();
        Ok(())
    }

    /// The state after the newest block.
    ///
    /// # Errors
    /// `NotInitialised` before there is one.
    pub fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(Snapshot::at_tip(self.head()?))
    }

    /// The state after the block at `height`.
    ///
    /// # Errors
    /// `HeightUnavailable` when it is not kept.
    pub fn snapshot_at(&self, height: Height) -> Result<Snapshot, StorageError> {
        let head = self.head()?;
        if height == head.tip.height {
            return Ok(Snapshot::at_tip(head));
        }
        if height > head.tip.height || height < head.oldest {
            return Err(StorageError::HeightUnavailable {
                height,
                oldest: head.oldest,
                tip: head.tip.height,
            });
        }
        Snapshot::before_tip(head, height)
    }

    /// The lowest height whose state is kept.
    ///
    /// # Errors
    /// `NotInitialised` before there is a block.
    pub fn oldest_state(&self) -> Result<Height, StorageError> {
        Ok(self.head()?.oldest)
    }

    /// The header at `height`; `None` above the tip.
    ///
    /// # Errors
    /// When the store fails or is found damaged; so for all below.
    pub fn header(&self, height: Height) -> Result<Option<Header>, StorageError> {
        self.head()?.view.header(height)
    }

    /// The block at `height`.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn block(&self, height: Height) -> Result<Option<Block>, StorageError> {
        self.head()?.view.block(height)
    }

    /// The block with this hash.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn block_by_hash(&self, hash: &Hash) -> Result<Option<Block>, StorageError> {
        let head = self.head()?;
        match head.view.height_of(hash)? {
            Some(height) => head.view.block(height),
            None => Ok(None),
        }
    }

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn height_of(&self, hash: &Hash) -> Result<Option<Height>, StorageError> {
        self.head()?.view.height_of(hash)
    }

    /// The certificate of the block at `height`; genesis has none.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, StorageError> {
        self.head()?.view.certificate(height)
    }

    /// The receipts of the block at `height`.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StorageError> {
        self.head()?.view.receipts(height)
    }

    /// One receipt, without decoding the others of its block.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn receipt(&self, height: Height, index: u32) -> Result<Option<Receipt>, StorageError> {
        let found = self.head()?.view.receipt(height, index)?;
        Ok(found.map(|(receipt, _)| receipt))
    }

    /// Height and position of a transaction that is in a block; of one that came several times, where it
    /// happened.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn transaction_location(
        &self,
        hash: &TransactionHash,
    ) -> Result<Option<(Height, u32)>, StorageError> {
        self.head()?.view.transaction_location(hash)
    }

    /// At most `limit` events that pass `filter`, the oldest after `after` first. A page ends early, perhaps without
    /// any event, where it has become large or took much reading; its `next` says where to go on.
    ///
    /// # Errors
    /// `IndexUnavailable` when the index has failed; else when the store fails or is found damaged.
    pub fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: usize,
    ) -> Result<EventPage, StorageError> {
        let budget = PageBudget {
            events: limit,
            ..PageBudget::STANDARD
        };
        self.index.find(&*self.head()?, filter, after, budget)
    }

    fn current(&self) -> Option<Arc<Head>> {
        self.head
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn head(&self) -> Result<Arc<Head>, StorageError> {
        self.current().ok_or(StorageError::NotInitialised)
    }

    pub(crate) fn set_head(&self, head: Head) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(head));
    }

    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, StorageError> {
        match self.writer.lock() {
            Ok(writer) if !writer.failed => Ok(writer),
            _ => Err(StorageError::Poisoned),
        }
    }
}

fn prepare_on(
    base: Option<Tip>,
    tree: &Tree,
    changes: &StateChanges,
    reader: &dyn StateReader,
) -> Result<Prepared, StorageError> {
    let next = tree.update(changes, reader)?;
    Ok(Prepared {
        state_root: next.root(),
        state_entries: next.entries(),
        base,
        records: next.records_changed_since(tree),
        tree: next,
        writes: changes.entries.clone(),
        codes: changes.codes.clone(),
    })
}

/// The validators among what is written, with the epoch whose they are.
fn fixed_validators(writes: &Writes, epoch: u64) -> Option<(u64, &[u8])> {
    let written = writes.get(&state_key::validators())?;
    written.as_deref().map(|validators| (epoch, validators))
}

/// The newest commit as it is on disk; `None` before there is a genesis.
pub(crate) fn load_head(view: View, tree: Tree) -> Result<Option<Head>, StorageError> {
    let Some(tip) = view.meta::<Tip>(crate::schema::META_TIP)? else {
        return Ok(None);
    };
    let undo_from: Height = view
        .meta(crate::schema::META_UNDO_FROM)?
        .ok_or_else(|| damaged("there is a tip but no undo mark"))?;
    Ok(Some(Head::new(
        view,
        tip,
        tree,
        undo_from.saturating_sub(1),
    )))
}
