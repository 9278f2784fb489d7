//! Holds new code for a contract to its admin, and to all or nothing with what else the transaction does.

use kumiki_protocol::{
    Action, Address, ContractRecord, Decode, Hash, ResultCode, Status, sha3_256, state_key,
};

use crate::chain::{Chain, key};

/// Returns its number on every call. `migrate` keeps its input, and then traps where that has two bytes.
fn code(number: u32) -> Vec<u8> {
    let text = r#"(module
      (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
      (import "kumiki_v1" "ret" (func $ret (param i32 i32)))
      (import "kumiki_v1" "storage_set" (func $set (param i32 i32 i32 i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "m")
      (func (export "init") (param i32))
      (func (export "migrate") (param $len i32)
        (drop (call $input (i32.const 16) (local.get $len)))
        (call $set (i32.const 0) (i32.const 1) (i32.const 16) (local.get $len))
        (if (i32.eq (local.get $len) (i32.const 2)) (then unreachable)))
      (func (export "call") (param i32)
        (i32.store (i32.const 16) (i32.const NUMBER))
        (call $ret (i32.const 16) (i32.const 4))))"#;
    wat::parse_str(text.replace("NUMBER", &number.to_string())).unwrap()
}

fn code_hash(chain: &Chain, contract: &Address) -> Hash {
    let bytes = &chain.state.entries[&state_key::contract(contract)];
    let record = ContractRecord::decode(&mut bytes.as_slice()).unwrap();
    record.code_hash
}

fn deployed(chain: &mut Chain, admin: Option<Address>) -> Address {
    let deploy = Action::Deploy {
        code: code(1),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        admin,
    };
    let receipt = chain.run_one(chain.body(1, 0, vec![deploy]).sign(&key(1)));
    assert_eq!(receipt.status, Status::Ok);
    Address(receipt.outputs[0].clone().try_into().unwrap())
}

fn call(contract: Address) -> Action {
    Action::Call {
        contract,
        input: Vec::new(),
        value: 0,
    }
}

#[test]
fn replaced_code_answers_in_the_same_transaction_and_a_failure_takes_it_back() {
    let mut chain = Chain::new();
    let admin = Address::of_account(&key(1).public_key());
    let contract = deployed(&mut chain, Some(admin));
    let replace = |number| Action::ReplaceCode {
        contract,
        code: code(number),
    };
    let migrate = |number, input: &[u8]| Action::Upgrade {
        contract,
        code: code(number),
        input: input.to_vec(),
    };
    let storage = state_key::storage(&contract, b"m");

    let both = vec![replace(2), call(contract)];
    let receipt = chain.run_one(chain.body(1, 1, both).sign(&key(1)));
    assert_eq!(receipt.status, Status::Ok);
    assert_eq!(receipt.outputs, [vec![], vec![2, 0, 0, 0]]);
    assert!(!chain.state.entries.contains_key(&storage), "migrate ran");

    let nowhere = call(Address([1; 32]));
    for (nonce, first) in [(2, replace(3)), (3, migrate(3, b"x"))] {
        let actions = vec![first, nowhere.clone()];
        let receipt = chain.run_one(chain.body(1, nonce, actions).sign(&key(1)));
        assert!(matches!(receipt.status, Status::Failed { action: 1, .. }));
        assert_eq!(code_hash(&chain, &contract), sha3_256(&[&code(2)]));
        assert!(!chain.state.entries.contains_key(&storage));
    }
    // What `migrate` did before it failed is undone with the code.
    let failing = vec![migrate(3, b"xx")];
    let receipt = chain.run_one(chain.body(1, 4, failing).sign(&key(1)));
    let trapped = Status::Failed {
        action: 0,
        code: ResultCode::Trap,
        data: Vec::new(),
    };
    assert_eq!(receipt.status, trapped);
    assert_eq!(code_hash(&chain, &contract), sha3_256(&[&code(2)]));
    assert!(!chain.state.entries.contains_key(&storage));
    let done = vec![migrate(3, b"x")];
    let receipt = chain.run_one(chain.body(1, 5, done).sign(&key(1)));
    assert_eq!(receipt.status, Status::Ok);
    assert_eq!(chain.state.entries[&storage], b"x");
}

#[test]
fn nobody_but_the_admin_replaces_code_and_nobody_where_there_is_none() {
    for (admin, sender, expected) in [
        (true, 1, None),
        (true, 2, Some(ResultCode::NotAllowed)),
        (false, 1, Some(ResultCode::NotAllowed)),
    ] {
        let mut chain = Chain::new();
        let deployer = Address::of_account(&key(1).public_key());
        let contract = deployed(&mut chain, admin.then_some(deployer));
        let replace = Action::ReplaceCode {
            contract,
            code: code(2),
        };
        let nonce = u64::from(sender == 1);
        let receipt = chain.run_one(chain.body(sender, nonce, vec![replace]).sign(&key(sender)));
        let (status, number) = match expected {
            None => (Status::Ok, 2),
            Some(code) => {
                let data = Vec::new();
                let action = 0;
                (Status::Failed { action, code, data }, 1)
            }
        };
        assert_eq!(receipt.status, status);
        assert_eq!(code_hash(&chain, &contract), sha3_256(&[&code(number)]));
    }
}
