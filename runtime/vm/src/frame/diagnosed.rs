//! Note what happens in a call for those who look at it later; nothing here has a price or shows in a result.

use kumiki_protocol::{Address, ResultCode};

use super::Frame;
use crate::Diagnostic;
use crate::diagnostics::{DiagnosticKind, bounded_text};
use crate::trace::Step;

impl Frame {
    /// Keeps a panic message; its position comes when the call ends.
    pub(super) fn note_panic(&mut self, message: &[u8]) {
        let session = self.session.as_ref();
        // Text is dear to check, and a contract can say as much of it as it has gas for.
        if session.is_some_and(|session| session.diagnostics.has_room()) {
            let message = bounded_text(message);
            self.note(DiagnosticKind::Panic { message });
        }
    }

    /// Notes that a call of this contract's failed, and has the engine say where it was made.
    pub(super) fn note_failed_call(&mut self, callee: Address, code: ResultCode) {
        self.position_wanted = self.note(DiagnosticKind::CallFailed { callee, code });
    }

    /// Says where the host function that runs was called from.
    pub(crate) fn place(&mut self, wasm_offsets: Vec<u32>) {
        self.position_wanted = false;
        let contract = self.contract;
        let Some(session) = &mut self.session else {
            return;
        };
        let depth = session.depth();
        if let Some(last) = session.diagnostics.unplaced(&contract, depth) {
            last.wasm_offsets = wasm_offsets;
        }
    }

    /// Records a step where somebody traces.
    pub(crate) fn record(&mut self, step: impl FnOnce() -> Step) {
        if let Some(trace) = self.session.as_mut().and_then(|one| one.trace.as_mut()) {
            trace.step(step);
        }
    }

    fn note(&mut self, kind: DiagnosticKind) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        let call_depth = session.depth();
        session.diagnostics.push(Diagnostic {
            contract: self.contract,
            code_hash: self.code_hash,
            call_depth,
            kind,
            wasm_offsets: Vec::new(),
        })
    }
}
