//! Give the JSON Schema of protocol types that are texts in JSON.
//!
//! `kumiki-protocol` does not know of schemas; wire types name these instead (`#[schemars(with = …)]`).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! text_schema {
    ($(#[doc = $doc:literal] $name:ident as $title:literal: $pattern:literal, $description:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    )*};
}

text_schema! {
    #[doc = "Schema of [`kumiki_protocol::Hash`]."]
    HashText as "Hash": "^0x[0-9a-f]{64}$", "A 32-byte hash: 0x and hex.";
    #[doc = "Schema of [`kumiki_protocol::PublicKey`]."]
    PublicKeyText as "PublicKey": "^0x[0-9a-f]{64}$", "An ed25519 public key: 0x and hex.";
    #[doc = "Schema of [`kumiki_protocol::Address`]."]
    AddressText as "Address": "^kumi1[02-9ac-hj-np-z]{58}$", "An account or contract: bech32m.";
}
