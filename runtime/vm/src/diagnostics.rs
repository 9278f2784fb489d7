//! Collect what helps a developer and must never reach a receipt: panic messages, trap descriptions, positions.

use kumiki_protocol::{Address, Hash, ResultCode};

/// Most messages kept of one session; the first ones count.
const MESSAGES_MAX: usize = 32;
/// Most bytes kept of one panic message.
const TEXT_BYTES_MAX: usize = 1024;
/// Most positions kept of one message; the innermost count.
pub(crate) const WASM_OFFSETS_MAX: usize = 32;

/// What contracts said when they failed, for people. Never in receipts, never compared between nodes.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// In the order they happened; at most 32.
    pub messages: Vec<Diagnostic>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The contract it is about.
    pub contract: Address,
    /// Hash of the code that ran.
    pub code_hash: Hash,
    /// Calls below this one: 0 for the first.
    pub call_depth: usize,
    /// What happened.
    pub kind: DiagnosticKind,
    /// Byte offsets into the contract's Wasm, innermost call first; empty where the engine keeps no map.
    pub wasm_offsets: Vec<u32>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiagnosticKind {
    /// The contract panicked with this message.
    Panic {
        /// The message, as text, at most 1 KiB of it.
        message: String,
    },
    /// The contract was stopped.
    Trap {
        /// Why, in words.
        reason: String,
    },
    /// The contract ended with this code: it reverted, ran out of gas or stack, or broke a limit.
    Ended {
        /// How.
        code: ResultCode,
    },
    /// A call that the contract made failed. What became of the contract itself comes after this.
    CallFailed {
        /// Whom it called, deployed or upgraded.
        callee: Address,
        /// How that ended.
        code: ResultCode,
    },
}

impl DiagnosticKind {
    pub(crate) const fn is_panic(&self) -> bool {
        matches!(self, Self::Panic { .. })
    }
}

impl Diagnostics {
    /// Whether one more message is kept.
    pub(crate) fn has_room(&self) -> bool {
        self.messages.len() < MESSAGES_MAX
    }

    /// Keeps `message` if there is room, and says so.
    pub(crate) fn push(&mut self, message: Diagnostic) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.messages.push(message);
        }
        has_room
    }

    /// The message noted last, if it is about this call and has no position yet.
    pub(crate) fn unplaced(
        &mut self,
        contract: &Address,
        call_depth: usize,
    ) -> Option<&mut Diagnostic> {
        self.messages.last_mut().filter(|last| {
            last.contract == *contract
                && last.call_depth == call_depth
                && last.wasm_offsets.is_empty()
        })
    }
}

/// At most 1 KiB of `bytes` as text; what is no UTF-8 is replaced.
pub(crate) fn bounded_text(bytes: &[u8]) -> String {
    let kept = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into_owned()
}
