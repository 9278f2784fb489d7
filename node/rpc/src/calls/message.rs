//! Read a message into calls that own what they need, so that the message itself need not be kept.

use jsonrpsee::types::{ErrorObjectOwned, Id, InvalidRequest, Notification, Params, Request};
use kumiki_rpc_api::ProtocolError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::text::plain;

/// One call as it came.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Id<'static>,
    pub(crate) method: String,
    pub(crate) params: Params<'static>,
}

/// One part of a message.
#[derive(Debug)]
pub(crate) enum Entry {
    Call(Call),
    /// Has no id, gets no answer, and no method does anything for it.
    Notification,
    Refused(Id<'static>, ErrorObjectOwned),
}

/// A message.
#[derive(Debug)]
pub(crate) enum Message {
    Single(Entry),
    Batch(Vec<Entry>),
}

/// Reads `bytes`. What cannot be read is part of the result: it is answered too.
pub(crate) fn read(bytes: &[u8], batch_calls_max: u32) -> Message {
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Message::Single(entry(bytes));
    }
    let parts: Vec<&RawValue> = match serde_json::from_slice(bytes) {
        Ok(parts) => parts,
        Err(error) => return refused(ProtocolError::Parse, plain(&error.to_string())),
    };
    let found = parts.len();
    if found > usize::try_from(batch_calls_max).unwrap_or(usize::MAX) {
        let detail = format!("{found} calls, expected at most {batch_calls_max}");
        return refused(ProtocolError::BatchTooLong, detail);
    }
    if parts.is_empty() {
        return refused(ProtocolError::InvalidRequest, "the batch is empty".into());
    }
    let entries = parts.into_iter().map(|part| entry(part.get().as_bytes()));
    Message::Batch(entries.collect())
}

/// The id of a single call, for who answers it without looking at it.
pub(crate) fn id_of(message: &Message) -> Id<'static> {
    match message {
        Message::Single(Entry::Call(Call { id, .. }) | Entry::Refused(id, _)) => id.clone(),
        Message::Single(Entry::Notification) | Message::Batch(_) => Id::Null,
    }
}

fn refused(error: ProtocolError, detail: String) -> Message {
    Message::Single(Entry::Refused(Id::Null, error.object(detail)))
}

fn entry(bytes: &[u8]) -> Entry {
    /// Whether there is an id, whatever it is.
    #[derive(Deserialize)]
    struct Identified {
        #[serde(default)]
        id: Option<IgnoredAny>,
    }

    let not_a_request = match serde_json::from_slice::<Request<'_>>(bytes) {
        Ok(request) => {
            let params = request.params.as_ref().map(|params| params.get());
            return Entry::Call(Call {
                params: Params::new(params).into_owned(),
                id: request.id.into_owned(),
                method: request.method.into_owned(),
            });
        }
        Err(error) => error,
    };
    let notified = serde_json::from_slice::<Notification<'_, Option<&RawValue>>>(bytes).is_ok();
    let identified: Result<Identified, _> = serde_json::from_slice(bytes);
    if notified && identified.is_ok_and(|one| one.id.is_none()) {
        return Entry::Notification;
    }
    let detail = plain(&not_a_request.to_string());
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return Entry::Refused(Id::Null, ProtocolError::Parse.object(detail));
    }
    let id = serde_json::from_slice::<InvalidRequest<'_>>(bytes);
    let id = id.map_or(Id::Null, |request| request.id.into_owned());
    Entry::Refused(id, ProtocolError::InvalidRequest.object(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<(Id<'static>, i32)> {
        match read(text.as_bytes(), 3) {
            Message::Single(Entry::Refused(id, error)) => Some((id, error.code())),
            _ => None,
        }
    }

    #[test]
    fn calls_own_their_parts() {
        let text = r#" {"jsonrpc":"2.0","id":7,"method":"tx_get","params":{"hash":"0x"}}"#;
        let Message::Single(Entry::Call(call)) = read(text.as_bytes(), 3) else {
            panic!("not read as a call");
        };
        assert_eq!((call.id, call.method.as_str()), (Id::Number(7), "tx_get"));
        assert_eq!(call.params.as_str(), Some(r#"{"hash":"0x"}"#));
    }

    #[test]
    fn what_is_no_call_is_told_apart() {
        let parse = ProtocolError::Parse.number();
        let invalid = ProtocolError::InvalidRequest.number();
        for text in [
            "",
            "x",
            "{",
            r#"{"jsonrpc":"2.0","id":1,"method":"a""#,
            "[",
            "[1",
        ] {
            assert_eq!(refusal(text), Some((Id::Null, parse)), "{text}");
        }
        let cases = [
            ("1", Id::Null),
            ("{}", Id::Null),
            ("[]", Id::Null),
            (r#"{"jsonrpc":"2.0","id":5}"#, Id::Number(5)),
            (r#"{"jsonrpc":"1.0","id":5,"method":"a"}"#, Id::Number(5)),
            (r#"{"jsonrpc":"2.0","id":-1,"method":"a"}"#, Id::Null),
        ];
        for (text, id) in cases {
            assert_eq!(refusal(text), Some((id, invalid)), "{text}");
        }
        let too_long = Some((Id::Null, ProtocolError::BatchTooLong.number()));
        assert_eq!(refusal("[1,2,3,4]"), too_long);
        let text = r#"{"jsonrpc":"2.0","method":"a"}"#;
        let notified = read(text.as_bytes(), 3);
        assert!(matches!(notified, Message::Single(Entry::Notification)));
    }
}
