//! Enter contracts: the rules of depth, re-entry, value, gas and undoing, one place for every path.

use std::sync::Arc;

use kumiki_protocol::limits::{CALL_DATA_BYTES_MAX, CALL_DEPTH_MAX, CODE_BYTES_MAX};
use kumiki_protocol::{
    Address, Amount, CodeRecord, ContractRecord, Decode as _, Encode as _, Gas, Hash, ResultCode,
    sha3_256, state_key,
};
use kumiki_state::Checkpoint;

use super::Vm;
use super::conclude::conclude;
use crate::error::Refusal;
use crate::frame::{Frame, count};
use crate::session::StackEntry;
use crate::{
    CodeReplacement, CodeSource, Deployment, Entry, Outcome, Session, Upgrade, VmFailure, gas,
};

/// A call as a caller makes it.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) caller: Address,
    pub(crate) contract: Address,
    pub(crate) entry: Entry,
    pub(crate) input: Vec<u8>,
    pub(crate) value: Amount,
    pub(crate) gas: Gas,
    pub(crate) reentry_allowed: bool,
}

/// Gas of one call until it enters Wasm.
struct Meter {
    limit: Gas,
    left: Gas,
}

/// What can be undone.
struct Mark {
    checkpoint: Checkpoint,
    events: usize,
}

impl Meter {
    fn new(limit: Gas) -> Self {
        // The injected counter is signed.
        let limit = limit.min(i64::MAX.unsigned_abs());
        Self { limit, left: limit }
    }

    fn charge(&mut self, amount: Gas) -> Result<(), ResultCode> {
        match self.left.checked_sub(amount) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(ResultCode::OutOfGas)
            }
        }
    }
}

impl Mark {
    fn of(session: &Session) -> Self {
        Self {
            checkpoint: session.journal.checkpoint(),
            events: session.events.len(),
        }
    }
}

/// An outcome that cost nothing and ran nothing.
pub(super) const fn refused(code: ResultCode) -> Outcome {
    Outcome {
        code,
        data: Vec::new(),
        gas_used: 0,
    }
}

impl Vm {
    pub(crate) fn call_within(
        &self,
        mut session: Box<Session>,
        call: Invocation,
    ) -> Result<(Box<Session>, Outcome), VmFailure> {
        let mark = Mark::of(&session);
        let mut meter = Meter::new(call.gas);
        let admitted = admit_call(&mut session, &call, &mut meter);
        self.execute(session, call, &mark, meter, admitted)
    }

    pub(crate) fn deploy_within(
        &self,
        mut session: Box<Session>,
        deployment: Deployment,
    ) -> Result<(Box<Session>, Outcome, Address), VmFailure> {
        let mark = Mark::of(&session);
        let mut meter = Meter::new(deployment.gas);
        let code_hash = match &deployment.code {
            CodeSource::Bytes(code) => sha3_256(&[code]),
            CodeSource::Stored(hash) => *hash,
        };
        let address = Address::of_contract(&deployment.deployer, &deployment.salt, &code_hash);
        let call = Invocation {
            caller: deployment.deployer,
            contract: address,
            entry: Entry::Init,
            input: deployment.input,
            value: deployment.value,
            gas: deployment.gas,
            reentry_allowed: false,
        };
        let code = (code_hash, deployment.code);
        let admitted =
            self.admit_deployment(&mut session, &call, code, deployment.admin, &mut meter);
        let (session, outcome) = self.execute(session, call, &mark, meter, admitted)?;
        Ok((session, outcome, address))
    }

    pub(crate) fn upgrade_within(
        &self,
        mut session: Box<Session>,
        upgrade: Upgrade,
    ) -> Result<(Box<Session>, Outcome), VmFailure> {
        let mark = Mark::of(&session);
        let mut meter = Meter::new(upgrade.gas);
        let call = Invocation {
            caller: upgrade.sender.unwrap_or(upgrade.contract),
            contract: upgrade.contract,
            entry: Entry::Migrate,
            input: upgrade.input,
            value: 0,
            gas: upgrade.gas,
            reentry_allowed: false,
        };
        let admitted = self.admit_upgrade(
            &mut session,
            &call,
            upgrade.code,
            upgrade.sender,
            &mut meter,
        );
        self.execute(session, call, &mark, meter, admitted)
    }

    pub(crate) fn replace_code_within(
        &self,
        mut session: Box<Session>,
        replacement: CodeReplacement,
    ) -> Result<(Box<Session>, Outcome), VmFailure> {
        let mark = Mark::of(&session);
        let mut meter = Meter::new(replacement.gas);
        let call = Invocation {
            caller: replacement.sender,
            contract: replacement.contract,
            entry: Entry::Migrate,
            input: Vec::new(),
            value: 0,
            gas: replacement.gas,
            reentry_allowed: false,
        };
        let (code, sender) = (replacement.code, Some(replacement.sender));
        match self.admit_upgrade(&mut session, &call, code, sender, &mut meter) {
            Ok(_hash) => {
                let gas_used = meter.limit - meter.left;
                let done = refused(ResultCode::Ok);
                Ok((session, Outcome { gas_used, ..done }))
            }
            Err(refusal) => refuse(session, &mark, &meter, refusal),
        }
    }

    fn admit_deployment(
        &self,
        session: &mut Session,
        call: &Invocation,
        (code_hash, code): (Hash, CodeSource),
        admin: Option<Address>,
        meter: &mut Meter,
    ) -> Result<Hash, Refusal> {
        admit_any(session, call, meter)?;
        meter.charge(gas::DEPLOY)?;
        self.admit_code(session, code_hash, code, meter)?;
        let key = state_key::contract(&call.contract);
        if session.journal.contains(&key)? {
            return Err(ResultCode::AddressTaken.into());
        }
        session
            .journal
            .set(key, ContractRecord { code_hash, admin }.encode());
        move_value(session, call)?;
        Ok(code_hash)
    }

    fn admit_upgrade(
        &self,
        session: &mut Session,
        call: &Invocation,
        code: CodeSource,
        sender: Option<Address>,
        meter: &mut Meter,
    ) -> Result<Hash, Refusal> {
        admit_any(session, call, meter)?;
        meter.charge(gas::DEPLOY)?;
        let mut record = contract_record(session, &call.contract)?;
        if sender.is_some() && sender != record.admin {
            return Err(ResultCode::NotAllowed.into());
        }
        let code_hash = match &code {
            CodeSource::Bytes(bytes) => sha3_256(&[bytes]),
            CodeSource::Stored(hash) => *hash,
        };
        self.admit_code(session, code_hash, code, meter)?;
        record.code_hash = code_hash;
        session
            .journal
            .set(state_key::contract(&call.contract), record.encode());
        Ok(code_hash)
    }

    /// Makes sure that the chain stores the code, and that it is valid where it is new.
    fn admit_code(
        &self,
        session: &mut Session,
        hash: Hash,
        code: CodeSource,
        meter: &mut Meter,
    ) -> Result<(), Refusal> {
        let key = state_key::code(&hash);
        let is_stored = session.journal.contains(&key)?;
        let code = match code {
            CodeSource::Stored(_) if is_stored => return Ok(()),
            CodeSource::Stored(_) => return Err(ResultCode::UnknownCode.into()),
            CodeSource::Bytes(code) => code,
        };
        if code.len() > CODE_BYTES_MAX {
            return Err(ResultCode::Limit.into());
        }
        meter.charge(count(code.len()) * gas::DEPLOY_PER_BYTE)?;
        if is_stored {
            return Ok(());
        }
        meter.charge(self.deploy_gas(&hash, &code)?)?;
        let size = u32::try_from(code.len()).unwrap_or(u32::MAX);
        session.journal.set(key, CodeRecord { size }.encode());
        session.journal.add_code(hash, code);
        session.brought_code(hash);
        Ok(())
    }

    /// Takes the gas for code that runs for the first time in its transaction, before a module is looked for: it may have
    /// to be read from disk.
    fn charge_code(
        &self,
        session: &mut Session,
        hash: &Hash,
        meter: &mut Meter,
    ) -> Result<(), Refusal> {
        #[cfg(feature = "native")]
        if self.inner.native.find(hash).is_some() {
            return Ok(());
        }
        if session.has_paid_for(hash) {
            return Ok(());
        }
        meter.charge(gas::CODE_LOAD)?;
        let record = session.journal.get(&state_key::code(hash))?;
        let corrupt = || {
            Refusal::Failed(VmFailure::CorruptState {
                what: "a code record that is missing or does not decode",
            })
        };
        let mut bytes = record.ok_or_else(corrupt)?;
        let code = CodeRecord::decode(&mut bytes).map_err(|_invalid| corrupt())?;
        meter.charge(Gas::from(code.size) * gas::CODE_LOAD_PER_BYTE)?;
        session.note_paid_for(hash);
        Ok(())
    }

    fn deploy_gas(&self, hash: &Hash, code: &Arc<[u8]>) -> Result<Gas, ResultCode> {
        #[cfg(feature = "native")]
        if self.inner.native.find(hash).is_some() {
            return Ok(0);
        }
        #[cfg(not(feature = "native"))]
        let _ = hash;
        crate::check_code(code)
            .map(|info| info.deploy_gas)
            .map_err(|_invalid| ResultCode::InvalidCode)
    }

    /// Runs an admitted call, and undoes it unless it ends well.
    fn execute(
        &self,
        mut session: Box<Session>,
        call: Invocation,
        mark: &Mark,
        meter: Meter,
        admitted: Result<Hash, Refusal>,
    ) -> Result<(Box<Session>, Outcome), VmFailure> {
        if let Some(trace) = &mut session.trace {
            trace.enter(&call, admitted.as_ref().ok().copied(), meter.limit);
        }
        let (mut session, outcome) = self.execute_untraced(session, call, mark, meter, admitted)?;
        if let Some(trace) = &mut session.trace {
            trace.leave(&outcome);
        }
        Ok((session, outcome))
    }

    fn execute_untraced(
        &self,
        mut session: Box<Session>,
        call: Invocation,
        mark: &Mark,
        mut meter: Meter,
        admitted: Result<Hash, Refusal>,
    ) -> Result<(Box<Session>, Outcome), VmFailure> {
        let ready = admitted.and_then(|hash| {
            self.charge_code(&mut session, &hash, &mut meter)?;
            let program = self.program(&session, &hash, call.entry)?;
            meter.charge(program.instance_gas())?;
            Ok((program, hash))
        });
        let (program, code_hash) = match ready {
            Ok(ready) => ready,
            Err(refusal) => return refuse(session, mark, &meter, refusal),
        };
        session.stack.push(StackEntry {
            contract: call.contract,
            reentry_allowed: call.reentry_allowed,
        });
        let entry = call.entry;
        let frame = Frame {
            session: Some(session),
            vm: self.clone(),
            contract: call.contract,
            code_hash,
            caller: call.caller,
            value: call.value,
            read_only: entry == Entry::Query,
            input: call.input,
            output: Vec::new(),
            return_data: Vec::new(),
            gas: i64::try_from(meter.left).unwrap_or(i64::MAX),
            key: state_key::storage_prefix(&call.contract),
            end: None,
            position_wanted: false,
        };
        let (mut session, outcome) = conclude(program.run(entry, frame), meter.limit)?;
        session.stack.pop();
        if outcome.code != ResultCode::Ok {
            session.undo(mark);
        }
        Ok((session, outcome))
    }
}

impl Session {
    fn undo(&mut self, mark: &Mark) {
        self.journal.revert_to(mark.checkpoint);
        self.events.truncate(mark.events);
    }
}

/// Undoes what was not admitted.
fn refuse(
    mut session: Box<Session>,
    mark: &Mark,
    meter: &Meter,
    refusal: Refusal,
) -> Result<(Box<Session>, Outcome), VmFailure> {
    let code = match refusal {
        Refusal::Failed(failure) => return Err(failure),
        Refusal::Code(code) => code,
    };
    session.undo(mark);
    let gas_used = meter.limit - meter.left;
    let outcome = refused(code);
    Ok((
        session,
        Outcome {
            gas_used,
            ..outcome
        },
    ))
}

/// What every path checks and pays.
fn admit_any(session: &Session, call: &Invocation, meter: &mut Meter) -> Result<(), ResultCode> {
    meter.charge(gas::CALL + count(call.input.len()) * gas::CALL_DATA_PER_BYTE)?;
    if session.stack.len() >= CALL_DEPTH_MAX {
        return Err(ResultCode::CallDepth);
    }
    if call.input.len() > CALL_DATA_BYTES_MAX {
        return Err(ResultCode::Limit);
    }
    Ok(())
}

fn admit_call(
    session: &mut Session,
    call: &Invocation,
    meter: &mut Meter,
) -> Result<Hash, Refusal> {
    admit_any(session, call, meter)?;
    if call.entry == Entry::Query && call.value > 0 {
        return Err(ResultCode::ReadOnly.into());
    }
    if !may_enter(session, call) {
        return Err(ResultCode::Reentrancy.into());
    }
    let record = contract_record(session, &call.contract)?;
    move_value(session, call)?;
    Ok(record.code_hash)
}

/// A contract on the stack may be entered again when every message above its first call allows it; calling
/// itself directly, when that message does.
fn may_enter(session: &Session, call: &Invocation) -> bool {
    let Some(first) = session
        .stack
        .iter()
        .position(|entry| entry.contract == call.contract)
    else {
        return true;
    };
    match session.stack.get(first + 1..) {
        None | Some([]) => call.reentry_allowed,
        Some(above) => above.iter().all(|entry| entry.reentry_allowed),
    }
}

fn contract_record(session: &mut Session, contract: &Address) -> Result<ContractRecord, Refusal> {
    let mut bytes = session
        .journal
        .get(&state_key::contract(contract))?
        .ok_or(ResultCode::UnknownContract)?;
    ContractRecord::decode(&mut bytes).map_err(|_invalid| {
        Refusal::Failed(VmFailure::CorruptState {
            what: "a contract record that does not decode",
        })
    })
}

fn move_value(session: &mut Session, call: &Invocation) -> Result<(), Refusal> {
    if call.value == 0 {
        return Ok(());
    }
    match session.transfer(&call.caller, &call.contract, call.value)? {
        ResultCode::Ok => Ok(()),
        code => Err(code.into()),
    }
}
