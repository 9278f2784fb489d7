//! Print what contracts said when they failed, with the lines of their source.

use kumiki_vm::{Diagnostic, DiagnosticKind, Diagnostics};

use crate::wasm_file;

/// The test harness shows this where the test fails. What a called contract said comes before its caller.
pub(crate) fn print(diagnostics: &Diagnostics) {
    for line in lines(diagnostics) {
        println!("{line}");
    }
}

/// Each message, and below it its lines of source.
pub(crate) fn lines(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.messages.iter().flat_map(told).collect()
}

fn told(message: &Diagnostic) -> Vec<String> {
    let found = wasm_file::lines(&message.code_hash, &message.wasm_offsets);
    let (name, places) = found.unwrap_or_else(|| (message.contract.to_string(), Vec::new()));
    let what = match &message.kind {
        DiagnosticKind::Panic { message } => format!("{name} panicked: {message}"),
        DiagnosticKind::Trap { reason } => format!("{name} trapped: {reason}"),
        DiagnosticKind::Ended { code } => format!("{name} ended: {}", code.name()),
        DiagnosticKind::CallFailed { callee, code } => {
            format!("{name} called {callee}: {}", code.name())
        }
    };
    let places = places.into_iter().map(|place| format!("  at {place}"));
    std::iter::once(what).chain(places).collect()
}
