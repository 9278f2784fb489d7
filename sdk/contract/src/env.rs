//! Ask the chain about the running call, and act on the chain.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

use kumiki_abi::ResultCode;

use crate::call::{failed_call, raw_answer};
use crate::codec::{Decode, utf8};
use crate::{Address, Balance, CallError, Contract, Deploy, Hash, RawCallError, Upgrade, host};

/// What any message can ask. Only code that runs in a contract gets one.
#[derive(Clone, Copy, Debug)]
pub struct Env(());

/// What only a message that may change state can do; also all of [`Env`].
#[derive(Debug)]
pub struct EnvMut(Env);

impl Deref for EnvMut {
    type Target = Env;

    fn deref(&self) -> &Env {
        &self.0
    }
}

impl Env {
    pub(crate) const fn of_running_call() -> Self {
        Self(())
    }

    /// The account or contract that made this call.
    #[must_use]
    pub fn caller(self) -> Address {
        Address(host::caller())
    }

    /// This contract.
    #[must_use]
    pub fn self_address(self) -> Address {
        Address(host::self_address())
    }

    /// Native tokens that came with this call, in base units; zero unless the message is `#[payable]`.
    #[must_use]
    pub fn value(self) -> Balance {
        host::value()
    }

    /// Native tokens that an address holds, in base units.
    #[must_use]
    pub fn balance(self, address: Address) -> Balance {
        host::balance(&address.0)
    }

    /// Height of the block that this runs in.
    #[must_use]
    pub fn height(self) -> u64 {
        host::height()
    }

    /// Time of that block, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        host::block_time_ms()
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(self) -> String {
        let mut bytes = vec![0; 32];
        let length = host::chain_id(&mut bytes);
        bytes.truncate(length);
        utf8::text(bytes).unwrap_or_default()
    }

    /// Gas left to this call.
    #[must_use]
    pub fn gas_left(self) -> u64 {
        host::gas_left()
    }

    /// SHA3-256 of bytes.
    #[must_use]
    pub fn sha3_256(self, data: &[u8]) -> Hash {
        Hash(host::sha3_256(data))
    }

    /// Keccak-256 of bytes, as Ethereum uses it.
    #[must_use]
    pub fn keccak_256(self, data: &[u8]) -> Hash {
        Hash(host::keccak_256(data))
    }

    /// SHA-256 of bytes.
    #[must_use]
    pub fn sha2_256(self, data: &[u8]) -> Hash {
        Hash(host::sha2_256(data))
    }

    /// BLAKE2b-256 of bytes.
    #[must_use]
    pub fn blake2b_256(self, data: &[u8]) -> Hash {
        Hash(host::blake2b_256(data))
    }

    /// Whether `signature` is `key`'s ed25519 signature of `message` (ZIP-215).
    #[must_use]
    pub fn ed25519_verify(self, key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        host::ed25519_verify(key, signature, message)
    }

    /// The secp256k1 public key (x, y) that signed `hash`; `signature` is r, s and a recovery id of 0 to 3.
    #[must_use]
    pub fn secp256k1_recover(self, hash: &Hash, signature: &[u8; 65]) -> Option<[u8; 64]> {
        host::secp256k1_recover(&hash.0, signature)
    }
}

impl EnvMut {
    pub(crate) const fn of_running_call() -> Self {
        Self(Env(()))
    }

    /// Sends native tokens from this contract; no code runs at `to`.
    ///
    /// # Errors
    /// The chain's reason, above all [`ResultCode::InsufficientBalance`].
    pub fn transfer(&mut self, to: Address, amount: Balance) -> Result<(), ResultCode> {
        match ResultCode::from_i32(host::transfer(&to.0, amount)) {
            Some(ResultCode::Ok) => Ok(()),
            Some(code) => Err(code),
            None => Err(ResultCode::Trap),
        }
    }

    /// Calls a contract with bytes that somebody else made and this one need not understand: a selector and SCALE
    /// arguments, as [`crate::Call::input`] gives them. The callee cannot call back into contracts that wait for it.
    /// What it returned is handed back as it is.
    ///
    /// # Errors
    /// Why it failed; the callee changed nothing then.
    pub fn call_raw(
        &mut self,
        contract: Address,
        input: &[u8],
        value: Balance,
    ) -> Result<Vec<u8>, RawCallError> {
        raw_answer(host::call(&contract.0, input, value, 0, 0))
    }

    /// Makes a contract from code that the chain stores, with this contract as its deployer and admin.
    ///
    /// # Errors
    /// What the new contract's `init` refused with, or why it could not run.
    pub fn deploy<C: Contract, E: Decode>(
        &mut self,
        code_hash: Hash,
        salt: [u8; 32],
        init: &Deploy<C, E>,
    ) -> Result<C::Ref, CallError<E>> {
        let mut address = [0; 32];
        let code = host::deploy(
            &code_hash.0,
            &salt,
            init.input(),
            init.value(),
            &mut address,
        );
        match ResultCode::from_i32(code) {
            Some(ResultCode::Ok) => Ok(C::Ref::from(Address(address))),
            code => Err(failed_call(code)),
        }
    }

    /// Switches this contract to other code that the chain stores, that of `C`, and runs its `migrate`. This call
    /// goes on in the old code.
    ///
    /// # Errors
    /// What `migrate` refused with, or why it could not run.
    pub fn upgrade<C: Contract, E: Decode>(
        &mut self,
        code_hash: Hash,
        migrate: &Upgrade<C, E>,
    ) -> Result<(), CallError<E>> {
        match ResultCode::from_i32(host::upgrade(&code_hash.0, migrate.input())) {
            Some(ResultCode::Ok) => Ok(()),
            code => Err(failed_call(code)),
        }
    }
}
