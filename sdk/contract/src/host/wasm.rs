//! Call the host functions that the Wasm imports.
#![expect(
    unsafe_code,
    reason = "the host boundary of the guest: foreign functions that take addresses and lengths"
)]
#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "wasm32: addresses and lengths are 32 bits, and the host reads them unsigned"
)]

use core::mem::MaybeUninit;

macro_rules! imports {
    ($($(#[$docs:meta])* fn $name:ident($($parameter:ident: $type:ident),* $(,)?) $(-> $result:ident)?;)*) => {
        mod import {
            #[link(wasm_import_module = "kumiki_v1")]
            unsafe extern "C" {
                $($(#[$docs])* pub(super) fn $name($($parameter: $type),*) $(-> $result)?;)*
            }
        }
    };
}
kumiki_abi::host_functions!(imports);

// SAFETY, for every call below: each address and length comes from one live slice or array, which the host only
// reads (shared) or writes within its length (exclusive).

fn at(bytes: &[u8]) -> i32 {
    bytes.as_ptr() as usize as i32
}

fn at_mut(bytes: &mut [u8]) -> i32 {
    bytes.as_mut_ptr() as usize as i32
}

fn len(bytes: &[u8]) -> i32 {
    bytes.len() as i32
}

/// An array that `write` fills whole, given its address.
fn filled<const N: usize>(write: impl FnOnce(i32)) -> [u8; N] {
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    write(bytes.as_mut_ptr() as usize as i32);
    // SAFETY: the host has written all N bytes, or has ended the call.
    unsafe { bytes.assume_init() }
}

pub(crate) fn input(out: &mut [u8]) -> usize {
    // SAFETY: see above.
    (unsafe { import::input(at_mut(out), len(out)) }) as usize
}

pub(crate) fn ret(data: &[u8]) {
    // SAFETY: see above.
    unsafe { import::ret(at(data), len(data)) }
}

pub(crate) fn revert(data: &[u8]) -> ! {
    // SAFETY: see above.
    unsafe { import::revert(at(data), len(data)) };
    core::arch::wasm32::unreachable()
}

pub(crate) fn panic_message(message: &[u8]) {
    // SAFETY: see above.
    unsafe { import::panic_message(at(message), len(message)) }
}

pub(crate) fn storage_get(key: &[u8], out: &mut [u8]) -> Option<usize> {
    // SAFETY: see above.
    let length = unsafe { import::storage_get(at(key), len(key), at_mut(out), len(out)) };
    (length >= 0).then_some(length as usize)
}

pub(crate) fn storage_set(key: &[u8], value: &[u8]) {
    // SAFETY: see above.
    unsafe { import::storage_set(at(key), len(key), at(value), len(value)) }
}

pub(crate) fn storage_remove(key: &[u8]) {
    // SAFETY: see above.
    unsafe { import::storage_remove(at(key), len(key)) }
}

pub(crate) fn storage_has(key: &[u8]) -> bool {
    // SAFETY: see above.
    (unsafe { import::storage_has(at(key), len(key)) }) == 1
}

pub(crate) fn storage_scan(
    prefix: &[u8],
    start: &[u8],
    limit: u32,
    flags: i32,
    out: &mut [u8],
) -> i32 {
    let (start_at, start_len) = (at(start), len(start));
    let (out_at, out_len) = (at_mut(out), len(out));
    let (prefix_at, prefix_len) = (at(prefix), len(prefix));
    // SAFETY: see above.
    unsafe {
        import::storage_scan(
            prefix_at,
            prefix_len,
            start_at,
            start_len,
            limit as i32,
            flags,
            out_at,
            out_len,
        )
    }
}

pub(crate) fn caller() -> [u8; 32] {
    // SAFETY: see above.
    filled(|out| unsafe { import::caller(out) })
}

pub(crate) fn self_address() -> [u8; 32] {
    // SAFETY: see above.
    filled(|out| unsafe { import::self_address(out) })
}

pub(crate) fn value() -> u128 {
    // SAFETY: see above.
    u128::from_le_bytes(filled(|out| unsafe { import::value(out) }))
}

pub(crate) fn balance(address: &[u8; 32]) -> u128 {
    // SAFETY: see above.
    u128::from_le_bytes(filled(|out| unsafe { import::balance(at(address), out) }))
}

pub(crate) fn height() -> u64 {
    // SAFETY: takes no address.
    (unsafe { import::height() }) as u64
}

pub(crate) fn block_time_ms() -> u64 {
    // SAFETY: takes no address.
    (unsafe { import::block_time_ms() }) as u64
}

pub(crate) fn chain_id(out: &mut [u8]) -> usize {
    // SAFETY: see above.
    (unsafe { import::chain_id(at_mut(out), len(out)) }) as usize
}

pub(crate) fn gas_left() -> u64 {
    // SAFETY: takes no address.
    (unsafe { import::gas_left() }) as u64
}

pub(crate) fn transfer(to: &[u8; 32], amount: u128) -> i32 {
    // SAFETY: see above.
    unsafe { import::transfer(at(to), at(&amount.to_le_bytes())) }
}

pub(crate) fn call(contract: &[u8; 32], input: &[u8], value: u128, gas: u64, flags: i32) -> i32 {
    let value = value.to_le_bytes();
    // SAFETY: see above.
    unsafe {
        import::call(
            at(contract),
            at(input),
            len(input),
            at(&value),
            gas as i64,
            flags,
        )
    }
}

pub(crate) fn deploy(
    code_hash: &[u8; 32],
    salt: &[u8; 32],
    input: &[u8],
    value: u128,
    out_address: &mut [u8; 32],
) -> i32 {
    let value = value.to_le_bytes();
    // SAFETY: see above.
    unsafe {
        import::deploy(
            at(code_hash),
            at(salt),
            at(input),
            len(input),
            at(&value),
            at_mut(out_address),
        )
    }
}

pub(crate) fn upgrade(code_hash: &[u8; 32], input: &[u8]) -> i32 {
    // SAFETY: see above.
    unsafe { import::upgrade(at(code_hash), at(input), len(input)) }
}

pub(crate) fn return_data(out: &mut [u8]) -> usize {
    // SAFETY: see above.
    (unsafe { import::return_data(at_mut(out), len(out)) }) as usize
}

pub(crate) fn emit_event(topics: &[[u8; 32]], data: &[u8]) {
    let topics_at = topics.as_ptr() as usize as i32;
    // SAFETY: see above.
    unsafe { import::emit_event(topics_at, topics.len() as i32, at(data), len(data)) }
}

pub(crate) fn sha3_256(data: &[u8]) -> [u8; 32] {
    // SAFETY: see above.
    filled(|out| unsafe { import::sha3_256(at(data), len(data), out) })
}

pub(crate) fn keccak_256(data: &[u8]) -> [u8; 32] {
    // SAFETY: see above.
    filled(|out| unsafe { import::keccak_256(at(data), len(data), out) })
}

pub(crate) fn sha2_256(data: &[u8]) -> [u8; 32] {
    // SAFETY: see above.
    filled(|out| unsafe { import::sha2_256(at(data), len(data), out) })
}

pub(crate) fn blake2b_256(data: &[u8]) -> [u8; 32] {
    // SAFETY: see above.
    filled(|out| unsafe { import::blake2b_256(at(data), len(data), out) })
}

pub(crate) fn ed25519_verify(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    // SAFETY: see above.
    (unsafe { import::ed25519_verify(at(key), at(signature), at(message), len(message)) }) == 1
}

pub(crate) fn secp256k1_recover(hash: &[u8; 32], signature: &[u8; 65]) -> Option<[u8; 64]> {
    let mut key = [0; 64];
    // SAFETY: see above.
    let found = unsafe { import::secp256k1_recover(at(hash), at(signature), at_mut(&mut key)) };
    (found == 1).then_some(key)
}
