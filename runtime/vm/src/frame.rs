//! Run the host functions of one call: every engine ends up here.

use kumiki_protocol::{Address, Amount, Gas, Hash, Height, ResultCode};

/// The call has ended (reverted, out of gas, trapped): return from native code, or unwind out of it, at once.
/// The frame knows how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// One running call. Its methods are the host functions of `kumiki_abi::host_functions!`, with slices for
/// pointers; each charges gas, and each can end the call.
#[derive(Debug)]
pub struct Frame {
    gas: i64,
}

#[expect(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "skeleton; documented with the bodies"
)]
#[expect(unused_variables, clippy::unused_self, reason = "skeleton")]
impl Frame {
    /// Copies at most `out.len()` bytes of the input; returns its full length.
    pub fn input(&mut self, out: &mut [u8]) -> Result<i32, Ended> {
        Err(Ended)
    }
    pub fn ret(&mut self, data: &[u8]) -> Result<(), Ended> {
        Err(Ended)
    }
    pub fn revert(&mut self, data: &[u8]) -> Ended {
        Ended
    }
    pub fn panic_message(&mut self, message: &[u8]) -> Result<(), Ended> {
        Err(Ended)
    }
    pub fn storage_get(&mut self, key: &[u8], out: &mut [u8]) -> Result<i32, Ended> {
        Err(Ended)
    }
    pub fn storage_set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Ended> {
        Err(Ended)
    }
    pub fn storage_remove(&mut self, key: &[u8]) -> Result<(), Ended> {
        Err(Ended)
    }
    pub fn storage_has(&mut self, key: &[u8]) -> Result<bool, Ended> {
        Err(Ended)
    }
    pub fn storage_scan(
        &mut self,
        prefix: &[u8],
        start: &[u8],
        limit: u32,
        flags: i32,
        out: &mut [u8],
    ) -> Result<i32, Ended> {
        Err(Ended)
    }
    pub fn caller(&mut self) -> Result<Address, Ended> {
        Err(Ended)
    }
    pub fn self_address(&mut self) -> Result<Address, Ended> {
        Err(Ended)
    }
    pub fn value(&mut self) -> Result<Amount, Ended> {
        Err(Ended)
    }
    pub fn balance(&mut self, address: &Address) -> Result<Amount, Ended> {
        Err(Ended)
    }
    pub fn height(&mut self) -> Result<Height, Ended> {
        Err(Ended)
    }
    pub fn block_time_ms(&mut self) -> Result<u64, Ended> {
        Err(Ended)
    }
    pub fn chain_id(&mut self, out: &mut [u8]) -> Result<i32, Ended> {
        Err(Ended)
    }
    pub fn gas_left(&mut self) -> Result<Gas, Ended> {
        Err(Ended)
    }
    pub fn transfer(&mut self, to: &Address, amount: Amount) -> Result<ResultCode, Ended> {
        Err(Ended)
    }
    pub fn call(
        &mut self,
        contract: &Address,
        input: &[u8],
        value: Amount,
        gas: Gas,
        flags: i32,
    ) -> Result<ResultCode, Ended> {
        Err(Ended)
    }
    pub fn deploy(
        &mut self,
        code: &Hash,
        salt: &[u8; 32],
        input: &[u8],
        value: Amount,
    ) -> Result<(ResultCode, Address), Ended> {
        Err(Ended)
    }
    pub fn upgrade(&mut self, code: &Hash, input: &[u8]) -> Result<ResultCode, Ended> {
        Err(Ended)
    }
    pub fn return_data(&mut self, out: &mut [u8]) -> Result<i32, Ended> {
        Err(Ended)
    }
    pub fn emit_event(&mut self, topics: &[Hash], data: &[u8]) -> Result<(), Ended> {
        Err(Ended)
    }
    pub fn sha3_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        Err(Ended)
    }
    pub fn keccak_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        Err(Ended)
    }
    pub fn sha2_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        Err(Ended)
    }
    pub fn blake2b_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        Err(Ended)
    }
    pub fn ed25519_verify(
        &mut self,
        key: &[u8; 32],
        signature: &[u8; 64],
        bytes: &[u8],
    ) -> Result<bool, Ended> {
        Err(Ended)
    }
    pub fn secp256k1_recover(
        &mut self,
        hash: &[u8; 32],
        signature: &[u8; 65],
    ) -> Result<Option<[u8; 64]>, Ended> {
        Err(Ended)
    }
    /// Whether the call has ended; every further method returns [`Ended`].
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.gas < 0
    }
    /// Ends the call as the SDK's panic handler does in Wasm: the message goes to diagnostics, the call reverts
    /// with [`kumiki_abi::SdkError::Panic`]. Does nothing if the call has ended already, which is how code that
    /// unwinds out of [`Ended`] is told from code that panicked.
    pub fn panicked(&mut self, payload: &(dyn std::any::Any + Send)) {}
}
