//! Deploy code and replace code, as actions ask.

use std::sync::Arc;

use kumiki_protocol::{Address, Gas, ResultCode};
use kumiki_vm::{CodeReplacement, CodeSource, Deployment, Outcome, Session, Vm};

use crate::ExecutionFailure;

/// Code that came in an action.
pub(crate) fn source(code: &[u8]) -> CodeSource {
    CodeSource::Bytes(Arc::from(code))
}

/// Makes a contract. The output is the address it made; what `init` returns is of no use to anyone.
pub(crate) fn deploy(
    vm: &Vm,
    session: Session,
    deployment: Deployment,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let (session, outcome, address) = vm.deploy(session, deployment)?;
    let data = match outcome.code {
        ResultCode::Ok => address.0.to_vec(),
        _ => outcome.data,
    };
    Ok((session, Outcome { data, ..outcome }))
}

/// Gives `contract` other code, for `sender`, and runs none of it.
pub(crate) fn replace_code(
    vm: &Vm,
    session: Session,
    (sender, contract): (Address, Address),
    code: &[u8],
    gas: Gas,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let replacement = CodeReplacement {
        contract,
        code: source(code),
        gas,
        sender,
    };
    Ok(vm.replace_code(session, replacement)?)
}
