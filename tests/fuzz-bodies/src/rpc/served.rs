//! Run a node in this process, with a contract on its chain, and be its honest caller.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kumiki_hostile_contracts::wat;
use kumiki_node::{Node, NodeConfig, NodeHandle, dev_genesis};
use kumiki_protocol::{Address, Encode as _, Genesis, Hash, sha3_256, state_key};
use kumiki_state::StateReader as _;
use kumiki_storage::Storage;
use kumiki_testkit::{Draft, GENESIS_TIME_MS, account};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::http::Http;

/// Accounts that requests act for.
pub(super) const ACCOUNTS: u8 = 5;
/// The account of the honest caller, which no request names.
const HONEST: u8 = 9;
/// What a call may wait for: an input takes its time from all others.
const WAIT_MS: u64 = 100;
const SIMULATION_GAS: u64 = 20_000_000;
/// More than a block takes; a node that takes longer hangs.
const BLOCK_MAX: Duration = Duration::from_secs(60);

/// A node and what its callers know of it.
pub(super) struct Served {
    runtime: Runtime,
    node: NodeHandle,
    folder: PathBuf,
    pub(super) genesis: Genesis,
    pub(super) http: Http,
    /// Requests that were sent.
    pub(super) requests: u64,
    /// A contract that stores, tells and fails, deployed by the honest caller.
    pub(super) contract: Address,
    /// The last honest transaction.
    pub(super) transaction: Hash,
}

impl Served {
    pub(super) fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("kumiki-fuzz-node")
            .tempdir();
        let folder = folder.expect("a folder for a node").keep();
        let accounts: Vec<Address> = (0..=HONEST).map(|number| account(number).address).collect();
        let genesis = dev_genesis(&accounts, 1 << 80, GENESIS_TIME_MS);
        let mut config = NodeConfig::dev(folder.clone(), genesis.clone(), 0);
        config.rpc.limits.wait_ms = WAIT_MS;
        config.rpc.limits.simulation_gas = SIMULATION_GAS;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads for a node");
        let node = runtime.block_on(Node::start(config));
        let node = node.expect("a node that starts");
        let mut served = Self {
            http: Http::to(node.rpc_address()),
            runtime,
            node,
            folder,
            genesis,
            requests: 0,
            contract: contract(),
            transaction: Hash::ZERO,
        };
        served.hold_honest_transaction();
        served
    }

    pub(super) fn stop(self) {
        let stopped = self.runtime.block_on(self.node.stop());
        stopped.expect("a node that had not failed");
        drop(self.runtime);
        std::fs::remove_dir_all(self.folder).expect("a folder that was made here");
    }

    /// The result of an honest call.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (status, answer) = self.http.post(request.to_string().as_bytes());
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let result = answer.get("result");
        assert!(result.is_some(), "{method} got {answer}");
        result.cloned().unwrap_or_default()
    }

    /// Hash of the newest block.
    pub(super) fn head(&self) -> Hash {
        self.node.heads().borrow().block_hash
    }

    pub(super) fn height(&self) -> u64 {
        self.node.heads().borrow().height
    }

    pub(super) fn next_nonce(&self, address: &Address) -> u64 {
        let nonce = self.node.mempool().next_nonce(address);
        nonce.expect("a state that is read")
    }

    /// Of the honest caller's contract.
    pub(super) fn code_hash(&self) -> Hash {
        sha3_256(&[&code()])
    }

    pub(super) fn hold_honest_call(&mut self) {
        let info = self.call("chain_getInfo", &json!({}));
        let genesis = self.genesis.hash().to_string();
        assert_eq!(
            info.get("genesisHash"),
            Some(&Value::from(genesis)),
            "{info}"
        );
    }

    /// Has a transaction executed: a call of the contract, or its deployment where a request has taken the chain back to
    /// where there was none.
    pub(super) fn hold_honest_transaction(&mut self) {
        let sender = account(HONEST);
        let found = self.call("account_nextNonce", &json!({"address": sender.address}));
        let nonce = found.get("nonce").and_then(Value::as_u64);
        let info = self.call("chain_getInfo", &json!({}));
        let height = info.pointer("/head/height").and_then(Value::as_u64);
        let (Some(nonce), Some(height)) = (nonce, height) else {
            unreachable!("{found} and {info}");
        };
        let storage = Arc::clone(self.node.storage());
        let state = storage.snapshot().expect("a state");
        let record = state.get(&state_key::contract(&self.contract));
        let draft = Draft::new(&self.genesis, &sender, nonce)
            .gas_limit(50_000_000)
            .valid_until(height + 1_000);
        let transaction = match record.expect("a state that is read") {
            Some(_there) => draft.call(&self.contract, &[1, 2, 3]).sign(),
            None => draft.deploy(&code(), &[]).sign(),
        };
        let bytes = format!("0x{}", hex::encode(transaction.encode()));
        self.call("tx_submit", &json!({"transaction": bytes}));
        self.transaction = transaction.hash();
        self.wait(&storage);
        let receipt = self.call("tx_getReceipt", &json!({"hash": self.transaction}));
        let status = receipt.pointer("/receipt/status");
        assert_eq!(status, Some(&Value::from("ok")), "{receipt}");
    }

    /// Returns once the honest transaction is in a block.
    fn wait(&self, storage: &Storage) {
        let mut heads = self.node.heads();
        let executed = async {
            while storage
                .transaction_location(&self.transaction)
                .is_ok_and(|place| place.is_none())
            {
                let changed = heads.changed().await;
                changed.expect("a node that goes on");
            }
        };
        let waited = self
            .runtime
            .block_on(async { tokio::time::timeout(BLOCK_MAX, executed).await });
        assert!(waited.is_ok(), "no block for an honest transaction");
    }
}

/// A contract that keeps its input, tells of it and returns it, and fails where it begins with 255.
fn code() -> Vec<u8> {
    let run = "(local $n i32) (local.set $n (call $input (i32.const 0) (i32.const 1024)))
        (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 255)) (then (unreachable)))
        (call $ret (i32.const 0) (local.get $n))";
    wat::wasm(&wat::module(
        1,
        &format!(
            "(func (export \"query\") (param i32) {run})
             (func (export \"call\") (param i32) {run}
               (if (i32.eqz (local.get $n)) (then (return)))
               (call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (local.get $n))
               (call $emit_event (i32.const 0) (i32.const 1) (i32.const 0) (local.get $n)))"
        ),
    ))
}

/// The address that the honest caller's deployment gets.
fn contract() -> Address {
    Address::of_contract(&account(HONEST).address, &[0; 32], &sha3_256(&[&code()]))
}
