//! Read the storage struct's fields: which handle, of what, under which prefix.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use sha2::Digest as _;
use syn::spanned::Spanned;
use syn::{Error, Field, Fields, GenericArgument, Ident, ItemStruct, PathArguments, Type};

use crate::abi_type::{self, Aliases};
use crate::check::Errors;
use crate::json::{self, Json};

const EXPECTED: &str = "a storage field is one of Item<T>, Map<K, V>, List<T>, OrderedMap<K, V>: it says where values are, it does not hold them";

/// A field of the storage struct.
pub(crate) struct Handle {
    name: Ident,
    handle: Type,
    kind: String,
    /// Its type arguments: the value last, before it the key of a map.
    pub(crate) types: Vec<Type>,
    type_names: Vec<String>,
    prefix: [u8; 4],
}

/// Reads all fields; two with one prefix are an error.
pub(crate) fn handles(storage: &ItemStruct, aliases: &Aliases, errors: &mut Errors) -> Vec<Handle> {
    if !storage.generics.params.is_empty() {
        errors.at(&storage.generics, "a storage struct cannot be generic");
    }
    if let Fields::Unnamed(fields) = &storage.fields {
        errors.at(
            fields,
            "give storage fields names: their keys derive from them",
        );
    }
    let mut prefixes: BTreeMap<[u8; 4], String> = BTreeMap::new();
    let mut handles = Vec::new();
    for field in &storage.fields {
        let Some(handle) = errors.keep(handle(field, aliases)) else {
            continue;
        };
        if let Some(other) = prefixes.insert(handle.prefix, handle.name.to_string()) {
            errors.at(
                &handle.name,
                format!(
                    "the storage prefix of {} equals that of {other}; rename one",
                    handle.name
                ),
            );
        }
        handles.push(handle);
    }
    handles
}

fn handle(field: &Field, aliases: &Aliases) -> syn::Result<Handle> {
    let name = field
        .ident
        .clone()
        .ok_or_else(|| Error::new_spanned(field, "give storage fields names"))?;
    let Type::Path(path) = &field.ty else {
        return Err(Error::new_spanned(&field.ty, EXPECTED));
    };
    let Some(last) = path.path.segments.last() else {
        return Err(Error::new_spanned(&field.ty, EXPECTED));
    };
    let expected = match last.ident.to_string().as_str() {
        "Item" | "List" => 1,
        "Map" | "OrderedMap" => 2,
        _ => return Err(Error::new_spanned(&field.ty, EXPECTED)),
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Err(Error::new_spanned(&field.ty, EXPECTED));
    };
    let types: Vec<Type> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(one) => Some(one.clone()),
            _ => None,
        })
        .collect();
    if types.len() != expected {
        return Err(Error::new_spanned(&field.ty, EXPECTED));
    }
    let type_names = types
        .iter()
        .map(|one| abi_type::name(one, aliases))
        .collect::<syn::Result<Vec<String>>>()?;
    let digest: [u8; 32] = sha2::Sha256::digest(name.to_string().as_bytes()).into();
    Ok(Handle {
        kind: last.ident.to_string(),
        handle: field.ty.clone(),
        name,
        types,
        type_names,
        prefix: [digest[0], digest[1], digest[2], digest[3]],
    })
}

impl Handle {
    /// The field in the struct expression that opens the storage.
    pub(crate) fn opened(&self) -> TokenStream {
        let Self { name, handle, .. } = self;
        let [a, b, c, d] = self.prefix;
        let open = quote_spanned!(handle.span() => <#handle>::at([#a, #b, #c, #d]));
        quote!(#name: #open)
    }

    pub(crate) fn metadata(&self) -> Json {
        let (value, key) = match self.type_names.as_slice() {
            [key, value] => (value.clone(), Json::text(key)),
            [value] => (value.clone(), Json::Null),
            _ => (String::new(), Json::Null),
        };
        Json::Object(vec![
            ("name", Json::text(self.name.to_string())),
            ("handle", Json::text(&self.kind)),
            ("key", key),
            ("value", Json::text(value)),
            ("prefix", json::hex(&self.prefix)),
        ])
    }
}
