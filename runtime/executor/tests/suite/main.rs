//! Holds the executor to what `docs/spec/transaction.md` says, under both engines.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

mod chain;
mod outputs;
mod traces;
mod transactions;
mod validators;
