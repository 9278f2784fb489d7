//! Messages that mean harm by what is in them: every parameter of every method of the OpenRPC document, ids of each
//! kind, JSON that is none; and what a node must answer to each.

use kumiki_rpc_api::{ErrorCode, ProtocolError, Served, document, method_specs};
use serde_json::{Map, Value};

/// Stands where a hostile value goes.
const PLACE: &str = "@@here@@";
/// Codes that any method may answer with.
const ANY_METHOD: [ErrorCode; 2] = [ErrorCode::NotReady, ErrorCode::CallsTooMany];

/// A message, and what is known of its answer.
#[derive(Clone, Debug)]
pub struct Message {
    /// The message, which need not be text.
    pub bytes: Vec<u8>,
    /// The method that it names.
    method: &'static str,
    /// The id that the answer must have. One to what is no request has none.
    id: Value,
    /// Whether it is a request at all, whatever its parameters are.
    request: bool,
}

/// JSON values, as they are written, which no parameter may come to harm by.
fn values() -> Vec<Vec<u8>> {
    let texts = [
        r#""\u001b[31mred\u001b]0;title\u0007""#,
        r#""\u202egnp.exe\u2066\u200f""#,
        r#""<script>alert(1)</script>""#,
        r#""\u0000""#,
        r#""\ud800""#,
        r#""kumi1'; DROP TABLE --""#,
        r#""%s%n%x{}{0}""#,
        r#""../../etc/passwd""#,
        r#""0x\u0000""#,
        r#""0xabc""#,
        r#""""#,
        r#""9007199254740993""#,
        r#""340282366920938463463374607431768211456""#,
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "-1",
        "-0",
        "1.5",
        "1e3",
        "1e400",
        "-9223372036854775809",
        "0",
        "4294967296",
        "null",
        "true",
        "[]",
        "{}",
        r#"{"\u001b[31m":{"\u202e":null}}"#,
        "[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]",
    ];
    let mut values: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.push([b"\"", &b"\xff\xfe\xc0\x80"[..], b"\""].concat());
    values.push(b"\"\0\x1b[31m\"".to_vec());
    values.push(format!("\"0x{}\"", "0".repeat(100_000)).into_bytes());
    values
}

/// Every hostile message. `contract` is the address of one that is there.
#[must_use]
pub fn messages(contract: &str) -> Vec<Message> {
    let document = document(Served::ALL);
    let known = examples(&document, contract);
    let mut messages = Vec::new();
    for (spec, described) in method_specs()
        .iter()
        .zip(document["methods"].as_array().into_iter().flatten())
    {
        let required: Map<String, Value> = spec
            .params
            .iter()
            .filter(|param| param.required)
            .filter_map(|param| Some((param.name.to_owned(), known.get(param.name)?.clone())))
            .collect();
        for (param, described) in spec
            .params
            .iter()
            .zip(described["params"].as_array().into_iter().flatten())
        {
            for place in places(&document, &described["schema"]) {
                let mut params = required.clone();
                params.insert(param.name.to_owned(), place);
                let params = Value::Object(params).to_string();
                for value in values() {
                    messages.push(message(spec.name, &params, &value, messages.len()));
                }
            }
        }
    }
    messages.extend(ids());
    messages.extend(no_requests());
    messages
}

/// A value of each parameter that has an example, by its name.
fn examples(document: &Value, contract: &str) -> Map<String, Value> {
    let methods = document["methods"].as_array().into_iter().flatten();
    let examples = methods.flat_map(|method| method["examples"].as_array().into_iter().flatten());
    let params = examples.flat_map(|example| example["params"].as_array().into_iter().flatten());
    let mut known: Map<String, Value> = params
        .filter_map(|param| Some((param["name"].as_str()?.to_owned(), param["value"].clone())))
        .collect();
    for name in ["address", "contract", "account"] {
        known.insert(name.to_owned(), contract.into());
    }
    known
}

/// Where in a parameter of this schema a value may stand: alone, and in each of its parts.
fn places(document: &Value, schema: &Value) -> Vec<Value> {
    let mut all = vec![Value::from(PLACE)];
    parts(document, schema, 0, &mut all);
    all
}

fn parts(document: &Value, schema: &Value, depth: u32, all: &mut Vec<Value>) {
    if depth > 4 {
        return;
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        parts(
            document,
            &document["components"]["schemas"][name],
            depth + 1,
            all,
        );
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for one in schema[key].as_array().into_iter().flatten() {
            parts(document, one, depth + 1, all);
        }
    }
    for name in schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
    {
        let part = Map::from_iter([(name.clone(), Value::from(PLACE))]);
        all.push(Value::Object(part));
    }
    if schema["items"].is_object() {
        all.push(Value::Array(vec![PLACE.into()]));
    }
}

fn message(method: &'static str, params: &str, value: &[u8], id: usize) -> Message {
    let place = format!("\"{PLACE}\"");
    let (before, after) = params.split_once(&place).unwrap_or((params, ""));
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{before}"#);
    Message {
        bytes: [head.as_bytes(), value, after.as_bytes(), b"}"].concat(),
        method,
        id: id.into(),
        request: std::str::from_utf8(value).is_ok(),
    }
}

/// Ids of each kind. What cannot come back exactly is no request.
fn ids() -> Vec<Message> {
    let exact = [
        "0",
        "9007199254740993",
        "18446744073709551615",
        r#""""#,
        r#""\u001b[31m\u202e""#,
        r#""18446744073709551616""#,
        "null",
    ];
    let refused = [
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "-1",
        "1.5",
        "1e3",
        "true",
        "[1]",
        r#"{"a":1}"#,
    ];
    let of = |id: &&str, value: Value, request| Message {
        bytes: format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"rpc_version"}}"#).into_bytes(),
        method: "rpc_version",
        id: value,
        request,
    };
    let exact = exact
        .iter()
        .map(|id| of(id, serde_json::from_str(id).unwrap_or_default(), true));
    let refused = refused.iter().map(|id| of(id, Value::Null, false));
    exact.chain(refused).collect()
}

/// What is no request.
fn no_requests() -> Vec<Message> {
    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"state_get","params":{nested}}}"#)
    };
    let texts = [
        String::new(),
        "[".repeat(200_000),
        "{\"a\":".repeat(100_000),
        deep(200_000),
        r#"{"jsonrpc":"2.0","id":1,"method":"rpc_version"} {}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"rpc_version"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"rpc_version","method":"rpc_limits"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"\u001b[31m\u202e<script>"}"#.to_owned(),
        "\u{feff}{}".to_owned(),
        "[]".to_owned(),
        "[1,2,3]".to_owned(),
        "NaN".to_owned(),
        "\0".repeat(1_000),
    ];
    texts
        .into_iter()
        .map(|text| Message {
            bytes: text.into_bytes(),
            method: "",
            id: Value::Null,
            request: false,
        })
        .collect()
}

impl Message {
    /// What the answer is to be counted as.
    ///
    /// # Errors
    /// In words, where it is not what a node may answer.
    pub fn judge(&self, answer: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(answer);
        let broken = |what: &str| {
            let asked = String::from_utf8_lossy(&self.bytes);
            let cut = |text: &str| {
                text.chars()
                    .take(300)
                    .collect::<String>()
                    .escape_debug()
                    .to_string()
            };
            format!("{what}: {} was answered {}", cut(&asked), cut(&text))
        };
        let parsed: Value = serde_json::from_slice(answer).map_err(|_| broken("no JSON"))?;
        // A batch of what are no requests is answered by a batch.
        let answers = match &parsed {
            Value::Array(answers) => answers.clone(),
            one => vec![one.clone()],
        };
        let mut counted = "result".to_owned();
        for one in &answers {
            counted = self.judge_one(one).map_err(|what| broken(&what))?;
        }
        Ok(counted)
    }

    fn judge_one(&self, answer: &Value) -> Result<String, String> {
        let code = answer["error"]["code"].as_i64();
        if answer["result"].is_null() == code.is_none() && !answer["result"].is_null() {
            return Err("both result and error".to_owned());
        }
        let protocol = code
            .and_then(|code| i32::try_from(code).ok())
            .and_then(ProtocolError::from_number);
        let no_request = matches!(
            protocol,
            Some(ProtocolError::Parse | ProtocolError::InvalidRequest)
        );
        if answer["id"] != self.id
            && !(no_request && answer["id"].is_null())
            && !self.method.is_empty()
        {
            return Err(format!("id {} for {}", answer["id"], self.id));
        }
        let Some(code) = code else {
            return match self.request {
                true => Ok("result".to_owned()),
                false => Err("a result for what is no request".to_owned()),
            };
        };
        if !is_inert(&answer["error"]) {
            return Err("an error that a terminal obeys".to_owned());
        }
        let own = i32::try_from(code).ok().and_then(ErrorCode::from_number);
        match (protocol, own) {
            (Some(ProtocolError::Internal), _) | (None, None) => Err(format!("code {code}")),
            (Some(_), _) => Ok(code.to_string()),
            (None, Some(own)) => {
                let spec = method_specs().iter().find(|spec| spec.name == self.method);
                let documented = spec.is_some_and(|spec| spec.errors.contains(&own));
                let anywhere = ANY_METHOD.contains(&own)
                    || matches!(
                        own,
                        ErrorCode::ParametersTooDeep | ErrorCode::NeedsWebSocket
                    );
                match documented || anywhere {
                    true => Ok(code.to_string()),
                    false => Err(format!(
                        "{} is not documented for {}",
                        own.name(),
                        self.method
                    )),
                }
            }
        }
    }
}

/// Whether no text in `value` has what a terminal obeys or what reorders text.
fn is_inert(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().all(|one| {
            let reorders = matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            !reorders && (!one.is_control() || one == '\n')
        }),
        Value::Array(items) => items.iter().all(is_inert),
        Value::Object(entries) => entries.values().all(is_inert),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}
