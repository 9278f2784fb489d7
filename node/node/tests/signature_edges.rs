//! Show edge cases of ed25519 to every path that a transaction takes: alone, in a batch, in the mempool, over RPC, in a
//! block that is built and in one that is decided. The verdict must be one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use kumiki_executor::{BlockInput, Selection, Signatures};
use kumiki_mempool::{ChainHead, MempoolLimits, SharedMempool};
use kumiki_node::{Node, NodeConfig, NodeHandle, chain_rules, dev_genesis};
use kumiki_protocol::{
    Address, BatchVerifier, Encode as _, Genesis, PublicKey, Rejection, Signature, SignatureItem,
    Status, Transaction,
};
use kumiki_testkit::{Draft, account};

/// Encodings of points of small order, non-canonical ones among them: y of 1 and of p + 1, of 0 and of p, each with either
/// sign, and two of order eight.
const SMALL_ORDER: [&str; 10] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
];
/// The order of the prime subgroup, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
/// Encodes no point.
const NO_POINT: &str = "0200000000000000000000000000000000000000000000000000000000000000";

fn bytes(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn signature(r: [u8; 32], s: [u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r);
    bytes[32..].copy_from_slice(&s);
    Signature(bytes)
}

/// The same signature with s + L for s.
fn twin(good: Signature) -> Signature {
    let mut twin = good;
    let mut carry = 0_u16;
    for (byte, add) in twin.0[32..].iter_mut().zip(bytes(ORDER)) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    twin
}

/// Who sends, how the signature comes from the message, and whether ZIP-215 takes it.
struct Edge {
    name: String,
    sender: PublicKey,
    sign: Sign,
    valid: bool,
}

type Sign = Box<dyn Fn(&[u8]) -> Signature>;

fn edge(name: &str, sender: PublicKey, valid: bool, sign: Sign) -> Edge {
    Edge {
        name: name.to_owned(),
        sender,
        sign,
        valid,
    }
}

/// Keys under which anybody can sign, with what they can and cannot.
fn small_order_edges() -> Vec<Edge> {
    let mut one = [0; 32];
    one[0] = 1;
    let mut all = Vec::new();
    for key in SMALL_ORDER {
        let sender = PublicKey(bytes(key));
        for r in SMALL_ORDER {
            let r = bytes(r);
            let sign = Box::new(move |_: &[u8]| signature(r, [0; 32]));
            all.push(edge(&format!("{key} zero s"), sender, true, sign));
        }
        let r = bytes(SMALL_ORDER[0]);
        for (name, s) in [("s of 1", one), ("s of L", bytes(ORDER))] {
            let sign = Box::new(move |_: &[u8]| signature(r, s));
            all.push(edge(&format!("{key} {name}"), sender, false, sign));
        }
    }
    all
}

/// A sound key with sound and unsound signatures, and what is no key.
fn edges() -> Vec<Edge> {
    let mut all = small_order_edges();
    let sender = account(1).public_key();
    // Signs, and changes the signature.
    let changed = |change: fn(&mut Signature)| -> Sign {
        Box::new(move |message: &[u8]| {
            let mut signature = account(1).key.sign(message);
            change(&mut signature);
            signature
        })
    };
    all.push(edge("good", sender, true, changed(|_| {})));
    let changes: [(&str, fn(&mut Signature)); 4] = [
        ("s + L", |signature| *signature = twin(*signature)),
        ("largest s", |signature| signature.0[32..].fill(0xff)),
        ("R no point", |signature| {
            signature.0[..32].copy_from_slice(&bytes(NO_POINT));
        }),
        ("R small order", |signature| {
            signature.0[..32].copy_from_slice(&bytes(SMALL_ORDER[2]));
        }),
    ];
    for (name, change) in changes {
        all.push(edge(name, sender, false, changed(change)));
    }
    let no_point = PublicKey(bytes(NO_POINT));
    all.push(edge("A no point", no_point, false, changed(|_| {})));
    let zero = Box::new(|_: &[u8]| signature(bytes(SMALL_ORDER[0]), [0; 32]));
    all.push(edge("A no point, R and s zero", no_point, false, zero));
    all
}

fn chain() -> Genesis {
    let mut accounts: Vec<Address> = (0..8).map(|number| account(number).address).collect();
    let keys = SMALL_ORDER.iter().chain([&NO_POINT]);
    accounts.extend(keys.map(|key| Address::of_account(&PublicKey(bytes(key)))));
    dev_genesis(&accounts, 1 << 80, 1_700_000_000_000)
}

fn transaction(genesis: &Genesis, edge: &Edge, nonce: u64) -> Transaction {
    let draft = Draft::new(genesis, &account(1), nonce).valid_until(1_000);
    let mut body = draft
        .gas_limit(200_000)
        .transfer(&account(9).address, 1)
        .sign()
        .body;
    body.sender = edge.sender;
    let signature = (edge.sign)(&body.sign_bytes());
    Transaction { body, signature }
}

/// Good transactions of others, so that the one in question is in a batch.
fn others(genesis: &Genesis) -> Vec<Transaction> {
    let others = 2..7;
    others
        .map(|number| {
            Draft::new(genesis, &account(number), 0)
                .gas_limit(200_000)
                .valid_until(1_000)
                .sign()
        })
        .collect()
}

fn in_a_batch(transaction: &Transaction, others: &[Transaction]) -> bool {
    let all: Vec<(&Transaction, Vec<u8>)> = others
        .iter()
        .chain([transaction])
        .map(|one| (one, one.body.sign_bytes()))
        .collect();
    let items: Vec<SignatureItem<'_>> = all
        .iter()
        .map(|(one, message)| SignatureItem {
            key: &one.body.sender,
            message,
            signature: &one.signature,
        })
        .collect();
    let invalid = BatchVerifier::find_invalid(&items);
    assert!(invalid.iter().all(|index| *index == others.len()));
    invalid.is_empty()
}

fn in_a_mempool(node: &NodeHandle, transaction: &Transaction) -> bool {
    let head = ChainHead {
        height: node.heads().borrow().height,
        state: Arc::new(node.storage().snapshot().unwrap()),
    };
    let pool = SharedMempool::new(MempoolLimits::STANDARD, chain_rules(node.genesis()), head);
    match pool.admit_here(transaction.clone()) {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal.name(), "badSignature");
            false
        }
    }
}

/// In a block with others, being built or decided.
fn in_a_block(node: &NodeHandle, transaction: &Transaction, selection: Selection) -> bool {
    let mut transactions = others(node.genesis());
    let index = transactions.len();
    transactions.push(transaction.clone());
    let input = BlockInput {
        height: node.heads().borrow().height + 1,
        time_ms: 1_700_000_001_000,
        proposer: account(0).public_key(),
    };
    let state = Arc::new(node.storage().snapshot().unwrap());
    let executor = node.executor();
    let executed =
        executor.execute_block(state, &input, transactions, selection, Signatures::Verify);
    let executed = executed.unwrap();
    if selection == Selection::DropRejected {
        let dropped = &executed.dropped;
        assert!(
            dropped
                .iter()
                .all(|one| *one == (transaction.hash(), Rejection::BadSignature))
        );
        return dropped.is_empty();
    }
    match &executed.receipts[index].status {
        Status::Ok => true,
        Status::Rejected(Rejection::BadSignature) => false,
        other => panic!("{other:?}"),
    }
}

/// Over RPC, until it is final.
fn over_rpc(node: &NodeHandle, transaction: &Transaction) -> bool {
    let hex = hex::encode(transaction.encode());
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tx_submitAndWait","params":{{"transaction":"0x{hex}"}}}}"#
    );
    let address = node.rpc_address();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    match (
        answer.contains("\"ok\""),
        answer.contains("\"badSignature\""),
    ) {
        (true, false) => true,
        (false, true) => false,
        _ => panic!("{answer}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_has_the_same_verdict_on_a_signature() {
    let dir = tempfile::tempdir().unwrap();
    let config = NodeConfig::dev(dir.path().to_owned(), chain(), 0);
    let node = Node::start(config).await.unwrap();
    let (mut taken, mut refused) = (0, 0);
    for edge in edges() {
        let sender = Address::of_account(&edge.sender);
        let nonce = node.mempool().next_nonce(&sender).unwrap();
        let transaction = transaction(node.genesis(), &edge, nonce);
        let verdicts = [
            ("alone", transaction.verify_signature().is_ok()),
            ("batch", in_a_batch(&transaction, &others(node.genesis()))),
            ("mempool", in_a_mempool(&node, &transaction)),
            (
                "built",
                in_a_block(&node, &transaction, Selection::DropRejected),
            ),
            (
                "decided",
                in_a_block(&node, &transaction, Selection::KeepRejected),
            ),
            (
                "rpc",
                tokio::task::block_in_place(|| over_rpc(&node, &transaction)),
            ),
        ];
        let one = verdicts.iter().all(|(_, verdict)| *verdict == edge.valid);
        assert!(one, "{}: valid {}, {verdicts:?}", edge.name, edge.valid);
        if edge.valid {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    assert_eq!((taken, refused), (101, 26));
    node.stop().await.unwrap();
}
