//! Answer what a call or a transaction would do, changing nothing.

use std::sync::Arc;

use kumiki_protocol::{
    Address, Encode, Gas, Receipt, Signature, Transaction, TransactionBody, VALIDATORS_CONTRACT,
};
use kumiki_state::{AccessSet, StateReader};
use kumiki_vm::{Diagnostics, Entry, Message, Outcome};

use crate::transaction::execute;
use crate::{BlockInput, ExecutionFailure, Executor, validators};

/// What a transaction would come to if it were executed next.
#[derive(Debug)]
pub struct Simulation {
    /// The receipt it would get.
    pub receipt: Receipt,
    /// What it would read and write.
    pub access: AccessSet,
    /// For developers.
    pub diagnostics: Diagnostics,
}

/// A question to a contract's views.
#[derive(Clone, Debug)]
pub struct View {
    /// Who asks; contracts see it as the caller.
    pub caller: Address,
    /// The contract.
    pub contract: Address,
    /// Selector and SCALE arguments.
    pub input: Vec<u8>,
    /// The most gas the answer may take.
    pub gas: Gas,
}

/// The answer to a [`View`].
#[derive(Debug)]
pub struct Viewed {
    /// How it ended, and the returned or revert data.
    pub outcome: Outcome,
    /// For developers.
    pub diagnostics: Diagnostics,
}

impl Executor {
    /// Executes `body` over `base` without a signature and throws the changes away.
    ///
    /// # Errors
    /// `ExecutionFailure` when this node cannot execute.
    pub fn simulate(
        &self,
        base: Arc<dyn StateReader>,
        input: &BlockInput,
        body: &TransactionBody,
    ) -> Result<Simulation, ExecutionFailure> {
        let session = self.session(base, input).simulated();
        let unsigned = Transaction {
            body: body.clone(),
            signature: Signature([0; 64]),
        };
        let bytes = unsigned.encoded_size();
        let (mut session, executed) =
            execute(&self.rules(input.height), session, body, body.hash(), bytes)?;
        Ok(Simulation {
            receipt: executed.receipt,
            access: session.journal.end_transaction(),
            diagnostics: executed.diagnostics,
        })
    }

    /// Asks a contract's `query` over `base`. Nothing can change.
    ///
    /// # Errors
    /// `ExecutionFailure` when this node cannot execute.
    pub fn view(
        &self,
        base: Arc<dyn StateReader>,
        input: &BlockInput,
        view: View,
    ) -> Result<Viewed, ExecutionFailure> {
        if view.contract == VALIDATORS_CONTRACT {
            let session = self.session(base, input);
            let rules = self.rules(input.height);
            let (session, outcome) = validators::view(&rules, session, &view.input, view.gas)?;
            return Ok(Viewed {
                outcome,
                diagnostics: session.diagnostics,
            });
        }
        let message = Message {
            caller: view.caller,
            contract: view.contract,
            entry: Entry::Query,
            input: view.input,
            value: 0,
            gas: view.gas,
        };
        let (session, outcome) = self.vm.call(self.session(base, input), message)?;
        Ok(Viewed {
            outcome,
            diagnostics: session.diagnostics,
        })
    }
}
