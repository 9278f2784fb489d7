//! Carry amounts in JSON as decimal strings: they exceed the 2^53 up to which JSON numbers are exact.

use std::borrow::Cow;
use std::fmt;

use kumiki_protocol::Amount;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An amount or a price in base units, in JSON a string of decimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(pub Amount);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        // `u128::from_str` also takes a leading '+', which would give one amount two spellings.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(D::Error::custom("amounts are strings of decimal digits"));
        }
        text.parse()
            .map(Self)
            .map_err(|_out_of_range| D::Error::custom("amounts are 0 to 2^128 - 1"))
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,39}$",
            "description": "An amount or price in base units (10^-9 KUMI) as decimal digits."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_beyond_2_to_the_53_stay_exact() {
        for amount in [0, (1 << 53) + 1, u128::MAX] {
            let json = serde_json::to_string(&Decimal(amount)).unwrap();
            assert_eq!(json, format!("\"{amount}\""));
            assert_eq!(
                serde_json::from_str::<Decimal>(&json).unwrap(),
                Decimal(amount)
            );
        }
        let above = "\"340282366920938463463374607431768211456\"";
        for text in [above, "\"\"", "\"+1\"", "\"-1\"", "\"1e3\"", "1", "1.5"] {
            assert!(serde_json::from_str::<Decimal>(text).is_err(), "{text}");
        }
    }
}
