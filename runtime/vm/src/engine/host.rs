//! Take pointers and lengths apart for [`Frame`]: one function for each row of the host function table.
//!
//! Pointers and lengths are unsigned. Every range is checked against the memory before anything is charged or
//! done; one that is not wholly inside ends the call as a trap.

use kumiki_protocol::limits::{EVENT_TOPICS_MAX, STORAGE_KEY_BYTES_MAX};
use kumiki_protocol::{Address, Amount, Hash, ResultCode};

use crate::frame::{Ended, Frame};

type Result<T> = std::result::Result<T, Ended>;

fn range(frame: &mut Frame, memory: &[u8], ptr: i32, len: usize) -> Result<std::ops::Range<usize>> {
    let start = ptr.cast_unsigned() as usize;
    match start.checked_add(len) {
        Some(end) if end <= memory.len() => Ok(start..end),
        Some(_) | None => Err(frame.end_with(ResultCode::Trap)),
    }
}

fn read<'m>(frame: &mut Frame, memory: &'m [u8], ptr: i32, len: i32) -> Result<&'m [u8]> {
    let range = range(frame, memory, ptr, len.cast_unsigned() as usize)?;
    memory.get(range).ok_or(Ended)
}

fn read_array<const N: usize>(frame: &mut Frame, memory: &[u8], ptr: i32) -> Result<[u8; N]> {
    let range = range(frame, memory, ptr, N)?;
    memory
        .get(range)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Ended)
}

fn writable<'m>(
    frame: &mut Frame,
    memory: &'m mut [u8],
    ptr: i32,
    len: i32,
) -> Result<&'m mut [u8]> {
    let range = range(frame, memory, ptr, len.cast_unsigned() as usize)?;
    memory.get_mut(range).ok_or(Ended)
}

fn write(frame: &mut Frame, memory: &mut [u8], ptr: i32, bytes: &[u8]) -> Result<()> {
    let range = range(frame, memory, ptr, bytes.len())?;
    memory.get_mut(range).ok_or(Ended)?.copy_from_slice(bytes);
    Ok(())
}

/// A key copied out, so that the memory is free for the answer. Longer ones are cut to one byte too many,
/// which the frame refuses.
struct Key {
    bytes: [u8; STORAGE_KEY_BYTES_MAX + 1],
    len: usize,
}

impl Key {
    fn read(frame: &mut Frame, memory: &[u8], ptr: i32, len: i32) -> Result<Self> {
        let source = read(frame, memory, ptr, len)?;
        let mut bytes = [0; STORAGE_KEY_BYTES_MAX + 1];
        let len = source.len().min(bytes.len());
        if let (Some(target), Some(source)) = (bytes.get_mut(..len), source.get(..len)) {
            target.copy_from_slice(source);
        }
        Ok(Self { bytes, len })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

pub(super) fn input(frame: &mut Frame, memory: &mut [u8], ptr: i32, len: i32) -> Result<i32> {
    let out = writable(frame, memory, ptr, len)?;
    frame.input(out)
}

pub(super) fn ret(frame: &mut Frame, memory: &mut [u8], ptr: i32, len: i32) -> Result<()> {
    let data = read(frame, memory, ptr, len)?;
    frame.ret(data)
}

pub(super) fn revert(frame: &mut Frame, memory: &mut [u8], ptr: i32, len: i32) -> Result<()> {
    let data = read(frame, memory, ptr, len)?;
    Err(frame.revert(data))
}

pub(super) fn panic_message(
    frame: &mut Frame,
    memory: &mut [u8],
    ptr: i32,
    len: i32,
) -> Result<()> {
    let message = read(frame, memory, ptr, len)?;
    frame.panic_message(message)
}

pub(super) fn storage_get(
    frame: &mut Frame,
    memory: &mut [u8],
    key_ptr: i32,
    key_len: i32,
    out_ptr: i32,
    out_len: i32,
) -> Result<i32> {
    let key = Key::read(frame, memory, key_ptr, key_len)?;
    let out = writable(frame, memory, out_ptr, out_len)?;
    frame.storage_get(key.as_slice(), out)
}

pub(super) fn storage_set(
    frame: &mut Frame,
    memory: &mut [u8],
    key_ptr: i32,
    key_len: i32,
    value_ptr: i32,
    value_len: i32,
) -> Result<()> {
    let key = read(frame, memory, key_ptr, key_len)?;
    let value = read(frame, memory, value_ptr, value_len)?;
    frame.storage_set(key, value)
}

pub(super) fn storage_remove(
    frame: &mut Frame,
    memory: &mut [u8],
    ptr: i32,
    len: i32,
) -> Result<()> {
    let key = read(frame, memory, ptr, len)?;
    frame.storage_remove(key)
}

pub(super) fn storage_has(frame: &mut Frame, memory: &mut [u8], ptr: i32, len: i32) -> Result<i32> {
    let key = read(frame, memory, ptr, len)?;
    frame.storage_has(key).map(i32::from)
}

#[expect(clippy::too_many_arguments, reason = "the table has this many")]
pub(super) fn storage_scan(
    frame: &mut Frame,
    memory: &mut [u8],
    prefix_ptr: i32,
    prefix_len: i32,
    start_ptr: i32,
    start_len: i32,
    limit: i32,
    flags: i32,
    out_ptr: i32,
    out_len: i32,
) -> Result<i32> {
    let prefix = Key::read(frame, memory, prefix_ptr, prefix_len)?;
    let start = Key::read(frame, memory, start_ptr, start_len)?;
    let out = writable(frame, memory, out_ptr, out_len)?;
    let limit = limit.cast_unsigned();
    frame.storage_scan(prefix.as_slice(), start.as_slice(), limit, flags, out)
}

pub(super) fn caller(frame: &mut Frame, memory: &mut [u8], out: i32) -> Result<()> {
    let address = frame.caller()?;
    write(frame, memory, out, &address.0)
}

pub(super) fn self_address(frame: &mut Frame, memory: &mut [u8], out: i32) -> Result<()> {
    let address = frame.self_address()?;
    write(frame, memory, out, &address.0)
}

pub(super) fn value(frame: &mut Frame, memory: &mut [u8], out: i32) -> Result<()> {
    let value = frame.value()?;
    write(frame, memory, out, &value.to_le_bytes())
}

pub(super) fn balance(frame: &mut Frame, memory: &mut [u8], address: i32, out: i32) -> Result<()> {
    let address = Address(read_array(frame, memory, address)?);
    let balance = frame.balance(&address)?;
    write(frame, memory, out, &balance.to_le_bytes())
}

pub(super) fn height(frame: &mut Frame, _memory: &mut [u8]) -> Result<i64> {
    frame.height().map(u64::cast_signed)
}

pub(super) fn block_time_ms(frame: &mut Frame, _memory: &mut [u8]) -> Result<i64> {
    frame.block_time_ms().map(u64::cast_signed)
}

pub(super) fn chain_id(frame: &mut Frame, memory: &mut [u8], ptr: i32, len: i32) -> Result<i32> {
    let out = writable(frame, memory, ptr, len)?;
    frame.chain_id(out)
}

pub(super) fn gas_left(frame: &mut Frame, _memory: &mut [u8]) -> Result<i64> {
    frame.gas_left().map(u64::cast_signed)
}

pub(super) fn transfer(frame: &mut Frame, memory: &mut [u8], to: i32, amount: i32) -> Result<i32> {
    let to = Address(read_array(frame, memory, to)?);
    let amount = Amount::from_le_bytes(read_array(frame, memory, amount)?);
    frame.transfer(&to, amount).map(ResultCode::as_i32)
}

#[expect(clippy::too_many_arguments, reason = "the table has this many")]
pub(super) fn call(
    frame: &mut Frame,
    memory: &mut [u8],
    contract: i32,
    input_ptr: i32,
    input_len: i32,
    value: i32,
    gas: i64,
    flags: i32,
) -> Result<i32> {
    let contract = Address(read_array(frame, memory, contract)?);
    let value = Amount::from_le_bytes(read_array(frame, memory, value)?);
    let input = read(frame, memory, input_ptr, input_len)?;
    frame
        .call(&contract, input, value, gas.cast_unsigned(), flags)
        .map(ResultCode::as_i32)
}

#[expect(clippy::too_many_arguments, reason = "the table has this many")]
pub(super) fn deploy(
    frame: &mut Frame,
    memory: &mut [u8],
    code_hash: i32,
    salt: i32,
    input_ptr: i32,
    input_len: i32,
    value: i32,
    out_address: i32,
) -> Result<i32> {
    let code = Hash(read_array(frame, memory, code_hash)?);
    let salt = read_array(frame, memory, salt)?;
    let value = Amount::from_le_bytes(read_array(frame, memory, value)?);
    range(frame, memory, out_address, 32)?;
    let input = read(frame, memory, input_ptr, input_len)?;
    let (code, address) = frame.deploy(&code, &salt, input, value)?;
    write(frame, memory, out_address, &address.0)?;
    Ok(code.as_i32())
}

pub(super) fn upgrade(
    frame: &mut Frame,
    memory: &mut [u8],
    code_hash: i32,
    input_ptr: i32,
    input_len: i32,
) -> Result<i32> {
    let code = Hash(read_array(frame, memory, code_hash)?);
    let input = read(frame, memory, input_ptr, input_len)?;
    frame.upgrade(&code, input).map(ResultCode::as_i32)
}

pub(super) fn return_data(frame: &mut Frame, memory: &mut [u8], ptr: i32, len: i32) -> Result<i32> {
    let out = writable(frame, memory, ptr, len)?;
    frame.return_data(out)
}

pub(super) fn emit_event(
    frame: &mut Frame,
    memory: &mut [u8],
    topics_ptr: i32,
    topics_count: i32,
    data_ptr: i32,
    data_len: i32,
) -> Result<()> {
    let topics_count = topics_count.cast_unsigned() as usize;
    if topics_count > EVENT_TOPICS_MAX {
        return Err(frame.end_with(ResultCode::Limit));
    }
    let topics = range(frame, memory, topics_ptr, topics_count * 32)?;
    let topics: Vec<Hash> = memory
        .get(topics)
        .unwrap_or_default()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| Hash(*bytes))
        .collect();
    let data = read(frame, memory, data_ptr, data_len)?;
    frame.emit_event(&topics, data)
}

macro_rules! hashes {
    ($($name:ident),*) => {$(
        pub(super) fn $name(
            frame: &mut Frame,
            memory: &mut [u8],
            ptr: i32,
            len: i32,
            out: i32,
        ) -> Result<()> {
            let bytes = read(frame, memory, ptr, len)?;
            let digest = frame.$name(bytes)?;
            write(frame, memory, out, &digest)
        }
    )*};
}
hashes!(sha3_256, keccak_256, sha2_256, blake2b_256);

pub(super) fn ed25519_verify(
    frame: &mut Frame,
    memory: &mut [u8],
    key: i32,
    signature: i32,
    ptr: i32,
    len: i32,
) -> Result<i32> {
    let key = read_array(frame, memory, key)?;
    let signature = read_array(frame, memory, signature)?;
    let bytes = read(frame, memory, ptr, len)?;
    frame.ed25519_verify(&key, &signature, bytes).map(i32::from)
}

pub(super) fn secp256k1_recover(
    frame: &mut Frame,
    memory: &mut [u8],
    hash: i32,
    signature: i32,
    out: i32,
) -> Result<i32> {
    let hash = read_array(frame, memory, hash)?;
    let signature = read_array(frame, memory, signature)?;
    range(frame, memory, out, 64)?;
    match frame.secp256k1_recover(&hash, &signature)? {
        Some(key) => write(frame, memory, out, &key).map(|()| 1),
        None => Ok(0),
    }
}
