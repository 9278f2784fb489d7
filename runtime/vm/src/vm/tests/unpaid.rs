//! Nothing is loaded before it is paid for, and what a block must keep to be undone is paid for.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kumiki_protocol::{Address, Gas, Hash, ResultCode, state_key};
use kumiki_state::{
    Found, Journal, MemoryState, ScanDirection, Scanned, StateError, StateReader, VisitScanned,
};

use super::harness::{ALICE, PLENTY, World, contract};
use crate::{Entry, Message, Outcome, Session, Vm, gas};

const LARGE: usize = 60_000;

/// A state that counts the bytes of values of storage that are loaded from it.
struct Watched {
    state: MemoryState,
    loaded: AtomicUsize,
}

impl Watched {
    fn note(&self, key: &[u8], value: &[u8]) {
        if key.starts_with(&state_key::storage_prefix(&ALICE)[..1]) {
            self.loaded.fetch_add(value.len(), Ordering::Relaxed);
        }
    }
}

impl StateReader for Watched {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        let found = self.state.find(key, bytes_max)?;
        if let Found::Value(value) = &found {
            self.note(key, value);
        }
        Ok(found)
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        self.state.scan_lazily(range, direction, &mut |key, value| {
            let load = || {
                let value = value.load()?.into_owned();
                self.note(key, &value);
                Ok(value)
            };
            let bytes = value.bytes();
            visit(key, Scanned::Stored { bytes, load: &load })
        })
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        self.state.code(hash)
    }
}

fn call(vm: &Vm, session: Session, contract: Address, gas: Gas) -> (Session, Outcome) {
    let message = Message {
        caller: ALICE,
        contract,
        entry: Entry::Call,
        input: Vec::new(),
        value: 0,
        gas,
    };
    vm.call(session, message).unwrap()
}

/// A contract that does `body`, with a large value under `b`, a small one under `s`, and its state.
fn world(body: &str) -> (World, Address) {
    let mut world = World::new();
    let address = world.deploy(&contract(&format!(
        r#"(data (i32.const 0) "bs") (func (export "call") (param i32) {body})"#
    )));
    for (key, bytes) in [(b"b", LARGE), (b"s", 1)] {
        let key = state_key::storage(&address, key);
        world.state.entries.insert(key, vec![7; bytes]);
    }
    (world, address)
}

/// Outcome and bytes loaded on each engine's session, which must be the same.
fn watched(world: &World, address: Address, gas: Gas) -> (Outcome, usize) {
    let loaded = std::cell::Cell::new(0);
    let run = world.both(|vm, session| {
        let base = Arc::new(Watched {
            state: world.state.clone(),
            loaded: AtomicUsize::new(0),
        });
        let journal = Journal::new(Arc::clone(&base) as Arc<dyn StateReader>);
        let done = call(vm, Session::new(journal, session.block), address, gas);
        loaded.set(base.loaded.load(Ordering::Relaxed));
        done
    });
    (run.outcome, loaded.get())
}

fn gas_of(body: &str) -> Gas {
    let (world, address) = world(body);
    let (outcome, _) = watched(&world, address, PLENTY);
    assert_eq!(outcome.code, ResultCode::Ok);
    outcome.gas_used
}

const GET: &str =
    "(drop (call $storage_get (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 8)))";
const HAS: &str = "(drop (call $storage_has (i32.const 0) (i32.const 1)))";
const SCAN: &str =
    "(drop (call $storage_scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)
    (i32.const 1) (i32.const 0) (i32.const 64) (i32.const 65000)))";
const REMOVE: &str = "(call $storage_remove (i32.const 0) (i32.const 1))";

#[test]
fn a_value_that_the_gas_left_does_not_pay_for_is_not_loaded() {
    let large = Gas::try_from(LARGE).unwrap();
    for body in [GET, SCAN] {
        let (world, address) = world(body);
        let (paid, loaded) = watched(&world, address, PLENTY);
        assert_eq!((paid.code, loaded), (ResultCode::Ok, LARGE));
        assert!(paid.gas_used > large * gas::STORAGE_READ_PER_BYTE);
        let gas = paid.gas_used - 100;
        let (unpaid, loaded) = watched(&world, address, gas);
        assert_eq!((unpaid.code, unpaid.gas_used), (ResultCode::OutOfGas, gas));
        assert_eq!(loaded, 0, "{body}");
    }
}

#[test]
fn whether_there_is_a_value_costs_the_same_however_long_it_is_and_loads_none() {
    let small = HAS.replacen("0)", "1)", 1);
    assert_eq!(gas_of(HAS), gas_of(&small));
    let (world, address) = world(HAS);
    assert_eq!(watched(&world, address, PLENTY).1, 0);
}

#[test]
fn a_scan_does_not_load_what_was_removed_before() {
    let (world, address) = world(&format!("{REMOVE} {SCAN}"));
    let (outcome, loaded) = watched(&world, address, PLENTY);
    assert_eq!((outcome.code, loaded), (ResultCode::Ok, 0));
    let scanned = outcome.gas_used - gas_of(REMOVE);
    let once = gas::STORAGE_SCAN + gas::STORAGE_SCAN_ENTRY;
    assert!((once..once + 200).contains(&scanned), "{scanned}");
}

#[test]
fn what_is_overwritten_or_removed_is_paid_for_by_its_length() {
    let set = "(call $storage_set (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 1))";
    for body in [set, REMOVE] {
        let small = body.replacen("0)", "1)", 1);
        let more = Gas::try_from(LARGE - 1).unwrap() * gas::STORAGE_REPLACED_PER_BYTE;
        assert_eq!(gas_of(body) - gas_of(&small), more, "{body}");
        // The second time in a block it is what the first left.
        let twice = gas_of(&format!("{body} {body}")) - gas_of(body);
        assert!(twice < gas::STORAGE_WRITE + 1_000, "{twice}");
    }
}

#[test]
fn a_write_pays_for_each_branch_past_the_free_bytes_of_its_key_and_loads_no_neighbour() {
    let change =
        |call: &str, bytes: u32| format!("(call ${call} (i32.const 4096) (i32.const {bytes})");
    let set = |bytes| change("storage_set", bytes) + " (i32.const 64) (i32.const 1))";
    let remove = |bytes| change("storage_remove", bytes) + ")";
    // Keys of zeros, each the beginning of the longer ones, which part from it where it ends.
    let cases = [
        (vec![set(11), set(40)], 0),
        (vec![set(40), set(11), set(12)], 0),
        (vec![set(12), set(40)], 3),
        (vec![set(13), set(14), set(40)], 3 + 4),
        (vec![set(13), set(40), remove(14)], 3 + 4),
        (vec![set(13), remove(13), set(40)], 3),
        (vec![set(40), set(40)], 0),
    ];
    for (calls, seeks) in cases {
        let (world, address) = world(&calls.concat());
        let (outcome, loaded) = watched(&world, address, PLENTY);
        assert_eq!((outcome.code, loaded), (ResultCode::Ok, 0));
        let replaced = Gas::from(calls[1] == remove(13) || calls[1] == calls[0]);
        let alone: Gas = calls.iter().map(|call| gas_of(call) - gas_of("")).sum();
        let paid =
            outcome.gas_used - gas_of("") - alone - replaced * gas::STORAGE_REPLACED_PER_BYTE;
        assert_eq!(paid, seeks * gas::STORAGE_BRANCH, "{calls:?}");
    }
}

#[test]
fn code_is_paid_for_once_in_each_transaction_before_it_is_loaded() {
    let (world, address) = world("");
    let record = state_key::contract(&address);
    let hash = Hash(world.state.entries[&record][..32].try_into().unwrap());
    let size = Gas::try_from(world.state.codes[&hash].len()).unwrap();
    let first = gas_of("");
    world.both(|vm, session| {
        let (session, outcome) = call(vm, session, address, PLENTY);
        assert_eq!(outcome.gas_used, first);
        let (mut session, again) = call(vm, session, address, PLENTY);
        let loading = gas::CODE_LOAD + size * gas::CODE_LOAD_PER_BYTE;
        assert_eq!(first - again.gas_used, loading);
        session.begin_transaction();
        // A try that cannot pay does not pay for the next.
        let (session, short) = call(vm, session, address, gas::CALL + gas::CODE_LOAD);
        assert_eq!(short.code, ResultCode::OutOfGas);
        let (session, after) = call(vm, session, address, PLENTY);
        assert_eq!(after.gas_used, first);
        (session, after)
    });
    // A state without the code: who cannot pay for it never comes to miss it.
    let mut without = world.clone();
    without.state.codes.clear();
    let code = vec![0; 8];
    without.state.codes.insert(Hash([9; 32]), code.into());
    let short = gas::CALL + gas::CODE_LOAD + size * gas::CODE_LOAD_PER_BYTE - 1;
    let run = without.try_call(&address, &[], short);
    assert_eq!(run.outcome.code, ResultCode::OutOfGas);
    assert_eq!(run.outcome.gas_used, short);
}
