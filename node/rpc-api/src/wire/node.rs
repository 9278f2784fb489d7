//! Show the node itself: health, version and limits.

use kumiki_protocol::{Gas, Height, PublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Decimal;
use crate::schema::PublicKeyText;

/// Version of the RPC methods and types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiVersion {
    /// The first number changes when a client of the one before may break.
    pub api: String,
    /// Version of OpenRPC that `rpc.discover` answers in.
    pub openrpc: String,
}

/// What the node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeVersion {
    /// Name of the software.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of the protocol's byte formats.
    pub protocol_version: u32,
}

/// Whether the node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// It is coming up, or has not caught up with its peers.
    Starting,
    /// It executes blocks as they are decided, and takes transactions.
    Ready,
    /// It is shutting down.
    Stopping,
    /// It has stopped executing because of a fault of its own; what it answers is as of `height`.
    Failed,
}

/// How the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether it serves.
    pub status: HealthStatus,
    /// Height of its head.
    pub height: Height,
    /// Agreed time of its head, in milliseconds since 1970.
    pub head_time_ms: u64,
    /// Transactions that wait at it.
    pub pending_transactions: u64,
}

/// What part a node has in ordering the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NodeRole {
    /// It seals the chain alone.
    Solo,
    /// It has a seat in the epoch of the next block.
    Validator,
    /// It follows, executes and serves.
    FullNode,
}

/// A node and its place in the chain's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its public key; validators are listed by it.
    #[schemars(with = "PublicKeyText")]
    pub key: PublicKey,
    /// The same as libp2p writes it; absent where the chain has no network.
    pub peer_id: Option<String>,
    /// Its part in the epoch of the next block.
    pub role: NodeRole,
    /// Where peers reach it.
    pub listen_addresses: Vec<String>,
    /// Epoch of the next block.
    pub epoch: u64,
    /// Validators of that epoch.
    pub validators: u32,
    /// Validators that it is connected to, itself not counted.
    pub connected_validators: u32,
    /// Peers that it is connected to.
    pub peers: u32,
    /// Height of its head.
    pub height: Height,
}

/// A peer that the node is connected to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    /// Its public key.
    #[schemars(with = "PublicKeyText")]
    pub key: PublicKey,
    /// The same as libp2p writes it.
    pub peer_id: String,
    /// The other ends of the connections.
    pub addresses: Vec<String>,
    /// Whether it opened the connection.
    pub inbound: bool,
    /// Whether it has a seat in the epoch of the next block.
    pub validator: bool,
    /// From 0, fine, down to -100, where it is banned.
    pub score: f64,
    /// What it calls itself.
    pub agent: String,
    /// Milliseconds to it and back, once measured.
    pub rtt_ms: Option<f64>,
    /// Bytes it sent.
    pub bytes_received: Decimal,
    /// Bytes sent to it.
    pub bytes_sent: Decimal,
}

/// What this node allows. Over a limit means an error, never a shorter answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of a request.
    pub request_bytes: u32,
    /// Bytes of an answer.
    pub response_bytes: u32,
    /// Calls in a batch.
    pub batch_calls: u32,
    /// Nesting of parameters.
    pub parameter_depth: u32,
    /// Connections in total.
    pub connections: u32,
    /// Connections from one IP address.
    pub connections_per_ip: u32,
    /// Subscriptions of a connection.
    pub subscriptions_per_connection: u32,
    /// Calls of a WebSocket connection that wait for their answers at once; a batch counts as 16.
    pub calls_per_connection: u32,
    /// Bytes of one encoded transaction.
    pub transaction_bytes: u32,
    /// Entries in a page of state.
    pub state_page_entries: u32,
    /// Bytes of keys and values in a page of state, the last entry not counted.
    pub state_page_bytes: u32,
    /// Events in a page.
    pub event_page_events: u32,
    /// Gas of one simulation.
    pub simulation_gas: Gas,
    /// Simulations at once.
    pub simulations: u32,
    /// Requests of `tx_submitAndWait` at once.
    pub waiters: u32,
    /// Of these, from one IP address.
    pub waiters_per_ip: u32,
    /// The longest `timeoutMs` of `tx_submitAndWait`; also what holds when none is given.
    pub wait_ms: u64,
    /// Milliseconds to send the head of a request.
    pub header_timeout_ms: u64,
    /// Milliseconds to send the body of a request.
    pub request_timeout_ms: u64,
    /// Milliseconds between pings of a WebSocket connection; one that answers none is closed.
    pub ping_interval_ms: u64,
    /// Milliseconds a subscription waits for its reader before it is closed. A connection that has waited four
    /// times as long while its reader took less than 32 KiB a second is cut.
    pub slow_reader_ms: u64,
}
