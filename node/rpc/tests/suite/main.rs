//! Holds a real server on a real store, executor and pool to what docs/spec/rpc.md says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

mod answers;
mod attacks;
mod document;
mod errors;
mod finality;
mod held_code;
mod live_node;
mod overload;
mod raw_ws;
mod streams;
mod traces;
mod validators;
