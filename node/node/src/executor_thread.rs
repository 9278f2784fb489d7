//! Own the chain's one writer: build, check, execute and commit blocks, one task after the other.

use std::sync::{Arc, mpsc};
use std::time::Instant;

use kumiki_consensus::{BuildRequest, Decided};
use kumiki_executor::{BlockInput, ExecutedBlock, Executor, Selection, Signatures};
use kumiki_mempool::{ChainHead, SharedMempool};
use kumiki_protocol::{
    Block, ExecutedState, Genesis, Hash, Header, Height, PROTOCOL_VERSION, Receipt, Transaction,
};
use kumiki_storage::{BlockCommit, Prepared, Snapshot, Storage, Tip};
use tokio::sync::watch;

use crate::chain::Task;
use crate::metrics::observe;
use crate::{Fatal, NodeMetrics};

#[cfg(test)]
mod tests;

/// What the thread works with.
pub(crate) struct ExecutorThread {
    pub(crate) storage: Arc<Storage>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) mempool: Arc<SharedMempool>,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) genesis_hash: Hash,
    pub(crate) validators_hash: Hash,
    pub(crate) heads: watch::Sender<Tip>,
    pub(crate) metrics: NodeMetrics,
    pub(crate) tip: Tip,
    pub(crate) state: Arc<Snapshot>,
    /// The block built last, executed and not yet committed.
    pub(crate) built: Option<Built>,
}

/// A block with all it leads to.
pub(crate) struct Built {
    block: Arc<Block>,
    block_hash: Hash,
    receipts: Vec<Receipt>,
    prepared: Prepared,
    gas_used: u64,
}

/// What a block's header fixes before it is executed.
struct Outline {
    height: Height,
    time_ms: u64,
    proposer: kumiki_protocol::PublicKey,
}

impl ExecutorThread {
    /// Does tasks until their sender goes away.
    pub(crate) fn run(mut self, tasks: &mpsc::Receiver<Task>) -> Result<(), Fatal> {
        while let Ok(task) = tasks.recv() {
            // An engine that no longer waits for an answer is stopping; the work stands all the same.
            match task {
                Task::Build(request, reply) => drop(reply.send(self.build(&request)?)),
                Task::Check(block, reply) => drop(reply.send(self.check(block)?)),
                Task::Commit(decided, reply) => drop(reply.send(self.commit(&decided)?)),
                Task::Blocks(from, count, reply) => drop(reply.send(self.blocks(from, count)?)),
            }
        }
        Ok(())
    }

    fn build(&mut self, request: &BuildRequest) -> Result<Option<Arc<Block>>, Fatal> {
        if request.height != self.tip.height + 1 || request.parent != self.tip.block_hash {
            return Err(Fatal::NotNext {
                found: request.height,
                tip: self.tip.height,
            });
        }
        let start = Instant::now();
        let parameters = &self.genesis.parameters;
        let bytes_max = usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX);
        let transactions: Vec<Transaction> = self
            .mempool
            .candidates(bytes_max, parameters.block_gas_max)
            .into_iter()
            .map(|candidate| Arc::unwrap_or_clone(candidate.transaction))
            .collect();
        observe(&self.metrics.select_seconds, start.elapsed());
        if transactions.is_empty() && !request.allow_empty {
            return Ok(None);
        }
        let outline = Outline {
            height: request.height,
            time_ms: request.time_ms.max(self.tip.time_ms),
            proposer: request.proposer,
        };
        // Every transaction of the mempool was verified when it was admitted.
        let executed = self.execute(
            &outline,
            transactions,
            Selection::DropRejected,
            Signatures::Verified,
        )?;
        self.mempool.reject(&executed.dropped);
        let dropped = u64::try_from(executed.dropped.len()).unwrap_or(u64::MAX);
        self.metrics.dropped.inc_by(dropped);
        if executed.transactions.is_empty() && !request.allow_empty {
            return Ok(None);
        }
        let built = self.finish(&outline, executed)?;
        let block = Arc::clone(&built.block);
        self.built = Some(built);
        Ok(Some(block))
    }

    fn execute(
        &self,
        outline: &Outline,
        transactions: Vec<Transaction>,
        selection: Selection,
        signatures: Signatures,
    ) -> Result<ExecutedBlock, Fatal> {
        let start = Instant::now();
        let input = BlockInput {
            height: outline.height,
            time_ms: outline.time_ms,
            proposer: outline.proposer,
        };
        let base = Arc::clone(&self.state);
        let executed = self
            .executor
            .execute_block(base, &input, transactions, selection, signatures)
            .map_err(|source| Fatal::Execution {
                height: outline.height,
                source,
            })?;
        observe(&self.metrics.execute_seconds, start.elapsed());
        Ok(executed)
    }

    /// Works out the root and makes the header.
    fn finish(&self, outline: &Outline, executed: ExecutedBlock) -> Result<Built, Fatal> {
        let start = Instant::now();
        let height = outline.height;
        let prepared = self
            .storage
            .prepare(&executed.changes)
            .map_err(|source| Fatal::Storage { height, source })?;
        let header = Header {
            version: PROTOCOL_VERSION,
            genesis_hash: self.genesis_hash,
            height,
            parent: self.tip.block_hash,
            time_ms: outline.time_ms,
            proposer: outline.proposer,
            transactions_root: Block::transactions_root(&executed.transactions),
            transactions_count: u32::try_from(executed.transactions.len())
                .expect("a block's bytes are bounded by a u32, so its transactions are too"),
            executed: ExecutedState {
                height,
                state_root: prepared.state_root,
                state_entries: prepared.state_entries,
                receipts_root: executed.receipts_root,
                next_validators_hash: self.validators_hash,
            },
        };
        let block_hash = header.hash();
        observe(&self.metrics.root_seconds, start.elapsed());
        Ok(Built {
            block: Arc::new(Block {
                header,
                transactions: executed.transactions,
            }),
            block_hash,
            receipts: executed.receipts,
            prepared,
            gas_used: executed.gas_used,
        })
    }

    /// Whether another's proposal is what this node would get from its transactions. With no execution lag this
    /// takes executing it; what was executed is kept for its commit.
    fn check(&mut self, block: Arc<Block>) -> Result<bool, Fatal> {
        let header = &block.header;
        let parameters = &self.genesis.parameters;
        let bytes_max = usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX);
        let (mut bytes, mut gas) = (0_usize, 0_u64);
        for transaction in &block.transactions {
            bytes = bytes.saturating_add(kumiki_protocol::Encode::encoded_size(transaction));
            gas = gas.saturating_add(transaction.body.gas_limit);
        }
        if header.height != self.tip.height + 1
            || header.parent != self.tip.block_hash
            || header.time_ms < self.tip.time_ms
            || bytes > bytes_max
            || gas > parameters.block_gas_max
        {
            return Ok(false);
        }
        let built = self.execute_decided(&block)?;
        let accepted = built.block.header == *header;
        if accepted {
            self.built = Some(built);
        }
        Ok(accepted)
    }

    /// Executes a block made elsewhere.
    fn execute_decided(&self, block: &Block) -> Result<Built, Fatal> {
        let outline = Outline {
            height: block.header.height,
            time_ms: block.header.time_ms,
            proposer: block.header.proposer,
        };
        let executed = self.execute(
            &outline,
            block.transactions.clone(),
            Selection::DropRejected,
            Signatures::Verify,
        )?;
        self.finish(&outline, executed)
    }

    fn commit(&mut self, decided: &Decided) -> Result<(), Fatal> {
        let header = &decided.block.header;
        let height = header.height;
        if height != self.tip.height + 1 || header.parent != self.tip.block_hash {
            return Err(Fatal::NotNext {
                found: height,
                tip: self.tip.height,
            });
        }
        let block_hash = header.hash();
        let built = match self.built.take() {
            Some(built) if built.block_hash == block_hash => built,
            Some(_) | None => self.execute_decided(&decided.block)?,
        };
        if built.block_hash != block_hash {
            return Err(Fatal::WrongResult {
                height,
                decided: Box::new(header.executed),
                executed: Box::new(built.block.header.executed),
            });
        }
        let start = Instant::now();
        let failed = |source| Fatal::Storage { height, source };
        self.storage
            .commit(BlockCommit {
                block: &built.block,
                certificate: &decided.certificate,
                receipts: &built.receipts,
                prepared: built.prepared,
            })
            .map_err(failed)?;
        observe(&self.metrics.commit_seconds, start.elapsed());
        let executed = built.block.header.executed;
        self.tip = Tip {
            height,
            block_hash,
            time_ms: header.time_ms,
            state_root: executed.state_root,
            state_entries: executed.state_entries,
        };
        self.publish(&built.block, built.gas_used)
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

    fn blocks(&self, from: Height, count_max: usize) -> Result<Vec<Decided>, Fatal> {
        let failed = |source| Fatal::Storage {
            height: from,
            source,
        };
        let mut decided = Vec::new();
        // Genesis has no certificate; every peer has it anyway.
        for height in (from.max(1)..=self.tip.height).take(count_max) {
            let block = self.storage.block(height).map_err(failed)?;
            let certificate = self.storage.certificate(height).map_err(failed)?;
            let (Some(block), Some(certificate)) = (block, certificate) else {
                break;
            };
            decided.push(Decided {
                block: Arc::new(block),
                certificate,
            });
        }
        Ok(decided)
    }
}
