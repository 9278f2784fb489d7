//! Look at a call before its method does: parameters that it can have, their depth, and the way it came.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonrpsee::types::ErrorObjectOwned;
use kumiki_protocol::Height;
use kumiki_rpc_api::{
    ApiError, Cursor, ErrorCode, EventFilter, MethodSpec, ProtocolError, invalid_params,
    method_specs,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::message::Call;
use crate::text::plain;

/// How a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// Alone or in a batch, over HTTP.
    Http,
    /// Alone, over a WebSocket.
    WebSocket,
    /// In a batch, over a WebSocket.
    Batch,
}

static METHODS: LazyLock<BTreeMap<&'static str, &'static MethodSpec>> = LazyLock::new(|| {
    method_specs()
        .iter()
        .map(|spec| (spec.name, spec))
        .collect()
});

/// What the document says of the method called `name`.
pub(super) fn spec_of(name: &str) -> Option<&'static MethodSpec> {
    METHODS.get(name).copied()
}

/// The method of a call that may be run.
pub(super) fn check(
    call: &Call,
    transport: Transport,
    depth_max: u32,
) -> Result<&'static MethodSpec, ErrorObjectOwned> {
    let Some(spec) = spec_of(&call.method) else {
        let detail = format!("there is no method '{}'", plain(&call.method));
        return Err(ProtocolError::MethodNotFound.object(detail));
    };
    let params = call.params.as_str().unwrap_or_default();
    if depth_of(params) > depth_max {
        let detail = format!("the parameters are nested more than {depth_max} deep");
        return Err(ApiError::new(ErrorCode::ParametersTooDeep, detail).into());
    }
    check_names(spec, params)?;
    if spec.subscription.is_some() {
        check_transport(spec, transport)?;
        check_subscription(spec, params)?;
    } else if is_unsubscription(spec) && transport == Transport::Http {
        check_transport(spec, transport)?;
    }
    Ok(spec)
}

fn is_unsubscription(spec: &MethodSpec) -> bool {
    spec.name.contains("nsubscribe")
}

/// What begins a subscription, and over HTTP also what ends one, needs a WebSocket message of its own.
fn check_transport(spec: &MethodSpec, transport: Transport) -> Result<(), ErrorObjectOwned> {
    match transport {
        Transport::WebSocket => Ok(()),
        Transport::Http => {
            let detail = format!("{} was called over HTTP", spec.name);
            Err(ApiError::new(ErrorCode::NeedsWebSocket, detail).into())
        }
        // It would be answered twice: by itself, before its first item, and in the batch.
        Transport::Batch => {
            let detail = format!("{} was called in a batch", spec.name);
            Err(ApiError::new(ErrorCode::SubscriptionInBatch, detail).into())
        }
    }
}

/// Reads the parameters of a subscription as its method will: what the library says of wrong ones goes out by
/// itself, without our `data`.
fn check_subscription(spec: &MethodSpec, params: &str) -> Result<(), ErrorObjectOwned> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Heads {
        #[serde(rename = "from")]
        _from: Option<Height>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Events {
        #[serde(rename = "filter")]
        _filter: Option<EventFilter>,
        #[serde(rename = "from")]
        _from: Option<Height>,
        #[serde(rename = "after")]
        _after: Option<Cursor>,
    }

    let read = match params {
        "" => Ok(()),
        _ if spec.name == "chain_subscribeHeads" => {
            serde_json::from_str(params).map(|_readable: Heads| ())
        }
        _ => serde_json::from_str(params).map(|_readable: Events| ()),
    };
    read.map_err(|error| invalid_params(plain(&error.to_string())))
}

/// Nesting of arrays and objects in `json`, which the parser of the request has found to be JSON.
fn depth_of(json: &str) -> u32 {
    let (mut depth, mut deepest) = (0_u32, 0_u32);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
/// Refuses parameters that the method does not have: a mistyped optional one would else be passed over.
fn check_names(spec: &MethodSpec, params: &str) -> Result<(), ErrorObjectOwned> {
    #[derive(Deserialize)]
    struct Named<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, IgnoredAny>);

    // Ids of subscriptions are the server library's own parameter, without a name.
    if params.starts_with('{') && !is_unsubscription(spec) {
        let Named(given) = serde_json::from_str(params)
            .map_err(|error| invalid_params(plain(&error.to_string())))?;
        let known = |name: &str| spec.params.iter().any(|param| param.name == name);
        if let Some(unknown) = given.keys().find(|name| !known(name)) {
            let names: Vec<&str> = spec.params.iter().map(|param| param.name).collect();
            return Err(invalid_params(format!(
                "{} has no parameter '{}'; it has: {}",
                spec.name,
                plain(unknown),
                names.join(", ")
            )));
        }
    } else if params.starts_with('[') {
        let given: Vec<IgnoredAny> = serde_json::from_str(params)
            .map_err(|error| invalid_params(plain(&error.to_string())))?;
        if given.len() > spec.params.len() {
            return Err(invalid_params(format!(
                "{} has {} parameters, {} were given",
                spec.name,
                spec.params.len(),
                given.len()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        assert_eq!(depth_of(""), 0);
        assert_eq!(depth_of(r#"{"a":[1,{"b":"[[[[\"{"}]}"#), 3);
        assert_eq!(depth_of(&"[".repeat(200_000)), 200_000);
    }

    #[test]
    fn mistyped_parameters_are_named() {
        let spec = METHODS["account_get"];
        assert!(check_names(spec, r#"{"address":"x","at":1}"#).is_ok());
        let error = check_names(spec, r#"{"address":"x","hieght":1}"#).unwrap_err();
        assert!(
            error
                .data()
                .unwrap()
                .get()
                .contains("no parameter 'hieght'")
        );
        assert!(check_names(spec, "[1,2]").is_ok());
        assert!(check_names(spec, "[1,2,3]").is_err());
    }
}
