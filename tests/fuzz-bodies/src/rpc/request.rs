//! Make requests that get past the first checks: known methods, parameters of the right names, values that mean
//! something to this node, and others.

use kumiki_protocol::{Address, Encode as _, Hash, state_key};
use kumiki_rpc_api::{MethodSpec, method_specs};
use kumiki_testkit::{Draft, account};
use serde_json::{Map, Value, json};

use super::served::{ACCOUNTS, Served};
use crate::choices::Choices;
use crate::transaction::action;

/// Calls of a batch.
const BATCH_MAX: usize = 6;
/// Nesting of values that mean nothing.
const DEPTH_MAX: usize = 3;

/// One call, or a batch of them.
pub(super) fn message(choices: &mut Choices<'_>, served: &Served) -> Value {
    if choices.one_in(4) {
        let count = choices.below(BATCH_MAX);
        (0..count).map(|_| call(choices, served)).collect()
    } else {
        call(choices, served)
    }
}

fn call(choices: &mut Choices<'_>, served: &Served) -> Value {
    let spec = choices.one_of(method_specs());
    let params = parameters(spec, choices, served);
    let mut request = json!({"jsonrpc": "2.0", "id": 7, "method": spec.name, "params": params});
    match choices.byte() {
        0..=3 => request["id"] = any(choices, DEPTH_MAX),
        4 => request["method"] = any(choices, DEPTH_MAX),
        5 => request["jsonrpc"] = any(choices, DEPTH_MAX),
        6 => request["params"] = any(choices, 0),
        7 => {
            if let Some(fields) = request.as_object_mut() {
                fields.remove("id");
            }
        }
        _ => {}
    }
    request
}

/// By name, or in order.
fn parameters(spec: &MethodSpec, choices: &mut Choices<'_>, served: &Served) -> Value {
    let mut named = Map::new();
    for param in spec.params {
        if param.required || choices.one_in(2) {
            let value = match choices.byte() % 8 {
                0 => any(choices, 0),
                _ => meant(param.name, choices, served),
            };
            named.insert(param.name.to_owned(), value);
        }
    }
    match choices.byte() % 8 {
        0 => named.into_iter().map(|(_, value)| value).collect(),
        1 => {
            named.insert("unknown".to_owned(), any(choices, DEPTH_MAX));
            named.into()
        }
        _ => named.into(),
    }
}

/// A value as a parameter of this name takes it.
fn meant(name: &str, choices: &mut Choices<'_>, served: &Served) -> Value {
    match name {
        "address" | "account" | "caller" | "contract" => address(choices, served),
        "hash" | "codeHash" => json!(hash(choices, served)),
        "transaction" => json!(transaction(choices, served)),
        "body" => json!(body(choices, served)),
        "key" | "prefix" => json!(key(choices, served)),
        "input" => json!(hex_of(choices.bytes(40))),
        "balance" => json!(choices.number().to_string()),
        "blocks" => json!(choices.byte() % 5),
        "limit" => json!(choices.byte()),
        "proof" | "encoded" => json!(choices.one_in(2)),
        "transactions" => json!(choices.one_of(&["hashes", "full", "none"])),
        "filter" => filter(choices, served),
        "actions" => (0..choices.below(3))
            .map(|_| step(choices, served))
            .collect(),
        "after" => match choices.byte() % 2 {
            0 => json!(format!("{}.{}.0", choices.byte(), choices.byte() % 2)),
            _ => json!(key(choices, served)),
        },
        "height" | "at" | "from" | "to" | "epoch" | "validUntil" | "gas" | "timeoutMs" | "byMs"
        | "toMs" => number(choices),
        _ => any(choices, 0),
    }
}

fn number(choices: &mut Choices<'_>) -> Value {
    match choices.byte() % 4 {
        0 => json!(choices.number()),
        _ => json!(choices.byte()),
    }
}

fn address(choices: &mut Choices<'_>, served: &Served) -> Value {
    json!(match choices.byte() % 4 {
        0 => served.contract,
        1 => kumiki_protocol::VALIDATORS_CONTRACT,
        2 => account(choices.byte() % ACCOUNTS).address,
        _ => Address(choices.array()),
    })
}

fn hash(choices: &mut Choices<'_>, served: &Served) -> Hash {
    match choices.byte() % 6 {
        0 => served.transaction,
        1 => served.genesis.hash(),
        2 => served.head(),
        3 => served.code_hash(),
        4 => Hash::ZERO,
        _ => Hash(choices.array()),
    }
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn key(choices: &mut Choices<'_>, served: &Served) -> String {
    let whole = match choices.byte() % 5 {
        0 => state_key::account(&account(choices.byte() % ACCOUNTS).address),
        1 => state_key::contract(&served.contract),
        2 => state_key::validators(),
        _ => choices.bytes(40).to_vec(),
    };
    let kept = if choices.one_in(4) {
        choices.below(whole.len())
    } else {
        whole.len()
    };
    hex_of(whole.get(..kept).unwrap_or_default())
}

/// Something to sign: a call of the contract, or any action.
fn draft(choices: &mut Choices<'_>, served: &Served) -> Draft {
    let sender = account(choices.byte() % ACCOUNTS);
    let nonce = served.next_nonce(&sender.address);
    let nonce = nonce.saturating_add(if choices.one_in(8) {
        choices.number()
    } else {
        0
    });
    let mut draft = Draft::new(&served.genesis, &sender, nonce);
    draft.body.valid_until = served.height().saturating_add(u64::from(choices.byte()));
    draft.body.gas_limit = match choices.byte() % 4 {
        0 => choices.number(),
        _ => 5_000_000,
    };
    for _ in 0..=choices.below(2) {
        draft = match choices.byte() % 3 {
            0 => draft.call(&served.contract, choices.bytes(16)),
            1 => draft.transfer(&account(choices.byte() % ACCOUNTS).address, 1),
            _ => draft.action(action(choices)),
        };
    }
    draft
}

fn transaction(choices: &mut Choices<'_>, served: &Served) -> String {
    let bytes = draft(choices, served).sign().encode();
    if choices.one_in(4) {
        hex_of(&choices.mutated(&bytes))
    } else {
        hex_of(&bytes)
    }
}

fn body(choices: &mut Choices<'_>, served: &Served) -> String {
    let bytes = draft(choices, served).body.encode();
    if choices.one_in(4) {
        hex_of(&choices.mutated(&bytes))
    } else {
        hex_of(&bytes)
    }
}

fn filter(choices: &mut Choices<'_>, served: &Served) -> Value {
    let topics: Value = (0..choices.below(6))
        .map(|_| match choices.byte() % 2 {
            0 => Value::Null,
            _ => json!(hash(choices, served)),
        })
        .collect();
    json!({"contract": address(choices, served), "topics": topics})
}

fn step(choices: &mut Choices<'_>, served: &Served) -> Value {
    let amount = choices.number().to_string();
    match choices.byte() % 2 {
        0 => json!({"transfer": {"to": address(choices, served), "amount": amount}}),
        _ => json!({"call": {"contract": address(choices, served),
            "input": hex_of(choices.bytes(16)), "value": "0"}}),
    }
}

/// Any JSON.
fn any(choices: &mut Choices<'_>, depth: usize) -> Value {
    match choices.byte() % 9 {
        0 => Value::Null,
        1 => json!(choices.one_in(2)),
        2 => json!(choices.number()),
        3 => json!(-1 - i64::from(choices.byte())),
        4 => json!(f64::from(choices.byte()) / 7.0),
        5 => json!(hex_of(choices.bytes(40))),
        6 | 7 if depth >= DEPTH_MAX => json!(String::from_utf8_lossy(choices.bytes(40))),
        6 => (0..choices.below(4))
            .map(|_| any(choices, depth + 1))
            .collect(),
        7 => {
            let name = String::from_utf8_lossy(choices.bytes(8)).into_owned();
            json!({name: any(choices, depth + 1)})
        }
        _ => json!(String::from_utf8_lossy(choices.bytes(40))),
    }
}
