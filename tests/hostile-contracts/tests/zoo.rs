//! Hold every hostile contract to its stated end, within gas and memory, with everybody else unharmed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kumiki_hostile_contracts::{Case, Chain, End, cases};
use kumiki_protocol::limits::CODE_BYTES_MAX;
use kumiki_protocol::{Action, Encode as _, Receipt, Rejection, ResultCode, Status, Transaction};
use kumiki_state::StateChanges;
use kumiki_vm::{check_code, gas, run_on_execution_stack};

/// Bytes of receipt that a transaction may leave without paying for each: code, gas, fee, hash.
const RECEIPT_BYTES_FREE: usize = 4_096;

fn failed_with(receipt: &Receipt) -> Option<ResultCode> {
    match &receipt.status {
        Status::Failed { code, .. } => Some(*code),
        Status::Ok | Status::Rejected(_) => None,
    }
}

/// What the transaction used, left and wrote stays within what it paid for.
fn assert_paid(name: &str, receipt: &Receipt, written: usize) {
    let bytes = u64::try_from(receipt.encode().len().saturating_sub(RECEIPT_BYTES_FREE)).unwrap();
    assert!(
        bytes * gas::OUTPUT_PER_BYTE <= receipt.gas_used,
        "{name}: a receipt of {bytes} bytes for {} gas",
        receipt.gas_used
    );
    let written = u64::try_from(written).unwrap();
    assert!(
        written * gas::STORAGE_WRITE_PER_BYTE <= receipt.gas_used,
        "{name}: {written} bytes of state for {} gas",
        receipt.gas_used
    );
}

/// Runs a transaction, and holds what it changed to what it may change: the fee and the nonce where it fails.
fn run(chain: &mut Chain, name: &str, action: Action, gas_limit: u64) -> Receipt {
    let before = chain.sender();
    let transaction = chain.transaction(vec![action], gas_limit);
    let came = chain.try_run(&[transaction]);
    let receipt = came.receipts.into_iter().next().unwrap();
    assert!(receipt.gas_used <= gas_limit, "{name}");
    let fee_keys = chain.fee_keys();
    let written = came
        .changes
        .entries
        .iter()
        .filter(|(key, _)| !fee_keys.contains(key))
        .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
        .sum();
    if receipt.status != Status::Ok {
        assert_eq!(written, 0, "{name} failed and changed the state");
        assert!(came.changes.codes.is_empty(), "{name} left code");
        assert!(receipt.events.is_empty() && receipt.outputs.is_empty());
    }
    assert_paid(name, &receipt, written);
    chain.keep(&came.changes);
    let after = chain.sender();
    assert_eq!(after.nonce, before.nonce + 1, "{name}");
    assert_eq!(after.balance, before.balance - receipt.fee, "{name}");
    receipt
}

fn deploy(chain: &mut Chain, case: &Case) {
    let name = &case.name;
    let action = case.deploy_action(chain);
    if case.code.len() > CODE_BYTES_MAX {
        // Not even the transaction has the form of one.
        let came = chain.try_run(&[chain.transaction(vec![action], case.deploy_gas_limit)]);
        let expected = Status::Rejected(Rejection::Malformed);
        assert_eq!(came.receipts[0].status, expected, "{name}");
        assert_eq!(came.changes, StateChanges::default(), "{name}");
        return;
    }
    let receipt = run(chain, name, action, case.deploy_gas_limit);
    match &case.end {
        End::Refused(rule) => {
            let told = check_code(&case.code).unwrap_err().to_string();
            assert!(told.contains(rule), "{name}: {told}");
            let code = failed_with(&receipt);
            assert_eq!(code, Some(ResultCode::InvalidCode), "{name}: {told}");
        }
        End::DeployFails(code) => assert_eq!(failed_with(&receipt), Some(*code), "{name}"),
        End::CallFails(_) | End::CallReturns(_) | End::CallSucceeds => {
            let told = check_code(&case.code).map(|info| info.deploy_gas);
            assert_eq!(receipt.status, Status::Ok, "{name}: {told:?}");
        }
    }
}

fn attack(chain: &mut Chain, case: &Case) {
    let name = &case.name;
    let action = case.attack_action(chain);
    let receipt = run(chain, name, action, case.gas_limit);
    match &case.end {
        End::CallFails(code) => {
            assert_eq!(
                failed_with(&receipt),
                Some(*code),
                "{name}: {:?}",
                receipt.status
            );
            if *code == ResultCode::OutOfGas {
                assert_eq!(receipt.gas_used, case.gas_limit, "{name}");
            }
        }
        End::CallReturns(bytes) => {
            assert_eq!(receipt.status, Status::Ok, "{name}");
            assert_eq!(receipt.outputs, std::slice::from_ref(bytes), "{name}");
        }
        End::CallSucceeds => assert_eq!(receipt.status, Status::Ok, "{name}"),
        End::Refused(_) | End::DeployFails(_) => panic!("{name} was never deployed"),
    }
}

/// The contract of somebody else works as before, after everything.
fn assert_honest_contract_works(chain: &mut Chain, name: &str, calls: u32) {
    let action = Action::Call {
        contract: chain.honest,
        input: Vec::new(),
        value: 0,
    };
    let receipt = run(chain, "honest", action, 1_000_000);
    assert_eq!(receipt.status, Status::Ok, "after {name}");
    assert_eq!(receipt.outputs, [calls.to_le_bytes()], "after {name}");
}

#[test]
fn every_hostile_contract_ends_as_stated_and_harms_nobody() {
    let cases = cases::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "every case has a name of its own");
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let failed = run_on_execution_stack(|| {
        let mut chain = Chain::on_both_engines();
        let mut failed = Vec::new();
        for (case, calls) in cases.iter().zip(1..) {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                deploy(&mut chain, case);
                if case.is_deployed() {
                    attack(&mut chain, case);
                }
            }));
            if ended.is_err() {
                failed.push(case.name.as_str());
            }
            assert_honest_contract_works(&mut chain, &case.name, calls);
        }
        failed
    });
    assert_eq!(
        failed.unwrap(),
        Vec::<&str>::new(),
        "what each did is above"
    );
}

#[test]
fn a_block_full_of_attacks_ends_each_as_stated_within_its_gas() {
    let attacks: Vec<Case> = cases::all().into_iter().filter(Case::is_deployed).collect();
    let (came, honest) = run_on_execution_stack(|| {
        let mut chain = Chain::on_both_engines();
        for case in &attacks {
            chain.run(vec![case.deployment(&chain)]);
        }
        let block: Vec<Transaction> = (0..)
            .zip(&attacks)
            .map(|(earlier, case)| {
                let action = case.attack_action(&chain);
                chain.transaction_after(earlier, vec![action], case.gas_limit)
            })
            .collect();
        let came = chain.try_run(&block);
        chain.keep(&came.changes);
        let action = Action::Call {
            contract: chain.honest,
            input: Vec::new(),
            value: 0,
        };
        let honest = chain.run(vec![chain.transaction(vec![action], 1_000_000)]);
        (came, honest)
    })
    .unwrap();
    for (case, receipt) in attacks.iter().zip(&came.receipts) {
        let expected = match &case.end {
            End::CallFails(code) => Some(*code),
            _ => None,
        };
        assert_eq!(failed_with(receipt), expected, "{}", case.name);
        assert!(receipt.gas_used <= case.gas_limit, "{}", case.name);
    }
    assert_eq!(came.receipts.len(), attacks.len());
    assert_eq!(honest[0].status, Status::Ok);
}
