//! `kumiki proof`: read a value with a proof, and check the proof here.

use kumiki_protocol::{AccountRecord, ContractRecord, decode_bounded, state_key};
use serde_json::{Value, json};

use crate::arguments::{ProofArguments, ProofSubject};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;

const RECORD_BYTES_MAX: usize = 256;

pub(crate) async fn run(arguments: &ProofArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let client = &network.client;
    let mut anchor = match arguments.trust {
        Some((height, hash)) => client.proof_anchor_at(height, hash).await?,
        None => client.proof_anchor().await?,
    };
    let (key, contract) = match arguments.subject {
        ProofSubject::Account => (
            state_key::account(&network.account_address(&arguments.name)?),
            None,
        ),
        ProofSubject::Contract => (
            state_key::contract(&network.contract_address(&arguments.name)?),
            None,
        ),
        ProofSubject::Storage => (
            storage_key(arguments)?,
            Some(network.contract_address(&arguments.name)?),
        ),
    };
    let (proven, answer) = client
        .proven_state(&mut anchor, &key, contract, None)
        .await?;
    let value = proven.value.as_deref();
    let record = value.map_or(Value::Null, |bytes| record_json(arguments.subject, bytes));
    let hex_value = value.map(|bytes| format!("0x{}", hex::encode(bytes)));
    let json = json!({
        "proven": true,
        "key": format!("0x{}", hex::encode(&proven.key)),
        "value": hex_value,
        "record": record,
        "height": proven.height,
        "stateRoot": proven.state_root,
        "blockHash": proven.block_hash,
        "signatures": proven.signatures,
        "epoch": proven.epoch,
        "validators": proven.validators.keys(),
        "trusted": trusted_json(arguments, &network),
        "proof": answer.proof,
        "signedHeader": answer.signed_header,
        "descendants": answer.descendants,
    });
    let shown = match (&hex_value, &record) {
        (None, _) => "nothing (its absence is proven)".to_owned(),
        (Some(text), Value::Null) => text.clone(),
        (Some(_), record) => record.to_string(),
    };
    let text = format!(
        "value   {shown}\nproven  after height {}, root {}\nsigned  by {} of {} validators of epoch {}\ntrusted {}",
        proven.height,
        proven.state_root,
        proven.signatures,
        proven.validators.keys().len(),
        proven.epoch,
        trusted_text(arguments, &network),
    );
    output.data(&json, &text);
    Ok(())
}

/// Where trust begins.
fn trusted_json(arguments: &ProofArguments, network: &Network) -> Value {
    match arguments.trust {
        Some((height, hash)) => json!({ "from": "block", "height": height, "hash": hash }),
        None => json!({
            "from": if network.names_genesis { "genesis" } else { "genesisOfNode" },
            "height": 0,
            "hash": network.client.genesis_hash(),
        }),
    }
}

fn trusted_text(arguments: &ProofArguments, network: &Network) -> String {
    let genesis = network.client.genesis_hash();
    match (arguments.trust, network.names_genesis) {
        (Some((height, hash)), _) => format!("block {hash} at height {height}"),
        (None, true) => format!("genesis {genesis}"),
        (None, false) => format!("genesis {genesis} (as the node names it)"),
    }
}

fn storage_key(arguments: &ProofArguments) -> Outcome<Vec<u8>> {
    arguments
        .key
        .as_deref()
        .and_then(|text| text.strip_prefix("0x"))
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "keyMalformed",
                "which storage key should be proven?",
            )
            .expected(
                "0x and an even number of hex digits; prefixes are in the contract's .abi.json",
            )
            .found(
                arguments
                    .key
                    .clone()
                    .unwrap_or_else(|| "nothing".to_owned()),
            )
            .next(format!("kumiki proof storage {} 0x00", arguments.name))
        })
}

fn record_json(subject: ProofSubject, bytes: &[u8]) -> Value {
    match subject {
        ProofSubject::Account => decode_bounded::<AccountRecord>(bytes, RECORD_BYTES_MAX).map_or(
            Value::Null,
            |one| json!({ "nonce": one.nonce, "balance": one.balance.to_string() }),
        ),
        ProofSubject::Contract => decode_bounded::<ContractRecord>(bytes, RECORD_BYTES_MAX).map_or(
            Value::Null,
            |one| json!({ "codeHash": one.code_hash, "admin": one.admin }),
        ),
        ProofSubject::Storage => Value::Null,
    }
}
