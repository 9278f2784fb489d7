//! List every host function once; everything else is made from this table.

/// A Wasm value type at the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32-bit integer: pointers, lengths, flags, codes.
    I32,
    /// 64-bit integer: heights, times, gas.
    I64,
}

/// One host function's name and type.
#[derive(Clone, Copy, Debug)]
pub struct HostFunction {
    /// Import name, in module [`crate::IMPORT_MODULE`].
    pub name: &'static str,
    /// Parameters in order.
    pub parameters: &'static [(&'static str, ValueType)],
    /// Result, if there is one.
    pub result: Option<ValueType>,
    /// What it does.
    pub docs: &'static str,
}

/// Hands the whole table to the macro named `$callback`, as `fn name(parameter: type, …) -> type;` items with
/// doc comments. `i32` pointers and lengths are unsigned when the host reads them.
///
/// Rules for all: the host reads and writes only inside the memory ranges named; a range outside memory is a
/// trap. A function with an `out_ptr, out_len` pair writes at most `out_len` bytes and returns the full length,
/// so that the caller can retry with more room. `u128` amounts are 16 bytes, little-endian; addresses, hashes
/// and salts are 32 bytes. "Code" results are [`crate::ResultCode`] numbers.
#[macro_export]
macro_rules! host_functions {
    ($callback:ident) => {
        $callback! {
            /// Copies the call's input, at most `out_len` bytes; returns its full length.
            fn input(out_ptr: i32, out_len: i32) -> i32;
            /// Sets the data this call returns; the last one counts.
            fn ret(ptr: i32, len: i32);
            /// Ends this call at once as reverted, with data; undoes all it did.
            fn revert(ptr: i32, len: i32);
            /// Hands a panic message to diagnostics; never part of a receipt.
            fn panic_message(ptr: i32, len: i32);

            /// Copies the value under a key; returns its full length, or `NOT_FOUND`.
            fn storage_get(key_ptr: i32, key_len: i32, out_ptr: i32, out_len: i32) -> i32;
            /// Stores a value of at least one byte under a key of at least one byte.
            fn storage_set(key_ptr: i32, key_len: i32, value_ptr: i32, value_len: i32);
            /// Removes the entry under a key, if there is one.
            fn storage_remove(key_ptr: i32, key_len: i32);
            /// Returns 1 if there is an entry under a key, else 0.
            fn storage_has(key_ptr: i32, key_len: i32) -> i32;
            /// Writes entries whose keys begin with a prefix, in key order, beginning after `start` (a full key;
            /// empty: from the first, or with `SCAN_DESCENDING` from the last), at most `limit` of them and only
            /// whole ones. Each is key length (u32 LE), key, value length (u32 LE), value. Returns the bytes
            /// written, 0 when there is none left, or minus the bytes the next entry needs.
            fn storage_scan(
                prefix_ptr: i32, prefix_len: i32, start_ptr: i32, start_len: i32,
                limit: i32, flags: i32, out_ptr: i32, out_len: i32
            ) -> i32;

            /// Writes the address of the account or contract that made this call.
            fn caller(out_ptr: i32);
            /// Writes this contract's address.
            fn self_address(out_ptr: i32);
            /// Writes the native tokens sent with this call.
            fn value(out_ptr: i32);
            /// Writes the native tokens an address holds.
            fn balance(address_ptr: i32, out_ptr: i32);
            /// Returns the height of the block that this runs in.
            fn height() -> i64;
            /// Returns that block's time in milliseconds since 1970.
            fn block_time_ms() -> i64;
            /// Copies the chain id; returns its full length.
            fn chain_id(out_ptr: i32, out_len: i32) -> i32;
            /// Returns the gas left to this call.
            fn gas_left() -> i64;

            /// Sends native tokens from this contract; runs no code. Returns a code.
            fn transfer(to_ptr: i32, amount_ptr: i32) -> i32;
            /// Calls a contract with at most `gas` (0: all that may be passed on, 63/64). Returns a code; the
            /// returned or revert data is then at `return_data`. A failed call changes nothing but gas.
            fn call(
                contract_ptr: i32, input_ptr: i32, input_len: i32,
                value_ptr: i32, gas: i64, flags: i32
            ) -> i32;
            /// Makes a contract from code that the chain stores, with this contract as deployer and admin, and
            /// runs its `init`; writes its address. Returns a code.
            fn deploy(
                code_hash_ptr: i32, salt_ptr: i32, input_ptr: i32, input_len: i32,
                value_ptr: i32, out_address_ptr: i32
            ) -> i32;
            /// Switches this contract to other code that the chain stores and runs that code's `migrate`.
            /// Returns a code.
            fn upgrade(code_hash_ptr: i32, input_ptr: i32, input_len: i32) -> i32;
            /// Copies the data that the last `call`, `deploy` or `upgrade` came back with; returns its full length.
            fn return_data(out_ptr: i32, out_len: i32) -> i32;
            /// Emits an event with 0 to 4 topics of 32 bytes, one after the other.
            fn emit_event(topics_ptr: i32, topics_count: i32, data_ptr: i32, data_len: i32);

            /// Writes the SHA3-256 of bytes.
            fn sha3_256(ptr: i32, len: i32, out_ptr: i32);
            /// Writes the Keccak-256 of bytes.
            fn keccak_256(ptr: i32, len: i32, out_ptr: i32);
            /// Writes the SHA-256 of bytes.
            fn sha2_256(ptr: i32, len: i32, out_ptr: i32);
            /// Writes the BLAKE2b-256 of bytes.
            fn blake2b_256(ptr: i32, len: i32, out_ptr: i32);
            /// Returns 1 if a 64-byte ed25519 signature of bytes by a 32-byte key verifies (ZIP-215), else 0.
            fn ed25519_verify(key_ptr: i32, signature_ptr: i32, ptr: i32, len: i32) -> i32;
            /// Recovers the 64-byte public key from a 65-byte secp256k1 signature (r, s, recovery id 0 to 3) of a
            /// 32-byte hash. Returns 1 and writes the key, or returns 0.
            fn secp256k1_recover(hash_ptr: i32, signature_ptr: i32, out_ptr: i32) -> i32;
        }
    };
}

macro_rules! value_type {
    (i32) => {
        ValueType::I32
    };
    (i64) => {
        ValueType::I64
    };
}

macro_rules! result_type {
    () => {
        None
    };
    ($type:ident) => {
        Some(value_type!($type))
    };
}

macro_rules! table {
    ($($(#[doc = $docs:literal])+ fn $name:ident($($parameter:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        /// Every host function, in table order.
        pub const HOST_FUNCTIONS: &[HostFunction] = &[$(HostFunction {
            name: stringify!($name),
            parameters: &[$((stringify!($parameter), value_type!($type))),*],
            result: result_type!($($result)?),
            docs: concat!($($docs),+),
        }),*];
    };
}
host_functions!(table);
