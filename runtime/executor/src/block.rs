//! Execute a block's transactions in order over one base state.

use std::sync::Arc;

use kumiki_protocol::{
    Address, Amount, BatchVerifier, ChainKind, Encode, Gas, Genesis, Hash, Height, Parameters,
    PublicKey, Receipt, Rejection, SignatureItem, Status, Transaction, TransactionHash,
};
use kumiki_state::{AccessSet, Journal, StateChanges, StateReader};
use kumiki_vm::{BlockContext, Diagnostics, Session, Vm};

use crate::ExecutionFailure;
use crate::transaction::{Executed, Rules, credit_fees, execute, rejected};
use crate::validators::rotate;

/// Executes blocks of one chain. Shareable; holds no state of the chain.
#[derive(Clone)]
pub struct Executor {
    pub(crate) vm: Vm,
    pub(crate) chain_id: Arc<str>,
    pub(crate) genesis_hash: Hash,
    pub(crate) kind: ChainKind,
    pub(crate) parameters: Parameters,
}

/// What a block fixes before its transactions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInput {
    /// The block's height.
    pub height: Height,
    /// The block's time in milliseconds since 1970.
    pub time_ms: u64,
    /// Whose account earns the fees.
    pub proposer: PublicKey,
}

/// What becomes of transactions that cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// They stay, with a receipt that says `Rejected`: the block is decided already.
    KeepRejected,
    /// They are left out: the block is being built.
    DropRejected,
}

/// Whether the signatures are known to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures<'a> {
    /// Verify them here.
    Verify,
    /// Admission has verified each of these very transactions.
    Verified,
    /// Admission has verified the transactions at the positions that are `true`, byte for byte as they are here. The
    /// others are verified here, also those beyond the end.
    VerifiedWhere(&'a [bool]),
}

/// What executing a block came to.
#[derive(Debug)]
pub struct ExecutedBlock {
    /// The transactions of the block, in order.
    pub transactions: Vec<Transaction>,
    /// What was left out, and why; empty with [`Selection::KeepRejected`].
    pub dropped: Vec<(TransactionHash, Rejection)>,
    /// What the block changes in the base state.
    pub changes: StateChanges,
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// Root over the receipts.
    pub receipts_root: Hash,
    /// Gas of all transactions together.
    pub gas_used: Gas,
    /// What each transaction read and wrote.
    pub accesses: Vec<AccessSet>,
    /// For developers, one per transaction; not part of any result.
    pub diagnostics: Vec<Diagnostics>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}

impl Executor {
    /// An executor for the chain of `genesis`, running contracts in `vm`.
    #[must_use]
    pub fn new(vm: Vm, genesis: &Genesis) -> Self {
        Self {
            vm,
            chain_id: Arc::from(genesis.chain_id.as_str()),
            genesis_hash: genesis.hash(),
            kind: genesis.kind,
            parameters: genesis.parameters,
        }
    }

    /// The virtual machine, to prepare code ahead of its execution.
    #[must_use]
    pub const fn vm(&self) -> &Vm {
        &self.vm
    }

    /// Executes `transactions` in order over `base`. Deterministic in all its arguments.
    ///
    /// Deep contract calls need the stack that `kumiki_vm` states; call this on a thread that has it.
    ///
    /// # Errors
    /// `ExecutionFailure` when this node cannot execute; never because of what a transaction does.
    pub fn execute_block(
        &self,
        base: Arc<dyn StateReader>,
        input: &BlockInput,
        transactions: Vec<Transaction>,
        selection: Selection,
        signatures: Signatures<'_>,
    ) -> Result<ExecutedBlock, ExecutionFailure> {
        let bad_signatures = match signatures {
            Signatures::Verify => find_bad_signatures(&transactions, &[]),
            Signatures::VerifiedWhere(verified) => find_bad_signatures(&transactions, verified),
            Signatures::Verified => Vec::new(),
        };
        let rules = self.rules(input.height);
        let mut session = self.session(base, input);
        let mut block = Progress::default();
        for (index, transaction) in transactions.into_iter().enumerate() {
            let hash = transaction.hash();
            let executed = if bad_signatures.binary_search(&index).is_ok() {
                Executed {
                    receipt: rejected(hash, Rejection::BadSignature),
                    diagnostics: Diagnostics::default(),
                }
            } else {
                let bytes = transaction.encoded_size();
                let (after, executed) = execute(&rules, session, &transaction.body, hash, bytes)?;
                session = after;
                executed
            };
            block.add(
                transaction,
                executed,
                session.journal.end_transaction(),
                selection,
            )?;
        }
        credit_fees(
            &mut session,
            &Address::of_account(&input.proposer),
            block.fees,
        )?;
        rotate(&rules, &mut session)?;
        session.journal.end_transaction();
        let changes = session.journal.into_changes()?;
        Ok(block.finish(changes))
    }

    pub(crate) fn rules(&self, height: Height) -> Rules<'_> {
        Rules {
            vm: &self.vm,
            genesis_hash: self.genesis_hash,
            kind: self.kind,
            parameters: self.parameters,
            height,
        }
    }

    pub(crate) fn session(&self, base: Arc<dyn StateReader>, input: &BlockInput) -> Session {
        let context = BlockContext {
            height: input.height,
            time_ms: input.time_ms,
            chain_id: Arc::clone(&self.chain_id),
        };
        Session::new(Journal::new(base), context)
    }
}

#[derive(Default)]
struct Progress {
    transactions: Vec<Transaction>,
    dropped: Vec<(TransactionHash, Rejection)>,
    receipts: Vec<Receipt>,
    accesses: Vec<AccessSet>,
    diagnostics: Vec<Diagnostics>,
    gas_used: Gas,
    fees: Amount,
}

impl Progress {
    fn add(
        &mut self,
        transaction: Transaction,
        executed: Executed,
        access: AccessSet,
        selection: Selection,
    ) -> Result<(), ExecutionFailure> {
        if let (Status::Rejected(rejection), Selection::DropRejected) =
            (&executed.receipt.status, selection)
        {
            self.dropped
                .push((executed.receipt.transaction, *rejection));
            return Ok(());
        }
        self.gas_used = self.gas_used.saturating_add(executed.receipt.gas_used);
        self.fees =
            self.fees
                .checked_add(executed.receipt.fee)
                .ok_or(ExecutionFailure::OutOfRange {
                    quantity: "the fees of a block",
                })?;
        self.transactions.push(transaction);
        self.receipts.push(executed.receipt);
        self.accesses.push(access);
        self.diagnostics.push(executed.diagnostics);
        Ok(())
    }

    fn finish(self, changes: StateChanges) -> ExecutedBlock {
        ExecutedBlock {
            receipts_root: Receipt::root(&self.receipts),
            transactions: self.transactions,
            dropped: self.dropped,
            changes,
            receipts: self.receipts,
            gas_used: self.gas_used,
            accesses: self.accesses,
            diagnostics: self.diagnostics,
        }
    }
}

/// Positions of the transactions whose signature does not verify, rising; those of `verified` are not looked at.
pub(crate) fn find_bad_signatures(transactions: &[Transaction], verified: &[bool]) -> Vec<usize> {
    let unverified: Vec<(usize, &Transaction, Vec<u8>)> = transactions
        .iter()
        .enumerate()
        .filter(|(index, _)| verified.get(*index) != Some(&true))
        .map(|(index, transaction)| (index, transaction, transaction.body.sign_bytes()))
        .collect();
    let items: Vec<SignatureItem<'_>> = unverified
        .iter()
        .map(|(_, transaction, message)| SignatureItem {
            key: &transaction.body.sender,
            message,
            signature: &transaction.signature,
        })
        .collect();
    BatchVerifier::find_invalid(&items)
        .into_iter()
        .filter_map(|found| unverified.get(found).map(|(index, ..)| *index))
        .collect()
}
