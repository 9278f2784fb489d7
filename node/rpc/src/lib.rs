//! Serve JSON-RPC, health, metrics and the OpenRPC document on one port.
//!
//! The methods are those of `kumiki-rpc-api`; this crate answers them from storage, executor and mempool. It
//! owns its accept loop, so that every connection is counted and timed before a byte of it is parsed. What a
//! caller sends is hostile: bounded first, answered with an error, never a panic. `docs/spec/rpc.md` is the
//! prose.

mod blocking;
mod calls;
mod config;
mod connections;
mod context;
mod gate;
mod memory;
mod methods;
mod metrics;
mod places;
mod server;
mod text;
mod timed_io;

pub use config::{ConfigError, ServerConfig, default_limits};
pub use context::{Developer, NetworkView, RpcContext};
pub use server::{ServeError, ServerHandle, serve};
