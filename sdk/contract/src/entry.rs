//! Take a call's input apart, hand its result back: what the generated entry points are made of.

#[cfg(not(target_family = "wasm"))]
use alloc::vec::Vec;

use kumiki_abi::{REVERT_CONTRACT, REVERT_SDK, SdkError};

pub use crate::buffer::Buffer;
use crate::codec::{Decode, Encode, decode_exact};
pub use crate::event::{emit, topic};
use crate::{Env, EnvMut, Event, host};

/// The ways into a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    /// Makes the first state.
    Init,
    /// Runs a message that may change state.
    Call,
    /// Runs a message that may not.
    Query,
    /// Takes over the state of older code.
    Migrate,
}

/// What `#[contract]` implements for the struct marked `#[storage]`.
pub trait Contract: Sized + 'static {
    /// The struct's name.
    const NAME: &'static str;
    /// Name of the cargo package.
    #[cfg(not(target_family = "wasm"))]
    const PACKAGE: &'static str;
    /// Folder of the cargo package where it was compiled.
    #[cfg(not(target_family = "wasm"))]
    const MANIFEST_DIR: &'static str;
    /// The typed handle, generated too.
    type Ref: From<crate::Address>;

    /// Runs one entry point; `input_len` bytes of input wait at the host.
    #[doc(hidden)]
    fn run(entry: EntryPoint, input_len: usize);

    /// The metadata fragments, as in the Wasm's custom section, each a line of JSON.
    #[cfg(not(target_family = "wasm"))]
    fn fragments() -> Vec<&'static str>;

    /// What any message can ask of the chain.
    fn env(&self) -> Env {
        Env::of_running_call()
    }

    /// What only a message that may change state can do.
    fn env_mut(&mut self) -> EnvMut {
        EnvMut::of_running_call()
    }

    /// Emits an event.
    fn emit<E: Event>(&mut self, event: E) {
        event.emit();
    }
}

/// Reads the whole input.
#[must_use]
pub fn read_input(input_len: usize) -> Buffer {
    Buffer::filled(input_len, |room| {
        host::input(room);
    })
}

/// Splits the selector off; reverts when there is none.
#[must_use]
pub fn split_selector(input: &[u8]) -> (u32, &[u8]) {
    match input.split_first_chunk::<4>() {
        Some((selector, arguments)) => (u32::from_le_bytes(*selector), arguments),
        None => revert_sdk(SdkError::UnknownSelector),
    }
}

/// Decodes all arguments; reverts when the bytes are not exactly these.
#[must_use]
#[inline(never)]
pub fn arguments<T: Decode>(input: &[u8]) -> T {
    match decode_exact(input) {
        Some(arguments) => arguments,
        None => revert_sdk(SdkError::BadInput),
    }
}

/// Reverts when native tokens came along.
#[inline(never)]
pub fn refuse_value() {
    if host::value() != 0 {
        revert_sdk(SdkError::NotPayable);
    }
}

/// Returns a message's result.
#[inline(never)]
pub fn finish<T: Encode>(result: T) {
    let bytes = Buffer::of(&result);
    if !bytes.is_empty() {
        host::ret(&bytes);
    }
}

/// Returns a message's result or reverts with its error.
#[inline(never)]
pub fn finish_result<T: Encode, E: Encode>(result: Result<T, E>) {
    match result {
        Ok(result) => finish(result),
        Err(error) => {
            let mut data = Buffer::of(&REVERT_CONTRACT);
            error.encode_to(&mut data);
            host::revert(&data)
        }
    }
}

/// Reverts with an error of the SDK.
pub fn revert_sdk(error: SdkError) -> ! {
    host::revert(&[REVERT_SDK, error as u8])
}
