//! A state is fetched from whoever has it, past whoever lies, and only where the trusted block leads to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use commonware_p2p::Receiver as _;
use kumiki_network::{Multiaddr, Network, NetworkConfig, NetworkLimits};
use kumiki_protocol::{
    Block, ExecutedState, Genesis, PROTOCOL_VERSION, Proposal, Receipt, SecretKey,
    TrustedValidators, decode_bounded, state_key,
};
use kumiki_state::StateChanges;
use kumiki_storage::{BlockCommit, Storage, StorageOptions};
use kumiki_testkit::{genesis as test_genesis, validator};
use prometheus_client::registry::Registry;

use super::*;

const LAG: u64 = 2;
const ENTRIES: u32 = 20_000;
const DEADLINE: Duration = Duration::from_secs(60);

fn keys(epoch: u64) -> Vec<SecretKey> {
    let first = u8::try_from(epoch).unwrap();
    (first..first + 4).map(validator).collect()
}

/// The validators of an epoch: each has one that the epoch before did not have.
fn set(epoch: u64) -> ValidatorSet {
    ValidatorSet::new(keys(epoch).iter().map(SecretKey::public_key).collect()).unwrap()
}

fn genesis() -> Genesis {
    let mut genesis = test_genesis();
    genesis.validators = set(0).keys().to_vec();
    genesis.parameters.execution_lag = u8::try_from(LAG).unwrap();
    genesis.parameters.epoch_blocks = 8;
    genesis
}

/// What the block at `height` changes.
fn changes(genesis: &Genesis, height: Height) -> StateChanges {
    let mut changes = StateChanges::default();
    let parameters = &genesis.parameters;
    let fixed = match height {
        0 => Some(0),
        _ => parameters.fixes_validators_of(height),
    };
    if let Some(epoch) = fixed {
        let validators = set(epoch).encode();
        changes
            .entries
            .insert(state_key::validators(), Some(validators));
    }
    let numbers = if height == 1 { 0..ENTRIES } else { 0..3 };
    for number in numbers {
        let hash = kumiki_protocol::sha3_256(&[&number.to_be_bytes()]);
        let key = state_key::account(&kumiki_protocol::Address(hash.0));
        changes
            .entries
            .insert(key, Some(height.to_be_bytes().repeat(4)));
    }
    if height == 2 {
        let code: Arc<[u8]> = Arc::from(&b"not Wasm, but code to the store"[..]);
        let hash = kumiki_protocol::sha3_256(&[&code]);
        changes
            .entries
            .insert(state_key::code(&hash), Some(vec![1]));
        changes.codes.insert(hash, code);
    }
    changes
}

/// The certificate of a block.
fn decided(genesis: &Genesis, height: Height, block: Hash) -> Certificate {
    let epoch = genesis.parameters.epoch_of(height);
    let proposal = Proposal {
        epoch,
        view: height + 1,
        parent_view: height,
        block,
    };
    let keys = keys(epoch);
    let signers: Vec<&SecretKey> = keys.iter().collect();
    Certificate::sign(&genesis.hash(), proposal, &set(epoch), &signers)
}

/// A stored chain of blocks without transactions, whose validators change with every epoch.
fn stored(dir: &Path, genesis: &Genesis, blocks: Height) -> Arc<Storage> {
    let storage = Storage::open(dir, StorageOptions::default()).unwrap();
    let parameters = &genesis.parameters;
    let mut results: Vec<ExecutedState> = Vec::new();
    let mut parent = Hash::ZERO;
    for height in 0..=blocks {
        let lagged = height.saturating_sub(LAG);
        let next = set(parameters.epoch_of(height + 1));
        let mut header = Header {
            version: PROTOCOL_VERSION,
            genesis_hash: genesis.hash(),
            height,
            parent,
            time_ms: height,
            proposer: genesis.validators[0],
            transactions_root: Block::transactions_root(&[]),
            transactions_count: 0,
            executed: ExecutedState {
                height: lagged,
                state_root: Hash::ZERO,
                state_entries: 0,
                receipts_root: Receipt::root(&[]),
                next_validators_hash: next.hash(),
            },
        };
        let changes = changes(genesis, height);
        let prepared = (height > 0).then(|| storage.prepare(&changes).unwrap());
        let (state_root, state_entries) = match &prepared {
            Some(prepared) => (prepared.state_root, prepared.state_entries),
            None => {
                let tree = kumiki_state::Tree::empty();
                let tree = tree.update(&changes, &kumiki_state::EmptyState).unwrap();
                (tree.root(), tree.entries())
            }
        };
        results.push(ExecutedState {
            height,
            state_root,
            state_entries,
            ..header.executed
        });
        let lagged = results[usize::try_from(lagged).unwrap()];
        header.executed = ExecutedState {
            next_validators_hash: next.hash(),
            ..lagged
        };
        parent = header.hash();
        let block = Block {
            header,
            transactions: Vec::new(),
        };
        let Some(prepared) = prepared else {
            storage.initialise(genesis, &changes, &block).unwrap();
            continue;
        };
        let certificate = decided(genesis, height, parent);
        let commit = BlockCommit {
            block: &block,
            certificate: Some(&certificate),
            receipts: &[],
            prepared,
        };
        storage.commit(commit).unwrap();
    }
    Arc::new(storage)
}

/// A peer, connected to those at `known`.
async fn peer(
    genesis: &Genesis,
    number: u8,
    known: &[Multiaddr],
) -> (Network, kumiki_network::Channel, Vec<Multiaddr>) {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let mut config = NetworkConfig::new(validator(number), genesis.hash(), listen);
    config.bootstrap = known.to_vec();
    config.limits = NetworkLimits::loopback();
    let channels = vec![channel_spec()];
    let registry = &mut Registry::default();
    let mut started = Network::start(config, channels, Vec::new(), registry).unwrap();
    let addresses = started.network.listening().await.unwrap();
    (started.network, started.channels.remove(0), addresses)
}

async fn has_peers(network: &Network, count: usize) {
    let connected = async {
        while network.peers().await.unwrap().len() != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let connected = tokio::time::timeout(DEADLINE, connected).await;
    connected.expect("a peer does not connect, or is not dropped");
}

/// Answers every request for entries or code with some that are not there.
async fn lie(mut channel: kumiki_network::Channel, lies: tokio::sync::mpsc::Sender<()>) {
    while let Ok((peer, bytes)) = channel.receiver.recv().await {
        let message = decode_bounded(bytes.as_ref(), MESSAGE_BYTES_MAX).unwrap();
        let Message::Ask(number, request) = message else {
            continue;
        };
        let answer = match request {
            Request::Range(_, start, _) => {
                let _first_or_later = lies.try_send(());
                Answer::Range(vec![(start, vec![1])], true, RangeProof::default())
            }
            Request::Code(_) => Answer::Code(vec![1]),
            _ => Answer::Nothing,
        };
        send(&mut channel.sender, peer, &Message::Tell(number, answer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_sends_false_pages_is_dropped_and_the_state_comes_from_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = Arc::new(genesis());
    let storage = stored(&dir.path().join("honest"), &genesis, 60);
    let (honest, served, first) = peer(&genesis, 100, &[]).await;
    tokio::spawn(serve(Arc::clone(&storage), honest, served));
    let (_liar, channel, second) = peer(&genesis, 101, &[]).await;
    let (lies, mut lied) = tokio::sync::mpsc::channel(1);
    tokio::spawn(lie(channel, lies));
    let known = [first, second].concat();
    let (network, mut channel, _) = peer(&genesis, 102, &known).await;
    has_peers(&network, 2).await;

    // A block in the middle of epoch 2 is trusted, whose validators genesis does not name.
    let trusted = storage.header(20).unwrap().unwrap();
    let sync = StateSync {
        trusted: Some((20, trusted.hash())),
    };
    let place = dir.path().join("new");
    std::fs::create_dir(&place).unwrap();
    let options = StorageOptions::default();
    let fetching = fetch(&genesis, sync, &network, &mut channel, (&place, options));
    let fetched = tokio::time::timeout(DEADLINE, fetching).await;
    let fetched = fetched.expect("the state does not come").unwrap();
    assert_eq!(lied.recv().await, Some(()), "the liar was not asked");
    has_peers(&network, 1).await;

    let new = Storage::open(&place, options).unwrap();
    let (tip, base) = (new.tip().unwrap(), new.base().unwrap().unwrap());
    assert_eq!(
        (tip.height, base.height()),
        (fetched.height, fetched.height)
    );
    assert_eq!(fetched.entries, tip.state_entries, "each entry came once");
    let there = storage.snapshot_at(tip.height).unwrap();
    assert_eq!(tip.state_root, there.state_root());
    let code = kumiki_protocol::sha3_256(&[b"not Wasm, but code to the store"]);
    let has_code = |storage: &Storage| {
        use kumiki_state::StateReader as _;
        storage.snapshot().unwrap().code(&code).unwrap().is_some()
    };
    assert!(has_code(&storage) && has_code(&new));

    // It knows the validators of the epochs that it has verified, and no others.
    let epoch = genesis.parameters.epoch_of(tip.height);
    assert!(epoch > 4);
    for known in 2..=epoch {
        assert_eq!(new.validators_of(known).unwrap(), Some(set(known)));
    }
    assert_eq!(new.validators_of(1).unwrap(), None);
    let mut start = TrustedValidators::after_header(
        &genesis,
        &trusted.hash(),
        &trusted,
        new.validators_of(2).unwrap().unwrap(),
    )
    .unwrap();
    for over in 2..epoch {
        let end = new.epoch_end(over).unwrap();
        start
            .enter_next(&end.expect("it shows the epochs"))
            .unwrap();
    }
}

/// An offer as an honest peer makes it, what it is verified with, and the chain that it is of.
fn offer(dir: &Path) -> (Genesis, Offer, TrustedValidators, Vec<EpochEnd>) {
    let genesis = genesis();
    let storage = stored(dir, &genesis, 36);
    let (height, lag) = (34, LAG);
    let headers = (height - lag..=height + lag)
        .map(|height| storage.header(height).unwrap().unwrap())
        .collect();
    let offer = Offer {
        height,
        certificate: storage.certificate(height).unwrap().unwrap(),
        headers,
        last_certificate: storage.certificate(height + lag).unwrap().unwrap(),
        splits: Vec::new(),
    };
    let mut trusted = TrustedValidators::of_genesis(&genesis).unwrap();
    let mut epochs = Vec::new();
    while trusted.epoch() < offer.epoch() {
        let end = storage.epoch_end(trusted.epoch()).unwrap().unwrap();
        trusted.enter_next(&end).unwrap();
        epochs.push(end);
    }
    (genesis, offer, trusted, epochs)
}

#[test]
fn an_offer_with_anything_altered_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (genesis, sound, trusted, epochs) = offer(dir.path());
    let verify = |offer: &Offer| offer.verify(&genesis, &trusted, (0, set(0)), epochs.clone());
    let restored = verify(&sound).unwrap();
    assert_eq!(restored.base.height(), 34);
    assert_eq!(restored.base.results().count(), 3);
    let alterations: [(&str, fn(&mut Offer)); 9] = [
        ("another height", |offer| offer.height = 33),
        ("no header", |offer| offer.headers.clear()),
        ("no header below", |offer| {
            offer.headers.remove(0);
        }),
        ("a gap", |offer| {
            offer.headers.remove(3);
        }),
        ("another header below", |offer| {
            offer.headers[0].transactions_count = 9;
        }),
        ("another result", |offer| {
            offer.headers[4].executed.state_root = Hash([1; 32]);
        }),
        ("a certificate of another block", |offer| {
            offer.certificate = offer.last_certificate.clone();
        }),
        ("a signature less than a quorum", |offer| {
            offer.last_certificate.signatures.truncate(2);
        }),
        ("parts without end", |offer| {
            offer.splits = vec![vec![1]; PARTS_MAX + 1];
        }),
    ];
    for (what, alter) in alterations {
        let mut altered = sound.clone();
        alter(&mut altered);
        assert!(verify(&altered).is_err(), "{what}");
    }
}
