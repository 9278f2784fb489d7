//! Collect what helps a developer and must never reach a receipt: panic messages and trap descriptions.

use kumiki_protocol::Address;

/// Most messages kept of one session; the first ones count.
const MESSAGES_MAX: usize = 32;
/// Most bytes kept of one panic message.
const TEXT_BYTES_MAX: usize = 1024;

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
    /// Calls below this one: 0 for the first.
    pub call_depth: usize,
    /// What happened.
    pub kind: DiagnosticKind,
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
        /// Byte offsets into the contract's Wasm, innermost call first; empty where the engine keeps no map.
        wasm_offsets: Vec<u32>,
    },
}

impl Diagnostics {
    pub(crate) fn push(&mut self, contract: Address, call_depth: usize, kind: DiagnosticKind) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(Diagnostic {
                contract,
                call_depth,
                kind,
            });
        }
    }
}

/// At most 1 KiB of `bytes` as text; what is no UTF-8 is replaced.
pub(crate) fn bounded_text(bytes: &[u8]) -> String {
    let kept = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into_owned()
}
