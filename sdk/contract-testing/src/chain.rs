//! Offer a test a chain of its own: accounts, contracts, time, and what came of every message.

use std::sync::{Arc, OnceLock};

use kumiki_contract::Decode;
use kumiki_contract::{
    Address, Balance, Call, CallError, Contract, Deploy, Event, Hash, ResultCode, Upgrade, View,
};
use kumiki_executor::{BlockInput, ExecutedBlock};
use kumiki_protocol::{
    AccountRecord, Action, ChainKind, Genesis, GenesisAccount, Parameters, Receipt, Rejection,
    SecretKey, Status, TransactionBody, sha3_256, state_key,
};
use kumiki_vm::{Diagnostics, EngineKind, Vm, VmConfig};

use crate::gas_report::GasReport;
use crate::host::Native;
use crate::replica::Replica;
use crate::said;
use crate::wasm_file::{self, fail};

/// How many accounts a test chain has.
const ACCOUNTS: u8 = 10;
/// What each holds at first, in base units.
const ACCOUNT_BALANCE: Balance = 1_000_000_000_000_000_000;
/// The most gas one message may use: the limit of a block.
const GAS_LIMIT: u64 = 1_000_000_000;
/// Time of the first block; a fixed one, so that tests repeat.
const START_MS: u64 = 1_800_000_000_000;
/// Time from one block to the next.
const BLOCK_MS: u64 = 1_000;

/// Decodes all of `bytes`, as a contract that calls another does.
fn decode_exact<T: Decode>(mut bytes: &[u8]) -> Option<T> {
    let value = T::decode(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

/// An account of the test chain.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its address.
    pub address: Address,
    key: SecretKey,
}

/// Which code a test's contracts are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Native,
    Wasm,
}

/// A chain for one test. Every message is a block of its own. Gas has no price here, so balances are exact.
pub struct TestChain {
    code: Code,
    genesis: Genesis,
    /// The same chain under each engine; the first one's answers count, the others must equal them.
    replicas: Vec<Replica>,
    accounts: Vec<Account>,
    height: u64,
    time_ms: u64,
    deployments: u64,
    events: Vec<kumiki_protocol::Event>,
    gas_used: u64,
    report: GasReport,
    diagnostics: Diagnostics,
}

impl TestChain {
    /// A chain whose contracts are native Rust.
    #[must_use]
    pub fn native() -> Self {
        Self::new(Code::Native, vec![("native", vm(EngineKind::NativeOnly))])
    }

    /// A chain whose contracts are Wasm.
    #[must_use]
    pub fn wasm() -> Self {
        static WASMI: OnceLock<Vm> = OnceLock::new();
        let interpreter = WASMI.get_or_init(|| vm(EngineKind::Wasmi)).clone();
        let engines = vec![
            ("wasmi", interpreter),
            #[cfg(feature = "wasmtime")]
            {
                static WASMTIME: OnceLock<Vm> = OnceLock::new();
                let compiler = WASMTIME.get_or_init(|| vm(EngineKind::Wasmtime)).clone();
                ("wasmtime", compiler)
            },
        ];
        Self::new(Code::Wasm, engines)
    }

    fn new(code: Code, engines: Vec<(&'static str, Vm)>) -> Self {
        let accounts: Vec<Account> = (0..ACCOUNTS).map(Account::new).collect();
        let genesis = genesis(&accounts);
        let replicas = engines
            .into_iter()
            .map(|(name, vm)| Replica::new(name, vm, &genesis))
            .collect();
        Self {
            code,
            genesis,
            replicas,
            accounts,
            height: 1,
            time_ms: START_MS,
            deployments: 0,
            events: Vec::new(),
            gas_used: 0,
            report: GasReport::default(),
            diagnostics: Diagnostics::default(),
        }
    }

    /// The first `N` of ten accounts; each holds a billion display units.
    ///
    /// # Panics
    /// When `N` exceeds ten.
    #[must_use]
    pub fn accounts<const N: usize>(&self) -> [Account; N] {
        std::array::from_fn(|index| match self.accounts.get(index) {
            Some(account) => account.clone(),
            None => fail("a test chain has 10 accounts"),
        })
    }

    /// Makes a contract; who deploys it is its admin.
    ///
    /// # Errors
    /// What `init` refused with, or why it could not run.
    pub fn deploy<C: Contract, E: Decode>(
        &mut self,
        deployer: &Account,
        init: Deploy<C, E>,
    ) -> Result<C::Ref, CallError<E>> {
        self.deployments += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&self.deployments.to_le_bytes());
        let action = Action::Deploy {
            code: self.code_of::<C>().to_vec(),
            salt,
            input: init.input().to_vec(),
            value: init.value(),
            admin: Some(kumiki_protocol::Address(deployer.address.0)),
        };
        let output = self.send(deployer, action, init.name())?;
        match <[u8; 32]>::try_from(output) {
            Ok(address) => Ok(C::Ref::from(Address(address))),
            Err(_other) => Err(CallError::Undecodable),
        }
    }

    /// Gives a contract the code of `C` and runs its `migrate`; only its deployer may.
    ///
    /// # Errors
    /// What `migrate` refused with, or why it could not run.
    pub fn upgrade<C: Contract, E: Decode>(
        &mut self,
        admin: &Account,
        contract: Address,
        migrate: Upgrade<C, E>,
    ) -> Result<C::Ref, CallError<E>> {
        let action = Action::Upgrade {
            contract: kumiki_protocol::Address(contract.0),
            code: self.code_of::<C>().to_vec(),
            input: migrate.input().to_vec(),
        };
        self.send(admin, action, migrate.name())?;
        Ok(C::Ref::from(contract))
    }

    /// Sends a message that may change state.
    ///
    /// # Errors
    /// What the contract refused with, or why it could not run.
    pub fn call<T: Decode, E: Decode>(
        &mut self,
        caller: &Account,
        call: Call<T, E>,
    ) -> Result<T, CallError<E>> {
        let action = Action::Call {
            contract: kumiki_protocol::Address(call.contract().0),
            input: call.input().to_vec(),
            value: call.value(),
        };
        let output = self.send(caller, action, call.name())?;
        decode_exact(&output).ok_or(CallError::Undecodable)
    }

    /// Asks a view; the caller that it sees is the zero address.
    ///
    /// # Errors
    /// What the contract refused with, or why it could not run.
    pub fn view<T: Decode, E: Decode>(&self, view: View<T, E>) -> Result<T, CallError<E>> {
        let input = self.block_input();
        let mut answers = self.replicas.iter().map(|replica| {
            let question = kumiki_executor::View {
                caller: kumiki_protocol::Address::default(),
                contract: kumiki_protocol::Address(view.contract().0),
                input: view.input().to_vec(),
                gas: GAS_LIMIT,
            };
            (replica.name, replica.view(&input, question))
        });
        let Some((name, first)) = answers.next() else {
            return Err(CallError::Undecodable);
        };
        for (other, answer) in answers {
            if answer.outcome != first.outcome {
                let (left, right) = (&first.outcome, &answer.outcome);
                fail(&format!("view differs: {name} {left:?}, {other} {right:?}"));
            }
        }
        said::print(&first.diagnostics);
        match first.outcome.code {
            ResultCode::Ok => decode_exact(&first.outcome.data).ok_or(CallError::Undecodable),
            ResultCode::Reverted => Err(CallError::from_revert_data(&first.outcome.data)),
            code => Err(CallError::Chain(code)),
        }
    }

    /// Sends native tokens, in base units.
    ///
    /// # Errors
    /// `InsufficientBalance` when `from` has too little.
    pub fn transfer(
        &mut self,
        from: &Account,
        to: Address,
        amount: Balance,
    ) -> Result<(), ResultCode> {
        let action = Action::Transfer {
            to: kumiki_protocol::Address(to.0),
            amount,
        };
        match self.send::<()>(from, action, "transfer") {
            Ok(_empty) => Ok(()),
            Err(CallError::Chain(code)) => Err(code),
            Err(_no_contract_ran) => Err(ResultCode::Trap),
        }
    }

    /// Native tokens that an account or contract holds, in base units.
    #[must_use]
    pub fn balance(&self, of: Address) -> Balance {
        let key = state_key::account(&kumiki_protocol::Address(of.0));
        let record = self.replicas.first().and_then(|replica| replica.get(&key));
        record
            .and_then(|mut bytes| kumiki_protocol::Decode::decode(&mut bytes).ok())
            .map_or(0, |account: AccountRecord| account.balance)
    }

    /// The hash by which a contract deploys `C`; the chain knows the code once `C` was deployed here.
    #[must_use]
    pub fn code_hash<C: Contract>(&self) -> Hash {
        Hash(sha3_256(&[&self.code_of::<C>()]).0)
    }

    /// The events of kind `E` that the last message emitted, with the contracts that did.
    #[must_use]
    pub fn events<E: Event>(&self) -> Vec<(Address, E)> {
        self.events
            .iter()
            .filter(|event| event.topics.first().is_some_and(|id| id.0 == E::ID))
            .filter_map(|event| {
                let decoded = E::decode(&mut event.data.as_slice())?;
                Some((Address(event.contract.0), decoded))
            })
            .collect()
    }

    /// All events that the last message emitted, as the chain stores them.
    #[must_use]
    pub fn raw_events(&self) -> &[kumiki_protocol::Event] {
        &self.events
    }

    /// Gas that the last message used.
    #[must_use]
    pub const fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// Gas of all messages so far.
    #[must_use]
    pub const fn gas_report(&self) -> &GasReport {
        &self.report
    }

    /// Panic messages and traps of the last message.
    #[must_use]
    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The same for people: each message, and below it the lines of the contract's source that led to it, innermost
    /// first. Native contracts have no lines here; their panics print them.
    #[must_use]
    pub fn failure(&self) -> Vec<String> {
        said::lines(&self.diagnostics)
    }

    /// Height of the block that the next message runs in.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// Time of the block that the next message runs in, in milliseconds since 1970.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Lets time pass before the next block.
    pub const fn advance_time_ms(&mut self, by_ms: u64) {
        self.time_ms += by_ms;
    }

    /// Lets empty blocks pass.
    pub const fn advance_blocks(&mut self, by: u64) {
        self.height += by;
        self.time_ms += by * BLOCK_MS;
    }

    fn code_of<C: Contract>(&self) -> Arc<[u8]> {
        if self.code == Code::Wasm {
            return wasm_file::code::<C>();
        }
        let code: Arc<[u8]> = format!("native {}::{}", C::PACKAGE, C::NAME)
            .into_bytes()
            .into();
        for replica in &self.replicas {
            replica
                .vm()
                .register_native(Arc::clone(&code), Arc::new(Native::<C>::new()));
        }
        code
    }

    fn block_input(&self) -> BlockInput {
        BlockInput {
            height: self.height,
            time_ms: self.time_ms,
            proposer: proposer().public_key(),
        }
    }

    /// Executes a block with one transaction of one action.
    fn send<E: Decode>(
        &mut self,
        sender: &Account,
        action: Action,
        name: &'static str,
    ) -> Result<Vec<u8>, CallError<E>> {
        let transaction = self.body(sender, action).sign(&sender.key);
        let input = self.block_input();
        let mut blocks: Vec<(&'static str, ExecutedBlock)> = self
            .replicas
            .iter_mut()
            .map(|replica| {
                (
                    replica.name,
                    replica.execute(&input, vec![transaction.clone()]),
                )
            })
            .collect();
        check_equal(&blocks);
        let (_, mut block) = blocks.swap_remove(0);
        self.height += 1;
        self.time_ms += BLOCK_MS;
        let (Some(receipt), Some(diagnostics)) = (block.receipts.pop(), block.diagnostics.pop())
        else {
            fail("a block of one transaction has one receipt")
        };
        said::print(&diagnostics);
        self.diagnostics = diagnostics;
        self.gas_used = receipt.gas_used;
        self.report.add(name, receipt.gas_used);
        self.events.clone_from(&receipt.events);
        output(receipt)
    }

    fn body(&self, sender: &Account, action: Action) -> TransactionBody {
        let key = state_key::account(&kumiki_protocol::Address(sender.address.0));
        let record = self.replicas.first().and_then(|replica| replica.get(&key));
        let account: Option<AccountRecord> =
            record.and_then(|mut bytes| kumiki_protocol::Decode::decode(&mut bytes).ok());
        TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: self.genesis.hash(),
            sender: sender.key.public_key(),
            nonce: account.unwrap_or_default().nonce,
            gas_limit: GAS_LIMIT,
            gas_price: 0,
            valid_until: self.height,
            actions: vec![action],
        }
    }
}

impl Account {
    fn new(number: u8) -> Self {
        let key = SecretKey::from_seed(sha3_256(&[b"kumiki/test-account", &[number]]).0);
        let address = kumiki_protocol::Address::of_account(&key.public_key());
        Self {
            address: Address(address.0),
            key,
        }
    }

    /// The account's ed25519 signature of a message, for contracts that verify signatures.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).0
    }

    /// The account's ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.public_key().0
    }
}

fn vm(engine: EngineKind) -> Vm {
    let config = VmConfig {
        trap_offsets: true,
        ..VmConfig::new(engine)
    };
    Vm::new(config).unwrap_or_else(|failure| fail(&failure.to_string()))
}

fn proposer() -> SecretKey {
    SecretKey::from_seed([0xee; 32])
}

fn genesis(accounts: &[Account]) -> Genesis {
    Genesis {
        chain_id: "test".to_owned(),
        kind: ChainKind::Dev,
        time_ms: START_MS - BLOCK_MS,
        certificate_scheme: "ed25519".to_owned(),
        validators: vec![proposer().public_key()],
        accounts: accounts
            .iter()
            .map(|account| GenesisAccount {
                address: kumiki_protocol::Address(account.address.0),
                balance: ACCOUNT_BALANCE,
            })
            .collect(),
        parameters: Parameters {
            execution_lag: 0,
            epoch_blocks: u32::MAX,
            validator_stake: 1,
            gas_price_min: 0,
            block_gas_max: GAS_LIMIT,
            block_bytes_max: 4 << 20,
        },
    }
}

/// All engines must agree on all that a chain agrees on.
fn check_equal(blocks: &[(&'static str, ExecutedBlock)]) {
    let Some(((name, first), others)) = blocks.split_first() else {
        return;
    };
    for (other, block) in others {
        if block.receipts != first.receipts {
            let (left, right) = (&first.receipts, &block.receipts);
            fail(&format!(
                "receipts differ: {name} {left:?}, {other} {right:?}"
            ));
        }
        if block.changes != first.changes {
            let (left, right) = (&first.changes, &block.changes);
            fail(&format!(
                "states differ: {name} {left:?}, {other} {right:?}"
            ));
        }
        if block.accesses != first.accesses {
            let (left, right) = (&first.accesses, &block.accesses);
            fail(&format!(
                "accesses differ: {name} {left:?}, {other} {right:?}"
            ));
        }
    }
}

fn output<E: Decode>(mut receipt: Receipt) -> Result<Vec<u8>, CallError<E>> {
    match receipt.status {
        Status::Ok => Ok(receipt.outputs.pop().unwrap_or_default()),
        Status::Failed {
            code: ResultCode::Reverted,
            data,
            ..
        } => Err(CallError::from_revert_data(&data)),
        Status::Failed { code, .. } => Err(CallError::Chain(code)),
        Status::Rejected(Rejection::InsufficientFunds) => {
            Err(CallError::Chain(ResultCode::InsufficientBalance))
        }
        Status::Rejected(rejection) => fail(&format!(
            "the test chain rejected its own transaction: {rejection:?}"
        )),
    }
}

impl std::fmt::Debug for TestChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestChain")
            .field("height", &self.height)
            .field("time_ms", &self.time_ms)
            .finish_non_exhaustive()
    }
}
