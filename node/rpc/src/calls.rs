//! Look at every call before its method does: parameters it can have, depth, transport; and count it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use futures_util::future::join_all;
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, Request};
use jsonrpsee::server::middleware::rpc::RpcServiceT;
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::error::{INVALID_PARAMS_CODE, METHOD_NOT_FOUND_CODE};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use kumiki_rpc_api::{ApiError, ErrorCode, MethodSpec, invalid_params, method_specs};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::metrics::Metrics;
use crate::text::plain;

/// How a call came; travels in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    WebSocket,
}

/// Calls of one connection, looked at before they reach `inner`.
#[derive(Clone, Debug)]
pub(crate) struct Calls<S> {
    pub(crate) inner: S,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) depth_max: u32,
    pub(crate) response_bytes_max: usize,
}

static METHODS: LazyLock<BTreeMap<&'static str, &'static MethodSpec>> = LazyLock::new(|| {
    method_specs()
        .iter()
        .map(|spec| (spec.name, spec))
        .collect()
});

impl<S> Calls<S> {
    fn check(&self, request: &Request<'_>) -> Result<&'static MethodSpec, ErrorObjectOwned> {
        let Some(spec) = METHODS.get(request.method_name()).copied() else {
            return Err(unknown_method(request.method_name()));
        };
        let params = request.params.as_ref().map_or("", |params| params.get());
        if depth_of(params) > self.depth_max {
            let detail = format!(
                "the parameters are nested more than {} deep",
                self.depth_max
            );
            return Err(ApiError::new(ErrorCode::ParametersTooDeep, detail).into());
        }
        check_names(spec, params)?;
        let http = request.extensions().get() != Some(&Transport::WebSocket);
        if http && spec.subscription.is_some() {
            let detail = format!("{} was called over HTTP", spec.name);
            return Err(ApiError::new(ErrorCode::NeedsWebSocket, detail).into());
        }
        Ok(spec)
    }
}

impl<S> RpcServiceT for Calls<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let start = Instant::now();
            let extensions = request.extensions().clone();
            let (name, response) = match this.check(&request) {
                Ok(spec) => {
                    let id = request.id.clone().into_owned();
                    let response = this.inner.call(request).await;
                    (spec.name, with_data(id, response))
                }
                Err(error) => {
                    let name = METHODS
                        .get(request.method_name())
                        .map_or("unknown", |spec| spec.name);
                    let response = MethodResponse::error(request.id, error);
                    (name, response.with_extensions(extensions))
                }
            };
            this.metrics
                .count_call(name, response.as_error_code(), start.elapsed());
            response
        }
    }

    /// Runs the calls of a batch side by side: submissions are then verified together.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let mut calls = Vec::new();
            let mut notified = false;
            for entry in batch {
                match entry {
                    Ok(BatchEntry::Call(request)) => calls.push(Ok(this.call(request))),
                    Ok(BatchEntry::Notification(_ignored)) => notified = true,
                    Err(error) => {
                        let (error, id) = error.into_parts();
                        calls.push(Err(MethodResponse::error(id, error)));
                    }
                }
            }
            let answers = calls.into_iter().map(|call| async {
                match call {
                    Ok(running) => running.await,
                    Err(answer) => answer,
                }
            });
            let mut builder = BatchResponseBuilder::new_with_limit(this.response_bytes_max);
            for answer in join_all(answers).await {
                if let Err(too_large) = builder.append(answer) {
                    return too_large;
                }
            }
            if builder.is_empty() && notified {
                MethodResponse::notification()
            } else {
                MethodResponse::from_batch(builder.finish())
            }
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

fn unknown_method(name: &str) -> ErrorObjectOwned {
    let detail = format!("there is no method '{}'", plain(name));
    let mut object = invalid_params_data(detail);
    object["name"] = "methodNotFound".into();
    object["hint"] = "See rpc.discover for the methods of this node.".into();
    ErrorObjectOwned::owned(METHOD_NOT_FOUND_CODE, "Method not found", Some(object))
}

fn invalid_params_data(detail: String) -> Value {
    invalid_params(detail)
        .data()
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .unwrap_or_default()
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
    if params.starts_with('{') && !spec.name.contains("nsubscribe") {
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

/// Gives the library's own complaints about parameters the `data` that all our errors have.
fn with_data(id: Id<'static>, response: MethodResponse) -> MethodResponse {
    if response.as_error_code() != Some(INVALID_PARAMS_CODE) {
        return response;
    }
    let answer: Value = serde_json::from_str(response.as_ref()).unwrap_or_default();
    let detail = match &answer["error"]["data"] {
        Value::Object(_) => return response,
        Value::String(text) => plain(text),
        _ => "the parameters are not those of the method".to_owned(),
    };
    let extensions = response.extensions().clone();
    MethodResponse::error(id, invalid_params(detail)).with_extensions(extensions)
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
