//! Define the JSON-RPC interface of a node: methods, wire types and error codes, for servers and clients alike.
//!
//! The traits in [`methods`] generate both sides. [`document`] describes the same methods as an OpenRPC
//! document. `docs/spec/rpc.md` is the prose.
//!
//! Numbers: heights, nonces, gas, times and counts are JSON numbers, because the protocol keeps them at or
//! below 2^53 - 1 (`kumiki_protocol::limits::JSON_INTEGER_MAX`). Amounts and prices are decimal strings.
//! Bytes are `0x` and lower-case hex.

mod bytes;
mod cursor;
mod decimal;
mod error;
pub mod methods;
mod openrpc;
pub mod schema;
mod wire;

pub use bytes::Bytes;
pub use cursor::{Cursor, CursorError};
pub use decimal::Decimal;
pub use error::{ApiError, ErrorCode, ErrorData, ProtocolError, Retry, invalid_params};
pub use openrpc::{MethodSpec, OPENRPC_VERSION, ParamSpec, Served, document, method_specs};
pub use wire::*;

/// Version of the methods and wire types, as `rpc_version` answers it. The first number changes when a
/// client of the one before may break.
pub const API_VERSION: &str = "1.0.0";
