//! Random sequences of deployments, calls, upgrades and evictions come to the same on cold and warm nodes.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::path::Path;

use kumiki_hostile_contracts::chain::made_address;
use kumiki_hostile_contracts::wat::{module, wasm};
use kumiki_hostile_contracts::{Chain, Node};
use kumiki_protocol::{
    Action, Address, Genesis, Receipt, Rejection, ResultCode, Status, Transaction, sha3_256,
};
use kumiki_testkit::Random;
use kumiki_vm::{EngineKind, VmConfig, run_on_execution_stack};

/// Different codes in the sequence.
const CODES: u32 = 10;
const BLOCKS: usize = 120;

/// A contract that does what the first byte of its input says: counts, traps, spins, upgrades itself to the code whose
/// hash follows, deploys it, or calls the address that follows. Each `number` is another code.
fn contract(number: u32) -> Vec<u8> {
    wasm(&module(
        1,
        &format!(
            r#"(global i32 (i32.const {number}))
           (func $op (result i32) (i32.load8_u (i32.const 1024)))
           (func (export "migrate") (param i32)
             (i32.store (i32.const 8) (i32.const {number}))
             (call $storage_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 4)))
           (func (export "call") (param i32)
             (drop (call $input (i32.const 1024) (local.get 0)))
             (if (i32.eq (call $op) (i32.const 1)) (then (unreachable)))
             (if (i32.eq (call $op) (i32.const 2)) (then (loop $l (br $l))))
             (if (i32.eq (call $op) (i32.const 3)) (then
               (i32.store (i32.const 4) (call $upgrade (i32.const 1025) (i32.const 0) (i32.const 0)))))
             (if (i32.eq (call $op) (i32.const 4)) (then
               (i32.store (i32.const 4) (call $deploy (i32.const 1025) (i32.const 1057) (i32.const 0) (i32.const 0)
                 (i32.const 256) (i32.const 512)))))
             (if (i32.eq (call $op) (i32.const 5)) (then
               (i32.store (i32.const 4) (call $call (i32.const 1025) (i32.const 1057) (i32.const 1)
                 (i32.const 256) (i64.const 0) (i32.const 1)))))
             (drop (call $storage_get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 4)))
             (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const {number})))
             (call $storage_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 4))
             (call $ret (i32.const 4) (i32.const 8)))"#
        ),
    ))
}

/// Draws what happens.
struct Plan {
    random: Random,
    codes: Vec<Vec<u8>>,
    contracts: Vec<Address>,
    salt: u64,
}

impl Plan {
    fn code(&mut self) -> Vec<u8> {
        let chosen = self.random.below(self.codes.len());
        self.codes[chosen].clone()
    }

    fn contract(&mut self) -> Address {
        match self.contracts.len() {
            0 => Address([0; 32]),
            many => self.contracts[self.random.below(many)],
        }
    }

    fn salt(&mut self) -> [u8; 32] {
        self.salt += 1;
        sha3_256(&[&self.salt.to_le_bytes()]).0
    }

    fn action(&mut self, chain: &Chain) -> Action {
        match self.random.below(8) {
            0 | 1 => {
                let code = self.code();
                let salt = self.salt();
                chain.deploy_action(&code, salt)
            }
            2 => Action::Upgrade {
                contract: self.contract(),
                code: self.code(),
                input: Vec::new(),
            },
            _ => {
                let op = u8::try_from(self.random.below(6)).unwrap();
                let mut input = vec![op];
                match op {
                    5 => input.extend(self.contract().0),
                    _ => input.extend(sha3_256(&[&self.code()]).0),
                }
                // A salt to deploy with, or what is passed on.
                input.extend(self.random.bytes(32));
                Action::Call {
                    contract: self.contract(),
                    input,
                    value: 0,
                }
            }
        }
    }

    /// One to four transactions of one to three actions, some of which are too dear.
    fn block(&mut self, chain: &Chain) -> Vec<Transaction> {
        (0..=u64::try_from(self.random.below(4)).unwrap())
            .map(|earlier| {
                let actions = (0..=self.random.below(3))
                    .map(|_| self.action(chain))
                    .collect();
                let gas_limit = [300_000, 1_500_000, 9_000_000][self.random.below(3)];
                chain.transaction_after(earlier, actions, gas_limit)
            })
            .collect()
    }

    /// Contracts that a transaction alone deployed; those within others are found by their own calls.
    fn learn(&mut self, receipts: &[Receipt]) {
        self.contracts
            .extend(receipts.iter().filter_map(made_address));
    }
}

/// Nodes that keep everything, nearly nothing, nothing across a restart but files, and nothing at all.
fn nodes(genesis: &Genesis, folders: [&Path; 2]) -> Vec<Node> {
    let warm = VmConfig::new(EngineKind::Wasmtime);
    let small = VmConfig {
        modules_bytes_max: 0,
        ..warm.clone()
    };
    let [kept, evicted] = folders.map(|folder| VmConfig {
        cache_dir: Some(folder.to_owned()),
        ..small.clone()
    });
    vec![
        Node::new("warm", warm, genesis),
        Node::new("small", small, genesis),
        Node::new("kept on disk", kept, genesis),
        Node::new("evicted from disk", evicted, genesis),
        Node::new("interpreted", VmConfig::new(EngineKind::Wasmi), genesis),
    ]
}

/// Removes some of the compiled modules of a folder.
fn evict(folder: &Path, random: &mut Random) -> usize {
    let mut evicted = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "cwasm") && random.one_in(3) {
            std::fs::remove_file(path).unwrap();
            evicted += 1;
        }
    }
    evicted
}

fn run(seed: u64) {
    let [kept, evicted] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let folders = [kept.path(), evicted.path()];
    let genesis = kumiki_testkit::genesis();
    let mut chain = Chain::of(genesis.clone(), nodes(&genesis, folders));
    let mut random = Random::new(seed);
    let mut plan = Plan {
        random: Random::new(seed ^ 1),
        codes: (0..CODES).map(contract).collect(),
        contracts: Vec::new(),
        salt: 0,
    };
    let (mut succeeded, mut failed, mut evictions) = (0, 0, 0);
    for height in 0..BLOCKS {
        if random.one_in(10) {
            // All nodes restart: only files are left.
            chain.replace_nodes(nodes(&genesis, folders));
        }
        evictions += evict(evicted.path(), &mut random);
        let block = plan.block(&chain);
        if random.one_in(4) {
            let cold = Node::new("cold", VmConfig::new(EngineKind::Wasmtime), &genesis);
            let came = chain.try_run(&block);
            let executed = chain.execute(&cold, block.clone());
            assert_eq!(
                executed.receipts, came.receipts,
                "seed {seed}, height {height}"
            );
            assert_eq!(
                executed.changes, came.changes,
                "seed {seed}, height {height}"
            );
        }
        let receipts = chain.run(block);
        for receipt in &receipts {
            match receipt.status {
                Status::Ok => succeeded += 1,
                Status::Failed { code, .. } => {
                    assert_ne!(code, ResultCode::Reverted, "nothing reverts here");
                    failed += 1;
                }
                // Too little gas for its own bytes, and what comes after it in the block.
                Status::Rejected(Rejection::GasLimitOutOfRange | Rejection::NonceGap) => {}
                Status::Rejected(rejection) => unreachable!("{rejection:?}"),
            }
        }
        plan.learn(&receipts);
    }
    assert!(
        succeeded > 20 && failed > 20 && evictions > 10 && plan.contracts.len() > 5,
        "seed {seed}: {succeeded} succeeded, {failed} failed, {evictions} evictions, {} contracts",
        plan.contracts.len()
    );
}

#[test]
fn cold_and_warm_nodes_come_to_the_same() {
    run_on_execution_stack(|| {
        for seed in 0..3 {
            run(seed);
        }
    })
    .unwrap();
}
