//! Describe the methods as an OpenRPC document, generated from the wire types and one table.

mod registry;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::{API_VERSION, ErrorCode, ErrorData, ProtocolError};

pub use registry::method_specs;

/// Version of OpenRPC that [`document`] is written in.
pub const OPENRPC_VERSION: &str = "1.3.2";

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What the document says of one method.
#[derive(Clone, Copy, Debug)]
pub struct MethodSpec {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its parameters, in order.
    pub params: &'static [ParamSpec],
    /// Name and schema of its result; for a subscription, of the subscription's id.
    pub result: (&'static str, SchemaOf),
    /// The unsubscribe method and the schema of an item, where this is a subscription.
    pub subscription: Option<(&'static str, SchemaOf)>,
    /// Codes it can answer with besides `notReady`, `nodeFault`, `callsTooMany`, `memoryFull` and those of JSON-RPC itself.
    pub errors: &'static [ErrorCode],
}

/// What the document says of one parameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Its schema.
    pub schema: SchemaOf,
}

/// Requests and the results a real node gave to them, by method. `kumiki-rpc`'s tests record and replay them.
const EXAMPLES: &str = include_str!("examples.json");

/// Which methods a node has besides those that every node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// `dev_…`: only chains for development have them.
    pub dev: bool,
    /// `debug_…`: only nodes that are told so serve them.
    pub debug: bool,
}

impl Served {
    /// Every method there is.
    pub const ALL: Self = Self {
        dev: true,
        debug: true,
    };

    fn has(self, method: &str) -> bool {
        (self.dev || !method.starts_with("dev_")) && (self.debug || !method.starts_with("debug_"))
    }
}

/// The OpenRPC document of a node with the methods of `served`.
///
/// # Panics
/// Never: the examples compiled in are JSON, by test.
#[must_use]
pub fn document(served: Served) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let examples: Map<String, Value> =
        serde_json::from_str(EXAMPLES).expect("the examples are a JSON object by test");
    let methods: Vec<Value> = method_specs()
        .iter()
        .filter(|spec| served.has(spec.name))
        .map(|spec| describe(spec, examples.get(spec.name), &mut generator))
        .collect();
    let _error_data = generator.subschema_for::<ErrorData>();
    let ours = ErrorCode::ALL
        .iter()
        .map(|code| (code.name().to_owned(), describe_error(*code)));
    let of_protocol = ProtocolError::ALL
        .iter()
        .map(|one| (one.name().to_owned(), describe_protocol_error(*one)));
    let errors: Map<String, Value> = ours.chain(of_protocol).collect();
    json!({
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "Kumiki node",
            "version": API_VERSION,
            "license": { "name": "Apache-2.0" },
        },
        "methods": methods,
        "components": {
            "schemas": generator.take_definitions(true),
            "errors": errors,
        },
    })
}

fn describe(spec: &MethodSpec, examples: Option<&Value>, generator: &mut SchemaGenerator) -> Value {
    let params: Vec<Value> = spec
        .params
        .iter()
        .map(|param| {
            json!({
                "name": param.name,
                "description": param.description,
                "required": param.required,
                "schema": (param.schema)(generator),
            })
        })
        .collect();
    let any_method = [
        ErrorCode::NotReady,
        ErrorCode::NodeFault,
        ErrorCode::CallsTooMany,
        ErrorCode::MemoryFull,
    ];
    let errors: Vec<Value> = any_method
        .iter()
        .chain(spec.errors)
        .map(|code| json!({ "$ref": format!("#/components/errors/{}", code.name()) }))
        .collect();
    let (result_name, result_schema) = spec.result;
    let mut method = json!({
        "name": spec.name,
        "summary": spec.summary,
        "paramStructure": "either",
        "params": params,
        "result": { "name": result_name, "schema": result_schema(generator) },
        "errors": errors,
        "examples": examples.cloned().unwrap_or_else(|| json!([])),
    });
    if let Some((unsubscribe, item)) = spec.subscription {
        method["x-subscription"] = json!({ "unsubscribe": unsubscribe, "item": item(generator), "transport": "websocket" });
    }
    method
}

fn describe_error(code: ErrorCode) -> Value {
    json!({
        "code": code.number(),
        "message": code.meaning(),
        "data": { "name": code.name(), "hint": code.hint(), "retry": code.retry() },
    })
}

fn describe_protocol_error(error: ProtocolError) -> Value {
    json!({
        "code": error.number(),
        "message": error.message(),
        "data": { "name": error.name(), "hint": error.hint(), "retry": error.retry() },
    })
}

#[cfg(test)]
mod tests;
