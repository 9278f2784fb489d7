//! Run one contract call: validate, instrument, compile, cache, meter, host functions, calls between contracts.
//!
//! A call is a function of the state, the block and the message; the same bytes give the same [`Outcome`],
//! state and events on every node and under every engine. What is local to a node (a full disk, a broken
//! store) is a [`VmFailure`] and stops the node; it never becomes a result. `docs/spec/vm.md` and
//! `docs/spec/abi.md` are the prose.
#![cfg_attr(
    not(any(feature = "wasmtime", feature = "wasmi")),
    allow(
        dead_code,
        unused_variables,
        unreachable_code,
        reason = "without an engine there is nothing to instrument for"
    )
)]

mod diagnostics;
mod engine;
mod error;
mod execution_stack;
mod frame;
pub mod gas;
#[cfg(any(feature = "wasmtime", feature = "wasmi"))]
mod instrument;
mod message;
mod prepare;
mod session;
mod trace;
mod validate;
mod vm;

pub use diagnostics::{Diagnostic, DiagnosticKind, Diagnostics};
#[cfg(feature = "native")]
pub use engine::native::NativeCode;
pub use error::VmFailure;
pub use execution_stack::{
    EXECUTION_STACK_BYTES, is_execution_thread, run_on_execution_stack, spawn_execution_thread,
};
pub use frame::{Ended, Frame};
#[cfg(all(feature = "wasmtime", feature = "wasmi"))]
pub use instrument::instrumented_code;
pub use message::{CodeReplacement, CodeSource, Deployment, Entry, Message, Outcome, Upgrade};
pub use prepare::NewCode;
pub use session::{BlockContext, Session};
pub use trace::{Cut, Step, Trace, TracedAction, TracedCall};
pub use validate::{CodeInfo, InvalidCode, check_code};
pub use vm::{EngineKind, Vm, VmConfig};
