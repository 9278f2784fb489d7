//! Holds the OpenRPC document against the methods that exist, and its examples against schemas and a real server.
//!
//! `KUMIKI_BLESS=1` records the examples anew.

use std::collections::BTreeSet;

use kumiki_protocol::Encode;
use kumiki_rpc_api::{Bytes, Served, document, method_specs};
use kumiki_testkit::account;
use serde_json::{Map, Value, json};

use crate::live_node::{LiveNode, contract_address, encoded};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rpc-api/src/examples.json");

/// A chain of one epoch: a contract, a call of it, and empty blocks.
async fn example_chain() -> LiveNode {
    let mut node = LiveNode::with_short_epochs().await;
    let contract = node.deploy();
    node.seal(vec![node.draft(1, 0).call(&contract, &[7; 32]).sign()]);
    // The fifth decides the fourth.
    node.seal(Vec::new());
    node.seal_uncertified(Vec::new());
    for _ in 5..8 {
        node.seal(Vec::new());
    }
    node
}

/// What is asked in the examples, by method. Subscriptions are asked over WebSocket elsewhere.
fn requests(node: &LiveNode) -> Vec<(&'static str, Value)> {
    let contract = contract_address(&account(0));
    let called = node.draft(1, 0).call(&contract, &[7; 32]).sign().hash();
    let transfer = || {
        node.draft(2, 0)
            .transfer(&account(3).address, 1_000_000_000)
    };
    let body = Bytes(transfer().body.encode());
    vec![
        ("rpc_version", json!({})),
        ("rpc_limits", json!({})),
        ("chain_getInfo", json!({})),
        (
            "chain_getBlock",
            json!({ "height": 2, "transactions": "full" }),
        ),
        ("chain_getHeader", json!({ "height": 1 })),
        ("chain_getFinality", json!({ "height": 4 })),
        ("chain_getEpochEnd", json!({ "epoch": 0 })),
        ("chain_getGenesis", json!({})),
        ("account_get", json!({ "address": account(1).address })),
        (
            "account_nextNonce",
            json!({ "address": account(1).address }),
        ),
        (
            "tx_submit",
            json!({ "transaction": encoded(&transfer().sign()) }),
        ),
        ("tx_get", json!({ "hash": called })),
        ("tx_getReceipt", json!({ "hash": called, "proof": true })),
        ("sim_call", json!({ "contract": contract, "input": "0x" })),
        ("sim_tx", json!({ "body": body })),
        ("debug_traceTx", json!({ "hash": called })),
        ("debug_traceCall", json!({ "body": body })),
        ("contract_get", json!({ "address": contract })),
        ("contract_getAbi", json!({ "address": contract })),
        ("contract_getCode", json!({ "address": contract })),
        ("state_get", json!({ "key": "0x6b", "contract": contract })),
        (
            "state_getPrefix",
            json!({ "prefix": "0x", "contract": contract }),
        ),
        (
            "state_getProof",
            json!({ "key": "0x6b", "contract": contract }),
        ),
        (
            "events_query",
            json!({ "filter": { "contract": contract } }),
        ),
        ("fee_getPrice", json!({})),
        ("node_getHealth", json!({})),
        ("node_getVersion", json!({})),
        ("node_getStatus", json!({})),
        ("node_getPeers", json!({})),
    ]
}

async fn ask(node: &LiveNode, method: &str, params: &Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let (status, body) = node.post("", &request.to_string()).await;
    assert_eq!(status, 200, "{method}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

/// `schema` of the document, with what it refers to.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut whole = schema.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("components".to_owned(), document["components"].clone());
    }
    jsonschema::draft7::new(&whole).unwrap()
}

fn assert_valid(document: &Value, schema: &Value, value: &Value, what: &str) {
    let errors: Vec<String> = validator(document, schema)
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
}

#[tokio::test]
async fn the_document_names_exactly_the_methods_that_exist() {
    let node = LiveNode::start().await;
    let served: Value = ask(&node, "rpc.discover", &json!({})).await;
    let (_, file) = node.get("/openrpc.json").await;
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), served);
    assert_eq!(served, document(Served::ALL));
    let documented: BTreeSet<&str> = served["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["name"].as_str().unwrap())
        .collect();
    let existing: BTreeSet<&str> = node.server.as_ref().unwrap().method_names().collect();
    assert_eq!(documented, existing);
}

#[tokio::test]
async fn a_node_that_serves_no_developers_neither_has_nor_names_their_methods() {
    let mut node = LiveNode::configured(|config| config.debug = false).await;
    let contract = node.deploy();
    let call = node.draft(1, 0).call(&contract, b"x").sign();
    let hash = call.hash();
    node.seal(vec![call]);
    let served: Value = ask(&node, "rpc.discover", &json!({})).await;
    let named = served["methods"].as_array().unwrap().iter();
    let of_developers = |method: &Value| {
        let name = method["name"].as_str().unwrap();
        name.starts_with("debug_")
    };
    assert_eq!(named.filter(|method| of_developers(method)).count(), 0);
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "debug_traceTx",
        "params": { "hash": hash } });
    let (_, body) = node.post("", &request.to_string()).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["error"]["code"], -32601, "{body}");
}

#[tokio::test]
async fn every_method_accepts_the_parameters_of_the_document() {
    // Each parameter of the document, sent with a value of a type that no parameter has, must be complained
    // about by the method itself: were it unknown to the method, it would be passed over.
    let node = LiveNode::start().await;
    for spec in method_specs() {
        let unsubscribes = spec.name.contains("nsubscribe");
        if spec.subscription.is_some() || unsubscribes {
            continue;
        }
        for param in spec.params {
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": spec.name,
                "params": { param.name: { "no": ["such", "type"] } } });
            let (_, body) = node.post("", &request.to_string()).await;
            let answer: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(
                answer["error"]["code"], -32602,
                "{} {}: {body}",
                spec.name, param.name
            );
            let detail = answer["error"]["data"]["detail"].as_str().unwrap();
            assert!(
                !detail.contains("missing field"),
                "{} {}: {detail}",
                spec.name,
                param.name
            );
        }
    }
}

#[tokio::test]
async fn examples_are_valid_and_a_real_server_answers_them_alike() {
    let document = document(Served::ALL);
    let recorded: Map<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(EXAMPLES).unwrap()).unwrap();
    let node = example_chain().await;
    let mut fresh = Map::new();
    for (method, params) in requests(&node) {
        let result = ask(&node, method, &params).await;
        let described = document["methods"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == method)
            .unwrap();
        assert_valid(&document, &described["result"]["schema"], &result, method);
        for param in described["params"].as_array().unwrap() {
            if let Some(given) = params.get(param["name"].as_str().unwrap()) {
                assert_valid(&document, &param["schema"], given, method);
            }
        }
        let given: Vec<Value> = params
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let example = json!([{ "name": method, "params": given,
            "result": { "name": "result", "value": result } }]);
        fresh.insert(method.to_owned(), example);
    }
    if std::env::var_os("KUMIKI_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&fresh).unwrap();
        std::fs::write(EXAMPLES, text + "\n").unwrap();
        return;
    }
    // Roots and gas move with the protocol; what a client reads an answer by may not.
    let shapes = |examples: &Map<String, Value>| -> Map<String, Value> {
        examples
            .iter()
            .map(|(name, one)| (name.clone(), shape(one)))
            .collect()
    };
    assert_eq!(
        shapes(&fresh),
        shapes(&recorded),
        "record the examples with KUMIKI_BLESS=1"
    );
    for (method, example) in &recorded {
        let described = document["methods"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == **method)
            .unwrap();
        assert_valid(
            &document,
            &described["result"]["schema"],
            &example[0]["result"]["value"],
            method,
        );
    }
}

#[tokio::test]
async fn every_method_but_streams_and_waits_has_an_example() {
    let node = example_chain().await;
    let asked: BTreeSet<&str> = requests(&node).iter().map(|(method, _)| *method).collect();
    // Nothing in this suite makes blocks.
    let without = |name: &str| {
        matches!(name, "rpc.discover" | "tx_submitAndWait") || name.starts_with("dev_")
    };
    for spec in method_specs() {
        let streams = spec.subscription.is_some() || spec.name.contains("nsubscribe");
        let expected = !streams && !without(spec.name);
        assert_eq!(asked.contains(spec.name), expected, "{}", spec.name);
    }
}

/// A value with its numbers and texts forgotten, its fields and list lengths kept.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), shape(field)))
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!(0),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}
