//! Compare what the copies of a chain made of one message: they must agree on all that a chain agrees on.

use kumiki_contract::ResultCode;
use kumiki_executor::ExecutedBlock;
use kumiki_protocol::{Receipt, Status};
use kumiki_vm::Outcome;

use crate::wasm_file::fail;

/// Whether the next message may be compared too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All copies agree.
    Agreed,
    /// The Wasm ran out of gas or stack, which native code does not have. The copies are of different states now.
    Exhausted,
}

/// All engines must agree on all that a chain agrees on.
pub(crate) fn of_engines(blocks: &[(&'static str, ExecutedBlock)]) {
    let Some(((name, first), others)) = blocks.split_first() else {
        return;
    };
    for (other, block) in others {
        if block.receipts != first.receipts {
            let (left, right) = (&first.receipts, &block.receipts);
            fail(&format!(
                "receipts differ: {name} {left:?}, {other} {right:?}"
            ));
        }
        if block.changes != first.changes {
            let (left, right) = (&first.changes, &block.changes);
            fail(&format!(
                "states differ: {name} {left:?}, {other} {right:?}"
            ));
        }
        if block.accesses != first.accesses {
            let (left, right) = (&first.accesses, &block.accesses);
            fail(&format!(
                "accesses differ: {name} {left:?}, {other} {right:?}"
            ));
        }
    }
}

/// Native code and Wasm must agree on result, events and state; only gas is the Wasm's alone.
pub(crate) fn of_native_and_wasm(native: &ExecutedBlock, wasm: &ExecutedBlock) -> Verdict {
    let (Some(left), Some(right)) = (native.receipts.first(), wasm.receipts.first()) else {
        fail("a block of one transaction has one receipt")
    };
    if left.status != right.status && ends_by_limit(&right.status) {
        return Verdict::Exhausted;
    }
    if let Some(difference) = difference(native, left, wasm, right) {
        fail(&format!("native code and Wasm disagree: {difference}"));
    }
    Verdict::Agreed
}

/// The same for a view.
pub(crate) fn of_views(native: &Outcome, wasm: &Outcome) -> Verdict {
    let (left, right) = ((native.code, &native.data), (wasm.code, &wasm.data));
    if left == right {
        return Verdict::Agreed;
    }
    if is_limit(wasm.code) {
        return Verdict::Exhausted;
    }
    fail(&format!(
        "native code and Wasm disagree: the native view ended {} {}, the Wasm's {} {}",
        native.code.name(),
        hex_text(&native.data),
        wasm.code.name(),
        hex_text(&wasm.data)
    ))
}

const fn is_limit(code: ResultCode) -> bool {
    matches!(code, ResultCode::OutOfGas | ResultCode::StackOverflow)
}

const fn ends_by_limit(status: &Status) -> bool {
    matches!(status, Status::Failed { code, .. } if is_limit(*code))
}

fn difference(
    native: &ExecutedBlock,
    left: &Receipt,
    wasm: &ExecutedBlock,
    right: &Receipt,
) -> Option<String> {
    if left.status != right.status {
        let (left, right) = (status_text(&left.status), status_text(&right.status));
        return Some(format!("native ended {left}, Wasm {right}"));
    }
    let two = |what, left: &dyn std::fmt::Debug, right: &dyn std::fmt::Debug| {
        Some(format!("native {what} {left:?}, Wasm {right:?}"))
    };
    if left.outputs != right.outputs {
        let shown = |outputs: &[Vec<u8>]| outputs.iter().map(|one| hex_text(one)).collect();
        let [left, right]: [Vec<String>; 2] = [shown(&left.outputs), shown(&right.outputs)];
        return Some(format!(
            "native returned {}, Wasm {}",
            left.join(" "),
            right.join(" ")
        ));
    }
    if left.events != right.events {
        return two("emitted", &left.events, &right.events);
    }
    let (left, right) = (&native.changes.entries, &wasm.changes.entries);
    let mut keys = left.keys().chain(right.keys());
    let key = keys.find(|key| left.get(*key) != right.get(*key))?;
    let shown = |entry: Option<&Option<Vec<u8>>>| match entry {
        None => "did not change it".to_owned(),
        Some(None) => "removed it".to_owned(),
        Some(Some(value)) => format!("stored {}", hex_text(value)),
    };
    Some(format!(
        "of state entry {} native {}, Wasm {}",
        hex_text(key),
        shown(left.get(key)),
        shown(right.get(key))
    ))
}

fn status_text(status: &Status) -> String {
    match status {
        Status::Ok => "well".to_owned(),
        Status::Failed { code, data, .. } => format!("{} {}", code.name(), hex_text(data)),
        Status::Rejected(rejection) => format!("{rejection:?}"),
    }
}

fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
