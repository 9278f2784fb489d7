//! Holds the executor to the rules of `docs/spec/transaction.md` with real transactions over an in-memory state.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::sync::Arc;

use kumiki_executor::{
    BlockInput, ExecutedBlock, Executor, Selection, Signatures, genesis_changes,
};
use kumiki_protocol::{
    AccountRecord, Action, Address, Amount, ChainKind, Decode, Genesis, GenesisAccount, Hash,
    Parameters, Rejection, ResultCode, SecretKey, Status, Transaction, TransactionBody, limits,
    state_key,
};
use kumiki_state::MemoryState;
use kumiki_vm::{EngineKind, Vm, VmConfig, gas};
use proptest::prelude::*;

const FUNDS: Amount = 1_000_000_000_000;
const GAS_PRICE: u64 = 3;

fn account(state: &MemoryState, address: &Address) -> AccountRecord {
    state
        .entries
        .get(&state_key::account(address))
        .map_or_else(AccountRecord::default, |bytes| {
            AccountRecord::decode(&mut bytes.as_slice()).unwrap()
        })
}

fn supply(state: &MemoryState) -> Amount {
    let accounts = state.entries.iter().filter(|(key, _)| key[0] == 0x01);
    accounts
        .map(|(_, bytes)| {
            AccountRecord::decode(&mut bytes.as_slice())
                .unwrap()
                .balance
        })
        .sum()
}

struct Chain {
    executor: Executor,
    genesis: Genesis,
    state: MemoryState,
    height: u64,
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

fn address(number: u8) -> Address {
    Address::of_account(&key(number).public_key())
}

impl Chain {
    fn new() -> Self {
        let genesis = Genesis {
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
                gas_price_min: GAS_PRICE,
                block_gas_max: 10_000_000_000,
                block_bytes_max: 1 << 20,
            },
        };
        genesis.check().unwrap();
        let vm = Vm::new(VmConfig::new(EngineKind::Wasmi)).unwrap();
        let mut state = MemoryState::default();
        state.apply(&genesis_changes(&genesis));
        Self {
            executor: Executor::new(vm, &genesis),
            genesis,
            state,
            height: 0,
        }
    }

    fn body(&self, from: u8, nonce: u64, actions: Vec<Action>) -> TransactionBody {
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

    fn transfer(&self, from: u8, nonce: u64, to: u8, amount: Amount) -> Transaction {
        let actions = vec![Action::Transfer {
            to: address(to),
            amount,
        }];
        self.body(from, nonce, actions).sign(&key(from))
    }

    fn run(&mut self, transactions: Vec<Transaction>, selection: Selection) -> ExecutedBlock {
        self.height += 1;
        let input = BlockInput {
            height: self.height,
            time_ms: 1_000 + self.height,
            proposer: key(9).public_key(),
        };
        let base = Arc::new(self.state.clone());
        let executed = self
            .executor
            .execute_block(base, &input, transactions, selection, Signatures::Verify)
            .unwrap();
        self.state.apply(&executed.changes);
        executed
    }

    fn run_one(&mut self, transaction: Transaction) -> kumiki_protocol::Receipt {
        self.run(vec![transaction], Selection::KeepRejected)
            .receipts
            .remove(0)
    }
}

#[test]
fn transfer_moves_tokens_and_pays_the_proposer() {
    let mut chain = Chain::new();
    let receipt = chain.run_one(chain.transfer(1, 0, 2, 77));
    assert_eq!(receipt.status, Status::Ok);
    assert_eq!(
        receipt.fee,
        u128::from(receipt.gas_used) * u128::from(GAS_PRICE)
    );
    assert_eq!(
        account(&chain.state, &address(1)).balance,
        FUNDS - 77 - receipt.fee
    );
    assert_eq!(account(&chain.state, &address(1)).nonce, 1);
    assert_eq!(account(&chain.state, &address(2)).balance, FUNDS + 77);
    assert_eq!(account(&chain.state, &address(9)).balance, receipt.fee);
}

#[test]
fn one_failing_action_undoes_all_and_still_costs_gas_and_nonce() {
    let mut chain = Chain::new();
    let actions = vec![
        Action::Transfer {
            to: address(2),
            amount: 5,
        },
        Action::Call {
            contract: Address([1; 32]),
            input: vec![0; 4],
            value: 0,
        },
        Action::Transfer {
            to: address(3),
            amount: 5,
        },
    ];
    let receipt = chain.run_one(chain.body(1, 0, actions).sign(&key(1)));
    assert_eq!(
        receipt.status,
        Status::Failed {
            action: 1,
            code: ResultCode::UnknownContract,
            data: Vec::new()
        }
    );
    assert!(receipt.outputs.is_empty());
    assert!(receipt.gas_used >= gas::TRANSACTION_BASE + gas::TRANSFER);
    assert_eq!(account(&chain.state, &address(2)).balance, FUNDS);
    assert_eq!(
        account(&chain.state, &address(1)).balance,
        FUNDS - receipt.fee
    );
    assert_eq!(account(&chain.state, &address(1)).nonce, 1);
}

#[test]
fn actions_cannot_spend_what_the_gas_may_cost() {
    let mut chain = Chain::new();
    let body = chain.body(
        1,
        0,
        vec![Action::Transfer {
            to: address(2),
            amount: FUNDS,
        }],
    );
    let cap = body.fee_cap();
    let receipt = chain.run_one(body.sign(&key(1)));
    assert_eq!(
        receipt.status,
        Status::Rejected(Rejection::InsufficientFunds)
    );
    let receipt = chain.run_one(chain.transfer(1, 0, 2, FUNDS - cap));
    assert_eq!(receipt.status, Status::Ok);
}

#[test]
fn every_broken_rule_is_rejected_by_its_name_and_costs_nothing() {
    let chain = Chain::new();
    let good = chain.body(
        1,
        0,
        vec![Action::Transfer {
            to: address(2),
            amount: 1,
        }],
    );
    let with = |change: &dyn Fn(&mut TransactionBody)| {
        let mut body = good.clone();
        change(&mut body);
        body.sign(&key(1))
    };
    let mut forged = good.clone().sign(&key(1));
    forged.body.nonce = 0;
    forged.signature = good.clone().sign(&key(2)).signature;
    let cases = [
        (
            with(&|body| body.genesis_hash = Hash::ZERO),
            Rejection::WrongChain,
        ),
        (forged, Rejection::BadSignature),
        (with(&|body| body.version = 2), Rejection::Malformed),
        (with(&|body| body.actions.clear()), Rejection::Malformed),
        (with(&|body| body.nonce = 1), Rejection::NonceGap),
        (with(&|body| body.valid_until = 0), Rejection::Expired),
        (
            with(&|body| body.valid_until = limits::JSON_INTEGER_MAX),
            Rejection::ValidUntilTooFar,
        ),
        (
            with(&|body| body.gas_price = u64::MAX),
            Rejection::InsufficientFunds,
        ),
        (
            with(&|body| body.gas_price = GAS_PRICE - 1),
            Rejection::GasPriceTooLow,
        ),
        (
            with(&|body| body.gas_limit = 0),
            Rejection::GasLimitOutOfRange,
        ),
        (
            with(&|body| body.gas_limit = limits::JSON_INTEGER_MAX),
            Rejection::GasLimitOutOfRange,
        ),
    ];
    for (transaction, rejection) in cases {
        let mut chain = Chain::new();
        let before = chain.state.entries.clone();
        let receipt = chain.run_one(transaction);
        assert_eq!(receipt.status, Status::Rejected(rejection));
        assert_eq!((receipt.gas_used, receipt.fee), (0, 0));
        assert_eq!(
            chain.state.entries, before,
            "{rejection:?} changed the state"
        );
    }
}

#[test]
fn executed_transaction_never_runs_twice() {
    let mut chain = Chain::new();
    let transaction = chain.transfer(1, 0, 2, 5);
    let executed = chain.run(
        vec![transaction.clone(), transaction.clone()],
        Selection::KeepRejected,
    );
    assert_eq!(
        executed.receipts[1].status,
        Status::Rejected(Rejection::NonceTooLow)
    );
    assert_eq!(
        chain.run_one(transaction).status,
        Status::Rejected(Rejection::NonceTooLow)
    );
}

#[test]
fn builder_leaves_rejected_transactions_out() {
    let mut chain = Chain::new();
    let gap = chain.transfer(1, 7, 2, 5);
    let good = chain.transfer(1, 0, 2, 5);
    let executed = chain.run(vec![gap.clone(), good.clone()], Selection::DropRejected);
    assert_eq!(executed.transactions, vec![good]);
    assert_eq!(executed.dropped, vec![(gap.hash(), Rejection::NonceGap)]);
    assert_eq!(executed.receipts.len(), 1);
}

#[test]
fn access_sets_name_what_a_transfer_touches() {
    let mut chain = Chain::new();
    let transfer = chain.transfer(1, 0, 2, 5);
    let executed = chain.run(vec![transfer], Selection::KeepRejected);
    let touched = [address(1), address(2)].map(|one| state_key::account(&one));
    let access = &executed.accesses[0];
    assert!(
        touched
            .iter()
            .all(|key| access.reads.contains(key) && access.writes.contains(key))
    );
}

proptest! {
    #[test]
    fn balances_follow_a_model_and_supply_is_conserved(
        steps in proptest::collection::vec((1_u8..4, 1_u8..4, 0_u128..FUNDS * 2), 1..40)
    ) {
        let mut chain = Chain::new();
        let before = supply(&chain.state);
        let mut nonces = [0_u64; 4];
        let mut balances = [0, FUNDS, FUNDS, FUNDS];
        let transactions: Vec<Transaction> = steps
            .iter()
            .map(|(from, to, amount)| {
                // A transfer that cannot be paid is rejected and uses no nonce; predict it with the model.
                let cap = u128::from(5_000_000 * GAS_PRICE);
                let from_index = usize::from(*from);
                let transaction = chain.transfer(*from, nonces[from_index], *to, *amount);
                if cap + amount <= balances[from_index] {
                    let gas_used = gas::TRANSACTION_BASE
                        + gas::SIGNATURE
                        + gas::TRANSFER
                        + gas::TRANSACTION_PER_BYTE
                            * kumiki_protocol::Encode::encoded_size(&transaction) as u64;
                    nonces[from_index] += 1;
                    balances[from_index] -= amount + u128::from(gas_used * GAS_PRICE);
                    balances[usize::from(*to)] += amount;
                }
                transaction
            })
            .collect();
        chain.run(transactions, Selection::KeepRejected);
        for number in 1..4_u8 {
            let account = account(&chain.state, &address(number));
            prop_assert_eq!(account.balance, balances[usize::from(number)]);
            prop_assert_eq!(account.nonce, nonces[usize::from(number)]);
        }
        prop_assert_eq!(supply(&chain.state), before);
    }
}
