//! Run kernels as the blocks of a chain on disk.

use kumiki_executor::Signatures;
use kumiki_protocol::{Action, Address, Hash, SecretKey, Status, Transaction, sha3_256};

use super::kernel::{Costs, Kernel, place};
use crate::disk_chain::{DiskChain, Took};

/// Tokens of each kernel's contract.
const FUNDS: u128 = 1_000_000_000_000;

/// A kernel's contract on the chain.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    name: String,
    address: Address,
    code_hash: Hash,
    others: Vec<Address>,
    calls: u32,
    costs: Costs,
}

/// What the kernel's `call` is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) start: u32,
    pub(super) rounds: u32,
    /// Whether to run `setup` instead of the body.
    pub(super) prepares: bool,
}

/// The chain that kernels run on.
pub(super) struct KernelChain {
    chain: DiskChain,
    salt: u64,
}

impl KernelChain {
    pub(super) fn new() -> Self {
        Self {
            // Two modules are too many: one that calls others finds none of them.
            chain: DiskChain::new(1),
            salt: 0,
        }
    }

    fn transaction(&mut self, action: Action) -> Transaction {
        let gas_limit = self.chain.block_gas_max();
        self.chain.transaction(action, gas_limit)
    }

    fn deployment(&mut self, code: Vec<u8>, value: u128) -> (Address, Transaction) {
        self.salt += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&self.salt.to_le_bytes());
        let address = Address::of_contract(&self.chain.sender(), &salt, &sha3_256(&[&code]));
        let action = Action::Deploy {
            code,
            salt,
            input: Vec::new(),
            value,
            admin: None,
        };
        (address, self.transaction(action))
    }

    /// Deploys all of them in one block.
    pub(super) fn deploy_kernels(&mut self, kernels: &[Kernel]) -> Vec<Deployed> {
        let mut transactions = Vec::new();
        let mut deployed = Vec::new();
        for kernel in kernels {
            let code = kernel.code();
            let code_hash = sha3_256(&[&code]);
            let mut others = Vec::new();
            for code in &kernel.cold {
                let (address, transaction) = self.deployment(code.clone(), 0);
                others.push(address);
                transactions.push(transaction);
            }
            let (address, transaction) = self.deployment(code, FUNDS);
            transactions.push(transaction);
            deployed.push(Deployed {
                name: format!("{}: {}", kernel.subject, kernel.name),
                address,
                code_hash,
                others,
                calls: kernel.calls,
                costs: kernel.costs,
            });
        }
        let added = self.add_block(transactions, "a deployment", Costs::Block);
        added.expect("kernels are contracts");
        deployed
    }

    /// Executes a block of the kernel's calls, and adds it where that is part of what it costs. Says what the calls came to
    /// where one of them fails.
    pub(super) fn run(&mut self, deployed: &Deployed, asked: Asked) -> Result<Took, String> {
        let (calls, costs) = match asked.prepares {
            true => (1, Costs::Block),
            false => (deployed.calls, deployed.costs),
        };
        let nonce = self.chain.nonce;
        let transactions = (0..calls)
            .map(|call| {
                let start = asked.start.wrapping_add(call.wrapping_mul(asked.rounds));
                let input = self.input(deployed, Asked { start, ..asked });
                self.transaction(Action::Call {
                    contract: deployed.address,
                    input,
                    value: 0,
                })
            })
            .collect();
        let took = self.add_block(transactions, &deployed.name, costs);
        if costs == Costs::Execution {
            self.chain.nonce = nonce;
        }
        took
    }

    fn input(&self, deployed: &Deployed, asked: Asked) -> Vec<u8> {
        let mut input = vec![0; 288];
        let mut put = |at: u32, bytes: &[u8]| {
            let at = at as usize;
            input[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &asked.rounds.to_le_bytes());
        put(4, &asked.start.to_le_bytes());
        put(8, &[u8::from(asked.prepares), 0, 0, 0, 3]);
        put(place::CODE_HASH, &deployed.code_hash.0);
        let key = SecretKey::from_seed([3; 32]);
        let public = key.public_key().0;
        put(place::PUBLIC_KEY, &public);
        put(place::SIGNATURE, &key.sign(&public).0);
        // The generator's x is the x of a point, and any s is a scalar, so that a key is recovered.
        put(place::RECOVERABLE, &[7; 32]);
        put(place::RECOVERABLE + 32, &GENERATOR_X);
        put(place::RECOVERABLE + 64, &[0x31; 32]);
        put(place::NONCE, &self.chain.nonce.to_le_bytes());
        put(place::OWN, &deployed.address.0);
        input.extend(deployed.others.iter().flat_map(|address| address.0));
        input
    }

    fn add_block(
        &mut self,
        transactions: Vec<Transaction>,
        name: &str,
        costs: Costs,
    ) -> Result<Took, String> {
        let (block, took) = self.chain.execute(transactions, Signatures::Verified);
        let mut failed = None;
        for (receipt, notes) in block.receipts.iter().zip(&block.diagnostics) {
            if receipt.status != Status::Ok {
                failed = Some(format!("{name}: {:?}, {notes:?}", receipt.status));
            }
        }
        if costs == Costs::Execution || failed.is_some() {
            return failed.map_or(Ok(took), Err);
        }
        Ok(self.chain.commit(block, took))
    }
}

const GENERATOR_X: [u8; 32] = [
    0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07,
    0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
];
