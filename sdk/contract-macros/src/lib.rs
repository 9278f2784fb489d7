//! Generate what stands between a contract as its author writes it and the host: entry points, typed handles, metadata.
//!
//! Use these through `kumiki_contract`; its documentation has examples. Every error points at the token that caused it.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod abi_type;
mod check;
mod codec;
mod contract;
mod contract_ref;
mod contract_test;
mod data;
mod event;
mod expand;
mod handle;
mod json;
mod message;

/// Makes a module a contract.
///
/// Inside: one struct marked `#[storage]` whose fields are storage handles; `impl` blocks of it, whose `pub` methods are
/// the messages (`&self`: a view, `&mut self`: a call), one marked `#[init]`, perhaps one marked `#[migrate]`, calls
/// that take native tokens marked `#[payable]`; structs marked `#[event]`, perhaps with `#[indexed]` fields; at most one
/// enum marked `#[error]`; types marked `#[data]`.
///
/// Structs marked `#[old_storage]` are like the storage of earlier versions: `#[migrate]` opens them with
/// `Name::open(self)` and reads under the old names and types what it then stores under the new ones.
///
/// Generates the Wasm entry points, a handle `<Name>Ref` whose methods make typed messages, and the metadata.
#[proc_macro_attribute]
pub fn contract(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(error) = check::no_arguments("#[contract]", &arguments.into()) {
        return error.into_compile_error().into();
    }
    let module = parse_macro_input!(item as syn::ItemMod);
    contract::expand(module)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a trait the typed handle of a contract that is known only by its messages: a struct of the trait's name with
/// `at(address)`, whose methods make messages to send.
#[proc_macro_attribute]
pub fn contract_ref(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(error) = check::no_arguments("#[contract_ref]", &arguments.into()) {
        return error.into_compile_error().into();
    }
    let definition = parse_macro_input!(item as syn::ItemTrait);
    contract_ref::expand(&definition)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Lets a struct or enum stand in arguments, results, events, errors and storage.
#[proc_macro_attribute]
pub fn data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(error) = check::no_arguments("#[data]", &arguments.into()) {
        return error.into_compile_error().into();
    }
    let definition = parse_macro_input!(item as syn::DeriveInput);
    data::expand(&definition, &abi_type::Aliases::default())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes `fn name(chain: &mut TestChain)` two tests, `name::native` and `name::wasm`. Use it as
/// `#[kumiki_contract_testing::test]`.
#[proc_macro_attribute]
pub fn contract_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(error) = check::no_arguments("#[kumiki_contract_testing::test]", &arguments.into())
    {
        return error.into_compile_error().into();
    }
    let function = parse_macro_input!(item as syn::ItemFn);
    contract_test::expand(&function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes `fn name(chain: &mut TestChain) -> Property` a test, `name::property`, that sends random calls and holds what
/// the function says. Use it as `#[kumiki_contract_testing::property]`.
#[proc_macro_attribute]
pub fn property_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = "#[kumiki_contract_testing::property]";
    if let Some(error) = check::no_arguments(attribute, &arguments.into()) {
        return error.into_compile_error().into();
    }
    let function = parse_macro_input!(item as syn::ItemFn);
    contract_test::expand_property(&function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
