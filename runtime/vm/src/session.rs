//! Hold what the calls of one transaction share: state, block, events, the call stack.

use std::collections::BTreeSet;
use std::sync::Arc;

use kumiki_protocol::{
    AccountRecord, Address, Amount, Decode as _, Encode as _, Event, Hash, Height, ResultCode,
    state_key,
};
use kumiki_state::{Journal, StateError};

#[cfg(feature = "wasmtime")]
use crate::engine::Kept;
use crate::{Diagnostics, Trace};

/// The block that calls run in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Its height.
    pub height: Height,
    /// Its time in milliseconds since 1970.
    pub time_ms: u64,
    /// The name of the chain.
    pub chain_id: Arc<str>,
}

/// What the calls of one transaction share. It moves into each call and comes back with the outcome.
#[derive(Debug)]
pub struct Session {
    /// The state.
    pub journal: Journal,
    /// The block.
    pub block: BlockContext,
    /// What contracts said, in order; those of failed calls are gone.
    pub events: Vec<Event>,
    /// For people; never part of a result.
    pub diagnostics: Diagnostics,
    /// What the calls did, where somebody wants to know; never part of a result.
    pub trace: Option<Box<Trace>>,
    pub(crate) stack: Vec<StackEntry>,
    /// Hashes of the code whose loading this transaction has paid for, in calls that failed too.
    paid_codes: BTreeSet<Hash>,
    /// In a simulation: hashes of the code that it brought.
    trial_codes: Option<BTreeSet<Hash>>,
}

/// A call that is running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackEntry {
    pub(crate) contract: Address,
    /// The message that made this call lets it call back into contracts below it.
    pub(crate) reentry_allowed: bool,
}

impl Session {
    /// A session over `journal` with nothing said yet.
    #[must_use]
    pub fn new(journal: Journal, block: BlockContext) -> Self {
        Self {
            journal,
            block,
            events: Vec::new(),
            diagnostics: Diagnostics::default(),
            trace: None,
            stack: Vec::new(),
            paid_codes: BTreeSet::new(),
            trial_codes: None,
        }
    }

    /// The same for a simulation: machine code of contracts that it brings is not kept on disk, nor does it push
    /// that of the chain out of memory.
    #[must_use]
    pub fn simulated(mut self) -> Self {
        self.trial_codes = Some(BTreeSet::new());
        self
    }

    /// Begins a transaction: code is paid for again when it runs.
    pub fn begin_transaction(&mut self) {
        self.paid_codes.clear();
    }

    /// Whether this transaction has paid for loading the code.
    pub(crate) fn has_paid_for(&self, code: &Hash) -> bool {
        self.paid_codes.contains(code)
    }

    /// Notes that it has.
    pub(crate) fn note_paid_for(&mut self, code: &Hash) {
        self.paid_codes.insert(*code);
    }

    /// Calls below the one that runs.
    pub(crate) fn depth(&self) -> usize {
        self.stack.len().saturating_sub(1)
    }

    /// Notes that this session brought new code.
    pub(crate) fn brought_code(&mut self, hash: Hash) {
        if let Some(codes) = &mut self.trial_codes {
            codes.insert(hash);
        }
    }

    /// Where the module of this code stays.
    #[cfg(feature = "wasmtime")]
    pub(crate) fn kept(&self, hash: &Hash) -> Kept {
        match &self.trial_codes {
            Some(codes) if codes.contains(hash) => Kept::Trial,
            Some(_) | None => Kept::Chain,
        }
    }

    /// Moves native tokens. Gas is the caller's business.
    ///
    /// # Errors
    /// `StateError` when the state cannot be read; `Ok(InsufficientBalance)` when `from` has too little.
    pub fn transfer(
        &mut self,
        from: &Address,
        to: &Address,
        amount: Amount,
    ) -> Result<ResultCode, StateError> {
        let mut payer = self.account(from)?;
        let Some(rest) = payer.balance.checked_sub(amount) else {
            return Ok(ResultCode::InsufficientBalance);
        };
        if amount == 0 || from == to {
            return Ok(ResultCode::Ok);
        }
        let mut payee = self.account(to)?;
        // The sum of all balances fits 128 bits since genesis, so this only guards against corruption.
        let Some(sum) = payee.balance.checked_add(amount) else {
            return Ok(ResultCode::Limit);
        };
        payer.balance = rest;
        payee.balance = sum;
        self.journal.set(state_key::account(from), payer.encode());
        self.journal.set(state_key::account(to), payee.encode());
        Ok(ResultCode::Ok)
    }

    /// Native tokens that `address` holds.
    ///
    /// # Errors
    /// `StateError` when the state cannot be read.
    pub fn balance(&mut self, address: &Address) -> Result<Amount, StateError> {
        self.account(address).map(|account| account.balance)
    }

    fn account(&mut self, address: &Address) -> Result<AccountRecord, StateError> {
        match self.journal.get(&state_key::account(address))? {
            None => Ok(AccountRecord::default()),
            Some(mut bytes) => AccountRecord::decode(&mut bytes).map_err(|error| StateError {
                reason: format!("account record of {address}: {error}"),
            }),
        }
    }
}
