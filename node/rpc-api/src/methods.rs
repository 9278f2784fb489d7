//! Declare the methods, by namespace. Servers implement `…Server`; clients use `…Client` on any jsonrpsee client.
//!
//! Parameters are named; by position is accepted as well. An optional `at` is the height after which a read
//! holds, by default the head.

use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;
use kumiki_protocol::{Address, Gas, Hash, Height, TransactionHash};
use serde_json::value::RawValue;

use crate::wire::{
    AccountView, ApiVersion, BlockView, CallSimulation, ChainInfo, ContractAbi, ContractCode,
    ContractView, EpochEndView, EventFilter, EventPage, EventView, FeePrice, FinalityView,
    GenesisView, HeadView, HeaderView, Health, ImpersonatedAction, Limits, NextNonce, NodeStatus,
    NodeVersion, PeerView, SignedHeader, StateEntry, StatePage, StateProof, Submitted, TraceView,
    TransactionReceipt, TransactionSimulation, TransactionStatus, TransactionsIn,
};
use crate::{Bytes, Cursor, Decimal};

/// About the interface itself.
#[rpc(server, client)]
pub trait RpcApi {
    /// The OpenRPC document of this node.
    #[method(name = "rpc.discover")]
    fn discover(&self) -> RpcResult<Box<RawValue>>;

    /// Version of the methods and types.
    #[method(name = "rpc_version")]
    fn api_version(&self) -> RpcResult<ApiVersion>;

    /// What this node allows.
    #[method(name = "rpc_limits")]
    fn limits(&self) -> RpcResult<Limits>;
}

/// About chain and blocks.
#[rpc(server, client, namespace = "chain", namespace_separator = "_")]
pub trait ChainApi {
    /// What chain this is and how far it has come.
    #[method(name = "getInfo")]
    fn chain_info(&self) -> RpcResult<ChainInfo>;

    /// A block, by height or hash; the head by default.
    #[method(name = "getBlock", param_kind = map)]
    fn block(
        &self,
        height: Option<Height>,
        hash: Option<Hash>,
        transactions: Option<TransactionsIn>,
    ) -> RpcResult<BlockView>;

    /// A header and its certificate, if it has its own, by height or hash; the head by default.
    #[method(name = "getHeader", param_kind = map)]
    fn header(&self, height: Option<Height>, hash: Option<Hash>) -> RpcResult<SignedHeader>;

    /// Why the block at a height is final: its header, those after it up to the first that has a certificate, and
    /// that certificate.
    #[method(name = "getFinality", param_kind = map)]
    fn finality(&self, height: Height) -> RpcResult<FinalityView>;

    /// The step from an epoch to the next: its last header, the certificate, and the validators that come then.
    #[method(name = "getEpochEnd", param_kind = map)]
    fn epoch_end(&self, epoch: u64) -> RpcResult<EpochEndView>;

    /// The genesis, for who knows its hash.
    #[method(name = "getGenesis")]
    fn genesis(&self) -> RpcResult<GenesisView>;

    /// Every header from now on, or from the height `from` on, in order and without gaps.
    #[subscription(name = "subscribeHeads", unsubscribe = "unsubscribeHeads", item = HeaderView, param_kind = map, with_extensions)]
    async fn subscribe_heads(&self, from: Option<Height>) -> SubscriptionResult;
}

/// About accounts.
#[rpc(server, client, namespace = "account", namespace_separator = "_")]
pub trait AccountApi {
    /// Balance and nonce.
    #[method(name = "get", param_kind = map)]
    fn account(&self, address: Address, at: Option<Height>) -> RpcResult<AccountView>;

    /// The nonce to sign the next transaction with.
    #[method(name = "nextNonce", param_kind = map)]
    fn next_nonce(&self, address: Address) -> RpcResult<NextNonce>;
}

/// About transactions.
#[rpc(server, client, namespace = "tx", namespace_separator = "_")]
pub trait TransactionApi {
    /// Hands in a signed transaction. Sending again is harmless.
    #[method(name = "submit", param_kind = map)]
    async fn submit(&self, transaction: Bytes) -> RpcResult<Submitted>;

    /// Hands in a signed transaction and answers when it is executed and on disk.
    #[method(name = "submitAndWait", param_kind = map, with_extensions)]
    async fn submit_and_wait(
        &self,
        transaction: Bytes,
        #[argument(rename = "timeoutMs")] timeout_ms: Option<u64>,
    ) -> RpcResult<TransactionReceipt>;

    /// The fate of a transaction. With the transaction's `validUntil` the answer is certain once the head is
    /// past it: final or expired.
    #[method(name = "get", param_kind = map)]
    fn transaction(
        &self,
        hash: TransactionHash,
        #[argument(rename = "validUntil")] valid_until: Option<Height>,
        encoded: Option<bool>,
    ) -> RpcResult<TransactionStatus>;

    /// What a final transaction came to, with a proof when asked for.
    #[method(name = "getReceipt", param_kind = map)]
    fn receipt(&self, hash: TransactionHash, proof: Option<bool>) -> RpcResult<TransactionReceipt>;
}

/// Executions that leave no trace.
#[rpc(server, client, namespace = "sim", namespace_separator = "_")]
pub trait SimulationApi {
    /// Runs a view of a contract.
    #[method(name = "call", param_kind = map)]
    async fn simulate_call(
        &self,
        contract: Address,
        input: Bytes,
        caller: Option<Address>,
        gas: Option<Gas>,
        at: Option<Height>,
    ) -> RpcResult<CallSimulation>;

    /// Runs an unsigned transaction (the SCALE encoding of a `TransactionBody`) on top of the head.
    #[method(name = "tx", param_kind = map)]
    async fn simulate_transaction(&self, body: Bytes) -> RpcResult<TransactionSimulation>;
}

/// About contracts.
#[rpc(server, client, namespace = "contract", namespace_separator = "_")]
pub trait ContractApi {
    /// Code hash, admin and balance.
    #[method(name = "get", param_kind = map)]
    fn contract(&self, address: Address, at: Option<Height>) -> RpcResult<ContractView>;

    /// What the contract's code says of itself.
    #[method(name = "getAbi", param_kind = map)]
    fn contract_abi(&self, address: Address, at: Option<Height>) -> RpcResult<ContractAbi>;

    /// The Wasm of a contract, or the one with a code hash.
    #[method(name = "getCode", param_kind = map)]
    fn contract_code(
        &self,
        address: Option<Address>,
        #[argument(rename = "codeHash")] code_hash: Option<Hash>,
        at: Option<Height>,
    ) -> RpcResult<ContractCode>;
}

/// About the state, entry by entry. With `contract`, keys are those of the contract's own storage.
#[rpc(server, client, namespace = "state", namespace_separator = "_")]
pub trait StateApi {
    /// What is under a key.
    #[method(name = "get", param_kind = map)]
    fn state_entry(
        &self,
        key: Bytes,
        contract: Option<Address>,
        at: Option<Height>,
    ) -> RpcResult<StateEntry>;

    /// A page of what is under keys with a prefix.
    #[method(name = "getPrefix", param_kind = map)]
    fn state_prefix(
        &self,
        prefix: Bytes,
        contract: Option<Address>,
        after: Option<Bytes>,
        limit: Option<u32>,
        at: Option<Height>,
    ) -> RpcResult<StatePage>;

    /// A proof of what is under a key, or that nothing is. The default for `at` is the last height that a
    /// decided header commits to.
    #[method(name = "getProof", param_kind = map)]
    fn state_proof(
        &self,
        key: Bytes,
        contract: Option<Address>,
        at: Option<Height>,
    ) -> RpcResult<StateProof>;
}

/// About events.
#[rpc(server, client, namespace = "events", namespace_separator = "_")]
pub trait EventsApi {
    /// A page of events of the heights `from` to `to`, both included, that come after the cursor `after`.
    #[method(name = "query", param_kind = map)]
    fn query_events(
        &self,
        filter: Option<EventFilter>,
        from: Option<Height>,
        to: Option<Height>,
        after: Option<Cursor>,
        limit: Option<u32>,
    ) -> RpcResult<EventPage>;

    /// Events from now on, or from the height `from` on, or after the cursor `after`: the past first, then live,
    /// without gap or duplicate.
    #[subscription(name = "subscribe", unsubscribe = "unsubscribe", item = EventView, param_kind = map, with_extensions)]
    async fn subscribe_events(
        &self,
        filter: Option<EventFilter>,
        from: Option<Height>,
        after: Option<Cursor>,
    ) -> SubscriptionResult;
}

/// About fees.
#[rpc(server, client, namespace = "fee", namespace_separator = "_")]
pub trait FeeApi {
    /// What gas costs.
    #[method(name = "getPrice")]
    fn fee_price(&self) -> RpcResult<FeePrice>;
}

/// For developers: only where genesis says that the chain is one for development, and one node makes all its blocks.
#[rpc(server, client, namespace = "dev", namespace_separator = "_")]
pub trait DevApi {
    /// Makes blocks at once, one by default; the first take what waits.
    #[method(name = "mine", param_kind = map)]
    async fn mine(&self, blocks: Option<u32>) -> RpcResult<HeadView>;

    /// Moves the chain's time on, by so much or to a moment, and makes a block that shows it.
    #[method(name = "warp", param_kind = map)]
    async fn warp(
        &self,
        #[argument(rename = "byMs")] by_ms: Option<u64>,
        #[argument(rename = "toMs")] to_ms: Option<u64>,
    ) -> RpcResult<HeadView>;

    /// A moment to go back to with `dev_revert`, by its hash.
    #[method(name = "snapshot")]
    fn snapshot(&self) -> RpcResult<HeadView>;

    /// Takes every block after this one back, and what waits. The time goes on from that block, or from the clock.
    #[method(name = "revert", param_kind = map)]
    async fn revert(&self, hash: Hash) -> RpcResult<HeadView>;

    /// Takes the newest blocks that have transactions back, one by default, with all blocks after them.
    #[method(name = "undo", param_kind = map)]
    async fn undo(&self, blocks: Option<u32>) -> RpcResult<HeadView>;

    /// Takes all blocks but genesis back.
    #[method(name = "reset")]
    async fn reset(&self) -> RpcResult<HeadView>;

    /// Sets what an account or a contract holds, in a transaction of the node.
    #[method(name = "setBalance", param_kind = map)]
    async fn set_balance(
        &self,
        account: Address,
        balance: Decimal,
    ) -> RpcResult<TransactionReceipt>;

    /// Has an account or a contract take steps that it did not sign, in a transaction of the node, which pays.
    #[method(name = "impersonate", param_kind = map)]
    async fn impersonate(
        &self,
        account: Address,
        actions: Vec<ImpersonatedAction>,
    ) -> RpcResult<TransactionReceipt>;
}

/// For developers: only where the node is told to serve them.
#[rpc(server, client, namespace = "debug", namespace_separator = "_")]
pub trait DebugApi {
    /// Executes the block of a final transaction again, up to it, and tells what its calls did.
    #[method(name = "traceTx", param_kind = map)]
    async fn trace_transaction(&self, hash: TransactionHash) -> RpcResult<TraceView>;

    /// Runs an unsigned transaction (the SCALE encoding of a `TransactionBody`) on top of the head, and tells what
    /// its calls do.
    #[method(name = "traceCall", param_kind = map)]
    async fn trace_call(&self, body: Bytes) -> RpcResult<TraceView>;
}

/// About the node.
#[rpc(server, client, namespace = "node", namespace_separator = "_")]
pub trait NodeApi {
    /// Whether the node serves.
    #[method(name = "getHealth")]
    fn health(&self) -> RpcResult<Health>;

    /// What the node runs.
    #[method(name = "getVersion")]
    fn node_version(&self) -> RpcResult<NodeVersion>;

    /// The node's place in the chain's network.
    #[method(name = "getStatus")]
    fn node_status(&self) -> RpcResult<NodeStatus>;

    /// The peers that the node is connected to.
    #[method(name = "getPeers")]
    fn node_peers(&self) -> RpcResult<Vec<PeerView>>;
}
