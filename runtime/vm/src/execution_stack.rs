//! Give execution a thread whose stack holds the deepest chain of calls.

use std::cell::Cell;
use std::io;
use std::thread::{Builder, JoinHandle};

use kumiki_protocol::limits::CALL_DEPTH_MAX;

use crate::VmFailure;

/// Native stack that one call's Wasm may use; the injected stack counter ends a call long before.
pub(crate) const WASM_STACK_BYTES: usize = 1 << 20;

/// Stack of a thread that executes: one Wasm stack per call and one more, and room for the host.
pub const EXECUTION_STACK_BYTES: usize = (CALL_DEPTH_MAX + 1) * WASM_STACK_BYTES + (8 << 20);

thread_local! {
    static IS_EXECUTION_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread was made by [`spawn_execution_thread`] or [`run_on_execution_stack`].
#[must_use]
pub fn is_execution_thread() -> bool {
    IS_EXECUTION_THREAD.get()
}

/// Starts a thread named `name` with [`EXECUTION_STACK_BYTES`] of stack. On such a thread [`crate::Vm`] runs
/// contracts directly; on any other it makes one for each call, which costs some tens of microseconds.
///
/// # Errors
/// When the system refuses the thread.
pub fn spawn_execution_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(EXECUTION_STACK_BYTES)
        .spawn(move || {
            IS_EXECUTION_THREAD.set(true);
            work()
        })
}

/// Runs `work` on this thread if it is an execution thread, else on one made for it, and waits.
///
/// # Errors
/// `VmFailure::Engine` when the system refuses the thread.
///
/// # Panics
/// When `work` does.
pub fn run_on_execution_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, VmFailure> {
    if is_execution_thread() {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        let thread = Builder::new()
            .name("kumiki-call".to_owned())
            .stack_size(EXECUTION_STACK_BYTES)
            .spawn_scoped(scope, || {
                IS_EXECUTION_THREAD.set(true);
                work()
            })
            .map_err(|error| VmFailure::Engine {
                reason: format!("no thread to execute on: {error}"),
            })?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
