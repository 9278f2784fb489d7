//! Hold a typed message to a contract until it is sent, and what came back.

use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

use kumiki_abi::{
    CALL_ALLOW_REENTRY, CALL_READ_ONLY, REVERT_CONTRACT, REVERT_SDK, ResultCode, SdkError,
};

use crate::buffer::Buffer;
use crate::codec::{Decode, Encode, decode_exact};
use crate::{Address, Balance, Env, EnvMut, entry, host};

/// Why a message to a contract failed. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The contract refused, with its own error.
    Contract(E),
    /// The contract's SDK refused.
    Sdk(SdkError),
    /// The chain ended it.
    Chain(ResultCode),
    /// The returned bytes are not of the declared type: this is another contract than the handle says.
    Undecodable,
}

/// The error type of messages that have no error of their own: it has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoError {}

impl Decode for NoError {
    fn decode(_input: &mut &[u8]) -> Option<Self> {
        None
    }
}

impl<E: Decode> CallError<E> {
    /// Reads revert data.
    #[must_use]
    pub fn from_revert_data(data: &[u8]) -> Self {
        match data.split_first() {
            Some((&REVERT_CONTRACT, error)) => {
                decode_exact(error).map_or(Self::Undecodable, Self::Contract)
            }
            Some((&REVERT_SDK, [number])) => {
                SdkError::from_number(*number).map_or(Self::Undecodable, Self::Sdk)
            }
            Some(_) | None => Self::Undecodable,
        }
    }
}

/// The error of a call that came back with another code than `Ok`.
pub(crate) fn failed_call<E: Decode>(code: Option<ResultCode>) -> CallError<E> {
    match code {
        Some(ResultCode::Reverted) => CallError::from_revert_data(&return_data()),
        Some(code) => CallError::Chain(code),
        None => CallError::Undecodable,
    }
}

/// Why a call with bytes failed, as the chain says it. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCallError {
    /// How the call ended.
    pub code: ResultCode,
    /// What the callee reverted with; empty where it did not revert.
    pub data: Vec<u8>,
}

/// What came back of a call with bytes.
pub(crate) fn raw_answer(code: i32) -> Result<Vec<u8>, RawCallError> {
    match ResultCode::from_i32(code).unwrap_or(ResultCode::Trap) {
        ResultCode::Ok => Ok(return_data()),
        ResultCode::Reverted => Err(RawCallError {
            code: ResultCode::Reverted,
            data: return_data(),
        }),
        code => Err(RawCallError {
            code,
            data: Vec::new(),
        }),
    }
}

fn return_data() -> Vec<u8> {
    let length = host::return_data(&mut []);
    let mut data = vec![0; length];
    host::return_data(&mut data);
    data
}

/// A message that may change state, not yet sent.
#[derive(Clone, Debug)]
#[must_use = "a message does nothing until it is sent"]
pub struct Call<T, E> {
    #[cfg(not(target_family = "wasm"))]
    name: &'static str,
    contract: Address,
    input: Vec<u8>,
    value: Balance,
    gas: u64,
    flags: i32,
    answer: PhantomData<fn() -> (T, E)>,
}

/// A message that only reads, not yet sent.
#[derive(Clone, Debug)]
#[must_use = "a message does nothing until it is sent"]
pub struct View<T, E> {
    message: Call<T, E>,
}

/// A contract to be made: the arguments of its `init`.
#[derive(Clone, Debug)]
#[must_use = "a contract is made only when this is deployed"]
pub struct Deploy<C, E> {
    #[cfg(not(target_family = "wasm"))]
    name: &'static str,
    input: Vec<u8>,
    value: Balance,
    contract: PhantomData<fn() -> (C, E)>,
}

impl<T, E> Call<T, E> {
    /// A message of `selector` and SCALE `arguments`; `name` is for tests.
    #[doc(hidden)]
    #[cfg_attr(target_family = "wasm", expect(unused_variables, reason = "for tests"))]
    pub fn new(
        name: &'static str,
        contract: Address,
        selector: [u8; 4],
        arguments: &impl Encode,
    ) -> Self {
        let mut input = Buffer::of(&selector);
        arguments.encode_to(&mut input);
        let input = input.into_vec();
        Self {
            #[cfg(not(target_family = "wasm"))]
            name,
            contract,
            input,
            value: 0,
            gas: 0,
            flags: 0,
            answer: PhantomData,
        }
    }

    /// Sends native tokens along, in base units.
    pub fn with_value(mut self, value: Balance) -> Self {
        self.value = value;
        self
    }

    /// Passes on at most `gas`; without this, all that may be passed on (63/64).
    pub fn with_gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// Lets the callee call back into contracts that wait for it, this one included.
    pub fn allow_reentry(mut self) -> Self {
        self.flags |= CALL_ALLOW_REENTRY;
        self
    }

    /// `Contract.message`.
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whom it is for.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.contract
    }

    /// Selector and SCALE arguments.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Native tokens sent along, in base units.
    #[must_use]
    pub const fn value(&self) -> Balance {
        self.value
    }
}

impl<T: Decode, E: Decode> Call<T, E> {
    /// Sends it from the running contract; reverts the running call when it fails.
    pub fn send(self, env: EnvMut) -> T {
        self.try_send(env)
            .unwrap_or_else(|_failed| entry::revert_sdk(SdkError::CallFailed))
    }

    /// Sends it from the running contract.
    ///
    /// # Errors
    /// The callee's error, or why it could not run; the callee changed nothing then.
    pub fn try_send(self, _env: EnvMut) -> Result<T, CallError<E>> {
        self.invoke()
    }

    fn invoke(self) -> Result<T, CallError<E>> {
        let code = host::call(
            &self.contract.0,
            &self.input,
            self.value,
            self.gas,
            self.flags,
        );
        match ResultCode::from_i32(code) {
            Some(ResultCode::Ok) => decode_answer(&return_data()),
            code => Err(failed_call(code)),
        }
    }
}

/// Decodes what a message returned.
pub(crate) fn decode_answer<T: Decode, E>(data: &[u8]) -> Result<T, CallError<E>> {
    decode_exact(data).ok_or(CallError::Undecodable)
}

impl<T, E> View<T, E> {
    /// A message of `selector` and SCALE `arguments`; `name` is for tests.
    #[doc(hidden)]
    pub fn new(
        name: &'static str,
        contract: Address,
        selector: [u8; 4],
        arguments: &impl Encode,
    ) -> Self {
        let mut message = Call::new(name, contract, selector, arguments);
        message.flags = CALL_READ_ONLY;
        Self { message }
    }

    /// Passes on at most `gas`; without this, all that may be passed on (63/64).
    pub fn with_gas(mut self, gas: u64) -> Self {
        self.message.gas = gas;
        self
    }

    /// Whom it is for.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.message.contract
    }

    /// Selector and SCALE arguments.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.message.input
    }
}

impl<T: Decode, E: Decode> View<T, E> {
    /// Sends it from the running contract; reverts the running call when it fails.
    pub fn send(self, env: Env) -> T {
        self.try_send(env)
            .unwrap_or_else(|_failed| entry::revert_sdk(SdkError::CallFailed))
    }

    /// Sends it from the running contract.
    ///
    /// # Errors
    /// The callee's error, or why it could not run.
    pub fn try_send(self, _env: Env) -> Result<T, CallError<E>> {
        self.message.invoke()
    }
}

impl<C, E> Deploy<C, E> {
    /// The SCALE arguments of `init`; `name` is for tests.
    #[doc(hidden)]
    #[cfg_attr(target_family = "wasm", expect(unused_variables, reason = "for tests"))]
    pub fn new(name: &'static str, arguments: &impl Encode) -> Self {
        Self {
            #[cfg(not(target_family = "wasm"))]
            name,
            input: arguments.encode(),
            value: 0,
            contract: PhantomData,
        }
    }

    /// Sends native tokens along, in base units.
    pub fn with_value(mut self, value: Balance) -> Self {
        self.value = value;
        self
    }

    /// `Contract.init`.
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The SCALE arguments of `init`.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Native tokens sent along, in base units.
    #[must_use]
    pub const fn value(&self) -> Balance {
        self.value
    }
}

/// New code for a contract: the arguments of its `migrate`.
#[derive(Clone, Debug)]
#[must_use = "a contract gets new code only when it is upgraded with this"]
pub struct Upgrade<C, E> {
    #[cfg(not(target_family = "wasm"))]
    name: &'static str,
    input: Vec<u8>,
    contract: PhantomData<fn() -> (C, E)>,
}

impl<C, E> Upgrade<C, E> {
    /// The SCALE arguments of `migrate`; `name` is for tests.
    #[doc(hidden)]
    #[cfg_attr(target_family = "wasm", expect(unused_variables, reason = "for tests"))]
    pub fn new(name: &'static str, arguments: &impl Encode) -> Self {
        Self {
            #[cfg(not(target_family = "wasm"))]
            name,
            input: arguments.encode(),
            contract: PhantomData,
        }
    }

    /// `Contract.migrate`.
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The SCALE arguments of `migrate`.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.input
    }
}
