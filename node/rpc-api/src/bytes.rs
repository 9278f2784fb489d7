//! Carry bytes in JSON as `0x` and lower-case hex.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bytes, in JSON `0x` and an even number of hex digits. Upper-case digits are accepted, never written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 + self.0.len() * 2);
        text.push_str("0x");
        text.push_str(&hex::encode(&self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("bytes must start with 0x"))?;
        // The text itself is not repeated: it is the caller's and may be long.
        hex::decode(digits)
            .map(Self)
            .map_err(|error| D::Error::custom(format_args!("bytes must be hex: {error}")))
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^0x([0-9a-f]{2})*$",
            "description": "Bytes: 0x and lower-case hex."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_other_texts_are_refused() {
        let bytes: Bytes = serde_json::from_str("\"0x00FFab\"").unwrap();
        assert_eq!(bytes.0, [0, 0xff, 0xab]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"0x00ffab\"");
        for text in [
            "\"00ff\"",
            "\"0x0\"",
            "\"0xzz\"",
            "\"0x\u{202e}00\"",
            "7",
            "[0]",
        ] {
            assert!(serde_json::from_str::<Bytes>(text).is_err(), "{text}");
        }
    }
}
