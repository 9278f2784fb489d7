//! Offer a test a chain of its own: accounts, contracts, time, and what came of every message.

use std::cell::Cell;
use std::sync::Arc;

use kumiki_contract::Decode;
use kumiki_contract::{
    Address, Balance, Call, CallError, Contract, Deploy, Event, Hash, ResultCode, Upgrade, View,
};
use kumiki_executor::{BlockInput, ExecutedBlock};
use kumiki_protocol::{
    AccountRecord, Action, Genesis, Receipt, Rejection, Status, TransactionBody, sha3_256,
    state_key,
};
use kumiki_vm::{Diagnostics, Vm};

use crate::accounts::{self, Account, BLOCK_MS, GAS_LIMIT, START_MS};
use crate::agreement::{self, Verdict};
use crate::engines;
use crate::gas_report::GasReport;
use crate::host::{Native, Panics};
use crate::replica::Replica;
use crate::said;
use crate::wasm_file::{self, fail};

/// Decodes all of `bytes`, as a contract that calls another does.
fn decode_exact<T: Decode>(mut bytes: &[u8]) -> Option<T> {
    let value = T::decode(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

/// Which code a test's contracts are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Native,
    Wasm,
    /// The first copy of the chain runs the native code of the Wasm that the others run, so that all is alike.
    Both,
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
    /// Whether the copies could not be compared to the end: see [`Verdict::Exhausted`].
    exhausted: Cell<bool>,
}

impl TestChain {
    /// A chain whose contracts are native Rust.
    #[must_use]
    pub fn native() -> Self {
        Self::new(Code::Native, vec![engines::native()])
    }

    /// A chain whose contracts are Wasm.
    #[must_use]
    pub fn wasm() -> Self {
        Self::new(Code::Wasm, engines::wasm())
    }

    /// A chain that runs each message natively and as Wasm, and fails where these disagree.
    pub(crate) fn both() -> Self {
        let mut engines = vec![engines::native()];
        engines.extend(engines::wasm());
        Self::new(Code::Both, engines)
    }

    fn new(code: Code, engines: Vec<(&'static str, Vm)>) -> Self {
        let accounts = accounts::all();
        let genesis = accounts::genesis(&accounts);
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
            exhausted: Cell::new(false),
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
        let output = answer(self.ask(view.contract(), view.input()))?;
        decode_exact(&output).ok_or(CallError::Undecodable)
    }

    /// Asks a view with bytes: how that ended, and what was returned or reverted with.
    pub(crate) fn ask(&self, contract: Address, input: &[u8]) -> (ResultCode, Vec<u8>) {
        let block = self.block_input();
        let mut answers = self.replicas.iter().map(|replica| {
            let question = kumiki_executor::View {
                caller: kumiki_protocol::Address::default(),
                contract: kumiki_protocol::Address(contract.0),
                input: input.to_vec(),
                gas: GAS_LIMIT,
            };
            (replica.name, replica.view(&block, question))
        });
        let (mut name, mut first) = first_of(answers.next());
        if self.code == Code::Both {
            let (wasm_name, wasm) = first_of(answers.next());
            if agreement::of_views(&first.outcome, &wasm.outcome) == Verdict::Exhausted {
                self.exhausted.set(true);
            }
            (name, first) = (wasm_name, wasm);
        }
        for (other, answer) in answers {
            if answer.outcome != first.outcome {
                let (left, right) = (&first.outcome, &answer.outcome);
                fail(&format!("view differs: {name} {left:?}, {other} {right:?}"));
            }
        }
        self.print(&first.diagnostics);
        (first.outcome.code, first.outcome.data)
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
        let code: Arc<[u8]> = match self.code {
            Code::Wasm => return wasm_file::code::<C>(),
            Code::Both => wasm_file::code::<C>(),
            Code::Native => format!("native {}::{}", C::PACKAGE, C::NAME)
                .into_bytes()
                .into(),
        };
        if let Some(native) = self.replicas.first() {
            let panics = match self.code {
                Code::Both => Panics::Silent,
                Code::Native | Code::Wasm => Panics::Printed,
            };
            let run = Arc::new(Native::<C>::new(panics));
            native.vm().register_native(Arc::clone(&code), run);
        }
        code
    }

    /// Random calls fail by the hundred, and what matters of them is told in the end.
    fn print(&self, diagnostics: &Diagnostics) {
        if self.code != Code::Both {
            said::print(diagnostics);
        }
    }

    fn block_input(&self) -> BlockInput {
        BlockInput {
            height: self.height,
            time_ms: self.time_ms,
            proposer: accounts::proposer().public_key(),
        }
    }

    /// Executes a block with one transaction of one action.
    fn send<E: Decode>(
        &mut self,
        sender: &Account,
        action: Action,
        name: &'static str,
    ) -> Result<Vec<u8>, CallError<E>> {
        let receipt = self.execute(sender, action);
        self.report.add(name, receipt.gas_used);
        answer(ended(receipt))
    }

    /// Calls a contract with bytes: how that ended, and what was returned or reverted with.
    pub(crate) fn call_bytes(
        &mut self,
        caller: &Account,
        contract: Address,
        input: Vec<u8>,
        value: Balance,
    ) -> (ResultCode, Vec<u8>) {
        let contract = kumiki_protocol::Address(contract.0);
        let action = Action::Call {
            contract,
            input,
            value,
        };
        ended(self.execute(caller, action))
    }

    /// Whether native code and Wasm can no longer be compared, since the Wasm ran out of gas or stack.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    fn execute(&mut self, sender: &Account, action: Action) -> Receipt {
        let transaction = self.body(sender, action).sign(&sender.key);
        let input = self.block_input();
        let executed = |replica: &mut Replica| {
            let block = replica.execute(&input, vec![transaction.clone()]);
            (replica.name, block)
        };
        let mut blocks: Vec<(&'static str, ExecutedBlock)> =
            self.replicas.iter_mut().map(executed).collect();
        if self.code == Code::Both && blocks.len() > 1 {
            let (_, native) = blocks.remove(0);
            let wasm = blocks.first().map(|(_, block)| block);
            let verdict = wasm.map(|wasm| agreement::of_native_and_wasm(&native, wasm));
            if verdict == Some(Verdict::Exhausted) {
                self.exhausted.set(true);
            }
        }
        agreement::of_engines(&blocks);
        let (_, mut block) = blocks.swap_remove(0);
        self.height += 1;
        self.time_ms += BLOCK_MS;
        let (Some(receipt), Some(diagnostics)) = (block.receipts.pop(), block.diagnostics.pop())
        else {
            fail("a block of one transaction has one receipt")
        };
        self.print(&diagnostics);
        self.diagnostics = diagnostics;
        self.gas_used = receipt.gas_used;
        self.events.clone_from(&receipt.events);
        receipt
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

/// How a transaction of one action ended, and what it returned or reverted with.
fn ended(mut receipt: Receipt) -> (ResultCode, Vec<u8>) {
    match receipt.status {
        Status::Ok => (ResultCode::Ok, receipt.outputs.pop().unwrap_or_default()),
        Status::Failed { code, data, .. } => (code, data),
        Status::Rejected(Rejection::InsufficientFunds) => {
            (ResultCode::InsufficientBalance, Vec::new())
        }
        Status::Rejected(rejection) => fail(&format!(
            "the test chain rejected its own transaction: {rejection:?}"
        )),
    }
}

fn answer<E: Decode>((code, data): (ResultCode, Vec<u8>)) -> Result<Vec<u8>, CallError<E>> {
    match code {
        ResultCode::Ok => Ok(data),
        ResultCode::Reverted => Err(CallError::from_revert_data(&data)),
        code => Err(CallError::Chain(code)),
    }
}

/// The next copy's answer; a chain has as many copies as its kind needs.
fn first_of<T>(next: Option<T>) -> T {
    next.unwrap_or_else(|| fail("a test chain has a copy for each engine"))
}

impl std::fmt::Debug for TestChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestChain")
            .field("height", &self.height)
            .field("time_ms", &self.time_ms)
            .finish_non_exhaustive()
    }
}
