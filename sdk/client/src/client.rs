//! Connect to a node, agree on version and chain, and ask it.

use std::time::Duration;

use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use kumiki_protocol::{
    Address, Amount, ChainKind, Encode as _, Gas, Hash, Height, TransactionBody, TransactionHash,
};
use kumiki_rpc_api::methods::{
    AccountApiClient as _, ChainApiClient as _, ContractApiClient as _, DebugApiClient as _,
    DevApiClient as _, EventsApiClient as _, FeeApiClient as _, NodeApiClient as _,
    RpcApiClient as _, SimulationApiClient as _, StateApiClient as _, TransactionApiClient as _,
};
use kumiki_rpc_api::{
    API_VERSION, AccountView, BlockView, Bytes, CallSimulation, ChainInfo, ContractCode,
    ContractView, Cursor, Decimal, EpochEndView, EventFilter, EventPage, FeePrice, FinalityView,
    GenesisView, HeadView, Health, ImpersonatedAction, NextNonce, NodeStatus, NodeVersion,
    PeerView, SignedHeader, StateEntry, StatePage, StateProof, TraceView, TransactionReceipt,
    TransactionStatus, TransactionsIn,
};

use crate::ClientError;
use crate::abi::Abi;

const REQUEST_BYTES_MAX: u32 = 4 << 20;
const RESPONSE_BYTES_MAX: u32 = 32 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Above the longest that a node waits for a receipt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// A connection to a node of a chain that is known by its genesis hash.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) http: HttpClient,
    pub(crate) url: String,
    genesis_hash: Hash,
    kind: ChainKind,
    chain_id: String,
}

impl Client {
    /// Connects to the node at `url` (`http://…`) and checks that it speaks our version and, if `expected` is given,
    /// that it serves the chain with this genesis hash.
    ///
    /// # Errors
    /// `Unreachable`, `IncompatibleApi`, `WrongChain`, `Protocol`.
    pub async fn connect(url: &str, expected: Option<Hash>) -> Result<Self, ClientError> {
        let http = HttpClientBuilder::default()
            .max_request_size(REQUEST_BYTES_MAX)
            .max_response_size(RESPONSE_BYTES_MAX)
            .connect_timeout(CONNECT_TIMEOUT)
            .request_timeout(REQUEST_TIMEOUT)
            .build(url)
            .map_err(|error| ClientError::from_rpc(url, error))?;
        let version = http
            .api_version()
            .await
            .map_err(|error| ClientError::from_rpc(url, error))?;
        if major(&version.api) != major(API_VERSION) {
            return Err(ClientError::IncompatibleApi {
                url: url.to_owned(),
                found: version.api,
                expected: API_VERSION,
            });
        }
        let info = http
            .chain_info()
            .await
            .map_err(|error| ClientError::from_rpc(url, error))?;
        let client = Self {
            http,
            url: url.to_owned(),
            genesis_hash: expected.unwrap_or(info.genesis_hash),
            kind: info.kind,
            chain_id: info.chain_id.clone(),
        };
        client.check_genesis(&info)?;
        Ok(client)
    }

    /// Asks whether the node still serves the chain that we connected to.
    pub(crate) async fn check_chain(&self) -> Result<(), ClientError> {
        self.check_genesis(&self.info().await?)
    }

    /// Whether `info` is of the chain that we connected to.
    pub(crate) fn check_genesis(&self, info: &ChainInfo) -> Result<(), ClientError> {
        if info.genesis_hash == self.genesis_hash {
            return Ok(());
        }
        Err(ClientError::WrongChain {
            url: self.url.clone(),
            expected: self.genesis_hash,
            found: info.genesis_hash,
        })
    }

    /// The node's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The chain.
    #[must_use]
    pub const fn genesis_hash(&self) -> Hash {
        self.genesis_hash
    }

    /// What the chain is for.
    #[must_use]
    pub const fn kind(&self) -> ChainKind {
        self.kind
    }

    /// The chain's name for people.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    pub(crate) fn failed(&self, error: jsonrpsee::core::ClientError) -> ClientError {
        ClientError::from_rpc(&self.url, error)
    }

    /// Runs a view of `contract` with `input` (selector and arguments), at the head or after height `at`.
    ///
    /// # Errors
    /// `Api` with code 3001 and revert data when the contract refuses.
    pub async fn view(
        &self,
        contract: Address,
        input: Vec<u8>,
        caller: Option<Address>,
        gas: Option<Gas>,
        at: Option<Height>,
    ) -> Result<CallSimulation, ClientError> {
        self.http
            .simulate_call(contract, Bytes(input), caller, gas, at)
            .await
            .map_err(|error| self.failed(error))
    }

    /// What a contract says of itself.
    ///
    /// # Errors
    /// `Api`: there is no such contract, or its code has no metadata.
    pub async fn abi(&self, contract: Address) -> Result<Abi, ClientError> {
        let answer = self
            .http
            .contract_abi(contract, None)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(Abi::new(answer.abi))
    }
}

macro_rules! questions {
    ($($(#[doc = $docs:literal])+ $name:ident($($argument:ident: $type:ty),*) -> $answer:ty = $method:ident($($given:expr),*);)*) => {
        impl Client {
            $(
                $(#[doc = $docs])+
                ///
                /// # Errors
                /// `Api`, `Unreachable`, `Protocol`.
                pub async fn $name(&self, $($argument: $type),*) -> Result<$answer, ClientError> {
                    self.http.$method($($given),*).await.map_err(|error| self.failed(error))
                }
            )*
        }
    };
}

questions! {
    /// What chain this is and how far it has come.
    info() -> ChainInfo = chain_info();
    /// A block by height or hash, the head by default, with its transactions.
    block(height: Option<Height>, hash: Option<Hash>) -> BlockView
        = block(height, hash, Some(TransactionsIn::Full));
    /// A header and its certificate, if it has its own, by height; the head by default.
    header(height: Option<Height>) -> SignedHeader = header(height, None);
    /// Why a block is final, not yet checked; see [`Client::proven_header`].
    finality(height: Height) -> FinalityView = finality(height);
    /// The step from an epoch to the next, not yet checked; see [`Client::validators_of`].
    epoch_end(epoch: u64) -> EpochEndView = epoch_end(epoch);
    /// The genesis, not yet checked; see [`Client::genesis`].
    genesis_view() -> GenesisView = genesis();
    /// Balance and nonce, at the head or after height `at`.
    account(address: Address, at: Option<Height>) -> AccountView = account(address, at);
    /// The nonce for the next transaction, those that wait in the node counted.
    next_nonce(address: Address) -> NextNonce = next_nonce(address);
    /// Code hash, admin and balance of a contract.
    contract(address: Address) -> ContractView = contract(address, None);
    /// The Wasm of a contract.
    code(address: Address) -> ContractCode = contract_code(Some(address), None, None);
    /// The fate of a transaction; certain once the head is past `valid_until`.
    transaction(hash: TransactionHash, valid_until: Option<Height>) -> TransactionStatus
        = transaction(hash, valid_until, None);
    /// What a final transaction came to.
    receipt(hash: TransactionHash) -> TransactionReceipt = receipt(hash, None);
    /// What is under a key of the state, or of a contract's own storage.
    state(key: Vec<u8>, contract: Option<Address>) -> StateEntry = state_entry(Bytes(key), contract, None);
    /// What is under keys with a prefix, by rising key, at most `limit` entries.
    state_page(prefix: Vec<u8>, contract: Option<Address>, limit: Option<u32>) -> StatePage
        = state_prefix(Bytes(prefix), contract, None, limit, None);
    /// A proof, not yet checked; see [`Client::proven_state`].
    state_proof(key: Vec<u8>, contract: Option<Address>, at: Option<Height>) -> StateProof
        = state_proof(Bytes(key), contract, at);
    /// A page of events from height `from` on, or after a cursor.
    events(filter: EventFilter, from: Option<Height>, after: Option<Cursor>, limit: Option<u32>) -> EventPage
        = query_events(Some(filter), from, None, after, limit);
    /// What gas costs.
    fee_price() -> FeePrice = fee_price();
    /// Makes blocks at once on a chain for development; the first take what waits.
    mine(blocks: u32) -> HeadView = mine(Some(blocks));
    /// Moves the time of a chain for development on by milliseconds, and makes a block that shows it.
    warp_by(ms: u64) -> HeadView = warp(Some(ms), None);
    /// Moves the time of a chain for development to a moment, in milliseconds since 1970.
    warp_to(ms: u64) -> HeadView = warp(None, Some(ms));
    /// The head, as a moment of a chain for development to go back to.
    snapshot() -> HeadView = snapshot();
    /// Takes every block of a chain for development after this one back.
    revert(hash: Hash) -> HeadView = revert(hash);
    /// Takes the newest blocks of a chain for development that have transactions back, with all after them.
    undo(blocks: u32) -> HeadView = undo(Some(blocks));
    /// Takes all blocks of a chain for development but genesis back.
    reset() -> HeadView = reset();
    /// Sets what an account or a contract of a chain for development holds.
    set_balance(account: Address, balance: Amount) -> TransactionReceipt
        = set_balance(account, Decimal(balance));
    /// Has an account or a contract of a chain for development take steps that it did not sign; the node pays.
    impersonate(account: Address, actions: Vec<ImpersonatedAction>) -> TransactionReceipt
        = impersonate(account, actions);
    /// What the calls of a final transaction did; only nodes that serve developers tell.
    trace_transaction(hash: TransactionHash) -> TraceView = trace_transaction(hash);
    /// What the calls of an unsigned transaction would do; only nodes that serve developers tell.
    trace_call(body: &TransactionBody) -> TraceView = trace_call(Bytes(body.encode()));
    /// Whether the node serves.
    health() -> Health = health();
    /// What the node runs.
    node_version() -> NodeVersion = node_version();
    /// The node's place in the chain's network.
    node_status() -> NodeStatus = node_status();
    /// The peers that the node is connected to.
    node_peers() -> Vec<PeerView> = node_peers();
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}
