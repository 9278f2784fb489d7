//! Hold the cache of compiled modules to its promises: never a result, never another's machine code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kumiki_protocol::{Gas, ResultCode};

use super::harness::{ALICE, PLENTY, World, contract};
use crate::{
    CodeSource, Deployment, EngineKind, Entry, Message, NewCode, Outcome, Session, Vm, VmConfig,
};

const BODY: &str = r#"(func (export "call") (param i32)
    (i32.store (i32.const 0) (i32.const 0x2a)) (call $ret (i32.const 0) (i32.const 4)))"#;

fn vm(folder: &Path) -> Vm {
    let config = VmConfig {
        cache_dir: Some(folder.to_owned()),
        ..VmConfig::new(EngineKind::Wasmtime)
    };
    Vm::new(config).unwrap()
}

fn compiled(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "cwasm"))
        .collect()
}

/// A world with one contract, and what a call of it comes to in a new VM over `folder`.
fn call(folder: &Path) -> Outcome {
    let mut world = World::new();
    let address = world.deploy(&contract(BODY));
    let message = Message {
        caller: ALICE,
        contract: address,
        entry: Entry::Call,
        input: Vec::new(),
        value: 0,
        gas: PLENTY,
    };
    vm(folder).call(world.session(), message).unwrap().1
}

#[test]
fn cold_and_warm_caches_give_the_same_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let cold = call(folder.path());
    assert_eq!((cold.code, cold.data[0]), (ResultCode::Ok, 0x2a));
    let written = compiled(folder.path());
    assert_eq!(written.len(), 1);
    let before = fs::metadata(&written[0]).unwrap().modified().unwrap();
    assert_eq!(call(folder.path()), cold);
    let after = fs::metadata(&written[0]).unwrap().modified().unwrap();
    assert_eq!(before, after, "loaded, not compiled again");
}

#[test]
fn a_changed_file_is_refused_and_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = call(folder.path());
    let path = compiled(folder.path()).remove(0);
    let good = fs::read(&path).unwrap();
    let mutations: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[0] ^= 1,
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        |bytes| bytes.truncate(100),
        |bytes| bytes.push(0),
        Vec::clear,
    ];
    for mutate in mutations {
        let mut bad = good.clone();
        mutate(&mut bad);
        fs::write(&path, &bad).unwrap();
        assert_eq!(call(folder.path()), outcome);
        assert_ne!(fs::read(&path).unwrap(), bad, "written anew");
    }
}

#[test]
fn a_file_made_under_another_key_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outcome = call(ours.path());
    call(theirs.path());
    let (our_file, their_file) = (
        compiled(ours.path()).remove(0),
        compiled(theirs.path()).remove(0),
    );
    assert_eq!(our_file.file_name(), their_file.file_name());
    let foreign = fs::read(&their_file).unwrap();
    fs::write(&our_file, &foreign).unwrap();
    assert_eq!(call(ours.path()), outcome);
    assert_ne!(fs::read(&our_file).unwrap(), foreign);
}

#[test]
fn folder_key_and_modules_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("compiled");
    call(&folder);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("key")), 0o600);
    assert_eq!(mode(&compiled(&folder)[0]), 0o600);
}

/// The body of a contract that answers `number`, so that each is another contract.
fn numbered(number: u32) -> String {
    BODY.replace("0x2a", &format!("{number:#x}"))
}

fn deploy(vm: &Vm, session: Session, body: &str) -> (Session, Outcome) {
    let deployment = Deployment {
        deployer: ALICE,
        admin: None,
        code: CodeSource::Bytes(super::harness::wasm(&contract(body)).into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        gas: PLENTY,
    };
    let (session, outcome, _) = vm.deploy(session, deployment).unwrap();
    (session, outcome)
}

#[test]
fn code_that_only_a_simulation_brought_is_not_kept_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let vm = vm(folder.path());
    let session = World::new().session().simulated();
    let (_, simulated) = deploy(&vm, session, BODY);
    assert_eq!(simulated.code, ResultCode::Ok);
    assert_eq!(compiled(folder.path()), Vec::<PathBuf>::new());
    let (_, deployed) = deploy(&vm, World::new().session(), BODY);
    assert_eq!(deployed, simulated);
    assert_eq!(compiled(folder.path()).len(), 1, "kept once it is paid for");
}

#[test]
fn the_folder_stays_within_its_bytes_and_the_first_written_go_first() {
    let folder = tempfile::tempdir().unwrap();
    deploy(&vm(folder.path()), World::new().session(), &numbered(0));
    let first = compiled(folder.path()).remove(0);
    let size = fs::metadata(&first).unwrap().len();
    let long_ago = std::time::UNIX_EPOCH;
    fs::File::options()
        .write(true)
        .open(&first)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let bytes_max = size * 3 + size / 2;
    let config = VmConfig {
        cache_dir: Some(folder.path().to_owned()),
        cache_bytes_max: bytes_max,
        ..VmConfig::new(EngineKind::Wasmtime)
    };
    let small = Vm::new(config).unwrap();
    for number in 1..3 {
        deploy(&small, World::new().session(), &numbered(number));
    }
    assert!(compiled(folder.path()).contains(&first));
    for number in 3..9 {
        deploy(&small, World::new().session(), &numbered(number));
        let bytes: u64 = compiled(folder.path())
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .sum();
        assert!(bytes <= bytes_max, "{bytes} bytes, {bytes_max} allowed");
        assert!(!compiled(folder.path()).contains(&first));
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = VmConfig {
        cache_dir: Some(file.path().to_owned()),
        ..VmConfig::new(EngineKind::Wasmtime)
    };
    let error = Vm::new(config).unwrap_err().to_string();
    assert!(
        error.contains(&file.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn code_prepared_ahead_is_on_disk_before_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let vm = vm(folder.path());
    vm.prepare_ahead(NewCode {
        code: super::harness::wasm(&contract(BODY)).into(),
        gas_max: Gas::MAX,
    });
    while compiled(folder.path()).is_empty() {
        std::thread::yield_now();
    }
    let outcome = call(folder.path());
    assert_eq!(outcome.code, ResultCode::Ok);
}

#[test]
fn the_code_of_a_block_is_compiled_before_the_block_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let vm = vm(folder.path());
    let code: Arc<[u8]> = super::harness::wasm(&contract(BODY)).into();
    let price = crate::check_code(&code).unwrap().deploy_gas;
    let compiled_with = |gas_max| {
        let (done, wait) = std::sync::mpsc::channel();
        let code = Arc::clone(&code);
        let codes = vec![NewCode { code, gas_max }];
        vm.prepare_block(codes, move || done.send(()).unwrap());
        wait.recv().unwrap();
        compiled(folder.path()).len()
    };
    assert_eq!(compiled_with(price - 1), 0, "nobody pays for it");
    assert_eq!(compiled_with(price), 1);
}
