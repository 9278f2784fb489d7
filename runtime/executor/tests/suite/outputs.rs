//! Holds receipts to their price: what actions return is kept for ever, so it is paid for and bounded.

use kumiki_protocol::{Action, Address, Receipt, ResultCode, Status, TransactionBody, limits};
use kumiki_vm::gas;

use crate::chain::{Chain, address, key};

/// Returns as many bytes as the first four of the input say; reverts with them if there is a fifth.
const ECHO: &str = r#"(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "ret" (func $ret (param i32 i32)))
  (import "kumiki_v1" "revert" (func $revert (param i32 i32)))
  (memory (export "memory") 2)
  (func (export "init") (param i32))
  (func (export "call") (param $len i32)
    (drop (call $input (i32.const 0) (i32.const 5)))
    (if (i32.eq (local.get $len) (i32.const 5))
      (then (call $revert (i32.const 0) (i32.load (i32.const 0)))))
    (call $ret (i32.const 0) (i32.load (i32.const 0)))))"#;

fn deployed(chain: &mut Chain) -> Address {
    let deploy = Action::Deploy {
        code: wat::parse_str(ECHO).unwrap(),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        admin: None,
    };
    let receipt = chain.run_one(chain.body(1, 0, vec![deploy]).sign(&key(1)));
    assert_eq!(receipt.status, Status::Ok);
    Address(receipt.outputs[0].clone().try_into().unwrap())
}

fn call(contract: Address, bytes: usize, reverts: bool) -> Action {
    let mut input = u32::try_from(bytes).unwrap().to_le_bytes().to_vec();
    input.extend(reverts.then_some(0));
    Action::Call {
        contract,
        input,
        value: 0,
    }
}

fn receipt(chain: &mut Chain, nonce: u64, actions: Vec<Action>, gas_limit: u64) -> Receipt {
    let body = TransactionBody {
        gas_limit,
        ..chain.body(1, nonce, actions)
    };
    chain.run_one(body.sign(&key(1)))
}

#[test]
fn returned_and_reverted_bytes_cost_as_much_as_stored_ones() {
    let mut chain = Chain::new();
    let contract = deployed(&mut chain);
    for (step, reverts) in [(1, false), (3, true)] {
        let [none, some] = [0_u64, 1].map(|more| {
            let bytes = 1_000 + usize::try_from(more).unwrap() * 3_000;
            let action = call(contract, bytes, reverts);
            receipt(&mut chain, step + more, vec![action], 5_000_000)
        });
        let kept = |receipt: &Receipt| match &receipt.status {
            Status::Failed { data, .. } => data.len(),
            _ => receipt.outputs[0].len(),
        };
        assert_eq!((kept(&none), kept(&some)), (1_000, 4_000));
        // What `ret` copies is paid for by the call; the receipt is paid for on top.
        let per_byte = gas::OUTPUT_PER_BYTE + gas::CALL_DATA_PER_BYTE;
        assert_eq!(some.gas_used - none.gas_used, 3_000 * per_byte);
    }
}

#[test]
fn output_that_is_not_paid_for_fails_the_transaction_and_takes_the_gas() {
    let mut chain = Chain::new();
    let contract = deployed(&mut chain);
    for (nonce, reverts) in [(1, false), (2, true)] {
        let failed = receipt(
            &mut chain,
            nonce,
            vec![call(contract, 60_000, reverts)],
            900_000,
        );
        let expected = Status::Failed {
            action: 0,
            code: ResultCode::OutOfGas,
            data: Vec::new(),
        };
        assert_eq!((failed.status, failed.gas_used), (expected, 900_000));
    }
}

#[test]
fn the_outputs_of_one_transaction_are_bounded_together() {
    let mut chain = Chain::new();
    let contract = deployed(&mut chain);
    let half = limits::OUTPUT_BYTES_MAX / 2;
    let fits = vec![call(contract, half, false), call(contract, half, false)];
    assert_eq!(receipt(&mut chain, 1, fits, 10_000_000).status, Status::Ok);
    let transfer = Action::Transfer {
        to: address(2),
        amount: 1,
    };
    let over = vec![
        call(contract, half, false),
        transfer,
        call(contract, half, false),
        call(contract, 1, false),
    ];
    let failed = receipt(&mut chain, 2, over, 10_000_000);
    let expected = Status::Failed {
        action: 3,
        code: ResultCode::Limit,
        data: Vec::new(),
    };
    assert_eq!((failed.status, failed.outputs.len()), (expected, 0));
}
