//! Execute a transaction again, or one that nobody has sent, and record what its calls do.

use std::sync::Arc;

use kumiki_protocol::{
    Encode as _, Gas, Receipt, Rejection, Signature, Transaction, TransactionBody,
};
use kumiki_state::StateReader;
use kumiki_vm::{Diagnostics, Session, Trace};

use crate::block::find_bad_signatures;
use crate::transaction::{Rules, execute, intrinsic_gas, rejected};
use crate::{BlockInput, ExecutionFailure, Executor};

/// A transaction's receipt, and what its calls did.
#[derive(Debug)]
pub struct Traced {
    /// The receipt: the same as without a trace.
    pub receipt: Receipt,
    /// Gas that the transaction cost before its first action; with that of the actions it is the receipt's.
    pub intrinsic_gas: Gas,
    /// What the calls did; nothing for a transaction that was rejected.
    pub trace: Trace,
    /// Panic messages, traps, positions.
    pub diagnostics: Diagnostics,
}

impl Executor {
    /// Executes the transactions with which a block begins, over the state before it, and traces the last of them.
    /// Nothing is kept. `None` where there is none.
    ///
    /// # Errors
    /// `ExecutionFailure` when this node cannot execute.
    pub fn trace_in_block(
        &self,
        base: Arc<dyn StateReader>,
        input: &BlockInput,
        transactions: &[Transaction],
    ) -> Result<Option<Traced>, ExecutionFailure> {
        let Some((last, before)) = transactions.split_last() else {
            return Ok(None);
        };
        let bad_signatures = find_bad_signatures(transactions, &[]);
        let is_bad = |index: usize| bad_signatures.binary_search(&index).is_ok();
        let rules = self.rules(input.height);
        let mut session = self.session(base, input).simulated();
        for (index, transaction) in before.iter().enumerate() {
            if !is_bad(index) {
                let body = &transaction.body;
                let (hash, bytes) = (transaction.hash(), transaction.encoded_size());
                session = execute(&rules, session, body, hash, bytes)?.0;
                session.journal.end_transaction();
            }
        }
        if is_bad(before.len()) {
            return Ok(Some(Traced {
                receipt: rejected(last.hash(), Rejection::BadSignature),
                intrinsic_gas: 0,
                trace: Trace::default(),
                diagnostics: Diagnostics::default(),
            }));
        }
        trace(&rules, session, last).map(Some)
    }

    /// Executes `body` over `base` without a signature and traces it. Nothing is kept.
    ///
    /// # Errors
    /// `ExecutionFailure` when this node cannot execute.
    pub fn trace_unsigned(
        &self,
        base: Arc<dyn StateReader>,
        input: &BlockInput,
        body: &TransactionBody,
    ) -> Result<Traced, ExecutionFailure> {
        let session = self.session(base, input).simulated();
        let unsigned = Transaction {
            body: body.clone(),
            signature: Signature([0; 64]),
        };
        trace(&self.rules(input.height), session, &unsigned)
    }
}

fn trace(
    rules: &Rules<'_>,
    mut session: Session,
    transaction: &Transaction,
) -> Result<Traced, ExecutionFailure> {
    let (hash, bytes) = (transaction.hash(), transaction.encoded_size());
    session.trace = Some(Box::default());
    let (mut session, executed) = execute(rules, session, &transaction.body, hash, bytes)?;
    let trace = session.trace.take().unwrap_or_default();
    Ok(Traced {
        intrinsic_gas: match trace.actions.is_empty() {
            true => executed.receipt.gas_used,
            false => intrinsic_gas(bytes),
        },
        receipt: executed.receipt,
        trace: *trace,
        diagnostics: executed.diagnostics,
    })
}
