//! Number the errors of JSON-RPC itself and of the transport, with the same `data` as all others.

use jsonrpsee::types::ErrorObjectOwned;

use super::{ErrorCode, ErrorData, Retry};

macro_rules! protocol_table {
    ($($number:literal $variant:ident $name:literal $retry:ident $message:literal, $meaning:literal, $hint:literal;)*) => {
        /// Why a message got no answer of a method. Numbers and messages are those of JSON-RPC and, from -32006 on,
        /// those that servers of its library use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProtocolError {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl ProtocolError {
            /// Every one, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name programs and people tell it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The message that goes with the number.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What happened, in general.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to do next.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }

            /// Whether the same request can succeed another time.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }
        }
    };
}

protocol_table! {
    -32700 Parse "parseError" AfterFix "Parse error",
        "The message is not JSON.",
        "Send one JSON-RPC request, or an array of them.";
    -32600 InvalidRequest "invalidRequest" AfterFix "Invalid request",
        "The message is JSON and no JSON-RPC 2.0 request.",
        "Send an object with jsonrpc, id, method and params.";
    -32601 MethodNotFound "methodNotFound" AfterFix "Method not found",
        "There is no such method.",
        "See rpc.discover for the methods of this node.";
    -32602 InvalidParams "invalidParams" AfterFix "Invalid params",
        "The parameters are not those of the method.",
        "See rpc.discover for what the method takes.";
    -32603 Internal "internalError" Later "Internal error",
        "The server failed; it has logged why.",
        "Ask another node, or look into this node's log.";
    -32006 SubscriptionsTooMany "subscriptionsTooMany" AfterFix "Too many subscriptions on the connection",
        "The connection has as many subscriptions as this node allows.",
        "End one, or use another connection.";
    -32007 RequestTooLarge "requestTooLarge" AfterFix "Request is too big",
        "The message has more bytes than this node reads.",
        "Stay within requestBytes of rpc_limits.";
    -32008 AnswerTooLarge "answerTooLarge" AfterFix "Response is too big",
        "The answer would have more bytes than this node sends.",
        "Ask for less: a smaller page, or hashes instead of full contents.";
    -32010 BatchTooLong "batchTooLong" AfterFix "The batch request was too large",
        "The batch has more calls than this node takes.",
        "Stay within batchCalls of rpc_limits.";
    -32011 BatchAnswerTooLarge "batchAnswerTooLarge" AfterFix "The batch response was too large",
        "The answers would together have more bytes than this node sends. Some of the calls may have been carried out.",
        "Send fewer calls in a batch.";
}

impl ProtocolError {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The one with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        let found = Self::ALL.iter().find(|one| one.number() == number);
        found.copied()
    }

    /// The error object; `detail` says what was found and what was expected.
    #[must_use]
    pub fn object(self, detail: impl Into<String>) -> ErrorObjectOwned {
        let data = ErrorData {
            name: self.name().to_owned(),
            detail: detail.into(),
            hint: self.hint().to_owned(),
            retry: self.retry(),
            // The rest is about transactions and contracts.
            ..*super::ApiError::new(ErrorCode::NodeFault, "").data
        };
        ErrorObjectOwned::owned(self.number(), self.message(), Some(data))
    }
}

/// [`ProtocolError::InvalidParams`]: parameters that are not those of the method, or contradict each other.
#[must_use]
pub fn invalid_params(detail: impl Into<String>) -> ErrorObjectOwned {
    ProtocolError::InvalidParams.object(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_messages_are_those_of_the_library() {
        use jsonrpsee::types::error as library;
        let theirs = [
            (library::PARSE_ERROR_CODE, library::PARSE_ERROR_MSG),
            (library::INVALID_REQUEST_CODE, library::INVALID_REQUEST_MSG),
            (
                library::METHOD_NOT_FOUND_CODE,
                library::METHOD_NOT_FOUND_MSG,
            ),
            (library::INVALID_PARAMS_CODE, library::INVALID_PARAMS_MSG),
            (library::INTERNAL_ERROR_CODE, library::INTERNAL_ERROR_MSG),
            (
                library::TOO_MANY_SUBSCRIPTIONS_CODE,
                library::TOO_MANY_SUBSCRIPTIONS_MSG,
            ),
            (
                library::OVERSIZED_REQUEST_CODE,
                library::OVERSIZED_REQUEST_MSG,
            ),
            (
                library::OVERSIZED_RESPONSE_CODE,
                library::OVERSIZED_RESPONSE_MSG,
            ),
            (
                library::TOO_BIG_BATCH_REQUEST_CODE,
                library::TOO_BIG_BATCH_REQUEST_MSG,
            ),
            (
                library::TOO_BIG_BATCH_RESPONSE_CODE,
                library::TOO_BIG_BATCH_RESPONSE_MSG,
            ),
        ];
        let ours = ProtocolError::ALL
            .iter()
            .map(|one| (one.number(), one.message()));
        assert_eq!(ours.collect::<Vec<_>>(), theirs);
    }

    #[test]
    fn every_one_has_the_data_that_errors_of_methods_have() {
        for one in ProtocolError::ALL {
            let object = one.object("found this");
            let data: ErrorData = serde_json::from_str(object.data().unwrap().get()).unwrap();
            assert_eq!(
                (data.name.as_str(), data.detail.as_str()),
                (one.name(), "found this")
            );
            assert_eq!(ProtocolError::from_number(object.code()), Some(*one));
        }
    }

    #[test]
    fn the_specification_holds_this_table() {
        let specification = include_str!("../../../../docs/spec/rpc.md");
        let documented: Vec<&str> = specification
            .lines()
            .filter(|line| line.starts_with("| -"))
            .collect();
        let expected: Vec<String> = ProtocolError::ALL
            .iter()
            .map(|one| {
                let retry = serde_json::to_string(&one.retry()).unwrap();
                format!(
                    "| {} | `{}` | {} | {} | {} |",
                    one.number(),
                    one.name(),
                    retry.trim_matches('"'),
                    one.meaning(),
                    one.hint()
                )
            })
            .collect();
        assert_eq!(documented, expected);
    }
}
