//! Run the host functions of one call: every engine ends up here.
//!
//! Each method charges gas first, then checks, then acts, so that what a refused request cost is the same
//! everywhere.

mod calls;
mod crypto;
mod diagnosed;
mod storage;

use kumiki_abi::{REVERT_SDK, SdkError};
use kumiki_protocol::limits::{
    CALL_DATA_BYTES_MAX, EVENT_DATA_BYTES_MAX, EVENT_TOPICS_MAX, EVENTS_MAX,
};
use kumiki_protocol::{Address, Amount, Event, Gas, Hash, Height, ResultCode};
use kumiki_state::StateError;

use crate::trace::{Cut, Step};
use crate::{Session, Vm, VmFailure, gas};

/// The call has ended (reverted, out of gas, trapped): return from native code, or unwind out of it, at once.
/// The frame knows how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call has ended")]
pub struct Ended;

/// How the host ended a call.
#[derive(Debug)]
pub(crate) enum HostEnd {
    Code(ResultCode),
    Failed(VmFailure),
}

/// One running call. Its methods are the host functions of `kumiki_abi::host_functions!`, with slices for
/// pointers; each charges gas, and each can end the call, after which all of them return [`Ended`].
#[derive(Debug)]
pub struct Frame {
    /// Away while a callee runs, and lost with a failure.
    pub(crate) session: Option<Box<Session>>,
    pub(crate) vm: Vm,
    pub(crate) contract: Address,
    /// Hash of the code that runs.
    pub(crate) code_hash: Hash,
    pub(crate) caller: Address,
    pub(crate) value: Amount,
    pub(crate) read_only: bool,
    pub(crate) input: Vec<u8>,
    /// What `ret` or `revert` gave.
    pub(crate) output: Vec<u8>,
    /// What the last callee came back with.
    pub(crate) return_data: Vec<u8>,
    /// Gas left; below zero when it ran out.
    pub(crate) gas: i64,
    /// This contract's storage prefix, and room for a key after it.
    pub(crate) key: Vec<u8>,
    pub(crate) end: Option<HostEnd>,
    /// The engine shall say where the host function that runs was called from.
    pub(crate) position_wanted: bool,
}

/// Every method is a host function of the same name.
///
/// # Errors
/// Each returns [`Ended`] when the call ends with it or has ended before.
#[expect(
    clippy::missing_errors_doc,
    reason = "all methods have the one error that is documented on the block"
)]
impl Frame {
    /// Copies at most `out.len()` bytes of the input; returns its full length.
    pub fn input(&mut self, out: &mut [u8]) -> Result<i32, Ended> {
        self.charge_copy(self.input.len())?;
        Ok(copy_out(&self.input, out))
    }

    /// Sets the data this call returns.
    pub fn ret(&mut self, data: &[u8]) -> Result<(), Ended> {
        self.charge_data(data.len())?;
        self.output.clear();
        self.output.extend_from_slice(data);
        Ok(())
    }

    /// Ends this call as reverted, with data.
    pub fn revert(&mut self, data: &[u8]) -> Ended {
        if let Err(ended) = self.charge_data(data.len()) {
            return ended;
        }
        self.output.clear();
        self.output.extend_from_slice(data);
        self.end_with(ResultCode::Reverted)
    }

    /// Hands a panic message to diagnostics.
    pub fn panic_message(&mut self, message: &[u8]) -> Result<(), Ended> {
        self.charge(gas::HOST_FUNCTION + count(message.len()) * gas::CALL_DATA_PER_BYTE)?;
        self.note_panic(message);
        Ok(())
    }

    /// The address of the account or contract that made this call.
    pub fn caller(&mut self) -> Result<Address, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(self.caller)
    }

    /// This contract's address.
    pub fn self_address(&mut self) -> Result<Address, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(self.contract)
    }

    /// The native tokens sent with this call, in base units.
    pub fn value(&mut self) -> Result<Amount, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(self.value)
    }

    /// The native tokens an address holds, in base units.
    pub fn balance(&mut self, address: &Address) -> Result<Amount, Ended> {
        self.charge(gas::STORAGE_READ)?;
        let balance = self.session()?.balance(address);
        self.or_fail(balance)
    }

    /// The height of the block that this runs in.
    pub fn height(&mut self) -> Result<Height, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(self.session()?.block.height)
    }

    /// That block's time in milliseconds since 1970.
    pub fn block_time_ms(&mut self) -> Result<u64, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(self.session()?.block.time_ms)
    }

    /// Copies the chain id; returns its full length.
    pub fn chain_id(&mut self, out: &mut [u8]) -> Result<i32, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(copy_out(self.session()?.block.chain_id.as_bytes(), out))
    }

    /// The gas left to this call.
    pub fn gas_left(&mut self) -> Result<Gas, Ended> {
        self.charge(gas::HOST_FUNCTION)?;
        Ok(self.gas.unsigned_abs())
    }

    /// Emits an event with at most 4 topics.
    pub fn emit_event(&mut self, topics: &[Hash], data: &[u8]) -> Result<(), Ended> {
        self.charge(
            gas::EVENT
                + count(topics.len()) * gas::EVENT_TOPIC
                + count(data.len()) * gas::EVENT_PER_BYTE,
        )?;
        if self.read_only {
            return Err(self.end_with(ResultCode::ReadOnly));
        }
        if topics.len() > EVENT_TOPICS_MAX
            || data.len() > EVENT_DATA_BYTES_MAX
            || self.session()?.events.len() >= EVENTS_MAX
        {
            return Err(self.end_with(ResultCode::Limit));
        }
        let event = Event {
            contract: self.contract,
            topics: topics.to_vec(),
            data: data.to_vec(),
        };
        self.record(|| Step::Event {
            topics: event.topics.clone(),
            data: Cut::of(&event.data),
        });
        self.session()?.events.push(event);
        Ok(())
    }

    /// Whether the call has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.end.is_some() || self.gas < 0
    }

    /// Ends the call as the SDK's panic handler does in Wasm: the message goes to diagnostics, the call reverts
    /// with [`SdkError::Panic`]. Does nothing if the call has ended already, which is how code that unwinds out of
    /// [`Ended`] is told from code that panicked. `payload` is what `catch_unwind` caught.
    pub fn panicked(&mut self, payload: &(dyn std::any::Any + Send)) {
        if self.has_ended() {
            return;
        }
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("panic without a message");
        self.note_panic(message.as_bytes());
        self.output = vec![REVERT_SDK, SdkError::Panic as u8];
        self.end_with(ResultCode::Reverted);
    }

    /// Takes gas, or ends the call.
    pub(crate) fn charge(&mut self, amount: Gas) -> Result<(), Ended> {
        if self.has_ended() {
            return Err(Ended);
        }
        take_gas(&mut self.gas, amount)
    }

    fn charge_copy(&mut self, bytes: usize) -> Result<(), Ended> {
        self.charge(gas::HOST_FUNCTION + count(bytes / 8) * gas::COPY_PER_8_BYTES)
    }

    fn charge_data(&mut self, bytes: usize) -> Result<(), Ended> {
        self.charge(gas::HOST_FUNCTION + count(bytes) * gas::CALL_DATA_PER_BYTE)?;
        if bytes > CALL_DATA_BYTES_MAX {
            return Err(self.end_with(ResultCode::Limit));
        }
        Ok(())
    }

    pub(crate) fn end_with(&mut self, code: ResultCode) -> Ended {
        if self.end.is_none() {
            self.end = Some(HostEnd::Code(code));
        }
        Ended
    }

    pub(crate) fn fail(&mut self, failure: VmFailure) -> Ended {
        self.end = Some(HostEnd::Failed(failure));
        Ended
    }

    pub(crate) fn session(&mut self) -> Result<&mut Session, Ended> {
        self.session.as_deref_mut().ok_or(Ended)
    }

    fn or_fail<T>(&mut self, result: Result<T, StateError>) -> Result<T, Ended> {
        result.map_err(|error| self.fail(error.into()))
    }
}

/// Takes gas; below zero says that it ran out.
fn take_gas(gas: &mut i64, amount: Gas) -> Result<(), Ended> {
    match i64::try_from(amount) {
        Ok(amount) if amount <= *gas => {
            *gas -= amount;
            Ok(())
        }
        Ok(_) | Err(_) => {
            *gas = -1;
            Err(Ended)
        }
    }
}

/// Copies what fits; returns the full length.
fn copy_out(data: &[u8], out: &mut [u8]) -> i32 {
    let fits = data.len().min(out.len());
    if let (Some(target), Some(source)) = (out.get_mut(..fits), data.get(..fits)) {
        target.copy_from_slice(source);
    }
    i32::try_from(data.len()).unwrap_or(i32::MAX)
}

/// A size as gas is counted; sizes are far below 2^32, so products with prices fit.
pub(crate) fn count(size: usize) -> Gas {
    u64::try_from(size)
        .unwrap_or(u64::MAX >> 24)
        .min(u64::MAX >> 24)
}
