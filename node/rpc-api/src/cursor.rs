//! Name the place of an event in the chain, so that a reader can go on where it stopped.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use kumiki_protocol::Height;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The place of an event: block, transaction in it, event of that. In JSON and on the command line
/// `height.transaction.index`, for example `17.0.2`. Cursors order as the events do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Height of the block.
    pub height: Height,
    /// Position of the transaction in the block.
    pub transaction: u32,
    /// Position of the event in the transaction.
    pub index: u32,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is height.transaction.index, for example 17.0.2")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.height, self.transaction, self.index)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.split('.');
        let cursor = Self {
            height: number(parts.next())?,
            transaction: number(parts.next())?,
            index: number(parts.next())?,
        };
        match parts.next() {
            None => Ok(cursor),
            Some(_) => Err(CursorError),
        }
    }
}

fn number<N: FromStr>(part: Option<&str>) -> Result<N, CursorError> {
    part.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(CursorError)
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl JsonSchema for Cursor {
    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$",
            "description": "The place of an event: height.transaction.index."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_have_one_spelling_and_order_as_events_do() {
        let cursor: Cursor = "17.0.2".parse().unwrap();
        assert_eq!(cursor.to_string(), "17.0.2");
        assert!(cursor < "17.1.0".parse().unwrap());
        assert!(cursor < "100.0.0".parse().unwrap());
        let too_large = format!("{}0.0.0", u64::MAX);
        for text in [
            "", "1", "1.2", "1.2.3.4", "+1.0.0", "1..2", "a.b.c", &too_large,
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }
}
