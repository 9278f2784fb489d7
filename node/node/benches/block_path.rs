//! Time each stage of the path of a block of native transfers, without RPC: where would the time of a busy node go?
//!
//! `cargo bench -p kumiki-node --bench block_path`

use std::sync::Arc;
use std::time::{Duration, Instant};

use kumiki_executor::{BlockInput, Executor, Selection, Signatures, genesis_changes};
use kumiki_mempool::{BlockRoom, Candidate, Mempool, MempoolLimits};
use kumiki_protocol::{
    AccountRecord, BatchVerifier, Block, Encode, SecretKey, SignatureItem, Transaction,
};
use kumiki_state::{MemoryState, StateReader};
use kumiki_testkit::{Account, Draft};
use kumiki_vm::{EngineKind, Vm, VmConfig};

const SENDERS: usize = 100;
const PER_SENDER: u64 = 20;

fn account(number: usize) -> Account {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&u64::try_from(number).unwrap_or(0).to_le_bytes());
    Account::of_key(SecretKey::from_seed(seed))
}

fn report(stage: &str, elapsed: Duration, count: usize) {
    let micros = elapsed.as_secs_f64() * 1e6 / count as f64;
    println!("{stage:<32} {micros:>8.2} µs per transaction");
}

fn main() {
    let accounts: Vec<Account> = (0..SENDERS).map(account).collect();
    let addresses: Vec<_> = accounts.iter().map(|one| one.address).collect();
    let genesis = kumiki_node::dev_genesis(&addresses, 1 << 80, 1_700_000_000_000);
    let mut transactions = Vec::new();
    for nonce in 0..PER_SENDER {
        for (index, sender) in accounts.iter().enumerate() {
            let draft = Draft::new(&genesis, sender, nonce).gas_limit(200_000);
            let receiver = &addresses[(index + 1) % SENDERS];
            transactions.push(draft.transfer(receiver, 1).sign());
        }
    }
    let count = transactions.len();
    let encoded: Vec<Vec<u8>> = transactions.iter().map(Encode::encode).collect();
    let start = Instant::now();
    let decoded: Vec<Transaction> = encoded
        .iter()
        .filter_map(|bytes| Transaction::decode_checked(bytes).ok())
        .collect();
    report("decode", start.elapsed(), decoded.len());
    verify(&transactions);
    let chosen = pool(&transactions);
    let (executed, elapsed) = execute(&genesis, chosen);
    report("execute (state in memory)", elapsed, count);
    let start = Instant::now();
    let root = Block::transactions_root(&executed);
    report("transactions root", start.elapsed(), count);
    assert_ne!(root, kumiki_protocol::Hash::ZERO);
}

fn verify(transactions: &[Transaction]) {
    let messages: Vec<_> = transactions
        .iter()
        .map(|one| one.body.sign_bytes())
        .collect();
    let items: Vec<SignatureItem<'_>> = transactions
        .iter()
        .zip(&messages)
        .map(|(one, message)| SignatureItem {
            key: &one.body.sender,
            message,
            signature: &one.signature,
        })
        .collect();
    for batch in [1, 16, 128] {
        let start = Instant::now();
        for items in items.chunks(batch) {
            assert!(BatchVerifier::find_invalid(items).is_empty());
        }
        report(
            &format!("verify, {batch} together"),
            start.elapsed(),
            transactions.len(),
        );
    }
}

fn pool(transactions: &[Transaction]) -> Vec<Transaction> {
    let mut pool = Mempool::new(MempoolLimits::STANDARD);
    let state = AccountRecord {
        nonce: 0,
        balance: 1 << 80,
    };
    let start = Instant::now();
    for one in transactions {
        let candidate = Candidate {
            hash: one.hash(),
            sender: one.body.sender_address(),
            size: one.encoded_size(),
            cost: one.body.fee_cap(),
            transaction: Arc::new(one.clone()),
        };
        let inserted = pool.insert(candidate, &state);
        assert!(inserted.is_ok());
    }
    report(
        "hash and put into the pool",
        start.elapsed(),
        transactions.len(),
    );
    let start = Instant::now();
    let chosen: Vec<Transaction> = pool
        .candidates(&BlockRoom::UNLIMITED)
        .into_iter()
        .map(|one| Arc::unwrap_or_clone(one.transaction))
        .collect();
    report("choose candidates", start.elapsed(), chosen.len());
    chosen
}

fn execute(
    genesis: &kumiki_protocol::Genesis,
    transactions: Vec<Transaction>,
) -> (Vec<Transaction>, Duration) {
    let vm = Vm::new(VmConfig::new(EngineKind::Wasmtime)).expect("an engine");
    let executor = Executor::new(vm, genesis);
    let mut memory = MemoryState::default();
    memory.apply(&genesis_changes(genesis));
    let base: Arc<dyn StateReader> = Arc::new(memory);
    let input = BlockInput {
        height: 1,
        time_ms: genesis.time_ms,
        proposer: genesis.validators[0],
    };
    let count = transactions.len();
    let start = Instant::now();
    let executed = executor
        .execute_block(
            base,
            &input,
            transactions,
            Selection::DropRejected,
            Signatures::Verified,
        )
        .expect("a state in memory can be read");
    let elapsed = start.elapsed();
    assert_eq!(executed.transactions.len(), count);
    (executed.transactions, elapsed)
}
