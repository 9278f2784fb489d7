//! Expand `#[data]` and `#[error]`: encoding, boundary marker and metadata of a struct or enum.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Type};

use crate::abi_type::{self, Aliases};
use crate::check::docs;
use crate::codec;
use crate::json::{self, Json};

/// The most variants that a SCALE index can tell apart.
const VARIANTS_MAX: usize = 256;

pub(crate) fn expand(definition: &DeriveInput, aliases: &Aliases) -> syn::Result<TokenStream> {
    if !definition.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &definition.generics,
            "a generic type cannot cross the contract boundary",
        ));
    }
    let (shape, types) = shape(definition, aliases)?;
    let name = &definition.ident;
    let line = Json::Object(vec![(
        "type",
        Json::Object(vec![
            ("name", Json::text(name.to_string())),
            shape,
            ("docs", Json::text(docs(&definition.attrs))),
        ]),
    )])
    .to_line();
    let section = json::section(&line);
    let codec = codec::derive(definition);
    let assertions = types.iter().map(abi_type::assert_abi_type);
    let words = types.iter().flat_map(|one| abi_type::words(one, aliases));
    let words: Vec<TokenStream> = words.map(|word| abi_type::assert_named(&word)).collect();
    let own_name = name.to_string();
    Ok(quote! {
        #[derive(Clone, Debug, PartialEq, Eq)]
        #definition

        #codec

        #section
        #(#assertions)*
        #(#words)*

        impl ::kumiki_contract::AbiType for #name {
            const NAME: &'static str = #own_name;

            #[cfg(not(target_family = "wasm"))]
            fn fragments(found: &mut ::kumiki_contract::alloc::vec::Vec<&'static str>) {
                if !found.contains(&#line) {
                    found.push(#line);
                    #(<#types as ::kumiki_contract::AbiType>::fragments(found);)*
                }
            }
        }
    })
}

fn shape(
    definition: &DeriveInput,
    aliases: &Aliases,
) -> syn::Result<((&'static str, Json), Vec<Type>)> {
    let mut types = Vec::new();
    match &definition.data {
        Data::Struct(data) => {
            let fields = fields(&data.fields, aliases, &mut types)?;
            Ok((("struct", fields), types))
        }
        Data::Enum(data) => {
            if data.variants.len() > VARIANTS_MAX {
                return Err(Error::new_spanned(
                    &definition.ident,
                    "an enum has at most 256 variants",
                ));
            }
            let mut variants = Vec::new();
            for (index, variant) in data.variants.iter().enumerate() {
                if let Some((_, discriminant)) = &variant.discriminant {
                    return Err(Error::new_spanned(
                        discriminant,
                        "variants are numbered in source order; a discriminant would say otherwise",
                    ));
                }
                variants.push(Json::Object(vec![
                    ("name", Json::text(variant.ident.to_string())),
                    ("index", Json::Number(index)),
                    ("fields", fields(&variant.fields, aliases, &mut types)?),
                    ("docs", Json::text(docs(&variant.attrs))),
                ]));
            }
            Ok((("enum", Json::List(variants)), types))
        }
        Data::Union(data) => Err(Error::new_spanned(
            data.union_token,
            "a union cannot cross the contract boundary",
        )),
    }
}

fn fields(fields: &Fields, aliases: &Aliases, types: &mut Vec<Type>) -> syn::Result<Json> {
    let mut all = Vec::new();
    for field in fields {
        let name = field.ident.as_ref().map(ToString::to_string);
        let type_name = abi_type::name(&field.ty, aliases)?;
        all.push(json::field(&name.unwrap_or_default(), &type_name));
        types.push(field.ty.clone());
    }
    Ok(Json::List(all))
}
