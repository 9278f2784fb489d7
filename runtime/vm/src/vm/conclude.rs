//! Decide how a call ended, and tell developers where.

use kumiki_protocol::{Address, Gas, Hash, ResultCode};

use crate::diagnostics::{Diagnostic, DiagnosticKind, bounded_text};
use crate::engine::{Ran, Stop};
use crate::frame::HostEnd;
use crate::{Outcome, Session, VmFailure};

/// Decides how the call ended. Gas and stack counters below zero say why Wasm stopped itself.
pub(super) fn conclude(ran: Ran, limit: Gas) -> Result<(Box<Session>, Outcome), VmFailure> {
    let mut frame = ran.frame;
    if let Stop::Failed(failure) = ran.stop {
        return Err(failure);
    }
    let ended_by_host = match frame.end.take() {
        Some(HostEnd::Failed(failure)) => return Err(failure),
        Some(HostEnd::Code(code)) => Some(code),
        None => None,
    };
    let mut session = frame.session.take().ok_or(VmFailure::CorruptState {
        what: "a call that ended without its session",
    })?;
    let code = if frame.gas < 0 {
        ResultCode::OutOfGas
    } else if ran.stack_left < 0 {
        ResultCode::StackOverflow
    } else {
        match (ended_by_host, &ran.stop) {
            (Some(code), _) => code,
            (None, Stop::Returned) => ResultCode::Ok,
            (None, Stop::Trapped { .. } | Stop::Failed(_)) => ResultCode::Trap,
        }
    };
    if code != ResultCode::Ok {
        diagnose(
            &mut session,
            (frame.contract, frame.code_hash),
            code,
            ran.stop,
        );
    }
    let data = match code {
        ResultCode::Ok | ResultCode::Reverted => frame.output,
        _ => Vec::new(),
    };
    let left = u64::try_from(frame.gas).unwrap_or(0);
    let gas_used = limit.saturating_sub(left);
    Ok((
        session,
        Outcome {
            code,
            data,
            gas_used,
        },
    ))
}

/// Notes for developers how the innermost call ended, and where.
fn diagnose(
    session: &mut Session,
    (contract, code_hash): (Address, Hash),
    code: ResultCode,
    stop: Stop,
) {
    let (reason, wasm_offsets) = match stop {
        Stop::Trapped {
            reason,
            wasm_offsets,
        } => (reason, wasm_offsets),
        Stop::Returned | Stop::Failed(_) => (String::new(), Vec::new()),
    };
    let call_depth = session.depth();
    let panicked = session
        .diagnostics
        .unplaced(&contract, call_depth)
        .filter(|last| code == ResultCode::Reverted && last.kind.is_panic());
    if let Some(panicked) = panicked {
        panicked.wasm_offsets = wasm_offsets;
        return;
    }
    let kind = match code {
        ResultCode::Trap => DiagnosticKind::Trap {
            reason: bounded_text(reason.as_bytes()),
        },
        code => DiagnosticKind::Ended { code },
    };
    session.diagnostics.push(Diagnostic {
        contract,
        code_hash,
        call_depth,
        kind,
        wasm_offsets,
    });
}
