//! Hold every protocol type, hash, signature and key to golden bytes.

use kumiki_conformance::Golden;
use kumiki_protocol::{
    AccountRecord, Address, Block, ChainKind, CodeRecord, ContractRecord, Decode, Encode, Receipt,
    Rejection, ResultCode, Status, UNBONDING_EPOCHS, Vote, limits, merkle, sha2_256, sha3_256,
    state_key,
};
use kumiki_testkit::{account, validator};

use crate::samples;

/// Adds the encoding of a value, after checking that it decodes to the same value.
fn add<T: Encode + Decode + PartialEq + std::fmt::Debug>(
    golden: &mut Golden,
    name: &str,
    value: &T,
) {
    let bytes = value.encode();
    assert_eq!(
        T::decode(&mut bytes.as_slice()).as_ref(),
        Ok(value),
        "{name}"
    );
    golden.add(name, hex::encode(bytes));
}

#[test]
fn identities_hash_and_sign_as_ever() {
    let mut golden = Golden::new("identity.txt");
    golden.add("sha3_256.empty", sha3_256(&[]).to_string());
    golden.add("sha3_256.parts", sha3_256(&[b"a", b"bc"]).to_string());
    golden.add("sha2_256.parts", sha2_256(&[b"a", b"bc"]).to_string());
    for number in 0..2 {
        let account = account(number);
        golden.add(
            format!("account.{number}.public_key"),
            account.public_key().to_string(),
        );
        golden.add(
            format!("account.{number}.address"),
            account.address.to_string(),
        );
        golden.add(
            format!("account.{number}.address_bytes"),
            hex::encode(account.address.0),
        );
        let signature = account.key.sign(b"kumiki");
        golden.add(
            format!("account.{number}.signature"),
            hex::encode(signature.0),
        );
    }
    add(&mut golden, "public_key", &validator(0).public_key());
    add(&mut golden, "address", &Address([7; 32]));
    add(&mut golden, "hash", &samples::hash(7));
    let contract = Address::of_contract(&account(0).address, &[1; 32], &sha3_256(&[b"code"]));
    golden.add("contract.address", contract.to_string());
    golden.compare();
}

#[test]
fn transactions_encode_hash_and_sign_as_ever() {
    let mut golden = Golden::new("transaction.txt");
    for (name, action) in samples::actions() {
        add(&mut golden, &format!("action.{name}"), &action);
    }
    for (name, transaction) in samples::transactions() {
        add(&mut golden, &format!("body.{name}"), &transaction.body);
        golden.add(
            format!("sign_bytes.{name}"),
            hex::encode(transaction.body.sign_bytes()),
        );
        golden.add(format!("hash.{name}"), transaction.hash().to_string());
        add(&mut golden, &format!("transaction.{name}"), &transaction);
    }
    golden.compare();
}

#[test]
fn blocks_and_certificates_encode_and_hash_as_ever() {
    let mut golden = Golden::new("block.txt");
    add(&mut golden, "executed_state", &samples::executed());
    let block = samples::block();
    add(&mut golden, "header", &block.header);
    golden.add("header.hash", block.hash().to_string());
    add(&mut golden, "block", &block);
    for count in 0..=block.transactions.len() {
        let root = Block::transactions_root(&block.transactions[..count]);
        golden.add(format!("transactions_root.{count}"), root.to_string());
    }
    let (set, _keys) = samples::validators();
    add(&mut golden, "validator_set", &set);
    golden.add("validator_set.hash", set.hash().to_string());
    for size in 1..=10 {
        let keys = (0..size)
            .map(|number| validator(number).public_key())
            .collect();
        let set = kumiki_protocol::ValidatorSet::new(keys).unwrap();
        golden.add(format!("quorum.of_{size}"), set.quorum().to_string());
    }
    let certificate = samples::certificate();
    let genesis_hash = samples::genesis().hash();
    let sign_bytes = Vote::Finalize(certificate.proposal).sign_bytes(&genesis_hash);
    golden.add("certificate.sign_bytes", hex::encode(sign_bytes));
    add(
        &mut golden,
        "certificate.signature",
        &certificate.signatures[0],
    );
    add(&mut golden, "certificate", &certificate);
    golden.compare();
}

#[test]
fn genesis_encodes_and_hashes_as_ever() {
    let mut golden = Golden::new("genesis.txt");
    add(&mut golden, "chain_kind.dev", &ChainKind::Dev);
    add(&mut golden, "chain_kind.live", &ChainKind::Live);
    let genesis = samples::genesis();
    assert_eq!(genesis.check(), Ok(()));
    add(&mut golden, "parameters", &genesis.parameters);
    add(&mut golden, "genesis", &genesis);
    golden.add("genesis.hash", genesis.hash().to_string());
    let json = serde_json::to_string(&genesis).unwrap();
    assert_eq!(
        serde_json::from_str::<kumiki_protocol::Genesis>(&json).unwrap(),
        genesis
    );
    golden.add("genesis.json", json);
    golden.compare();
}

#[test]
fn receipts_encode_and_hash_as_ever() {
    let mut golden = Golden::new("receipt.txt");
    add(&mut golden, "event", &samples::event());
    for (name, rejection) in samples::REJECTIONS {
        add(&mut golden, &format!("rejection.{name}"), &rejection);
    }
    let mut receipts = Vec::new();
    for (name, status) in samples::statuses() {
        add(&mut golden, &format!("status.{name}"), &status);
        receipts.push(samples::receipt(status));
    }
    add(&mut golden, "receipt.ok", &receipts[0]);
    add(&mut golden, "receipt.failed", &receipts[2]);
    add(
        &mut golden,
        "receipt.rejected",
        &receipts[receipts.len() - 1],
    );
    for count in [0, 1, 2, 3, receipts.len()] {
        golden.add(
            format!("receipts_root.{count}"),
            Receipt::root(&receipts[..count]).to_string(),
        );
    }
    golden.compare();
}

#[test]
fn list_proofs_are_as_ever() {
    let mut golden = Golden::new("merkle.txt");
    let leaves: Vec<Vec<u8>> = (0..7).map(|byte| vec![byte; usize::from(byte)]).collect();
    for count in 0..=leaves.len() {
        golden.add(
            format!("root.{count}"),
            merkle::root(&leaves[..count]).to_string(),
        );
    }
    for index in 0..leaves.len() {
        let proof = merkle::prove(&leaves, index).unwrap();
        assert!(merkle::verify(
            &merkle::root(&leaves),
            &leaves[index],
            &proof
        ));
        add(&mut golden, &format!("proof.{index}_of_7"), &proof);
    }
    golden.compare();
}

#[test]
fn state_keys_and_records_are_as_ever() {
    let mut golden = Golden::new("state_key.txt");
    let address = Address([0xaa; 32]);
    for (name, key) in [
        ("account", state_key::account(&address)),
        ("validators", state_key::validators()),
        ("contract", state_key::contract(&address)),
        ("code", state_key::code(&samples::hash(0xcc))),
        ("storage_prefix", state_key::storage_prefix(&address)),
        ("storage", state_key::storage(&address, b"key")),
    ] {
        golden.add(format!("key.{name}"), hex::encode(key));
    }
    add(
        &mut golden,
        "record.account",
        &AccountRecord {
            nonce: 1,
            balance: 2,
        },
    );
    let code_hash = samples::hash(0xcc);
    for (name, admin) in [("immutable", None), ("with_admin", Some(address))] {
        let record = ContractRecord { code_hash, admin };
        add(&mut golden, &format!("record.contract_{name}"), &record);
    }
    add(&mut golden, "record.code", &CodeRecord { size: 65_537 });
    golden.compare();
}

#[test]
fn limits_are_as_ever() {
    let mut golden = Golden::new("limits.txt");
    for (name, limit) in [
        ("transaction_bytes_max", limits::TRANSACTION_BYTES_MAX),
        ("actions_max", limits::ACTIONS_MAX),
        ("code_bytes_max", limits::CODE_BYTES_MAX),
        ("call_data_bytes_max", limits::CALL_DATA_BYTES_MAX),
        ("storage_key_bytes_max", limits::STORAGE_KEY_BYTES_MAX),
        ("storage_value_bytes_max", limits::STORAGE_VALUE_BYTES_MAX),
        ("events_max", limits::EVENTS_MAX),
        ("event_topics_max", limits::EVENT_TOPICS_MAX),
        ("event_data_bytes_max", limits::EVENT_DATA_BYTES_MAX),
        ("call_depth_max", limits::CALL_DEPTH_MAX),
        ("validators_max", limits::VALIDATORS_MAX),
        ("evidence_bytes_max", limits::EVIDENCE_BYTES_MAX),
        ("genesis_accounts_max", limits::GENESIS_ACCOUNTS_MAX),
        ("genesis_bytes_max", limits::GENESIS_BYTES_MAX),
        ("chain_id_bytes_max", limits::CHAIN_ID_BYTES_MAX),
    ] {
        golden.add(name, limit.to_string());
    }
    golden.add(
        "validators_queued_max",
        limits::VALIDATORS_QUEUED_MAX.to_string(),
    );
    golden.add("unbonding_epochs", UNBONDING_EPOCHS.to_string());
    golden.add(
        "finality_headers_max",
        limits::FINALITY_HEADERS_MAX.to_string(),
    );
    golden.add("epoch_blocks_min", limits::EPOCH_BLOCKS_MIN.to_string());
    golden.add("scan_entries_max", limits::SCAN_ENTRIES_MAX.to_string());
    golden.add(
        "valid_until_window_max",
        limits::VALID_UNTIL_WINDOW_MAX.to_string(),
    );
    golden.add("json_integer_max", limits::JSON_INTEGER_MAX.to_string());
    golden.add(
        "protocol_version",
        kumiki_protocol::PROTOCOL_VERSION.to_string(),
    );
    golden.compare();
}

/// The first bytes with which a `T` can begin: zeros after the first byte satisfy every variant.
fn variants<T: Decode>() -> Vec<u8> {
    (0..=u8::MAX)
        .filter(|first| {
            let mut bytes = vec![0; 512];
            bytes[0] = *first;
            T::decode(&mut bytes.as_slice()).is_ok()
        })
        .collect()
}

fn first_bytes<T: Encode>(values: impl Iterator<Item = T>) -> Vec<u8> {
    let mut bytes: Vec<u8> = values.map(|value| value.encode()[0]).collect();
    bytes.sort_unstable();
    bytes.dedup();
    bytes
}

#[test]
fn no_variant_lacks_golden_bytes() {
    let actions = samples::actions().into_iter().map(|(_, action)| action);
    assert_eq!(variants::<kumiki_protocol::Action>(), first_bytes(actions));
    let statuses = samples::statuses().into_iter().map(|(_, status)| status);
    // A rejection has no number 0, so zeros do not decode as one.
    let mut decodable = variants::<Status>();
    decodable.push(2);
    assert_eq!(decodable, first_bytes(statuses));
    let rejections = samples::REJECTIONS.into_iter().map(|(_, one)| one);
    assert_eq!(variants::<Rejection>(), first_bytes(rejections));
    assert_eq!(
        variants::<ResultCode>(),
        first_bytes(ResultCode::ALL.into_iter())
    );
    assert_eq!(
        variants::<ChainKind>(),
        first_bytes([ChainKind::Dev, ChainKind::Live].into_iter())
    );
}
