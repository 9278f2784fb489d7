//! Write a contract's module out: what its author wrote, the dispatch, the handle, the exports, the metadata.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, ItemMod, ItemStruct};

use crate::abi_type;
use crate::check::docs;
use crate::contract::Contract;
use crate::contract_ref;
use crate::handle::Handle;
use crate::json::{self, Json};
use crate::message::{Kind, Message, tuple_of};

pub(crate) fn module(module: &ItemMod, contract: &Contract) -> TokenStream {
    let ItemMod {
        attrs, vis, ident, ..
    } = module;
    let Contract { storage, items, .. } = contract;
    let old_handles = contract.old_storage.iter().flat_map(|(_, handles)| handles);
    let handles = contract.handles.iter().chain(old_handles);
    let storage_types = handles.flat_map(|handle| &handle.types);
    let old_storage = contract
        .old_storage
        .iter()
        .map(|(old, handles)| open_old_storage(&storage.ident, old, handles));
    let storage_assertions = storage_types.map(abi_type::assert_abi_type);
    let message_assertions = contract.messages.iter().map(Message::assertions);
    let events = contract.events.iter().map(|event| &event.code);
    let error = contract.error.iter().map(|(_, code)| code);
    let handle_name = format_ident!("{}Ref", storage.ident);
    let handle = contract_ref::handle(
        &storage.vis,
        &handle_name,
        Some(&storage.ident),
        &contract.messages,
    );
    let handle_docs = format!(" Typed messages to a [`{}`] contract.", storage.ident);
    let implementation = implementation(module, contract);
    let exports = exports(contract);
    quote! {
        #(#attrs)*
        #vis mod #ident {
            #(#items)*
            #storage
            #(#old_storage)*
            #(#events)*
            #(#error)*
            #[doc = #handle_docs]
            #handle
            #implementation
            #exports
            #(#storage_assertions)*
            #(#message_assertions)*
        }
    }
}

/// What an earlier version stored, as `migrate` opens it. Whoever opens it may change state, so it takes the contract
/// as a message that may does.
fn open_old_storage(contract: &Ident, old: &ItemStruct, handles: &[Handle]) -> TokenStream {
    let name = &old.ident;
    let opened = handles.iter().map(Handle::opened);
    let docs = format!(" Opens what an earlier version of [`{contract}`] stored.");
    quote! {
        #old

        impl #name {
            #[doc = #docs]
            fn open(_contract: &mut #contract) -> Self {
                Self { #(#opened),* }
            }
        }
    }
}

fn implementation(module: &ItemMod, contract: &Contract) -> TokenStream {
    let storage = &contract.storage.ident;
    let name = storage.to_string();
    let handle_name = format_ident!("{storage}Ref");
    let line = contract_line(module, contract);
    let section = json::section(&line);
    let event_lines = contract.events.iter().map(|event| &event.line);
    let named_types = contract
        .messages
        .iter()
        .flat_map(Message::named_types)
        .chain(contract.handles.iter().flat_map(|handle| &handle.types))
        .chain(contract.events.iter().flat_map(|event| &event.types));
    let error = contract.error.iter().map(|(name, _)| name);
    let opened = contract.handles.iter().map(Handle::opened);
    let init = single(contract, Kind::Init);
    let migrate = single(contract, Kind::Migrate);
    let call = selected(contract, Kind::Call);
    let query = selected(contract, Kind::View);
    quote! {
        #section

        impl ::kumiki_contract::Contract for #storage {
            const NAME: &'static str = #name;
            #[cfg(not(target_family = "wasm"))]
            const PACKAGE: &'static str = env!("CARGO_PKG_NAME");
            #[cfg(not(target_family = "wasm"))]
            const MANIFEST_DIR: &'static str = env!("CARGO_MANIFEST_DIR");
            type Ref = #handle_name;

            #[inline(always)]
            fn run(entry: ::kumiki_contract::EntryPoint, input_len: usize) {
                let input = ::kumiki_contract::entry::read_input(input_len);
                #[allow(unused_mut, reason = "a contract of views alone changes nothing")]
                let mut contract = Self { #(#opened),* };
                match entry {
                    ::kumiki_contract::EntryPoint::Init => { #init }
                    ::kumiki_contract::EntryPoint::Migrate => { #migrate }
                    ::kumiki_contract::EntryPoint::Call => { #call }
                    ::kumiki_contract::EntryPoint::Query => { #query }
                }
            }

            #[cfg(not(target_family = "wasm"))]
            fn fragments() -> ::kumiki_contract::alloc::vec::Vec<&'static str> {
                let mut found = ::kumiki_contract::alloc::vec![#line, #(#event_lines),*];
                #(<#error as ::kumiki_contract::AbiType>::fragments(&mut found);)*
                #(<#named_types as ::kumiki_contract::AbiType>::fragments(&mut found);)*
                found
            }
        }
    }
}

/// Runs `init` or `migrate`, whose input is the arguments alone.
fn single(contract: &Contract, kind: Kind) -> TokenStream {
    match contract.messages.iter().find(|one| one.kind == kind) {
        Some(message) => run_message(message, &quote!(&input)),
        None => quote! {
            ::kumiki_contract::entry::revert_sdk(::kumiki_contract::SdkError::UnknownSelector)
        },
    }
}

/// Runs the message that the selector names.
fn selected(contract: &Contract, kind: Kind) -> TokenStream {
    let arms = contract
        .messages
        .iter()
        .filter(|one| one.kind == kind)
        .map(|message| {
            let selector = u32::from_le_bytes(message.selector());
            let run = run_message(message, &quote!(arguments));
            quote!(#selector => { #run })
        });
    quote! {
        #[allow(unused_variables, reason = "a contract may have no message of this kind")]
        let (selector, arguments) = ::kumiki_contract::entry::split_selector(&input);
        match selector {
            #(#arms)*
            _ => ::kumiki_contract::entry::revert_sdk(::kumiki_contract::SdkError::UnknownSelector),
        }
    }
}

fn run_message(message: &Message, input: &TokenStream) -> TokenStream {
    let name = &message.name;
    let values: Vec<_> = (0..message.arguments.len())
        .map(|index| format_ident!("argument_{index}"))
        .collect();
    let pattern = tuple_of(values.iter().map(|value| quote!(#value)));
    let types = tuple_of(message.arguments.iter().map(|(_, of)| quote!(#of)));
    let refuse_value = match (message.kind, message.payable) {
        // A query and an upgrade carry no value.
        (Kind::View | Kind::Migrate, _) | (_, true) => TokenStream::new(),
        (Kind::Init | Kind::Call, false) => quote!(::kumiki_contract::entry::refuse_value();),
    };
    let finish = match &message.returns.error {
        Some(_) => quote_spanned!(name.span()=> ::kumiki_contract::entry::finish_result),
        None => quote_spanned!(name.span()=> ::kumiki_contract::entry::finish),
    };
    // In the line table, what is refused for a message lies at the message.
    let finish = quote_spanned!(name.span()=> #finish(contract.#name(#(#values),*)););
    quote! {
        #refuse_value
        let #pattern = ::kumiki_contract::entry::arguments::<#types>(#input);
        #finish
    }
}

fn exports(contract: &Contract) -> TokenStream {
    let storage = &contract.storage.ident;
    let has_migrate = contract
        .messages
        .iter()
        .any(|one| one.kind == Kind::Migrate);
    let entries = [
        ("init", "Init", true),
        ("call", "Call", true),
        ("query", "Query", true),
        ("migrate", "Migrate", has_migrate),
    ];
    let functions = entries
        .iter()
        .filter(|(_, _, exists)| *exists)
        .map(|(name, entry, _)| {
            let function = format_ident!("{name}");
            let entry = format_ident!("{entry}");
            quote! {
                #[allow(unsafe_code, reason = "the host finds entry points by these names")]
                #[unsafe(no_mangle)]
                extern "C" fn #function(input_len: i32) {
                    <#storage as ::kumiki_contract::Contract>::run(
                        ::kumiki_contract::EntryPoint::#entry,
                        input_len as usize,
                    );
                }
            }
        });
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = { #(#functions)* };
    }
}

/// The contract's own metadata fragment.
fn contract_line(module: &ItemMod, contract: &Contract) -> String {
    let entry = |kind: Kind| {
        let found = contract.messages.iter().find(|one| one.kind == kind);
        found.map_or(Json::Null, Message::metadata)
    };
    let entry_points = contract
        .messages
        .iter()
        .filter(|one| matches!(one.kind, Kind::Call | Kind::View))
        .map(Message::metadata);
    let documentation = match docs(&contract.storage.attrs) {
        text if text.is_empty() => docs(&module.attrs),
        text => text,
    };
    let error = contract.error.as_ref();
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    Json::Object(vec![(
        "contract",
        Json::Object(vec![
            ("schema", Json::text("kumiki-abi/1")),
            ("name", Json::text(contract.storage.ident.to_string())),
            ("version", Json::text(version)),
            ("docs", Json::text(documentation)),
            ("sdk", Json::text(env!("CARGO_PKG_VERSION"))),
            ("init", entry(Kind::Init)),
            ("migrate", entry(Kind::Migrate)),
            ("entryPoints", Json::List(entry_points.collect())),
            ("events", Json::List(Vec::new())),
            (
                "error",
                error.map_or(Json::Null, |(name, _)| Json::text(name.to_string())),
            ),
            ("types", Json::List(Vec::new())),
            (
                "storage",
                Json::List(contract.handles.iter().map(Handle::metadata).collect()),
            ),
        ]),
    )])
    .to_line()
}
