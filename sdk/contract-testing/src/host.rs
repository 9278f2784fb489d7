//! Run a contract's native Rust as code of the virtual machine: its host is the machine's own frame.

use std::marker::PhantomData;

use kumiki_contract::native::{NativeEnd, NativeHost, end_call, run};
use kumiki_contract::{Contract, EntryPoint};
use kumiki_protocol::{Address, Hash};
use kumiki_vm::{Ended, Entry, Frame, NativeCode};

use crate::property::quiet;

/// The native code of `C`.
pub(crate) struct Native<C> {
    panics: Panics,
    contract: PhantomData<fn() -> C>,
}

/// Whether Rust prints the panics of a native contract, with their lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panics {
    Printed,
    Silent,
}

impl<C: Contract> Native<C> {
    pub(crate) const fn new(panics: Panics) -> Self {
        Self {
            panics,
            contract: PhantomData,
        }
    }
}

impl<C: Contract> NativeCode for Native<C> {
    fn run(&self, entry: Entry, frame: Frame) -> Frame {
        let entry = match entry {
            Entry::Init => EntryPoint::Init,
            Entry::Call => EntryPoint::Call,
            Entry::Query => EntryPoint::Query,
            Entry::Migrate => EntryPoint::Migrate,
        };
        let mut host = FrameHost(frame);
        let mut call = || {
            run(&mut host, || {
                let input_len = kumiki_contract::native::input_len();
                C::run(entry, input_len);
            })
        };
        let end = match self.panics {
            Panics::Printed => call(),
            Panics::Silent => quiet::silently(call),
        };
        if let NativeEnd::Panicked(message) = end {
            host.0.panicked(&message);
        }
        host.0
    }
}

struct FrameHost(Frame);

/// Unwinds out of the contract when the frame says that the call has ended.
fn or_end<T>(result: Result<T, Ended>) -> T {
    result.unwrap_or_else(|Ended| end_call())
}

fn length(of: i32) -> usize {
    usize::try_from(of).unwrap_or_default()
}

impl NativeHost for FrameHost {
    fn input(&mut self, out: &mut [u8]) -> usize {
        length(or_end(self.0.input(out)))
    }

    fn ret(&mut self, data: &[u8]) {
        or_end(self.0.ret(data));
    }

    fn revert(&mut self, data: &[u8]) {
        let Ended = self.0.revert(data);
    }

    fn storage_get(&mut self, key: &[u8], out: &mut [u8]) -> Option<usize> {
        usize::try_from(or_end(self.0.storage_get(key, out))).ok()
    }

    fn storage_set(&mut self, key: &[u8], value: &[u8]) {
        or_end(self.0.storage_set(key, value));
    }

    fn storage_remove(&mut self, key: &[u8]) {
        or_end(self.0.storage_remove(key));
    }

    fn storage_has(&mut self, key: &[u8]) -> bool {
        or_end(self.0.storage_has(key))
    }

    fn storage_scan(
        &mut self,
        prefix: &[u8],
        start: &[u8],
        limit: u32,
        flags: i32,
        out: &mut [u8],
    ) -> i32 {
        or_end(self.0.storage_scan(prefix, start, limit, flags, out))
    }

    fn caller(&mut self) -> [u8; 32] {
        or_end(self.0.caller()).0
    }

    fn self_address(&mut self) -> [u8; 32] {
        or_end(self.0.self_address()).0
    }

    fn value(&mut self) -> u128 {
        or_end(self.0.value())
    }

    fn balance(&mut self, address: &[u8; 32]) -> u128 {
        or_end(self.0.balance(&Address(*address)))
    }

    fn height(&mut self) -> u64 {
        or_end(self.0.height())
    }

    fn block_time_ms(&mut self) -> u64 {
        or_end(self.0.block_time_ms())
    }

    fn chain_id(&mut self, out: &mut [u8]) -> usize {
        length(or_end(self.0.chain_id(out)))
    }

    fn gas_left(&mut self) -> u64 {
        or_end(self.0.gas_left())
    }

    fn transfer(&mut self, to: &[u8; 32], amount: u128) -> i32 {
        or_end(self.0.transfer(&Address(*to), amount)).as_i32()
    }

    fn call(
        &mut self,
        contract: &[u8; 32],
        input: &[u8],
        value: u128,
        gas: u64,
        flags: i32,
    ) -> i32 {
        or_end(self.0.call(&Address(*contract), input, value, gas, flags)).as_i32()
    }

    fn deploy(
        &mut self,
        code_hash: &[u8; 32],
        salt: &[u8; 32],
        input: &[u8],
        value: u128,
        out_address: &mut [u8; 32],
    ) -> i32 {
        let (code, address) = or_end(self.0.deploy(&Hash(*code_hash), salt, input, value));
        *out_address = address.0;
        code.as_i32()
    }

    fn upgrade(&mut self, code_hash: &[u8; 32], input: &[u8]) -> i32 {
        or_end(self.0.upgrade(&Hash(*code_hash), input)).as_i32()
    }

    fn return_data(&mut self, out: &mut [u8]) -> usize {
        length(or_end(self.0.return_data(out)))
    }

    fn emit_event(&mut self, topics: &[[u8; 32]], data: &[u8]) {
        let topics: Vec<Hash> = topics.iter().map(|topic| Hash(*topic)).collect();
        or_end(self.0.emit_event(&topics, data));
    }

    fn sha3_256(&mut self, data: &[u8]) -> [u8; 32] {
        or_end(self.0.sha3_256(data))
    }

    fn keccak_256(&mut self, data: &[u8]) -> [u8; 32] {
        or_end(self.0.keccak_256(data))
    }

    fn sha2_256(&mut self, data: &[u8]) -> [u8; 32] {
        or_end(self.0.sha2_256(data))
    }

    fn blake2b_256(&mut self, data: &[u8]) -> [u8; 32] {
        or_end(self.0.blake2b_256(data))
    }

    fn ed25519_verify(&mut self, key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        or_end(self.0.ed25519_verify(key, signature, message))
    }

    fn secp256k1_recover(&mut self, hash: &[u8; 32], signature: &[u8; 65]) -> Option<[u8; 64]> {
        or_end(self.0.secp256k1_recover(hash, signature))
    }
}
