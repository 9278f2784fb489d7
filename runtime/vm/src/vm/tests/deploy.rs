//! Hold the rules of deployment and upgrade, from outside and by contracts.

use kumiki_protocol::{
    Address, CodeRecord, ContractRecord, Decode as _, Encode as _, ResultCode, sha3_256, state_key,
};

use super::harness::{ALICE, PLENTY, World, contract, wasm};
use crate::{CodeReplacement, CodeSource, Upgrade, check_code, gas};

/// Keeps its `init` and `migrate` input under `i` and `m`; `call` deploys (first byte d) or upgrades (u) with the
/// code hash that follows, 32 zero bytes of salt and the rest as input, and returns code and address.
const MAKER: &str = r#"
  (data (i32.const 0) "im")
  (func $keep (param $key i32) (param $len i32)
    (drop (call $input (i32.const 1024) (local.get $len)))
    (if (local.get $len) (then
      (call $storage_set (local.get $key) (i32.const 1) (i32.const 1024) (local.get $len)))))
  (func (export "init") (param i32) (call $keep (i32.const 0) (local.get 0)))
  (func (export "migrate") (param i32) (call $keep (i32.const 1) (local.get 0)))
  (func (export "call") (param i32)
    (drop (call $input (i32.const 1024) (local.get 0)))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 0x64))
      (then (i32.store (i32.const 512) (call $deploy (i32.const 1025) (i32.const 64)
        (i32.const 1057) (i32.sub (local.get 0) (i32.const 33)) (i32.const 64) (i32.const 516))))
      (else (i32.store (i32.const 512) (call $upgrade (i32.const 1025)
        (i32.const 1057) (i32.sub (local.get 0) (i32.const 33))))))
    (call $ret (i32.const 512) (i32.const 36)))"#;

fn maker(number: u32) -> String {
    contract(&format!("{MAKER} (global i32 (i32.const {number}))"))
        .replace("(func (export \"init\") (param i32))\n", "")
}

fn record(world: &World, address: &Address) -> ContractRecord {
    let bytes = world.state.entries[&state_key::contract(address)].clone();
    ContractRecord::decode(&mut bytes.as_slice()).unwrap()
}

#[test]
fn deployment_stores_code_record_and_runs_init() {
    let world = World::new();
    let code = wasm(&maker(0));
    let (run, address) = world.try_deploy(&code, b"hello", PLENTY);
    assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
    let hash = sha3_256(&[&code]);
    assert_eq!(&*run.changes.codes[&hash], code.as_slice());
    let size = run.changes.entries[&state_key::code(&hash)]
        .clone()
        .unwrap();
    let size = CodeRecord::decode(&mut size.as_slice()).unwrap().size;
    assert_eq!(size as usize, code.len());
    let kept = run.changes.entries[&state_key::storage(&address, b"i")].clone();
    assert_eq!(kept.unwrap(), b"hello");
    assert!(run.outcome.gas_used > gas::DEPLOY + check_code(&code).unwrap().deploy_gas);
}

#[test]
fn a_taken_address_is_refused_and_a_funded_one_is_not() {
    let mut world = World::new();
    let code = wasm(&maker(0));
    let address = Address::of_contract(&ALICE, &[0; 32], &sha3_256(&[&code]));
    world.give(&address, 55);
    let (run, _) = world.try_deployment(&code, b"", 5, PLENTY);
    assert_eq!(run.outcome.code, ResultCode::Ok);
    world.state.apply(&run.changes);
    assert_eq!(world.balance(&address), 60);
    let (again, _) = world.try_deploy(&code, b"", PLENTY);
    assert_eq!(again.outcome.code, ResultCode::AddressTaken);
    assert!(again.changes.entries.is_empty());
    assert!(
        again.outcome.gas_used < run.outcome.gas_used / 2,
        "known code is not paid for again"
    );
}

#[test]
fn bad_deployments_change_nothing() {
    let world = World::new();
    let failing = contract(r#"(func (export "call") (param i32))"#).replace(
        "\"init\") (param i32)",
        "\"init\") (param i32) (unreachable)",
    );
    let no_init =
        contract(r#"(func (export "call") (param i32))"#).replace("\"init\"", "\"other\"");
    let large = vec![0; 512 * 1024 + 1];
    for (code, value, expected) in [
        (wasm(&failing), 0, ResultCode::Trap),
        (wasm(&no_init), 0, ResultCode::InvalidCode),
        (wasm("(module)"), 0, ResultCode::InvalidCode),
        (b"\0asm\x01\0\0".to_vec(), 0, ResultCode::InvalidCode),
        (large, 0, ResultCode::Limit),
        (wasm(&maker(0)), 1_000_001, ResultCode::InsufficientBalance),
    ] {
        let (run, _) = world.try_deployment(&code, b"", value, PLENTY);
        assert_eq!(run.outcome.code, expected);
        assert!(run.changes.entries.is_empty() && run.changes.codes.is_empty());
    }
    for gas in [0, gas::CALL, gas::DEPLOY, gas::DEPLOY * 4] {
        let (run, _) = world.try_deploy(&wasm(&maker(0)), b"", gas);
        assert_eq!(run.outcome.code, ResultCode::OutOfGas);
        assert_eq!(run.outcome.gas_used, gas);
        assert!(run.changes.codes.is_empty());
    }
}

#[test]
fn a_contract_deploys_stored_code() {
    let mut world = World::new();
    let parent = world.deploy(&maker(0));
    let hash = world.store_code(&maker(1));
    let child = Address::of_contract(&parent, &[0; 32], &hash);
    let ask = |code: [u8; 32]| [b"d".as_slice(), &code, b"argument"].concat();
    let run = world.call(&parent, &ask(hash.0));
    assert_eq!(run.outcome.data, [[0; 4].as_slice(), &child.0].concat());
    assert_eq!(world.storage(&child, b"i").unwrap(), b"argument");
    assert_eq!(record(&world, &child).admin, Some(parent));
    let taken = world.try_call(&parent, &ask(hash.0), PLENTY);
    assert_eq!(taken.outcome.data[0], ResultCode::AddressTaken as u8);
    let unknown = world.try_call(&parent, &ask([7; 32]), PLENTY);
    assert_eq!(unknown.outcome.data[0], ResultCode::UnknownCode as u8);
}

#[test]
fn a_contract_upgrades_itself() {
    let mut world = World::new();
    let address = world.deploy(&maker(0));
    let hash = world.store_code(&maker(1));
    let run = world.call(&address, &[b"u".as_slice(), &hash.0, b"moved"].concat());
    assert_eq!(
        run.outcome.data[0],
        ResultCode::Ok as u8,
        "{:?}",
        run.diagnostics
    );
    assert_eq!(record(&world, &address).code_hash, hash);
    assert_eq!(world.storage(&address, b"m").unwrap(), b"moved");
}

#[test]
fn only_the_admin_upgrades_and_only_to_code_that_migrates() {
    let mut world = World::new();
    let address = world.deploy(&maker(0));
    let upgrade = |sender: Address, wat: &str| Upgrade {
        contract: address,
        code: CodeSource::Bytes(wasm(wat).into()),
        input: b"moved".to_vec(),
        gas: PLENTY,
        sender: Some(sender),
    };
    let other = world.try_upgrade(&upgrade(Address([4; 32]), &maker(1)));
    assert_eq!(other.outcome.code, ResultCode::NotAllowed);
    let no_migrate = contract(r#"(func (export "call") (param i32))"#);
    let stuck = world.try_upgrade(&upgrade(ALICE, &no_migrate));
    assert_eq!(stuck.outcome.code, ResultCode::InvalidCode);
    assert!(stuck.changes.entries.is_empty() && stuck.changes.codes.is_empty());
    let done = world.try_upgrade(&upgrade(ALICE, &maker(1)));
    assert_eq!(done.outcome.code, ResultCode::Ok);
    world.state.apply(&done.changes);
    assert_eq!(
        record(&world, &address).code_hash,
        sha3_256(&[&wasm(&maker(1))])
    );
}

#[test]
fn only_the_admin_replaces_code_and_none_of_it_runs() {
    let mut world = World::new();
    let address = world.deploy(&maker(0));
    let replacement = |sender: Address, contract: Address, wat: &str, gas| CodeReplacement {
        contract,
        code: CodeSource::Bytes(wasm(wat).into()),
        gas,
        sender,
    };
    let other = world.try_replacement(&replacement(Address([4; 32]), address, &maker(1), PLENTY));
    assert_eq!(other.outcome.code, ResultCode::NotAllowed);
    let nowhere = world.try_replacement(&replacement(ALICE, ALICE, &maker(1), PLENTY));
    assert_eq!(nowhere.outcome.code, ResultCode::UnknownContract);
    let done = world.try_replacement(&replacement(ALICE, address, &maker(1), PLENTY));
    assert_eq!(done.outcome.code, ResultCode::Ok);
    let code = wasm(&maker(1));
    // The code, its record, the contract's record: nothing that a `migrate` wrote.
    assert_eq!(done.changes.entries.len(), 2);
    assert_eq!(done.changes.codes.len(), 1);
    let gas = done.outcome.gas_used;
    let new_code = check_code(&code).unwrap().deploy_gas;
    let bytes = u64::try_from(code.len()).unwrap() * gas::DEPLOY_PER_BYTE;
    assert_eq!(gas, gas::CALL + gas::DEPLOY + bytes + new_code);
    for short in [0, gas::CALL, gas::CALL + gas::DEPLOY, gas - 1] {
        let run = world.try_replacement(&replacement(ALICE, address, &maker(1), short));
        assert_eq!(run.outcome.code, ResultCode::OutOfGas);
        assert_eq!(run.outcome.gas_used, short);
        assert!(run.changes.entries.is_empty() && run.changes.codes.is_empty());
    }
    world.state.apply(&done.changes);
    assert_eq!(record(&world, &address).code_hash, sha3_256(&[&code]));
    // Code that the chain stores is not paid for twice.
    let again = world.try_replacement(&replacement(ALICE, address, &maker(1), PLENTY));
    assert_eq!(again.outcome.gas_used, gas - new_code);
    let order = [b"u".as_slice(), &sha3_256(&[&code]).0, b"moved"].concat();
    let run = world.call(&address, &order);
    assert_eq!(run.outcome.data[0], ResultCode::Ok as u8);
}

#[test]
fn an_immutable_contract_keeps_its_code_and_bad_code_is_refused() {
    let mut world = World::new();
    let address = world.deploy(&maker(0));
    let bad = CodeReplacement {
        contract: address,
        code: CodeSource::Bytes(b"\0asm\x01\0\0\0".as_slice().into()),
        gas: PLENTY,
        sender: ALICE,
    };
    let run = world.try_replacement(&bad);
    assert_eq!(run.outcome.code, ResultCode::InvalidCode);
    let mut fixed = record(&world, &address);
    fixed.admin = None;
    let key = state_key::contract(&address);
    world.state.entries.insert(key, fixed.encode());
    let good = CodeReplacement {
        code: CodeSource::Bytes(wasm(&maker(1)).into()),
        ..bad
    };
    let run = world.try_replacement(&good);
    assert_eq!(run.outcome.code, ResultCode::NotAllowed);
    assert!(run.changes.entries.is_empty());
}
