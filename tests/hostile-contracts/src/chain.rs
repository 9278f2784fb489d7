//! Keep a chain in memory whose every block several nodes execute, and whose answers must be equal.

use std::sync::Arc;

use kumiki_executor::{
    BlockInput, ExecutedBlock, Executor, Selection, Signatures, genesis_changes,
};
use kumiki_protocol::{
    AccountRecord, Action, Address, Decode as _, Gas, Genesis, Hash, Receipt, Status, Transaction,
    sha3_256, state_key,
};
use kumiki_state::{MemoryState, StateChanges, Tree};
use kumiki_testkit::{Account, Draft, account, genesis, validator};
use kumiki_vm::{EngineKind, Vm, VmConfig};

use crate::wat::wasm;

/// The most gas that a transaction of a hostile case may ask for, unless the case says otherwise.
pub const GAS_LIMIT: Gas = 60_000_000;

/// Calls the address that its input begins with, flagged as the next byte says, with the rest as input, and returns
/// the code that this came to. It lets itself be called from anywhere: the accomplice of contracts that mean harm.
const ACCOMPLICE: &str = r#"(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "call" (func $call (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "kumiki_v1" "ret" (func $ret (param i32 i32)))
  (memory (export "memory") 2)
  (func (export "init") (param i32))
  (func $reflect (param i32)
    (drop (call $input (i32.const 64) (local.get 0)))
    (i32.store8 (i32.const 0) (call $call (i32.const 64) (i32.const 97)
      (i32.sub (local.get 0) (i32.const 33)) (i32.const 16) (i64.const 0) (i32.load8_u (i32.const 96))))
    (call $ret (i32.const 0) (i32.const 1)))
  (export "call" (func $reflect)) (export "query" (func $reflect)) (export "migrate" (func $reflect)))"#;

/// A contract that any node can run at any time: it counts.
const HONEST: &str = r#"(module
  (import "kumiki_v1" "storage_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "kumiki_v1" "storage_set" (func $set (param i32 i32 i32 i32)))
  (import "kumiki_v1" "ret" (func $ret (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "init") (param i32))
  (func (export "call") (param i32)
    (drop (call $get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 4)))
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (call $set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 4))
    (call $ret (i32.const 8) (i32.const 4))))"#;

/// Someone who executes every block.
pub struct Node {
    name: &'static str,
    executor: Executor,
}

impl Node {
    /// A node with a VM of this configuration.
    ///
    /// # Panics
    /// When the machine refuses the VM its memory.
    #[must_use]
    pub fn new(name: &'static str, config: VmConfig, genesis: &Genesis) -> Self {
        let vm = Vm::new(config).expect("a machine that can run contracts");
        Self {
            name,
            executor: Executor::new(vm, genesis),
        }
    }
}

/// A chain with an honest contract, an accomplice of hostile ones, and a sender.
pub struct Chain {
    genesis: Genesis,
    nodes: Vec<Node>,
    state: Arc<MemoryState>,
    height: u64,
    sender: Account,
    /// The contract of everybody else.
    pub honest: Address,
    /// The contract that helps hostile ones.
    pub accomplice: Address,
}

/// The fields of a receipt and of the state that two nodes could differ in.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    /// One for each transaction.
    pub receipts: Vec<Receipt>,
    /// What the block changed.
    pub changes: StateChanges,
}

impl Chain {
    /// A chain that a node with the compiler and one with the interpreter execute.
    #[must_use]
    pub fn on_both_engines() -> Self {
        let genesis = genesis();
        let nodes = vec![
            Node::new("compiled", VmConfig::new(EngineKind::Wasmtime), &genesis),
            Node::new("interpreted", VmConfig::new(EngineKind::Wasmi), &genesis),
        ];
        Self::of(genesis, nodes)
    }

    /// A chain that `nodes` execute.
    ///
    /// # Panics
    /// When there is no node, or the honest contracts cannot be deployed.
    #[must_use]
    pub fn of(genesis: Genesis, nodes: Vec<Node>) -> Self {
        let mut state = MemoryState::default();
        state.apply(&genesis_changes(&genesis));
        let mut chain = Self {
            genesis,
            nodes,
            state: Arc::new(state),
            height: 0,
            sender: account(0),
            honest: Address([0; 32]),
            accomplice: Address([0; 32]),
        };
        for (wat, salt) in [(HONEST, 1), (ACCOMPLICE, 2)] {
            let deploy = chain.deploy_action(&wasm(wat), [salt; 32]);
            let receipt = chain.run(vec![chain.transaction(vec![deploy], 100_000_000)]);
            assert_eq!(receipt[0].status, Status::Ok);
            let made = made_address(&receipt[0]).expect("a deployment returns an address");
            if salt == 1 {
                chain.honest = made;
            } else {
                chain.accomplice = made;
            }
        }
        chain
    }

    /// Exchanges the nodes, for example for ones that have compiled nothing yet.
    pub fn replace_nodes(&mut self, nodes: Vec<Node>) {
        self.nodes = nodes;
    }

    /// The genesis, to make nodes for.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The state after the last block.
    #[must_use]
    pub fn state(&self) -> &MemoryState {
        &self.state
    }

    /// The root of that state.
    ///
    /// # Panics
    /// Never: a state in memory can be read.
    #[must_use]
    pub fn root(&self) -> Hash {
        Tree::rebuild(&*self.state)
            .expect("a state in memory can be read")
            .root()
    }

    /// The sender's account.
    ///
    /// # Panics
    /// Never: genesis has it.
    #[must_use]
    pub fn sender(&self) -> AccountRecord {
        let bytes = self.state.entries.get(&self.sender_key());
        let mut bytes = bytes.expect("genesis has the sender").as_slice();
        AccountRecord::decode(&mut bytes).expect("the executor writes valid records")
    }

    fn sender_key(&self) -> Vec<u8> {
        state_key::account(&self.sender.address)
    }

    /// The keys that every block changes: the sender's account, and that of the proposer who earns the fees.
    #[must_use]
    pub fn fee_keys(&self) -> [Vec<u8>; 2] {
        let proposer = Address::of_account(&self.genesis.validators[0]);
        [self.sender_key(), state_key::account(&proposer)]
    }

    /// Deploys `code` without tokens.
    #[must_use]
    pub fn deploy_action(&self, code: &[u8], salt: [u8; 32]) -> Action {
        Action::Deploy {
            code: code.to_vec(),
            salt,
            input: Vec::new(),
            value: 0,
            admin: Some(self.sender.address),
        }
    }

    /// The address that a deployment of `code` gets.
    #[must_use]
    pub fn address_of(&self, code: &[u8], salt: [u8; 32]) -> Address {
        Address::of_contract(&self.sender.address, &salt, &sha3_256(&[code]))
    }

    /// The sender's next transaction. Its signature is not looked at.
    #[must_use]
    pub fn transaction(&self, actions: Vec<Action>, gas_limit: Gas) -> Transaction {
        self.transaction_after(0, actions, gas_limit)
    }

    /// The sender's transaction after `earlier` ones that are not executed yet.
    #[must_use]
    pub fn transaction_after(
        &self,
        earlier: u64,
        actions: Vec<Action>,
        gas_limit: Gas,
    ) -> Transaction {
        let draft = Draft::new(&self.genesis, &self.sender, self.sender().nonce + earlier)
            .gas_limit(gas_limit)
            .valid_until(self.height + 100);
        actions.into_iter().fold(draft, Draft::action).sign()
    }

    /// Executes a block of `transactions` on every node, holds the answers against each other and keeps nothing.
    ///
    /// # Panics
    /// When a node cannot execute, or two answers differ.
    #[must_use]
    pub fn try_run(&self, transactions: &[Transaction]) -> Came {
        let mut first: Option<(&str, Came)> = None;
        for node in &self.nodes {
            let block = self.execute(node, transactions.to_vec());
            let came = Came {
                receipts: block.receipts,
                changes: block.changes,
            };
            match &first {
                None => first = Some((node.name, came)),
                Some((name, other)) => {
                    assert_eq!(*other, came, "{name} and {} differ", node.name);
                }
            }
        }
        first.expect("a chain has nodes").1
    }

    /// Executes a block on one node, without keeping what it changes.
    ///
    /// # Panics
    /// When the node cannot execute.
    #[must_use]
    pub fn execute(&self, node: &Node, transactions: Vec<Transaction>) -> ExecutedBlock {
        let input = BlockInput {
            height: self.height + 1,
            time_ms: self.genesis.time_ms + (self.height + 1) * 1_000,
            proposer: validator(0).public_key(),
        };
        let base: Arc<MemoryState> = Arc::clone(&self.state);
        let executed = node.executor.execute_block(
            base,
            &input,
            transactions,
            Selection::KeepRejected,
            Signatures::Verified,
        );
        executed.expect("a node whose state is in memory can execute")
    }

    /// Executes a block on every node and keeps what it changes.
    pub fn run(&mut self, transactions: Vec<Transaction>) -> Vec<Receipt> {
        let came = self.try_run(&transactions);
        self.keep(&came.changes);
        came.receipts
    }

    /// Makes `changes` and goes on to the next height.
    pub fn keep(&mut self, changes: &StateChanges) {
        Arc::make_mut(&mut self.state).apply(changes);
        self.height += 1;
    }
}

/// The address that a receipt of one deployment holds.
#[must_use]
pub fn made_address(receipt: &Receipt) -> Option<Address> {
    let bytes = receipt.outputs.first()?.as_slice();
    bytes.try_into().ok().map(Address)
}
