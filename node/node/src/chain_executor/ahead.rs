//! Execute blocks before they are committed: those on the way to the state that a header must commit to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use kumiki_executor::{BlockInput, ExecutedBlock, Selection, Signatures};
use kumiki_protocol::{
    Address, Block, Decode, ExecutedState, Hash, Height, Nonce, PublicKey, Receipt, Transaction,
    ValidatorSet, state_key,
};
use kumiki_state::{ChangedState, StateChanges, StateReader};
use kumiki_storage::{Prepared, Storage, Tip};

use super::ChainExecutor;
use crate::Fatal;
use crate::metrics::observe;

/// A block that is executed and not yet committed.
pub(crate) struct Executed {
    pub(crate) block: Arc<Block>,
    pub(crate) block_hash: Hash,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) prepared: Prepared,
    pub(crate) gas_used: u64,
    /// What it came to.
    pub(crate) result: ExecutedState,
    /// The state after it.
    state: Arc<dyn StateReader>,
}

/// What execution makes of a block's transactions, before there is a header.
pub(crate) struct Outcome {
    pub(crate) executed: ExecutedBlock,
    pub(crate) prepared: Prepared,
    pub(crate) result: ExecutedState,
    state: Arc<dyn StateReader>,
}

/// What a block's header fixes before it is executed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline {
    pub(crate) height: Height,
    pub(crate) time_ms: u64,
    pub(crate) proposer: PublicKey,
}

impl Outline {
    pub(crate) const fn of(block: &Block) -> Self {
        Self {
            height: block.header.height,
            time_ms: block.header.time_ms,
            proposer: block.header.proposer,
        }
    }
}

impl Executed {
    /// The tip that its commit makes.
    fn tip(&self) -> Tip {
        Tip {
            height: self.block.header.height,
            block_hash: self.block_hash,
            time_ms: self.block.header.time_ms,
            state_root: self.result.state_root,
            state_entries: self.result.state_entries,
        }
    }

    pub(crate) fn new(block: Arc<Block>, outcome: Outcome) -> Self {
        Self {
            block_hash: block.hash(),
            block,
            receipts: outcome.executed.receipts,
            gas_used: outcome.executed.gas_used,
            prepared: outcome.prepared,
            result: outcome.result,
            state: outcome.state,
        }
    }
}

impl ChainExecutor {
    /// The blocks of `ancestors` above the tip, oldest first; `None` where they do not lead from the tip to `parent`
    /// at `height - 1`: then they are of a branch that was not decided.
    pub(crate) fn above_tip(
        &self,
        ancestors: &[Arc<Block>],
        parent: &Hash,
        height: Height,
    ) -> Option<Vec<Arc<Block>>> {
        let mut last = (self.tip.height, self.tip.block_hash);
        let mut above = Vec::new();
        for block in ancestors {
            if block.header.height <= self.tip.height {
                continue;
            }
            if block.header.height != last.0 + 1 || block.header.parent != last.1 {
                return None;
            }
            last = (block.header.height, block.hash());
            above.push(Arc::clone(block));
        }
        (last.1 == *parent && last.0.checked_add(1) == Some(height)).then_some(above)
    }

    /// The result that the header at `height` must commit to, where `above` leads from the tip to its parent.
    /// Executes what it takes. `None`: it lies too far below the tip.
    pub(crate) fn result_for(
        &mut self,
        height: Height,
        above: &[Arc<Block>],
    ) -> Result<Option<ExecutedState>, Fatal> {
        let wanted = height.saturating_sub(self.lag());
        if wanted <= self.tip.height {
            return Ok(self.settled.get(&wanted).map(|(result, _count)| *result));
        }
        let count = usize::try_from(wanted - self.tip.height).unwrap_or(usize::MAX);
        let Some(needed) = above.get(..count) else {
            return Ok(None);
        };
        self.execute_ahead(needed)?;
        Ok(self.ahead.get(count - 1).map(|executed| executed.result))
    }

    /// Whether a block since the last whose result a header at `height` commits to has transactions: then one more
    /// block settles it.
    pub(crate) fn is_unsettled(&self, height: Height, above: &[Arc<Block>]) -> bool {
        let first = height.saturating_sub(self.lag());
        above
            .iter()
            .any(|block| block.header.transactions_count > 0)
            || self
                .settled
                .range(first..)
                .any(|(_, (_, transactions))| *transactions > 0)
    }

    /// By sender, the nonce after the last that `above` has.
    pub(crate) fn in_flight(above: &[Arc<Block>]) -> BTreeMap<Address, Nonce> {
        let mut next = BTreeMap::new();
        for transaction in above.iter().flat_map(|block| &block.transactions) {
            let after = transaction.body.nonce.saturating_add(1);
            next.entry(transaction.body.sender_address())
                .and_modify(|known: &mut Nonce| *known = after.max(*known))
                .or_insert(after);
        }
        next
    }

    /// Makes `self.ahead` begin with `blocks`, executing those that are not executed yet.
    pub(crate) fn execute_ahead(&mut self, blocks: &[Arc<Block>]) -> Result<(), Fatal> {
        let known = self
            .ahead
            .iter()
            .zip(blocks)
            .take_while(|(executed, block)| executed.block_hash == block.hash())
            .count();
        if known == blocks.len() {
            return Ok(());
        }
        self.ahead.truncate(known);
        for block in &blocks[known..] {
            let outcome = self.execute_proposed(block)?;
            self.ahead.push(Executed::new(Arc::clone(block), outcome));
        }
        Ok(())
    }

    /// Executes a block that another node may have made. What waits in this node's pool is verified already.
    pub(crate) fn execute_proposed(&self, block: &Block) -> Result<Outcome, Fatal> {
        let verified = self.mempool.has_verified(&block.transactions);
        self.execute(
            &Outline::of(block),
            block.transactions.clone(),
            self.selection(),
            Signatures::VerifiedWhere(&verified),
        )
    }

    /// A solo chain leaves out what it cannot execute; elsewhere a block is decided before anybody executes it.
    pub(crate) fn selection(&self) -> Selection {
        match self.lag() {
            0 => Selection::DropRejected,
            _ => Selection::KeepRejected,
        }
    }

    /// Executes transactions after all that is executed ahead, and works out the root.
    pub(crate) fn execute(
        &self,
        outline: &Outline,
        transactions: Vec<Transaction>,
        selection: Selection,
        signatures: Signatures<'_>,
    ) -> Result<Outcome, Fatal> {
        let start = Instant::now();
        let height = outline.height;
        let input = BlockInput {
            height,
            time_ms: outline.time_ms,
            proposer: outline.proposer,
        };
        let before = self.ahead.last();
        let base: Arc<dyn StateReader> = match before {
            Some(executed) => Arc::clone(&executed.state),
            None => Arc::<kumiki_storage::Snapshot>::clone(&self.state),
        };
        let mut executed = self
            .executor
            .execute_block(
                Arc::clone(&base),
                &input,
                transactions,
                selection,
                signatures,
            )
            .map_err(|source| Fatal::Execution { height, source })?;
        observe(&self.metrics.execute_seconds, start.elapsed());
        let start = Instant::now();
        let changes = Arc::new(std::mem::take(&mut executed.changes));
        let prepared = prepare(&self.storage, before, base.as_ref(), &changes)
            .map_err(|source| Fatal::Storage { height, source })?;
        let state: Arc<dyn StateReader> = Arc::new(ChangedState::new(base, changes));
        let result = ExecutedState {
            height,
            state_root: prepared.state_root,
            state_entries: prepared.state_entries,
            receipts_root: executed.receipts_root,
            next_validators_hash: validators_hash(height, state.as_ref())?,
        };
        observe(&self.metrics.root_seconds, start.elapsed());
        Ok(Outcome {
            executed,
            prepared,
            result,
            state,
        })
    }
}

fn prepare(
    storage: &Storage,
    before: Option<&Executed>,
    base: &dyn StateReader,
    changes: &StateChanges,
) -> Result<Prepared, kumiki_storage::StorageError> {
    match before {
        Some(executed) => storage.prepare_after(&executed.prepared, executed.tip(), base, changes),
        None => storage.prepare(changes),
    }
}

/// Hash of the set that signs the block after the header that commits to `state`.
pub(crate) fn validators_hash(height: Height, state: &dyn StateReader) -> Result<Hash, Fatal> {
    Ok(validators_of(height, state)?.hash())
}

/// That set.
fn validators_of(height: Height, state: &dyn StateReader) -> Result<ValidatorSet, Fatal> {
    let stored = state
        .get(&state_key::validators())
        .map_err(|source| Fatal::State { height, source })?;
    stored
        .and_then(|bytes| ValidatorSet::decode(&mut bytes.as_slice()).ok())
        .ok_or(Fatal::NoValidators { height })
}
