//! Measure blocks full of hostile calls and deployments beside a usual one, on a chain on disk.

use std::time::{Duration, Instant};

use kumiki_executor::Signatures;
use kumiki_hostile_contracts::disk_chain::DiskChain;
use kumiki_hostile_contracts::{Case, Chain, cases, corpus};
use kumiki_protocol::limits::BLOCK_CODE_GAS_MAX;
use kumiki_protocol::{Action, Encode as _, Gas, SecretKey, Transaction, sha3_256};
use kumiki_testkit::Account;

/// Gas and bytes of a block as `kumiki` makes chains.
const BLOCK_GAS: Gas = 1_000_000_000;
const BLOCK_BYTES: usize = 4 << 20;
/// How often a kind is measured again; the quickest block counts, because nothing but the machine makes one slower.
const ROUNDS: usize = 4;
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

impl Kind {
    /// Gas that a block has for such actions.
    const fn room(&self) -> Gas {
        match self.is_new_code {
            true => BLOCK_CODE_GAS_MAX,
            false => BLOCK_GAS,
        }
    }
}

/// What a block has besides transfers.
struct Filling<'a> {
    kinds: Vec<&'a Kind>,
    /// Of all of them.
    gas: Gas,
}

impl Filling<'_> {
    fn is_new_code(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_new_code)
    }
}

struct Measuring {
    disk: DiskChain,
    /// Actions made so far.
    made: u64,
    /// The transfer of a token, and who sends it to the next of them.
    transfer: Action,
    /// With the nonce of their next transaction.
    accounts: Vec<(Account, u64)>,
    /// Gas of one.
    transfer_gas: Gas,
}

/// The least that blocks of a kind took.
#[derive(Clone, Copy)]
struct Times {
    /// What a validator compiles before it votes.
    compiling: Duration,
    /// The block after that.
    block: Duration,
    /// The block of a node that did not vote, and compiles while it executes.
    unprepared: Duration,
}

impl Times {
    const NONE: Self = Self {
        compiling: Duration::MAX,
        block: Duration::MAX,
        unprepared: Duration::MAX,
    };

    fn keep_less(&mut self, now: Self) {
        self.compiling = self.compiling.min(now.compiling);
        self.block = self.block.min(now.block);
        self.unprepared = self.unprepared.min(now.unprepared);
    }

    fn print(self, name: &str, usual: Duration) {
        let ratio = |time: Duration| time.div_duration_f64(usual);
        println!(
            "{name:44} {:>12.1} {:>9.1} {:>7.2} {:>13.1} {:>7.2}",
            milliseconds(self.compiling),
            milliseconds(self.block),
            ratio(self.block),
            milliseconds(self.unprepared),
            ratio(self.unprepared),
        );
    }
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
        "{:44} {:>12} {:>9} {:>7} {:>13} {:>7}",
        "a block of", "compiling ms", "block ms", "ratio", "unprepared ms", "ratio"
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
            accounts: accounts.into_iter().map(|account| (account, 0)).collect(),
            transfer_gas: 0,
        };
        measuring.hand_out_tokens();
        measuring
    }

    /// Gives tokens to all accounts, and finds what one of their transfers takes.
    fn hand_out_tokens(&mut self) {
        for first in (0..self.accounts.len()).step_by(1_000) {
            let some = self.accounts.iter().skip(first).take(1_000);
            let actions = some.map(|(to, _)| transfer_to(&self.transfer, to));
            let actions: Vec<Action> = actions.collect();
            let actions = actions.into_iter();
            let transactions = actions.map(|action| self.disk.transaction(action, TRANSFER_GAS));
            let transactions = transactions.collect();
            self.add(transactions);
        }
        let one = self.transfers(1, 1);
        let (block, took) = self.disk.execute(one, Signatures::Verify);
        self.transfer_gas = took.gas;
        self.disk.commit(block, took);
    }

    /// Transfers that fill so much gas, where each takes `each`.
    fn transfers(&mut self, gas: Gas, each: Gas) -> Vec<Transaction> {
        let count = usize::try_from(gas / each).unwrap_or(usize::MAX);
        let actions: Vec<Action> = self
            .accounts
            .iter()
            .skip(1)
            .take(count)
            .map(|(recipient, _)| transfer_to(&self.transfer, recipient))
            .collect();
        let (disk, senders) = (&self.disk, self.accounts.iter_mut());
        senders
            .zip(actions)
            .map(|((sender, nonce), action)| {
                *nonce += 1;
                disk.sign((sender, *nonce - 1), action, TRANSFER_GAS)
            })
            .collect()
    }

    /// A block in which accounts send tokens to the next.
    fn usual_block(&mut self) -> Times {
        let transactions = self.transfers(BLOCK_GAS, self.transfer_gas);
        self.prepared(transactions)
    }

    /// Prints the slowest of `kinds`, and all of them in turn, beside usual blocks of the same minutes.
    fn print(&mut self, what: &str, mut kinds: Vec<Kind>) {
        kinds.retain(|kind| (1..=kind.room()).contains(&self.one(kind).0));
        let mut slowest: Vec<(Duration, &Kind)> = kinds
            .iter()
            .map(|kind| {
                let filling = self.full_of(kind);
                (self.unprepared(&filling), kind)
            })
            .collect();
        slowest.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
        slowest.truncate(ROWS);
        let rows = slowest.into_iter().map(|(_, kind)| (Times::NONE, kind));
        let mut rows: Vec<(Times, &Kind)> = rows.collect();
        let (mut usual, mut all) = (Times::NONE, Times::NONE);
        // The rounds are apart from each other, so that no row has all its blocks while the machine is disturbed.
        for _ in 0..ROUNDS {
            usual.keep_less(self.usual_block());
            all.keep_less(self.in_turn(&kinds));
            for (times, kind) in &mut rows {
                let filling = self.full_of(kind);
                times.keep_less(self.both(&filling));
            }
        }
        rows.sort_by_key(|(times, _)| std::cmp::Reverse(times.unprepared));
        usual.print("token transfers", usual.block);
        let name = format!("all {} hostile {what} in turn", kinds.len());
        all.print(&name, usual.block);
        for (times, kind) in rows {
            times.print(&kind.name, usual.block);
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

    /// As many actions of the kind as a block has room for.
    fn full_of<'a>(&mut self, kind: &'a Kind) -> Filling<'a> {
        let (gas, bytes) = self.one(kind);
        let count = (kind.room() / gas).clamp(1, (BLOCK_BYTES / bytes) as u64);
        Filling {
            kinds: (0..count).map(|_| kind).collect(),
            gas: count * gas,
        }
    }

    /// A block of one action of each kind; of deployments with transfers in the gas that these may not take.
    fn block_of(&mut self, filling: &Filling<'_>) -> Vec<Transaction> {
        let actions = filling.kinds.iter();
        let mut transactions: Vec<Transaction> =
            actions.map(|kind| self.transaction(kind)).collect();
        if filling.is_new_code() {
            let rest = BLOCK_GAS.saturating_sub(filling.gas);
            transactions.extend(self.transfers(rest, self.transfer_gas));
        }
        transactions
    }

    fn transaction(&mut self, kind: &Kind) -> Transaction {
        let action = self.action(kind);
        self.disk.transaction(action, kind.gas_limit)
    }

    fn both(&mut self, filling: &Filling<'_>) -> Times {
        let block = self.block_of(filling);
        let prepared = self.prepared(block);
        match filling.is_new_code() {
            true => Times {
                unprepared: self.unprepared(filling),
                ..prepared
            },
            false => prepared,
        }
    }

    fn prepared(&mut self, transactions: Vec<Transaction>) -> Times {
        let start = Instant::now();
        let done = self.disk.prepare(&transactions).recv();
        done.expect("a compiler that works");
        let compiling = start.elapsed();
        let block = self.add(transactions);
        Times {
            compiling,
            block,
            unprepared: block,
        }
    }

    fn unprepared(&mut self, filling: &Filling<'_>) -> Duration {
        let transactions = self.block_of(filling);
        let done = self.disk.prepare(&transactions);
        let took = self.add(transactions);
        // Code that its transaction did not come to is compiled too, and not while the next block is timed.
        done.recv().expect("a compiler that works");
        took
    }

    fn add(&mut self, transactions: Vec<Transaction>) -> Duration {
        let (block, took) = self.disk.execute(transactions, Signatures::Verify);
        let rejected = block.receipts.iter().find(|receipt| receipt.gas_used == 0);
        assert!(rejected.is_none(), "not executed: {rejected:?}");
        self.disk.commit(block, took).elapsed
    }

    /// Blocks that together have one of each kind, and what one of them takes.
    fn in_turn(&mut self, kinds: &[Kind]) -> Times {
        let (mut sums, mut blocks) = ([Duration::ZERO; 3], 0.0);
        let mut rest = kinds;
        while let Some(first) = rest.first() {
            let (mut gas, mut bytes, mut count) = (0, 0, 0);
            for kind in rest {
                let one = self.one(kind);
                if count > 0 && (gas + one.0 > first.room() || bytes + one.1 > BLOCK_BYTES) {
                    break;
                }
                (gas, bytes, count) = (gas + one.0, bytes + one.1, count + 1);
            }
            let (now, later) = rest.split_at(count);
            let kinds = now.iter().collect();
            let times = self.both(&Filling { kinds, gas });
            let times = [times.compiling, times.block, times.unprepared];
            for (sum, time) in sums.iter_mut().zip(times) {
                *sum += time;
            }
            // The rest of a block of deployments is transfers; calls fill only a part of the last.
            blocks += match first.is_new_code {
                true => 1.0,
                false => {
                    Duration::from_nanos(gas).div_duration_f64(Duration::from_nanos(BLOCK_GAS))
                }
            };
            rest = later;
        }
        let [compiling, block, unprepared] = sums.map(|sum| sum.div_f64(blocks));
        Times {
            compiling,
            block,
            unprepared,
        }
    }
}
