//! Execute a whole chain again from its genesis and compare every result.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kumiki_executor::{
    BlockInput, ExecutionFailure, Executor, Selection, Signatures, genesis_changes, validators_at,
};
use kumiki_protocol::{
    Block, Certificate, CertificateError, ExecutedState, Genesis, Hash, Height, Parameters,
    Proposal, Transaction, ValidatorSet,
};
use kumiki_state::{ChangedState, StateChanges};
use kumiki_storage::{BlockCommit, Storage, StorageError, StorageOptions};
use kumiki_vm::Vm;

use crate::genesis::genesis_block;

/// What a whole verification found to be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Blocks after genesis.
    pub blocks: u64,
    /// Their transactions.
    pub transactions: u64,
    /// The state root after the last one.
    pub state_root: Hash,
    /// The newest blocks without a certificate of their own or of a later one: other nodes have it.
    pub uncertified: u64,
}

/// Why a chain is not what its blocks lead to, or could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A store refuses.
    #[error("the store: {0}")]
    Storage(#[from] StorageError),
    /// This node cannot execute.
    #[error("at height {height}: {source}")]
    Execution {
        /// The block.
        height: Height,
        /// What the executor says.
        source: ExecutionFailure,
    },
    /// The chain begins with a state that was fetched: what led to it is not here.
    #[error(
        "the state after block {height} was fetched from peers, so the blocks up to it are not here to execute; verify on a node that has executed all blocks"
    )]
    Fetched {
        /// The block after which the state was fetched.
        height: Height,
    },
    /// A block below the tip is missing.
    #[error("block {height}, its certificate or its receipts are missing")]
    Missing {
        /// The block.
        height: Height,
    },
    /// A block does not follow the one before.
    #[error("block {height} does not follow the block before it")]
    NotNext {
        /// The block.
        height: Height,
    },
    /// A certificate proves nothing.
    #[error("the certificate of block {height}: {source}")]
    Certificate {
        /// The block.
        height: Height,
        /// Why.
        source: CertificateError,
    },
    /// A certificate is of another epoch than its block.
    #[error(
        "the certificate of block {height} is of epoch {found}, the block is in epoch {expected}"
    )]
    Epoch {
        /// The block.
        height: Height,
        /// The certificate's epoch.
        found: u64,
        /// The block's epoch.
        expected: u64,
    },
    /// The stored result is not what execution gives.
    #[error("block {height} says {stored:?}, executing it gives {executed:?}")]
    Differs {
        /// The block.
        height: Height,
        /// What the header says.
        stored: Box<ExecutedState>,
        /// What execution gives.
        executed: Box<ExecutedState>,
    },
    /// The genesis or a state names no validator set.
    #[error("the genesis or the state names no validator set")]
    NoValidators,
}

/// Executes all blocks of `storage` again from genesis, in a new store in the empty folder `scratch`, and
/// compares parents, certificates, receipts and roots. Run it on a thread with the stack that `kumiki_vm` asks
/// for, or contracts that call each other run slower.
///
/// # Errors
/// The first difference, or the reason why the chain could not be verified.
pub fn verify_chain(storage: &Storage, vm: Vm, scratch: &Path) -> Result<Verified, VerifyError> {
    let genesis = storage.genesis().ok_or(StorageError::NotInitialised)?;
    let tip = storage.tip().ok_or(StorageError::NotInitialised)?;
    if let Some(base) = storage.base()? {
        return Err(VerifyError::Fetched {
            height: base.height(),
        });
    }
    let copy = Storage::open(scratch, StorageOptions::default())?;
    let mut replay = Replay::start(&genesis, vm, copy)?;
    replay.expect_genesis(storage)?;
    let mut verified = Verified {
        blocks: 0,
        transactions: 0,
        state_root: replay.state_root()?,
        uncertified: 0,
    };
    for height in 1..=tip.height {
        let count = replay.step(storage, height)?;
        verified.blocks += 1;
        verified.transactions += count;
        // A certificate decides all blocks before its own.
        verified.uncertified = height - replay.certified;
    }
    verified.state_root = replay.state_root()?;
    Ok(verified)
}

struct Replay {
    copy: Storage,
    executor: Executor,
    genesis_hash: Hash,
    parameters: Parameters,
    parent: Hash,
    /// The newest height with a certificate.
    certified: Height,
    /// Results that headers to come must hold.
    results: BTreeMap<Height, ExecutedState>,
}

impl Replay {
    fn start(genesis: &Genesis, vm: Vm, copy: Storage) -> Result<Self, VerifyError> {
        let validators = genesis.validator_set().ok_or(VerifyError::NoValidators)?;
        let changes = genesis_changes(genesis);
        let block = genesis_block(genesis, &validators, &changes)?;
        copy.initialise(genesis, &changes, &block)?;
        Ok(Self {
            copy,
            executor: Executor::new(vm, genesis),
            genesis_hash: genesis.hash(),
            parameters: genesis.parameters,
            parent: block.hash(),
            certified: 0,
            results: BTreeMap::from([(0, block.header.executed)]),
        })
    }

    fn state_root(&self) -> Result<Hash, VerifyError> {
        Ok(self
            .copy
            .tip()
            .ok_or(StorageError::NotInitialised)?
            .state_root)
    }

    fn expect_genesis(&self, storage: &Storage) -> Result<(), VerifyError> {
        let stored = storage
            .header(0)?
            .ok_or(VerifyError::Missing { height: 0 })?;
        let made = self
            .copy
            .header(0)?
            .ok_or(VerifyError::Missing { height: 0 })?;
        compare(0, stored.executed, made.executed)
    }

    /// Executes the block at `height` and returns how many transactions it has.
    fn step(&mut self, storage: &Storage, height: Height) -> Result<u64, VerifyError> {
        let missing = || VerifyError::Missing { height };
        let block = storage.block(height)?.ok_or_else(missing)?;
        let certificate = storage.certificate(height)?;
        let stored_receipts = storage.receipts(height)?.ok_or_else(missing)?;
        let block_hash = block.hash();
        let (header, transactions) = (&block.header, &block.transactions);
        let root = Block::transactions_root(transactions);
        if header.height != height
            || header.parent != self.parent
            || header.transactions_root != root
        {
            return Err(VerifyError::NotNext { height });
        }
        if let Some(certificate) = &certificate {
            self.check_certificate(height, &block_hash, certificate)?;
        }
        let executed = self.execute(&block, transactions.clone())?;
        let prepared = self.copy.prepare(&executed.changes)?;
        let next_validators = self.next_validators(height, executed.changes)?;
        let found = ExecutedState {
            height,
            state_root: prepared.state_root,
            state_entries: prepared.state_entries,
            receipts_root: executed.receipts_root,
            next_validators_hash: next_validators.hash(),
        };
        self.results.insert(height, found);
        let settled = height.saturating_sub(u64::from(self.parameters.execution_lag));
        self.results = self.results.split_off(&settled);
        let expected = self.results.get(&settled).ok_or_else(missing)?;
        compare(height, header.executed, *expected)?;
        if stored_receipts != executed.receipts {
            return Err(VerifyError::Missing { height });
        }
        self.copy.commit(BlockCommit {
            block: &block,
            certificate: certificate.as_ref(),
            receipts: &executed.receipts,
            prepared,
        })?;
        self.parent = block_hash;
        Ok(u64::from(header.transactions_count))
    }

    fn check_certificate(
        &mut self,
        height: Height,
        block_hash: &Hash,
        certificate: &Certificate,
    ) -> Result<(), VerifyError> {
        if certificate.proposal.block != *block_hash {
            return Err(VerifyError::NotNext { height });
        }
        let proposal = &certificate.proposal;
        let epoch = self.parameters.epoch_of(height);
        // A solo driver counts views by heights and stays in epoch 0.
        let is_solo =
            self.parameters.execution_lag == 0 && *proposal == Proposal::solo(height, *block_hash);
        if proposal.epoch != epoch && !is_solo {
            return Err(VerifyError::Epoch {
                height,
                found: proposal.epoch,
                expected: epoch,
            });
        }
        let before = self.copy.snapshot()?;
        let validators = validators_at(&before, &self.parameters, before.height(), height)
            .map_err(|source| VerifyError::Execution { height, source })?
            .ok_or(VerifyError::NoValidators)?;
        certificate
            .verify(&self.genesis_hash, &validators)
            .map_err(|source| VerifyError::Certificate { height, source })?;
        self.certified = height;
        Ok(())
    }

    /// The newest set that the state names after the block at `height`, which made these changes.
    fn next_validators(
        &self,
        height: Height,
        changes: StateChanges,
    ) -> Result<ValidatorSet, VerifyError> {
        let base = Arc::new(self.copy.snapshot()?);
        let state = ChangedState::new(base, Arc::new(changes));
        let signs = self
            .parameters
            .first_height(self.parameters.validators_epoch(height));
        validators_at(&state, &self.parameters, height, signs)
            .map_err(|source| VerifyError::Execution { height, source })?
            .ok_or(VerifyError::NoValidators)
    }

    fn execute(
        &self,
        block: &Block,
        transactions: Vec<Transaction>,
    ) -> Result<kumiki_executor::ExecutedBlock, VerifyError> {
        let height = block.header.height;
        let input = BlockInput {
            height,
            time_ms: block.header.time_ms,
            proposer: block.header.proposer,
        };
        let base = Arc::new(self.copy.snapshot()?);
        self.executor
            .execute_block(
                base,
                &input,
                transactions,
                Selection::KeepRejected,
                Signatures::Verify,
            )
            .map_err(|source| VerifyError::Execution { height, source })
    }
}

fn compare(
    height: Height,
    stored: ExecutedState,
    executed: ExecutedState,
) -> Result<(), VerifyError> {
    if stored == executed {
        return Ok(());
    }
    Err(VerifyError::Differs {
        height,
        stored: Box::new(stored),
        executed: Box::new(executed),
    })
}
