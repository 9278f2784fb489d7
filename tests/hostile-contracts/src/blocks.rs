//! Measure blocks full of hostile calls and deployments beside a usual one, on a chain on disk.

use std::time::Duration;

use kumiki_executor::Signatures;
use kumiki_hostile_contracts::disk_chain::{DiskChain, Took};
use kumiki_hostile_contracts::{Case, Chain, cases, corpus};
use kumiki_protocol::{Action, Encode as _, Gas, SecretKey, Transaction, sha3_256};
use kumiki_testkit::Account;

/// Gas and bytes of a block as `kumiki` makes chains.
const BLOCK_GAS: Gas = 1_000_000_000;
const BLOCK_BYTES: usize = 4 << 20;
/// How often a kind is measured again; the quickest block counts, because nothing but the machine makes one slower.
const ROUNDS: usize = 4;
/// A part of a block of deployments that is measured.
const PARTS: u64 = 10;
/// Kinds that are measured so often, and printed: those that one block of each has shown to be the slowest.
const ROWS: usize = 25;
/// Gas that a token transfer may take.
const TRANSFER_GAS: Gas = 1_000_000;
/// How many send tokens to each other: more than a block has room for.
const ACCOUNTS: u64 = 4_000;

/// What fills a block.
struct Kind {
    name: String,
    action: Action,
    gas_limit: Gas,
    /// Whether each action brings other code than those before it.
    is_new_code: bool,
}

struct Measuring {
    disk: DiskChain,
    /// Actions made so far.
    made: u64,
    /// The transfer of a token, and who sends it to the next of them.
    transfer: Action,
    accounts: Vec<Account>,
    /// Blocks of such transfers so far, and how many there are in one.
    usual_blocks: u64,
    transfers: usize,
}

/// Prints the time of blocks full of each hostile call or deployment, and of all in turn, beside a usual block. Call it on
/// a thread that can execute.
pub(crate) fn blocks() {
    let mut chain = Chain::on_both_engines();
    let attacks: Vec<Case> = cases::all().into_iter().filter(Case::is_deployed).collect();
    for case in &attacks {
        let deployment = case.deployment(&chain);
        chain.run(vec![deployment]);
    }
    let mut samples = corpus::samples(&mut chain).into_iter();
    let transfer = samples.find(|sample| sample.name == "token transfer");
    let transfer = transfer.expect("the corpus has a token").action;
    let calls = attacks.iter().map(|case| call(case, &chain)).collect();
    let deployments = deployments(&chain);
    let mut measuring = Measuring::new(&chain, transfer);
    println!(
        "{:44} {:>9} {:>9} {:>7}",
        "a block of", "CPU ms", "ms", "ratio"
    );
    measuring.print("calls", calls);
    measuring.print("deployments", deployments);
}

fn accounts() -> Vec<Account> {
    let seeds = (0..ACCOUNTS).map(|number| sha3_256(&[b"account", &number.to_le_bytes()]).0);
    seeds
        .map(|seed| Account::of_key(SecretKey::from_seed(seed)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

fn keep_less(least: &mut Took, now: Took) {
    if now.elapsed < least.elapsed {
        *least = now;
    }
}

fn print_row(name: &str, took: Took, usual: Took) {
    println!(
        "{name:44} {:>9.1} {:>9.1} {:>7.2}",
        milliseconds(took.processor),
        milliseconds(took.elapsed),
        milliseconds(took.elapsed) / milliseconds(usual.elapsed)
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The transfer of a token, to another.
fn transfer_to(transfer: &Action, recipient: &Account) -> Action {
    let mut transfer = transfer.clone();
    if let Action::Call { input, .. } = &mut transfer {
        input[4..36].copy_from_slice(&recipient.address.0);
    }
    transfer
}

fn call(case: &Case, chain: &Chain) -> Kind {
    Kind {
        name: case.name.clone(),
        action: case.attack_action(chain),
        gas_limit: case.gas_limit,
        is_new_code: false,
    }
}

/// Every hostile deployment, and those that take a compiler longest, each of code that is new to the chain.
fn deployments(chain: &Chain) -> Vec<Kind> {
    let hostile = cases::all().into_iter();
    let hostile = hostile.map(|case| (case.name, case.code, case.deploy_gas_limit));
    let heaviest = cases::heaviest().into_iter();
    let heaviest = heaviest.map(|(name, code)| (name.to_owned(), code, BLOCK_GAS));
    hostile
        .chain(heaviest)
        .map(|(name, code, gas_limit)| Kind {
            name,
            action: chain.deploy_action(&code, [0; 32]),
            gas_limit,
            is_new_code: true,
        })
        .collect()
}

impl Measuring {
    fn new(chain: &Chain, transfer: Action) -> Self {
        let accounts = accounts();
        let mut measuring = Self {
            disk: DiskChain::after(chain, &accounts),
            made: 0,
            transfer,
            accounts,
            usual_blocks: 0,
            transfers: 0,
        };
        measuring.hand_out_tokens();
        measuring
    }

    /// Gives tokens to all accounts, and finds how many of their transfers fill a block.
    fn hand_out_tokens(&mut self) {
        for first in (0..self.accounts.len()).step_by(1_000) {
            let some = self.accounts.iter().skip(first).take(1_000);
            let actions: Vec<Action> = some.map(|to| transfer_to(&self.transfer, to)).collect();
            let actions = actions.into_iter();
            let transactions = actions.map(|action| self.disk.transaction(action, TRANSFER_GAS));
            let transactions = transactions.collect();
            self.add(transactions);
        }
        let one = self.transfers(1);
        let (block, _) = self.disk.execute(one, Signatures::Verified);
        self.transfers = usize::try_from(BLOCK_GAS / block.gas_used).unwrap_or(usize::MAX);
    }

    fn transfers(&self, count: usize) -> Vec<Transaction> {
        let pairs = self.accounts.iter().zip(self.accounts.iter().skip(1));
        pairs
            .take(count)
            .map(|(sender, recipient)| {
                let action = transfer_to(&self.transfer, recipient);
                let sender = (sender, self.usual_blocks);
                self.disk.sign(sender, action, TRANSFER_GAS)
            })
            .collect()
    }

    /// A block in which accounts send tokens to the next.
    fn usual_block(&mut self) -> Took {
        let transactions = self.transfers(self.transfers);
        self.usual_blocks += 1;
        self.add(transactions)
    }

    /// Prints the slowest of `kinds`, and all of them in turn, beside usual blocks of the same minutes.
    fn print(&mut self, what: &str, mut kinds: Vec<Kind>) {
        kinds.retain(|kind| self.one(kind).0 > 0);
        let mut took: Vec<(Took, &Kind)> = kinds
            .iter()
            .map(|kind| (self.block_of(kind), kind))
            .collect();
        took.sort_by_key(|(took, _)| std::cmp::Reverse(took.elapsed));
        took.truncate(ROWS);
        let mut usual = self.usual_block();
        let mut all = self.in_turn(&kinds);
        // The rounds are apart from each other, so that no row has all its blocks while the machine is disturbed.
        for _ in 0..ROUNDS {
            keep_less(&mut usual, self.usual_block());
            keep_less(&mut all, self.in_turn(&kinds));
            for (took, kind) in &mut took {
                keep_less(took, self.block_of(kind));
            }
        }
        took.sort_by_key(|(took, _)| std::cmp::Reverse(took.elapsed));
        print_row("token transfers", usual, usual);
        print_row(
            &format!("all {} hostile {what} in turn", kinds.len()),
            all,
            usual,
        );
        for (took, kind) in took {
            print_row(&kind.name, took, usual);
        }
    }

    fn action(&mut self, kind: &Kind) -> Action {
        let mut action = kind.action.clone();
        if let Action::Deploy { code, .. } = &mut action
            && kind.is_new_code
        {
            // A custom section of eight bytes, without a name.
            code.extend([0, 9, 0]);
            code.extend(self.made.to_le_bytes());
        }
        self.made += 1;
        action
    }

    /// Gas and bytes of one action of the kind; no gas where it is refused before it costs any.
    fn one(&mut self, kind: &Kind) -> (Gas, usize) {
        let nonce = self.disk.nonce;
        let transaction = self.transaction(kind);
        let bytes = transaction.encode().len();
        let (block, took) = self.disk.execute(vec![transaction], Signatures::Verified);
        drop(block);
        self.disk.nonce = nonce;
        (took.gas, bytes)
    }

    /// A block with as many actions of the kind as its gas and bytes have room for.
    fn block_of(&mut self, kind: &Kind) -> Took {
        let (gas, bytes) = self.one(kind);
        let count = (BLOCK_GAS / gas).clamp(1, (BLOCK_BYTES / bytes) as u64);
        // Compiling takes so long that a part of the block shows what all of it takes.
        let parts = if kind.is_new_code { PARTS } else { 1 };
        let measured = count.div_ceil(parts);
        let transactions = (0..measured).map(|_| self.transaction(kind)).collect();
        let took = self.add(transactions);
        let scaled = |time: Duration| time.mul_f64(ratio(count, measured));
        Took {
            processor: scaled(took.processor),
            elapsed: scaled(took.elapsed),
            gas: took.gas,
        }
    }

    fn transaction(&mut self, kind: &Kind) -> Transaction {
        let action = self.action(kind);
        self.disk.transaction(action, kind.gas_limit)
    }

    fn add(&mut self, transactions: Vec<Transaction>) -> Took {
        let (block, took) = self.disk.execute(transactions, Signatures::Verify);
        let rejected = block.receipts.iter().find(|receipt| receipt.gas_used == 0);
        assert!(rejected.is_none(), "not executed: {rejected:?}");
        self.disk.commit(block, took)
    }

    /// Blocks that together have one of each kind, scaled to the gas of one.
    fn in_turn(&mut self, kinds: &[Kind]) -> Took {
        let mut all = Took::default();
        let mut rest = kinds;
        while !rest.is_empty() {
            let (mut gas, mut bytes, mut count) = (0, 0, 0);
            for kind in rest {
                let one = self.one(kind);
                (gas, bytes) = (gas + one.0, bytes + one.1);
                if count > 0 && (gas > BLOCK_GAS || bytes > BLOCK_BYTES) {
                    break;
                }
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            let transactions = now.iter().map(|kind| self.transaction(kind)).collect();
            let took = self.add(transactions);
            all.processor += took.processor;
            all.elapsed += took.elapsed;
            all.gas += took.gas;
            rest = later;
        }
        let scaled = |time: Duration| time.mul_f64(ratio(BLOCK_GAS, all.gas));
        Took {
            processor: scaled(all.processor),
            elapsed: scaled(all.elapsed),
            gas: all.gas,
        }
    }
}
