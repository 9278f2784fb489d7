//! Expand `#[event]`: encoding, topics and metadata of an event.

use proc_macro2::TokenStream;
use quote::quote;
use sha3::Digest as _;
use syn::{Error, Fields, Ident, ItemStruct};

use crate::abi_type::{self, Aliases};
use crate::check::{Errors, docs, take_marker};
use crate::codec;
use crate::json::{self, Json};

/// Topics of one event, its id among them.
const TOPICS_MAX: usize = 4;

/// An expanded event.
pub(crate) struct Event {
    /// The struct and its impls.
    pub(crate) code: TokenStream,
    /// Its metadata fragment.
    pub(crate) line: String,
    /// Types of its fields.
    pub(crate) types: Vec<syn::Type>,
}

pub(crate) fn expand(mut definition: ItemStruct, aliases: &Aliases) -> syn::Result<Event> {
    let mut errors = Errors::default();
    if !definition.generics.params.is_empty() {
        errors.at(&definition.generics, "an event cannot be generic");
    }
    if let Fields::Unnamed(fields) = &definition.fields {
        errors.at(
            fields,
            "give the fields of an event names: applications read them",
        );
    }
    let mut indexed = Vec::new();
    let mut names = Vec::new();
    let mut metadata = Vec::new();
    for field in &mut definition.fields {
        let marker = take_marker(&mut field.attrs, "indexed", &mut errors);
        let (Some(name), Some(type_name)) = (
            field.ident.clone(),
            errors.keep(abi_type::name(&field.ty, aliases)),
        ) else {
            continue;
        };
        metadata.push(Json::Object(vec![
            ("name", Json::text(name.to_string())),
            ("type", Json::text(&type_name)),
            ("indexed", Json::Bool(marker.is_some())),
        ]));
        names.push(type_name);
        if let Some(marker) = marker {
            if indexed.len() + 1 == TOPICS_MAX {
                errors.at(&marker, "at most 3 fields of an event can be indexed");
            }
            indexed.push(name);
        }
    }
    errors.into_result()?;
    let name = definition.ident.clone();
    let id: [u8; 32] =
        sha3::Sha3_256::digest(format!("{name}({})", names.join(",")).as_bytes()).into();
    let line = Json::Object(vec![(
        "event",
        Json::Object(vec![
            ("name", Json::text(name.to_string())),
            ("id", json::hex(&id)),
            ("fields", Json::List(metadata)),
            ("docs", Json::text(docs(&definition.attrs))),
        ]),
    )])
    .to_line();
    let types = definition.fields.iter().map(|one| one.ty.clone()).collect();
    Ok(Event {
        code: code(&definition, &indexed, &id, &line),
        line,
        types,
    })
}

/// The struct and its impls.
fn code(definition: &ItemStruct, indexed: &[Ident], id: &[u8; 32], line: &str) -> TokenStream {
    let name = &definition.ident;
    let assertions = definition
        .fields
        .iter()
        .map(|one| abi_type::assert_abi_type(&one.ty));
    let section = json::section(line);
    let codec = codec::derive(&definition.clone().into());
    quote! {
        #[derive(Clone, Debug, PartialEq, Eq)]
        #definition

        #codec

        #section
        #(#assertions)*

        impl ::kumiki_contract::Event for #name {
            const ID: [u8; 32] = [#(#id),*];

            fn emit(&self) {
                let topics = [
                    <Self as ::kumiki_contract::Event>::ID,
                    #(::kumiki_contract::entry::topic(&self.#indexed),)*
                ];
                ::kumiki_contract::entry::emit(&topics, self);
            }
        }
    }
}

/// The error of an event marker on something else than a struct.
pub(crate) fn not_a_struct(item: &impl quote::ToTokens) -> Error {
    Error::new_spanned(item, "#[event] marks a struct")
}
