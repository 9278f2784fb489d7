//! Move tokens, call, deploy and upgrade on behalf of the contract that runs.

use kumiki_abi::{CALL_ALLOW_REENTRY, CALL_READ_ONLY};
use kumiki_protocol::{Address, Amount, Gas, Hash, ResultCode};

use super::{Ended, Frame, copy_out};
use crate::trace::Step;
use crate::vm::Invocation;
use crate::{CodeSource, Deployment, Entry, Outcome, Session, Upgrade, Vm, VmFailure, gas};

#[expect(
    clippy::missing_errors_doc,
    reason = "all methods have the one error that is documented on `Frame`"
)]
impl Frame {
    /// Sends native tokens from this contract; runs no code.
    pub fn transfer(&mut self, to: &Address, amount: Amount) -> Result<ResultCode, Ended> {
        self.charge(gas::TRANSFER)?;
        if self.read_only {
            return Ok(ResultCode::ReadOnly);
        }
        let from = self.contract;
        let moved = self.session()?.transfer(&from, to, amount);
        let code = self.or_fail(moved)?;
        self.record(|| Step::Transfer {
            to: *to,
            amount,
            code,
        });
        Ok(code)
    }

    /// Calls a contract with at most `gas` (0: all that may be passed on, 63/64). The returned or revert data is
    /// then at [`Self::return_data`].
    pub fn call(
        &mut self,
        contract: &Address,
        input: &[u8],
        value: Amount,
        gas: Gas,
        flags: i32,
    ) -> Result<ResultCode, Ended> {
        self.charge_callee(input.len())?;
        if flags & !(CALL_ALLOW_REENTRY | CALL_READ_ONLY) != 0 {
            return Err(self.end_with(ResultCode::Trap));
        }
        self.return_data.clear();
        let is_query = flags & CALL_READ_ONLY != 0;
        if (self.read_only && !is_query) || (is_query && value > 0) {
            return Ok(ResultCode::ReadOnly);
        }
        let invocation = Invocation {
            caller: self.contract,
            contract: *contract,
            entry: if is_query { Entry::Query } else { Entry::Call },
            input: input.to_vec(),
            value,
            gas: self.gas_for_child(gas),
            reentry_allowed: flags & CALL_ALLOW_REENTRY != 0,
        };
        self.run_child(*contract, |vm, session| vm.call_within(session, invocation))
    }

    /// Makes a contract from code that the chain stores, with this contract as deployer and admin. Gives its
    /// address, which nothing is at unless the code is `Ok`.
    pub fn deploy(
        &mut self,
        code: &Hash,
        salt: &[u8; 32],
        input: &[u8],
        value: Amount,
    ) -> Result<(ResultCode, Address), Ended> {
        self.charge_callee(input.len())?;
        self.return_data.clear();
        let deployer = self.contract;
        let address = Address::of_contract(&deployer, salt, code);
        if self.read_only {
            return Ok((ResultCode::ReadOnly, address));
        }
        let deployment = Deployment {
            deployer,
            admin: Some(deployer),
            code: CodeSource::Stored(*code),
            salt: *salt,
            input: input.to_vec(),
            value,
            gas: self.gas_for_child(0),
        };
        let code = self.run_child(address, |vm, session| {
            vm.deploy_within(session, deployment)
                .map(|(session, outcome, _address)| (session, outcome))
        })?;
        Ok((code, address))
    }

    /// Switches this contract to other code that the chain stores and runs that code's `migrate`.
    pub fn upgrade(&mut self, code: &Hash, input: &[u8]) -> Result<ResultCode, Ended> {
        self.charge_callee(input.len())?;
        self.return_data.clear();
        if self.read_only {
            return Ok(ResultCode::ReadOnly);
        }
        let upgrade = Upgrade {
            contract: self.contract,
            code: CodeSource::Stored(*code),
            input: input.to_vec(),
            gas: self.gas_for_child(0),
            sender: None,
        };
        let contract = self.contract;
        self.run_child(contract, |vm, session| vm.upgrade_within(session, upgrade))
    }

    /// Copies what the last `call`, `deploy` or `upgrade` came back with; returns its full length.
    pub fn return_data(&mut self, out: &mut [u8]) -> Result<i32, Ended> {
        self.charge_copy(self.return_data.len())?;
        Ok(copy_out(&self.return_data, out))
    }

    fn charge_callee(&mut self, input_bytes: usize) -> Result<(), Ended> {
        self.charge(gas::CALLEE)?;
        self.charge_copy(input_bytes)
    }

    /// At most 63/64 of what is left, so that a caller can always finish.
    fn gas_for_child(&self, asked: Gas) -> Gas {
        let left = self.gas.unsigned_abs();
        let most = left - left / 64;
        if asked == 0 { most } else { asked.min(most) }
    }

    fn run_child(
        &mut self,
        callee: Address,
        run: impl FnOnce(&Vm, Box<Session>) -> Result<(Box<Session>, Outcome), VmFailure>,
    ) -> Result<ResultCode, Ended> {
        let session = self.session.take().ok_or(Ended)?;
        let vm = self.vm.clone();
        match run(&vm, session) {
            Err(failure) => Err(self.fail(failure)),
            Ok((session, outcome)) => {
                self.session = Some(session);
                self.return_data = outcome.data;
                if outcome.code != ResultCode::Ok {
                    self.note_failed_call(callee, outcome.code);
                }
                self.charge(outcome.gas_used)?;
                Ok(outcome.code)
            }
        }
    }
}
