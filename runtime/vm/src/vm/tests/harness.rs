//! Set up a small state and run messages under every engine, asserting that they agree.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use kumiki_protocol::{
    AccountRecord, Address, Amount, Encode as _, Event, Gas, Hash, ResultCode, sha3_256, state_key,
};
use kumiki_state::{Journal, MemoryState, StateChanges};

use crate::{
    BlockContext, CodeReplacement, CodeSource, Deployment, Diagnostics, EngineKind, Entry, Message,
    Outcome, Session, Upgrade, Vm, VmConfig,
};

/// Gas that no test contract needs.
pub(super) const PLENTY: Gas = 1_000_000_000;
/// Who calls.
pub(super) const ALICE: Address = Address([0xa1; 32]);

static WASMTIME: LazyLock<Vm> = LazyLock::new(|| with_positions(EngineKind::Wasmtime));
static WASMI: LazyLock<Vm> = LazyLock::new(|| with_positions(EngineKind::Wasmi));

fn with_positions(engine: EngineKind) -> Vm {
    let config = VmConfig {
        trap_offsets: true,
        ..VmConfig::new(engine)
    };
    Vm::new(config).unwrap()
}

/// Asserts that each message is about the same place. The compiler makes one instruction of a branch and the
/// `unreachable` that it leads to, which stand beside each other.
fn assert_placed_alike(first: &Diagnostics, second: &Diagnostics) {
    assert_eq!(first.messages.len(), second.messages.len());
    for (one, other) in first.messages.iter().zip(&second.messages) {
        assert_eq!(one.contract, other.contract);
        assert_eq!(one.call_depth, other.call_depth);
        let (innermost, callers) = one.wasm_offsets.split_first().unwrap_or((&0, &[]));
        let (same, their_callers) = other.wasm_offsets.split_first().unwrap_or((&0, &[]));
        assert!(innermost.abs_diff(*same) <= 2, "{one:?} {other:?}");
        assert_eq!(callers, their_callers, "{one:?} {other:?}");
    }
}

/// Everything one operation came to.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) outcome: Outcome,
    pub(super) changes: StateChanges,
    pub(super) events: Vec<Event>,
    pub(super) diagnostics: Diagnostics,
}

/// A state and the contracts in it.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) state: MemoryState,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            state: MemoryState::default(),
        };
        world.give(&ALICE, 1_000_000);
        world
    }

    pub(super) fn give(&mut self, address: &Address, balance: Amount) {
        let record = AccountRecord { nonce: 0, balance };
        self.state
            .entries
            .insert(state_key::account(address), record.encode());
    }

    pub(super) fn session(&self) -> Session {
        let block = BlockContext {
            height: 7,
            time_ms: 1_700_000_000_123,
            chain_id: "test-chain".into(),
        };
        Session::new(Journal::new(Arc::new(self.state.clone())), block)
    }

    /// Runs `work` under both engines and asserts that they agree in all but the words of diagnostics.
    pub(super) fn both(&self, work: impl Fn(&Vm, Session) -> (Session, Outcome)) -> Run {
        let [first, second] = [&*WASMTIME, &*WASMI].map(|vm| {
            let (session, outcome) = work(vm, self.session());
            assert!(session.stack.is_empty());
            Run {
                outcome,
                events: session.events,
                diagnostics: session.diagnostics,
                changes: session.journal.into_changes().unwrap(),
            }
        });
        assert_eq!(first.outcome, second.outcome);
        assert_eq!(first.changes, second.changes);
        assert_eq!(first.events, second.events);
        assert_placed_alike(&first.diagnostics, &second.diagnostics);
        first
    }

    /// Calls without keeping what it changed.
    pub(super) fn try_call(&self, contract: &Address, input: &[u8], gas: Gas) -> Run {
        self.try_message(Entry::Call, contract, input, 0, gas)
    }

    pub(super) fn try_message(
        &self,
        entry: Entry,
        contract: &Address,
        input: &[u8],
        value: Amount,
        gas: Gas,
    ) -> Run {
        self.both(|vm, session| {
            let message = Message {
                caller: ALICE,
                contract: *contract,
                entry,
                input: input.to_vec(),
                value,
                gas,
            };
            vm.call(session, message).unwrap()
        })
    }

    /// Calls and keeps what it changed.
    pub(super) fn call(&mut self, contract: &Address, input: &[u8]) -> Run {
        let run = self.try_call(contract, input, PLENTY);
        self.state.apply(&run.changes);
        run
    }

    pub(super) fn try_deploy(&self, code: &[u8], input: &[u8], gas: Gas) -> (Run, Address) {
        self.try_deployment(code, input, 0, gas)
    }

    pub(super) fn try_deployment(
        &self,
        code: &[u8],
        input: &[u8],
        value: Amount,
        gas: Gas,
    ) -> (Run, Address) {
        let address = Address::of_contract(&ALICE, &[0; 32], &sha3_256(&[code]));
        let run = self.both(|vm, session| {
            let deployment = Deployment {
                deployer: ALICE,
                admin: Some(ALICE),
                code: CodeSource::Bytes(code.into()),
                salt: [0; 32],
                input: input.to_vec(),
                value,
                gas,
            };
            let (session, outcome, made) = vm.deploy(session, deployment).unwrap();
            assert_eq!(made, address);
            (session, outcome)
        });
        (run, address)
    }

    /// Deploys a contract that must be valid, and keeps it.
    pub(super) fn deploy(&mut self, wat: &str) -> Address {
        let code = wasm(wat);
        if let Err(error) = crate::check_code(&code) {
            panic!("{error}");
        }
        let (run, address) = self.try_deploy(&code, &[], PLENTY);
        assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
        self.state.apply(&run.changes);
        address
    }

    pub(super) fn try_upgrade(&self, upgrade: &Upgrade) -> Run {
        self.both(|vm, session| vm.upgrade(session, upgrade.clone()).unwrap())
    }

    pub(super) fn try_replacement(&self, replacement: &CodeReplacement) -> Run {
        self.both(|vm, session| vm.replace_code(session, replacement.clone()).unwrap())
    }

    /// Stores code without a contract that has it.
    pub(super) fn store_code(&mut self, wat: &str) -> Hash {
        let code = wasm(wat);
        crate::check_code(&code).unwrap();
        let hash = sha3_256(&[&code]);
        let record = kumiki_protocol::CodeRecord {
            size: u32::try_from(code.len()).unwrap(),
        };
        self.state
            .entries
            .insert(state_key::code(&hash), record.encode());
        self.state.codes.insert(hash, code.into());
        hash
    }

    pub(super) fn storage(&self, contract: &Address, key: &[u8]) -> Option<Vec<u8>> {
        self.state
            .entries
            .get(&state_key::storage(contract, key))
            .cloned()
    }

    pub(super) fn balance(&self, address: &Address) -> Amount {
        balance_in(&self.state.entries, address)
    }
}

fn balance_in(entries: &BTreeMap<Vec<u8>, Vec<u8>>, address: &Address) -> Amount {
    use kumiki_protocol::Decode as _;
    entries
        .get(&state_key::account(address))
        .map_or(0, |bytes| {
            AccountRecord::decode(&mut bytes.as_slice())
                .unwrap()
                .balance
        })
}

pub(super) fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
}

/// A contract with every import, one page of memory, an empty `init`, and `body` as items.
pub(super) fn contract(body: &str) -> String {
    let mut text = String::from("(module\n");
    for host in kumiki_abi::HOST_FUNCTIONS {
        let kind = |kind| match kind {
            kumiki_abi::ValueType::I32 => "i32",
            kumiki_abi::ValueType::I64 => "i64",
        };
        let parameters: Vec<&str> = host.parameters.iter().map(|(_, one)| kind(*one)).collect();
        let result = host
            .result
            .map_or(String::new(), |one| format!("(result {})", kind(one)));
        text.push_str(&format!(
            "(import \"kumiki_v1\" \"{0}\" (func ${0} (param {1}) {2}))\n",
            host.name,
            parameters.join(" "),
            result
        ));
    }
    text.push_str("(memory (export \"memory\") 1)\n(func (export \"init\") (param i32))\n");
    text.push_str(body);
    text.push_str("\n)");
    text
}
