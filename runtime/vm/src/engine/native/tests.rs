//! Hold native contracts to the rules of Wasm ones.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use kumiki_protocol::{Address, ResultCode};
use kumiki_state::{Journal, MemoryState};

use super::NativeCode;
use crate::{
    BlockContext, CodeSource, Deployment, DiagnosticKind, Ended, EngineKind, Entry, Frame, Message,
    Outcome, Session, Vm, VmConfig,
};

const ALICE: Address = Address([1; 32]);

/// `call` does what the first byte says: s sets, c calls the address that follows with the rest, r reverts,
/// p panics, l loops until the gas is out.
struct Sample;

fn body(frame: &mut Frame) -> Result<(), Ended> {
    let mut input = [0; 96];
    let length = usize::try_from(frame.input(&mut input)?).unwrap();
    match input[0] {
        b's' => frame.storage_set(b"key", &input[..length])?,
        b'c' => {
            let to = Address(input[1..33].try_into().unwrap());
            let code = frame.call(&to, &input[33..length], 0, 0, 0)?;
            frame.ret(&[code as u8])?;
        }
        b'r' => return Err(frame.revert(b"no")),
        b'p' => panic!("out of {}", "luck"),
        b'l' => loop {
            frame.storage_has(b"key")?;
        },
        _ => {}
    }
    Ok(())
}

impl NativeCode for Sample {
    fn run(&self, entry: Entry, mut frame: Frame) -> Frame {
        if entry != Entry::Call {
            return frame;
        }
        let ran = catch_unwind(AssertUnwindSafe(|| {
            if body(&mut frame).is_err() {
                resume_unwind(Box::new(Ended));
            }
        }));
        if let Err(payload) = ran {
            frame.panicked(&*payload);
        }
        frame
    }
}

fn deployed(vm: &Vm, session: Session, code: &[u8]) -> (Session, Address) {
    let code: Arc<[u8]> = code.into();
    vm.register_native(Arc::clone(&code), Arc::new(Sample));
    let deployment = Deployment {
        deployer: ALICE,
        admin: None,
        code: CodeSource::Bytes(code),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        gas: 10_000_000,
    };
    let (session, outcome, address) = vm.deploy(session, deployment).unwrap();
    assert_eq!(outcome.code, ResultCode::Ok);
    (session, address)
}

fn call(vm: &Vm, session: Session, contract: Address, input: &[u8]) -> (Session, Outcome) {
    let message = Message {
        caller: ALICE,
        contract,
        entry: Entry::Call,
        input: input.to_vec(),
        value: 0,
        gas: 10_000_000,
    };
    vm.call(session, message).unwrap()
}

#[test]
fn native_contracts_call_each_other_and_fail_like_wasm_ones() {
    let vm = Vm::new(VmConfig::new(EngineKind::NativeOnly)).unwrap();
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "test".into(),
    };
    let session = Session::new(Journal::new(Arc::new(MemoryState::default())), block);
    let (session, first) = deployed(&vm, session, b"native one");
    let (mut session, second) = deployed(&vm, session, b"native two");
    let through = |last: &[u8]| [b"c".as_slice(), &second.0, last].concat();
    for (last, expected) in [
        (b"s".to_vec(), ResultCode::Ok),
        (b"r".to_vec(), ResultCode::Reverted),
        (b"p".to_vec(), ResultCode::Reverted),
        (b"l".to_vec(), ResultCode::OutOfGas),
        ([b"c".as_slice(), &first.0].concat(), ResultCode::Ok),
    ] {
        let (kept, outcome) = call(&vm, session, first, &through(&last));
        session = kept;
        assert_eq!(outcome.code, ResultCode::Ok);
        assert_eq!(outcome.data, [expected as u8], "{last:?}");
    }
    // Beside it, the ends of calls, as of those in Wasm.
    let messages = session.diagnostics.messages.iter();
    let panics: Vec<&DiagnosticKind> = messages
        .map(|one| &one.kind)
        .filter(|kind| matches!(kind, DiagnosticKind::Panic { .. }))
        .collect();
    assert_eq!(panics.len(), 1, "{panics:?}");
    assert!(format!("{panics:?}").contains("out of luck"));
    let (_, outcome) = call(&vm, session, second, b"p");
    assert_eq!(outcome.data, [0, 5]);
}
