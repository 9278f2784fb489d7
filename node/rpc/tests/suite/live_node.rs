//! Runs a node's parts around the server: blocks are sealed when a test says so.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use kumiki_executor::{BlockInput, Executor, Selection, Signatures, genesis_changes};
use kumiki_mempool::{BlockRoom, ChainHead, ChainRules, MempoolLimits, SharedMempool};
use kumiki_protocol::{Address, Encode, ExecutedState, Genesis, Hash, Transaction, sha3_256};
use kumiki_rpc::{Developer, RpcContext, ServerConfig, ServerHandle, serve};
use kumiki_rpc_api::{Bytes, HealthStatus, Limits};
use kumiki_state::{EmptyState, Tree};
use kumiki_storage::{BlockCommit, OpenCheck, Storage, StorageOptions, Tip};
use kumiki_testkit::{Account, Chain, Draft, account, genesis, validator};
use kumiki_vm::{EngineKind, Vm, VmConfig, gas};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, watch};

/// `call` keeps its input under "k" and emits it as an event, the first 32 bytes as topic; `query` answers what is
/// kept, and reverts with its input when that is not empty.
const CONTRACT: &str = r#"
(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "ret" (func $ret (param i32 i32)))
  (import "kumiki_v1" "revert" (func $revert (param i32 i32)))
  (import "kumiki_v1" "storage_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "kumiki_v1" "storage_set" (func $set (param i32 i32 i32 i32)))
  (import "kumiki_v1" "emit_event" (func $emit (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "k")
  (func (export "init") (param i32))
  (func (export "call") (param i32)
    (drop (call $input (i32.const 64) (i32.const 4096)))
    (call $set (i32.const 0) (i32.const 1) (i32.const 64) (local.get 0))
    (call $emit (i32.const 64) (i32.const 1) (i32.const 64) (local.get 0)))
  (func (export "query") (param i32)
    (if (local.get 0) (then
      (drop (call $input (i32.const 64) (i32.const 4096)))
      (call $revert (i32.const 64) (local.get 0))))
    (call $ret (i32.const 64) (call $get (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 4096))))
  (@custom "kumiki.abi" "{\"schema\":\"kumiki-abi/1\",\"name\":\"Echo\",\"version\":\"1.0.0\",\"sdk\":\"0.1.0\",\"init\":null,\"migrate\":null,\"entryPoints\":[],\"events\":[],\"error\":null,\"types\":[],\"storage\":[]}")
)"#;

/// A node whose parts are real and whose blocks a test seals.
pub(crate) struct LiveNode {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) server: Option<ServerHandle>,
    pub(crate) executor: Arc<Executor>,
    mempool: Arc<SharedMempool>,
    heads: watch::Sender<Tip>,
    pub(crate) status: watch::Sender<HealthStatus>,
    chain: Chain,
    admission: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl LiveNode {
    /// A node with test limits.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_limits| {}).await
    }

    /// A node whose limits `adjust` has changed.
    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Limits)) -> Self {
        Self::configured(|config| adjust(&mut config.limits)).await
    }

    /// A node whose server `adjust` has configured.
    pub(crate) async fn configured(adjust: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::of_chain(genesis(), adjust).await
    }

    /// A node of a chain with epochs of 8 blocks.
    pub(crate) async fn with_short_epochs() -> Self {
        let mut genesis = genesis();
        genesis.parameters.epoch_blocks = 8;
        Self::of_chain(genesis, |_config| {}).await
    }

    async fn of_chain(genesis: Genesis, adjust: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = StorageOptions {
            check: OpenCheck::Quick,
            cache_bytes: 8 << 20,
            undo_heights: 64,
        };
        let storage = Arc::new(Storage::open(folder.path(), options).unwrap());
        let genesis = Arc::new(genesis);
        let chain = initialise(&storage, &genesis);
        let tip = storage.tip().unwrap();
        let config = VmConfig {
            trap_offsets: true,
            ..VmConfig::new(EngineKind::Wasmtime)
        };
        let vm = Vm::new(config).unwrap();
        let executor = Arc::new(Executor::new(vm, &genesis));
        let head = ChainHead {
            height: 0,
            state: Arc::new(storage.snapshot().unwrap()),
        };
        let limits = MempoolLimits::STANDARD;
        let mempool = Arc::new(SharedMempool::new(limits, rules(&genesis), head));
        let admitting = Arc::clone(&mempool);
        let admission = std::thread::spawn(move || admitting.run_admission());
        let (heads, heads_seen) = watch::channel(tip);
        let (status, status_seen) = watch::channel(HealthStatus::Ready);
        // Its methods are there, and nobody carries them out.
        let (orders, _nobody) = mpsc::channel(1);
        let context = RpcContext {
            storage: Arc::clone(&storage),
            executor: Arc::clone(&executor),
            mempool: Arc::clone(&mempool),
            genesis: Arc::clone(&genesis),
            heads: heads_seen,
            key: validator(0).public_key(),
            network: None,
            status: status_seen,
            developer: Some(Developer {
                orders,
                key: Box::new(validator(0)),
                sending: Mutex::new(()),
            }),
            metrics: Registry::default(),
        };
        let mut config = ServerConfig::loopback(0);
        config.limits.wait_ms = 20_000;
        config.debug = true;
        adjust(&mut config);
        let server = serve(context, config).await.unwrap();
        Self {
            genesis,
            storage,
            server: Some(server),
            executor,
            mempool,
            heads,
            status,
            chain,
            admission: Some(admission),
            _folder: folder,
        }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    pub(crate) fn http(&self) -> HttpClient {
        let url = format!("http://{}", self.address());
        HttpClientBuilder::default().build(url).unwrap()
    }

    pub(crate) async fn ws(&self) -> WsClient {
        let url = format!("ws://{}", self.address());
        WsClientBuilder::default().build(url).await.unwrap()
    }

    /// A transaction from test account `number`.
    pub(crate) fn draft(&self, number: u8, nonce: u64) -> Draft {
        Draft::new(&self.genesis, &account(number), nonce)
    }

    /// Puts `transactions` into the next block and commits it.
    pub(crate) fn seal(&mut self, transactions: Vec<Transaction>) {
        self.seal_block(transactions, true);
    }

    /// The same, without a certificate: a later block decides this one.
    pub(crate) fn seal_uncertified(&mut self, transactions: Vec<Transaction>) {
        self.seal_block(transactions, false);
    }

    fn seal_block(&mut self, transactions: Vec<Transaction>, certified: bool) {
        let tip = self.storage.tip().unwrap();
        let input = BlockInput {
            height: tip.height + 1,
            time_ms: tip.time_ms + 1_000,
            proposer: self.genesis.validators[0],
        };
        let base = Arc::new(self.storage.snapshot().unwrap());
        let executed = self
            .executor
            .execute_block(
                base,
                &input,
                transactions,
                Selection::KeepRejected,
                Signatures::Verify,
            )
            .unwrap();
        let prepared = self.storage.prepare(&executed.changes).unwrap();
        let result = ExecutedState {
            height: input.height,
            state_root: prepared.state_root,
            state_entries: prepared.state_entries,
            receipts_root: executed.receipts_root,
            next_validators_hash: self.genesis.validator_set().unwrap().hash(),
        };
        let (block, certificate) = self.chain.append(executed.transactions, result);
        self.storage
            .commit(BlockCommit {
                block: &block,
                certificate: certified.then_some(&certificate),
                receipts: &executed.receipts,
                prepared,
            })
            .unwrap();
        let head = ChainHead {
            height: input.height,
            state: Arc::new(self.storage.snapshot().unwrap()),
        };
        // As the executor thread does: first the head.
        self.heads.send_replace(self.storage.tip().unwrap());
        self.mempool.advance(head, &block.transactions).unwrap();
    }

    /// Takes every block above `height` back, as the executor thread does.
    pub(crate) fn rewind(&mut self, height: u64) {
        let tip = self.storage.rewind(height).unwrap();
        self.chain
            .rewind(self.storage.header(height).unwrap().unwrap());
        self.mempool.rewind(ChainHead {
            height,
            state: Arc::new(self.storage.snapshot().unwrap()),
        });
        self.heads.send_replace(tip);
    }

    /// Seals what waits in the pool, once `count` transactions wait.
    pub(crate) async fn seal_waiting(&mut self, count: usize) {
        while self.mempool.size().count < count {
            self.mempool.candidate_waits().await;
            tokio::task::yield_now().await;
        }
        let waiting = self.mempool.candidates(&BlockRoom::UNLIMITED);
        let transactions = waiting
            .iter()
            .map(|one| Transaction::clone(&one.transaction));
        self.seal(transactions.collect());
    }

    /// Deploys the test contract from account 0, nonce 0, in block 1.
    pub(crate) fn deploy(&mut self) -> Address {
        let deploy = self
            .draft(0, 0)
            .gas_limit(900_000_000)
            .deploy(&code(), &[])
            .sign();
        self.seal(vec![deploy]);
        contract_address(&account(0))
    }

    /// Sends `bytes` and answers all that comes back until the server closes or is silent after a whole answer.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address()).await.unwrap();
        // A server that has seen enough may close before it has read everything.
        drop(socket.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Posts `body` with more header lines, each ended by a line break, and answers status and body.
    pub(crate) async fn post(&self, headers: &str, body: &str) -> (u16, String) {
        let content = if headers.to_ascii_lowercase().contains("content-type") {
            ""
        } else {
            "content-type: application/json\r\n"
        };
        let host = if headers.to_ascii_lowercase().contains("host:") {
            String::new()
        } else {
            format!("host: {}\r\n", self.address())
        };
        let request = format!(
            "POST / HTTP/1.1\r\n{host}{content}connection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        let answer = self.raw(request.as_bytes()).await;
        split(&answer)
    }

    /// Returns once the metrics have this line.
    pub(crate) async fn until_metrics_show(&self, line: &str) {
        let shown = async {
            while !self.get("/metrics").await.1.contains(line) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), shown).await;
        waited.unwrap_or_else(|_elapsed| panic!("the metrics never show {line}"));
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let host = self.address();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        split(&self.raw(request.as_bytes()).await)
    }
}

impl Drop for LiveNode {
    fn drop(&mut self) {
        self.mempool.close();
        if let Some(admission) = self.admission.take() {
            drop(admission.join());
        }
    }
}

pub(crate) fn code() -> Vec<u8> {
    wat::parse_str(CONTRACT).unwrap()
}

/// A contract with at least so many bytes.
pub(crate) fn code_of_bytes(count: usize) -> Vec<u8> {
    let padding = "x".repeat(count);
    let padded = CONTRACT.replace(
        "(data (i32.const 0) \"k\")",
        &format!("(data (i32.const 0) \"k{padding}\")"),
    );
    wat::parse_str(padded).unwrap()
}

pub(crate) fn contract_address(deployer: &Account) -> Address {
    Address::of_contract(&deployer.address, &[0; 32], &sha3_256(&[&code()]))
}

pub(crate) fn encoded(transaction: &Transaction) -> Bytes {
    Bytes(transaction.encode())
}

/// Status and body of an HTTP answer; status 0 when there is none.
fn split(answer: &str) -> (u16, String) {
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn initialise(storage: &Storage, genesis: &Genesis) -> Chain {
    let changes = genesis_changes(genesis);
    let tree = Tree::empty().update(&changes, &EmptyState).unwrap();
    let executed = ExecutedState {
        height: 0,
        state_root: tree.root(),
        state_entries: tree.entries(),
        receipts_root: Hash::ZERO,
        next_validators_hash: genesis.validator_set().unwrap().hash(),
    };
    let (chain, block) = Chain::new(genesis, vec![validator(0)], executed);
    storage.initialise(genesis, &changes, &block).unwrap();
    chain
}

fn rules(genesis: &Genesis) -> ChainRules {
    let parameters = &genesis.parameters;
    ChainRules {
        genesis_hash: genesis.hash(),
        kind: genesis.kind,
        gas_price_min: parameters.gas_price_min,
        block_gas_max: parameters.block_gas_max,
        block_bytes_max: usize::try_from(parameters.block_bytes_max).unwrap(),
        transaction_gas: gas::TRANSACTION_BASE + gas::SIGNATURE,
        transaction_gas_per_byte: gas::TRANSACTION_PER_BYTE,
    }
}
