//! Hold what the state, the contract and its callers say of validators to golden bytes.

use kumiki_abi::metadata::{EntryKind, Metadata};
use kumiki_conformance::Golden;
use kumiki_executor::{VALIDATORS_ABI, ValidatorsError, genesis_changes};
use kumiki_protocol::{
    Address, Decode, Encode, VALIDATORS_CONTRACT, ValidatorChange, ValidatorQueue, ValidatorRecord,
    Vote, join_sign_bytes, sha3_256, state_key,
};
use kumiki_testkit::validator;

use crate::samples;

fn add<T: Encode + Decode + PartialEq + std::fmt::Debug>(
    golden: &mut Golden,
    name: &str,
    value: &T,
) {
    let bytes = value.encode();
    let decoded = T::decode(&mut bytes.as_slice());
    assert_eq!(decoded.as_ref(), Ok(value), "{name}");
    golden.add(name, hex::encode(bytes));
}

#[test]
fn records_keys_and_messages_are_as_ever() {
    let mut golden = Golden::new("validator.txt");
    let key = validator(1).public_key();
    golden.add("contract.address", VALIDATORS_CONTRACT.to_string());
    for (name, key) in [
        ("previous_validators", state_key::previous_validators()),
        ("validator_queue", state_key::validator_queue()),
        ("validator", state_key::validator(&key)),
        ("removal", state_key::validator_change(true, 258)),
        ("change", state_key::validator_change(false, 258)),
    ] {
        golden.add(format!("key.{name}"), hex::encode(key));
    }
    for (name, status) in samples::validator_statuses() {
        let record = ValidatorRecord {
            owner: Address([0xaa; 32]),
            stake: 5,
            status,
        };
        add(&mut golden, &format!("record.{name}"), &record);
    }
    for (name, change) in [
        ("remove", ValidatorChange::Remove(key)),
        ("leave", ValidatorChange::Leave(key)),
        ("join", ValidatorChange::Join(key)),
    ] {
        add(&mut golden, &format!("change.{name}"), &change);
    }
    let queue = ValidatorQueue {
        next_ticket: 9,
        joins: 2,
    };
    add(&mut golden, "queue", &queue);
    let genesis_hash = samples::genesis().hash();
    let message = join_sign_bytes(&genesis_hash, &Address([0xaa; 32]));
    golden.add("join.sign_bytes", hex::encode(message));
    let evidence = samples::evidence();
    add(&mut golden, "evidence", &evidence);
    let Vote::Finalize(proposal) = evidence.first.vote else {
        panic!("the sample has two finalizations");
    };
    for (name, vote) in [
        ("notarize", Vote::Notarize(proposal)),
        ("nullify", Vote::Nullify { epoch: 3, view: 17 }),
        ("finalize", Vote::Finalize(proposal)),
    ] {
        add(&mut golden, &format!("vote.{name}"), &vote);
        let message = vote.sign_bytes(&genesis_hash);
        golden.add(format!("vote.{name}.sign_bytes"), hex::encode(message));
    }
    golden.compare();
}

#[test]
fn the_first_state_is_as_ever() {
    let mut golden = Golden::new("genesis_state.txt");
    for (key, value) in genesis_changes(&samples::genesis()).entries {
        golden.add(
            hex::encode(key),
            value.map_or_else(String::new, hex::encode),
        );
    }
    golden.compare();
}

/// The metadata is written by hand, so its numbers are worked out again from its names.
#[test]
fn the_metadata_says_what_the_contract_does() {
    let abi: Metadata = serde_json::from_str(VALIDATORS_ABI).unwrap();
    assert_eq!(abi.schema, kumiki_abi::metadata::SCHEMA);
    let mut golden = Golden::new("validator_abi.txt");
    for method in &abi.entry_points {
        let types: Vec<&str> = method
            .args
            .iter()
            .map(|one| one.type_name.as_str())
            .collect();
        let signature = format!("{}({})", method.name, types.join(","));
        let selector = hex::encode(&sha3_256(&[signature.as_bytes()]).0[..4]);
        assert_eq!(method.selector, format!("0x{selector}"));
        assert_eq!(method.payable, method.name == "join");
        let kind = match method.kind {
            EntryKind::View => "view",
            _ => "call",
        };
        golden.add(format!("{kind}.{signature}"), selector);
    }
    for event in &abi.events {
        let types: Vec<&str> = event
            .fields
            .iter()
            .map(|one| one.type_name.as_str())
            .collect();
        let signature = format!("{}({})", event.name, types.join(","));
        let id = sha3_256(&[signature.as_bytes()]).to_string();
        assert_eq!(event.id, id);
        golden.add(format!("event.{signature}"), id);
    }
    let error = abi
        .types
        .iter()
        .find(|one| Some(&one.name) == abi.error.as_ref());
    let kumiki_abi::metadata::TypeShape::Enum(variants) = &error.unwrap().shape else {
        panic!("errors are an enum");
    };
    for variant in variants {
        let known = ValidatorsError::decode(&mut [variant.index].as_slice()).unwrap();
        assert_eq!(format!("{known:?}"), variant.name);
        golden.add(format!("error.{}", variant.name), variant.index.to_string());
    }
    let next = [u8::try_from(variants.len()).unwrap()];
    assert!(ValidatorsError::decode(&mut next.as_slice()).is_err());
    golden.compare();
}
