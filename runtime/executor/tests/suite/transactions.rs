//! Holds the executor to the rules of `docs/spec/transaction.md` with real transactions over an in-memory state.

use kumiki_executor::Selection;
use kumiki_protocol::{
    Action, Address, Hash, Rejection, ResultCode, Status, Transaction, TransactionBody, limits,
    state_key,
};
use kumiki_vm::gas;
use proptest::prelude::*;

use crate::chain::{Chain, FUNDS, GAS_PRICE, account, address, key, supply};

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
