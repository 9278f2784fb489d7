//! Keep a chain in memory whose every block both engines execute, and whose answers must be equal.

use std::sync::Arc;

use kumiki_executor::{
    BlockInput, ExecutedBlock, Executor, Selection, Signatures, Traced, View, genesis_changes,
};
use kumiki_protocol::{
    AccountRecord, Action, Address, Amount, ChainKind, Decode, Genesis, GenesisAccount, Parameters,
    SecretKey, Transaction, TransactionBody, VALIDATORS_CONTRACT, state_key,
};
use kumiki_state::MemoryState;
use kumiki_vm::{EngineKind, Outcome, Vm, VmConfig};

use crate::traces;

pub(crate) const FUNDS: Amount = 1_000_000_000_000;
pub(crate) const VALIDATOR_STAKE: Amount = 1_000_000_000;
pub(crate) const GAS_PRICE: u64 = 3;

pub(crate) fn account(state: &MemoryState, address: &Address) -> AccountRecord {
    state
        .entries
        .get(&state_key::account(address))
        .map_or_else(AccountRecord::default, |bytes| {
            AccountRecord::decode(&mut bytes.as_slice()).unwrap()
        })
}

pub(crate) fn supply(state: &MemoryState) -> Amount {
    let accounts = state.entries.iter().filter(|(key, _)| key[0] == 0x01);
    accounts
        .map(|(_, bytes)| {
            AccountRecord::decode(&mut bytes.as_slice())
                .unwrap()
                .balance
        })
        .sum()
}

pub(crate) struct Chain {
    executor: Executor,
    second: Executor,
    pub(crate) genesis: Genesis,
    pub(crate) state: MemoryState,
    pub(crate) height: u64,
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

pub(crate) fn address(number: u8) -> Address {
    Address::of_account(&key(number).public_key())
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self::with(|_genesis| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Genesis)) -> Self {
        let mut genesis = Genesis {
            chain_id: "executor-test".to_owned(),
            kind: ChainKind::Dev,
            time_ms: 1_000,
            certificate_scheme: "ed25519".to_owned(),
            validators: vec![key(9).public_key()],
            accounts: (1..4)
                .map(|number| GenesisAccount {
                    address: address(number),
                    balance: FUNDS,
                })
                .collect(),
            parameters: Parameters {
                execution_lag: 0,
                epoch_blocks: u32::MAX,
                validator_stake: VALIDATOR_STAKE,
                gas_price_min: GAS_PRICE,
                block_gas_max: 10_000_000_000,
                block_bytes_max: 1 << 20,
            },
        };
        change(&mut genesis);
        genesis.check().unwrap();
        let executor = |engine| Executor::new(Vm::new(VmConfig::new(engine)).unwrap(), &genesis);
        let mut state = MemoryState::default();
        state.apply(&genesis_changes(&genesis));
        Self {
            executor: executor(EngineKind::Wasmtime),
            second: executor(EngineKind::Wasmi),
            genesis,
            state,
            height: 0,
        }
    }

    pub(crate) fn body(&self, from: u8, nonce: u64, actions: Vec<Action>) -> TransactionBody {
        TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: self.genesis.hash(),
            sender: key(from).public_key(),
            nonce,
            gas_limit: 5_000_000,
            gas_price: GAS_PRICE,
            valid_until: self.height + 100,
            actions,
        }
    }

    pub(crate) fn transfer(&self, from: u8, nonce: u64, to: u8, amount: Amount) -> Transaction {
        let actions = vec![Action::Transfer {
            to: address(to),
            amount,
        }];
        self.body(from, nonce, actions).sign(&key(from))
    }

    pub(crate) fn run(
        &mut self,
        transactions: Vec<Transaction>,
        selection: Selection,
    ) -> ExecutedBlock {
        let input = self.next_block();
        self.height = input.height;
        let base = Arc::new(self.state.clone());
        let [executed, second] = [&self.executor, &self.second].map(|executor| {
            let (base, transactions) = (Arc::clone(&base), transactions.clone());
            executor
                .execute_block(base, &input, transactions, selection, Signatures::Verify)
                .unwrap()
        });
        assert_eq!(executed.receipts, second.receipts);
        assert_eq!(executed.changes, second.changes);
        assert_eq!(executed.accesses, second.accesses);
        if selection == Selection::KeepRejected {
            let executors = [&self.executor, &self.second];
            traces::check(executors, &base, &input, &transactions, &executed.receipts);
        }
        self.state.apply(&executed.changes);
        executed
    }

    /// Traces `transaction` as the first of the next block, under both engines.
    pub(crate) fn trace(&self, transaction: &Transaction) -> Traced {
        let input = self.next_block();
        let [first, second] = [&self.executor, &self.second].map(|executor| {
            let base = Arc::new(self.state.clone());
            let traced = executor.trace_in_block(base, &input, std::slice::from_ref(transaction));
            traced.unwrap().unwrap()
        });
        assert_eq!(first.trace, second.trace);
        assert_eq!(first.receipt, second.receipt);
        first
    }

    fn next_block(&self) -> BlockInput {
        let height = self.height + 1;
        BlockInput {
            height,
            time_ms: 1_000 + height,
            proposer: key(9).public_key(),
        }
    }

    /// Asks a view of the validators' contract over the state as it is.
    pub(crate) fn view(&self, input: Vec<u8>) -> Outcome {
        let input_of = BlockInput {
            height: self.height + 1,
            time_ms: 0,
            proposer: key(9).public_key(),
        };
        let view = View {
            caller: address(1),
            contract: VALIDATORS_CONTRACT,
            input,
            gas: 10_000_000,
        };
        let state = Arc::new(self.state.clone());
        self.executor.view(state, &input_of, view).unwrap().outcome
    }

    /// Makes empty blocks up to and with `height`.
    pub(crate) fn run_to(&mut self, height: u64) {
        while self.height < height {
            self.run(Vec::new(), Selection::KeepRejected);
        }
    }

    pub(crate) fn run_one(&mut self, transaction: Transaction) -> kumiki_protocol::Receipt {
        self.run(vec![transaction], Selection::KeepRejected)
            .receipts
            .remove(0)
    }
}
