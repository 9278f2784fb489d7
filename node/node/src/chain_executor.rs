//! Own the chain's one writer: build, check, execute and commit blocks, one task after the other.
//!
//! On a chain with execution lag K, building and checking a block only compare it with the result of the block K
//! before it, which is executed by then, or is executed here and now where its decision came late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use kumiki_consensus::{BuildRequest, CheckRequest, Decided};
use kumiki_executor::{Executor, Signatures};
use kumiki_mempool::{BlockRoom, ChainHead, SharedMempool};
use kumiki_protocol::{
    Block, ExecutedState, Genesis, Hash, Header, Height, PROTOCOL_VERSION, Receipt, Transaction,
    limits,
};
use kumiki_storage::{Base, BlockCommit, Snapshot, Storage, StorageError, Tip};
use tokio::sync::watch;

use crate::chain::{EvidenceQueue, Task, TaskQueue, fits};
use crate::metrics::observe;
use crate::validators::KnownValidators;
use crate::{Chain, Fatal, NodeMetrics};
use ahead::{Executed, Outcome, Outline, validators_hash};

mod ahead;
mod rewind;
#[cfg(test)]
mod tests;

/// Builds, checks, executes and commits the blocks of one chain, which nobody else writes to.
pub struct ChainExecutor {
    pub(crate) storage: Arc<Storage>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) mempool: Arc<SharedMempool>,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) genesis_hash: Hash,
    pub(crate) heads: watch::Sender<Tip>,
    /// Who signs which block, as the state at the tip names them.
    pub(crate) validators: watch::Sender<KnownValidators>,
    pub(crate) metrics: NodeMetrics,
    pub(crate) tip: Tip,
    pub(crate) state: Arc<Snapshot>,
    /// Results and transaction counts of the committed blocks that headers to come commit to.
    settled: BTreeMap<Height, (ExecutedState, u32)>,
    /// Blocks after the tip that are executed and not committed, each the child of the one before.
    ahead: Vec<Executed>,
}

/// What a [`ChainExecutor`] shares with the rest of the node.
#[derive(Debug)]
pub struct ExecutorParts {
    /// The chain on disk.
    pub storage: Arc<Storage>,
    /// What executes its transactions.
    pub executor: Arc<Executor>,
    /// What waits for a block.
    pub mempool: Arc<SharedMempool>,
    /// The genesis of the chain.
    pub genesis: Arc<Genesis>,
    /// Where each new head is told.
    pub heads: watch::Sender<Tip>,
    /// What is counted.
    pub metrics: NodeMetrics,
}

impl std::fmt::Debug for ChainExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainExecutor")
            .field("tip", &self.tip)
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}

impl ChainExecutor {
    /// Goes on from the chain as it is stored.
    ///
    /// # Errors
    /// `Fatal` when the store cannot be read.
    pub fn open(parts: ExecutorParts) -> Result<Self, Fatal> {
        let failed = |source| Fatal::Storage { height: 0, source };
        let tip = parts.storage.tip();
        let tip = tip.ok_or_else(|| failed(StorageError::NotInitialised))?;
        let lag = u64::from(parts.genesis.parameters.execution_lag);
        let settled = settled(&parts.storage, tip.height, lag)?;
        let state = Arc::new(parts.storage.snapshot().map_err(failed)?);
        let parameters = parts.genesis.parameters;
        let validators = KnownValidators::read(parameters, tip.height, state.as_ref())?;
        Ok(Self {
            state,
            validators: watch::channel(validators).0,
            genesis_hash: parts.genesis.hash(),
            storage: parts.storage,
            executor: parts.executor,
            mempool: parts.mempool,
            genesis: parts.genesis,
            heads: parts.heads,
            metrics: parts.metrics,
            tip,
            settled,
            ahead: Vec::new(),
        })
    }

    /// The chain as an ordering engine sees it, the queue of what it asks for, and that of the double votes it has
    /// seen. Both are at their end once the chain is dropped.
    #[must_use]
    pub fn chain(&self) -> (Chain, TaskQueue, EvidenceQueue) {
        Chain::new(
            self.executor.vm().clone(),
            Arc::clone(&self.storage),
            self.genesis.parameters,
            Arc::clone(&self.mempool),
            self.validators.subscribe(),
            self.heads.subscribe(),
        )
    }

    /// Does tasks, on this thread, until the chain that asks is gone.
    ///
    /// # Errors
    /// What must stop the node.
    pub fn run(mut self, mut tasks: TaskQueue) -> Result<(), Fatal> {
        while let Some(task) = tasks.0.blocking_recv() {
            self.step(task)?;
        }
        Ok(())
    }

    /// Does the next task and says whether there was one: where there is no thread to spare.
    ///
    /// # Errors
    /// What must stop the node.
    pub async fn run_next(&mut self, tasks: &mut TaskQueue) -> Result<bool, Fatal> {
        match tasks.0.recv().await {
            Some(task) => self.step(task).map(|()| true),
            None => Ok(false),
        }
    }

    /// Does one task.
    fn step(&mut self, task: Task) -> Result<(), Fatal> {
        // An engine that no longer waits for an answer is stopping; the work stands all the same.
        match task {
            Task::Build(request, reply) => drop(reply.send(self.build(&request)?)),
            Task::Check(request, reply) => drop(reply.send(self.check(&request)?)),
            Task::Commit(decided, reply) => drop(reply.send(self.commit(&decided)?)),
            Task::Rewind(height, reply) => drop(reply.send(self.rewind(height)?)),
        }
        Ok(())
    }

    fn lag(&self) -> u64 {
        u64::from(self.genesis.parameters.execution_lag)
    }

    fn build(&mut self, request: &BuildRequest) -> Result<Option<Arc<Block>>, Fatal> {
        let height = request.height;
        let Some(above) = self.above_tip(&request.ancestors, &request.parent, height) else {
            return Ok(None);
        };
        let parent_time_ms = above
            .last()
            .map_or(self.tip.time_ms, |block| block.header.time_ms);
        let outline = Outline {
            height,
            time_ms: request.time_ms.max(parent_time_ms),
            proposer: request.proposer,
        };
        let transactions = self.select(height, &above);
        let settles = self.lag() > 0 && self.is_unsettled(height, &above);
        let allow_empty = request.allow_empty || settles;
        if transactions.is_empty() && !allow_empty {
            return Ok(None);
        }
        if self.lag() == 0 {
            return self.build_executed(&outline, request, &above, transactions, allow_empty);
        }
        let Some(result) = self.result_for(height, &above)? else {
            return Ok(None);
        };
        let header = self.header(&outline, request.parent, &transactions, result);
        Ok(Some(Arc::new(Block {
            header,
            transactions,
        })))
    }

    fn select(&self, height: Height, above: &[Arc<Block>]) -> Vec<Transaction> {
        let start = Instant::now();
        let parameters = &self.genesis.parameters;
        let room = BlockRoom {
            bytes_max: usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX),
            gas_max: parameters.block_gas_max,
            code_gas_max: limits::BLOCK_CODE_GAS_MAX,
            height,
            in_flight: &Self::in_flight(above),
        };
        let transactions = self
            .mempool
            .candidates(&room)
            .into_iter()
            .map(|candidate| Arc::unwrap_or_clone(candidate.transaction))
            .collect();
        observe(&self.metrics.select_seconds, start.elapsed());
        transactions
    }

    /// Builds a block whose header commits to its own result.
    fn build_executed(
        &mut self,
        outline: &Outline,
        request: &BuildRequest,
        above: &[Arc<Block>],
        transactions: Vec<Transaction>,
        allow_empty: bool,
    ) -> Result<Option<Arc<Block>>, Fatal> {
        self.execute_ahead(above)?;
        self.ahead.truncate(above.len());
        // Every transaction of the mempool was verified when it was admitted.
        let selection = self.selection();
        let outcome = self.execute(outline, transactions, selection, Signatures::Verified)?;
        let dropped = &outcome.executed.dropped;
        self.mempool.reject(dropped);
        let count = u64::try_from(dropped.len()).unwrap_or(u64::MAX);
        self.metrics.dropped.inc_by(count);
        if outcome.executed.transactions.is_empty() && !allow_empty {
            return Ok(None);
        }
        let built = self.finish(outline, request.parent, outcome);
        let block = Arc::clone(&built.block);
        self.ahead.push(built);
        Ok(Some(block))
    }

    fn finish(&self, outline: &Outline, parent: Hash, mut outcome: Outcome) -> Executed {
        let transactions = std::mem::take(&mut outcome.executed.transactions);
        let header = self.header(outline, parent, &transactions, outcome.result);
        let block = Block {
            header,
            transactions,
        };
        Executed::new(Arc::new(block), outcome)
    }

    fn header(
        &self,
        outline: &Outline,
        parent: Hash,
        transactions: &[Transaction],
        executed: ExecutedState,
    ) -> Header {
        Header {
            version: PROTOCOL_VERSION,
            genesis_hash: self.genesis_hash,
            height: outline.height,
            parent,
            time_ms: outline.time_ms,
            proposer: outline.proposer,
            transactions_root: Block::transactions_root(transactions),
            transactions_count: u32::try_from(transactions.len())
                .expect("a block's bytes are bounded by a u32, so its transactions are too"),
            executed,
        }
    }

    /// Whether another's proposal may be voted for. On a chain without execution lag this takes executing it; what
    /// was executed is kept for its commit.
    fn check(&mut self, request: &CheckRequest) -> Result<bool, Fatal> {
        let block = &request.block;
        let header = &block.header;
        let height = header.height;
        let Some(above) = self.above_tip(&request.ancestors, &header.parent, height) else {
            return Ok(false);
        };
        let parent_time_ms = above
            .last()
            .map_or(self.tip.time_ms, |block| block.header.time_ms);
        if header.version != PROTOCOL_VERSION
            || header.genesis_hash != self.genesis_hash
            || header.time_ms < parent_time_ms
            || !fits(&self.genesis.parameters, &block.transactions)
        {
            return Ok(false);
        }
        if self.lag() > 0 {
            return Ok(self.result_for(height, &above)? == Some(header.executed));
        }
        self.execute_ahead(&above)?;
        self.ahead.truncate(above.len());
        let outcome = self.execute_proposed(block)?;
        let built = self.finish(&Outline::of(block), header.parent, outcome);
        let accepted = built.block.header == *header;
        if accepted {
            self.ahead.push(built);
        }
        Ok(accepted)
    }

    /// Executes a decided block, if that is not done, and stores it. A block that is stored already is
    /// acknowledged again: an engine that stopped before it saw the first answer repeats it.
    fn commit(&mut self, decided: &Decided) -> Result<(), Fatal> {
        let header = &decided.block.header;
        let height = header.height;
        let not_next = Fatal::NotNext {
            found: height,
            tip: self.tip.height,
        };
        if height <= self.tip.height {
            let failed = |source| Fatal::Storage { height, source };
            let stored = self.storage.header(height).map_err(failed)?;
            let same = stored.is_some_and(|stored| stored == *header);
            return if same { Ok(()) } else { Err(not_next) };
        }
        if height != self.tip.height + 1 || header.parent != self.tip.block_hash {
            return Err(not_next);
        }
        let expected = self.expected(&decided.block)?;
        if header.executed != expected {
            return Err(Fatal::WrongResult {
                height,
                decided: Box::new(header.executed),
                executed: Box::new(expected),
            });
        }
        self.execute_ahead(std::slice::from_ref(&decided.block))?;
        let executed = self.ahead.remove(0);
        let start = Instant::now();
        self.storage
            .commit(BlockCommit {
                block: &executed.block,
                certificate: decided.certificate.as_ref(),
                receipts: &executed.receipts,
                prepared: executed.prepared,
            })
            .map_err(|source| Fatal::Storage { height, source })?;
        observe(&self.metrics.commit_seconds, start.elapsed());
        let result = executed.result;
        self.tip = Tip {
            height,
            block_hash: executed.block_hash,
            time_ms: header.time_ms,
            state_root: result.state_root,
            state_entries: result.state_entries,
        };
        self.settle(result, header.transactions_count);
        self.publish(&executed.block, executed.gas_used)
    }

    /// The result that the header of a decided block, the next after the tip, must commit to.
    fn expected(&mut self, block: &Arc<Block>) -> Result<ExecutedState, Fatal> {
        let height = block.header.height;
        if self.lag() > 0 {
            let known = self.result_for(height, &[])?;
            return known.ok_or(Fatal::NotNext {
                found: height,
                tip: self.tip.height,
            });
        }
        self.execute_ahead(std::slice::from_ref(block))?;
        Ok(self.ahead[0].result)
    }

    fn settle(&mut self, result: ExecutedState, transactions: u32) {
        self.settled.insert(result.height, (result, transactions));
        let first = result.height.saturating_sub(self.lag());
        self.settled = self.settled.split_off(&first);
    }

    /// Lets everybody see the new head. Only here, after the commit, does a transaction count as final.
    fn publish(&mut self, block: &Block, gas_used: u64) -> Result<(), Fatal> {
        let start = Instant::now();
        let height = self.tip.height;
        let snapshot = self.storage.snapshot();
        self.state = Arc::new(snapshot.map_err(|source| Fatal::Storage { height, source })?);
        let head = ChainHead {
            height,
            state: Arc::<Snapshot>::clone(&self.state),
        };
        if self.validators.borrow().is_outdated(height) {
            let parameters = self.genesis.parameters;
            let known = KnownValidators::read(parameters, height, self.state.as_ref())?;
            self.validators.send_replace(known);
        }
        // First the head: a submitter told that its nonce is used finds the block.
        self.heads.send_replace(self.tip);
        self.mempool
            .advance(head, &block.transactions)
            .map_err(|source| Fatal::State { height, source })?;
        observe(&self.metrics.publish_seconds, start.elapsed());
        let count = block.header.transactions_count;
        self.metrics
            .height
            .set(i64::try_from(height).unwrap_or(i64::MAX));
        self.metrics.blocks.inc();
        self.metrics.transactions.inc_by(u64::from(count));
        self.metrics.gas.inc_by(gas_used);
        self.metrics.block_transactions.observe(f64::from(count));
        tracing::debug!(
            height,
            transactions = count,
            gas = gas_used,
            root = %self.tip.state_root,
            "block committed"
        );
        Ok(())
    }
}

/// The results of the newest blocks that headers to come commit to, with how many transactions those have.
fn settled(
    storage: &Storage,
    tip: Height,
    lag: u64,
) -> Result<BTreeMap<Height, (ExecutedState, u32)>, Fatal> {
    let failed = |source| Fatal::Storage {
        height: tip,
        source,
    };
    // Of the blocks up to the base, the results were fetched with the state.
    let base = storage.base().map_err(failed)?;
    let first = tip.saturating_sub(lag);
    let fetched = base.iter().flat_map(Base::results);
    let mut settled: BTreeMap<_, _> = fetched
        .map(|known| (known.0.height, known))
        .filter(|(height, _)| *height >= first)
        .collect();
    let executed = base.map_or(first, |base| first.max(base.height().saturating_add(1)));
    for height in executed..=tip {
        let failed = |source| Fatal::Storage { height, source };
        let header = storage.header(height).map_err(failed)?;
        let header = header.ok_or(Fatal::Missing { height })?;
        let receipts = storage.receipts(height).map_err(failed)?;
        let state = storage.snapshot_at(height).map_err(failed)?;
        let result = ExecutedState {
            height,
            state_root: state.state_root(),
            state_entries: state.state_entries(),
            receipts_root: Receipt::root(&receipts.unwrap_or_default()),
            next_validators_hash: validators_hash(height, &state)?,
        };
        settled.insert(height, (result, header.transactions_count));
    }
    Ok(settled)
}
