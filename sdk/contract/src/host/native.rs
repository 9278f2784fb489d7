//! Run contract code natively: each call has a [`NativeHost`] for as long as it runs.
//!
//! `kumiki-contract-testing` implements the host over the real executor; contract authors do not meet this.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

macro_rules! native_host {
    ($($(#[$docs:meta])* fn $name:ident($($parameter:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// What a native contract call may ask of its host: the host functions, with slices for addresses.
        ///
        /// A method that must end the call (out of gas, a broken rule) records why and calls [`end_call`].
        pub trait NativeHost {
            $($(#[$docs])* fn $name(&mut self $(, $parameter: $type)*) $(-> $result)?;)*
            /// Records that the call ends as reverted with `data`; the caller ends it.
            fn revert(&mut self, data: &[u8]);
        }

        /// The host functions, as the other modules use them.
        pub(crate) mod calls {
            use super::{current, end_call};
            $(pub(crate) fn $name($($parameter: $type),*) $(-> $result)? {
                current(|host| host.$name($($parameter),*))
            })*
            pub(crate) fn revert(data: &[u8]) -> ! {
                current(|host| host.revert(data));
                end_call()
            }
        }
    };
}

native_host! {
    /// Copies the call's input as far as `out` holds it; returns its full length.
    fn input(out: &mut [u8]) -> usize;
    /// Sets the data this call returns.
    fn ret(data: &[u8]);
    /// Copies the value under a key as far as `out` holds it; returns its full length, if there is one.
    fn storage_get(key: &[u8], out: &mut [u8]) -> Option<usize>;
    /// Stores a value under a key.
    fn storage_set(key: &[u8], value: &[u8]);
    /// Removes the entry under a key.
    fn storage_remove(key: &[u8]);
    /// Whether there is an entry under a key.
    fn storage_has(key: &[u8]) -> bool;
    /// Writes entries as the host function of this name does, and returns what it returns.
    fn storage_scan(prefix: &[u8], start: &[u8], limit: u32, flags: i32, out: &mut [u8]) -> i32;
    /// Who made this call.
    fn caller() -> [u8; 32];
    /// This contract.
    fn self_address() -> [u8; 32];
    /// Native tokens sent with this call.
    fn value() -> u128;
    /// Native tokens an address holds.
    fn balance(address: &[u8; 32]) -> u128;
    /// Height of the block.
    fn height() -> u64;
    /// Time of the block in milliseconds since 1970.
    fn block_time_ms() -> u64;
    /// Copies the chain id; returns its full length.
    fn chain_id(out: &mut [u8]) -> usize;
    /// Gas left to this call.
    fn gas_left() -> u64;
    /// Sends native tokens; returns a code.
    fn transfer(to: &[u8; 32], amount: u128) -> i32;
    /// Calls a contract; returns a code.
    fn call(contract: &[u8; 32], input: &[u8], value: u128, gas: u64, flags: i32) -> i32;
    /// Makes a contract from stored code; returns a code.
    fn deploy(code_hash: &[u8; 32], salt: &[u8; 32], input: &[u8], value: u128, out_address: &mut [u8; 32]) -> i32;
    /// Switches this contract to other stored code; returns a code.
    fn upgrade(code_hash: &[u8; 32], input: &[u8]) -> i32;
    /// Copies what the last call, deploy or upgrade came back with; returns its full length.
    fn return_data(out: &mut [u8]) -> usize;
    /// Emits an event.
    fn emit_event(topics: &[[u8; 32]], data: &[u8]);
    /// SHA3-256.
    fn sha3_256(data: &[u8]) -> [u8; 32];
    /// Keccak-256.
    fn keccak_256(data: &[u8]) -> [u8; 32];
    /// SHA-256.
    fn sha2_256(data: &[u8]) -> [u8; 32];
    /// BLAKE2b-256.
    fn blake2b_256(data: &[u8]) -> [u8; 32];
    /// Whether an ed25519 signature verifies.
    fn ed25519_verify(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool;
    /// The key that made a secp256k1 signature, if there is one.
    fn secp256k1_recover(hash: &[u8; 32], signature: &[u8; 65]) -> Option<[u8; 64]>;
}

/// How native contract code came back.
#[derive(Debug)]
pub enum NativeEnd {
    /// It returned.
    Returned,
    /// The host ended it and knows why.
    Ended,
    /// It panicked; the message of the panic.
    Panicked(String),
}

/// Payload of the unwinding that ends a call.
struct CallEnded;

thread_local! {
    static HOSTS: RefCell<Vec<*mut dyn NativeHost>> = const { RefCell::new(Vec::new()) };
}

/// Ends the native call that runs on this thread, back to its [`run`].
pub fn end_call() -> ! {
    resume_unwind(Box::new(CallEnded))
}

/// Runs `code` with `host` as its host.
pub fn run(host: &mut dyn NativeHost, code: impl FnOnce()) -> NativeEnd {
    let pointer: *mut (dyn NativeHost + '_) = host;
    #[expect(
        unsafe_code,
        reason = "a thread-local cannot name the lifetime of the host; the guard below ends before it"
    )]
    // SAFETY: only the lifetime changes. The pointer leaves `HOSTS` when `_scope` is dropped, also by unwinding,
    // which is before the borrow of `host` ends.
    let pointer: *mut (dyn NativeHost + 'static) = unsafe { std::mem::transmute(pointer) };
    HOSTS.with_borrow_mut(|hosts| hosts.push(pointer));
    let _scope = Scope;
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(()) => NativeEnd::Returned,
        Err(payload) if payload.is::<CallEnded>() => NativeEnd::Ended,
        Err(payload) => NativeEnd::Panicked(panic_text(&*payload)),
    }
}

/// Bytes of input that the native call on this thread was given.
#[must_use]
pub fn input_len() -> usize {
    calls::input(&mut [])
}

struct Scope;

impl Drop for Scope {
    fn drop(&mut self) {
        HOSTS.with_borrow_mut(Vec::pop);
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned())
}

/// Hands the innermost call's host to `ask`.
fn current<R>(ask: impl FnOnce(&mut dyn NativeHost) -> R) -> R {
    let host = HOSTS.with_borrow(|hosts| hosts.last().copied());
    let host = host.expect("contract code runs inside a test chain, which gives it a host");
    #[expect(unsafe_code, reason = "see `run`")]
    // SAFETY: the pointer is in `HOSTS`, so its `run` has not ended. The exclusive reference is alone: `ask` is one
    // host method, and contract code that such a method runs pushes its own host and reaches only that.
    ask(unsafe { &mut *host })
}
