//! Holds the executor to what `docs/spec/transaction.md` says, under both engines.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

mod chain;
mod development;
mod new_code;
mod outputs;
mod traces;
mod transactions;
mod validators;
