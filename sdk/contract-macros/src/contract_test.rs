//! Expand `#[kumiki_contract_testing::test]`: one body, one test per host; and `#[…::property]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, ReturnType};

pub(crate) fn expand(function: &ItemFn) -> syn::Result<TokenStream> {
    check(function)?;
    if let ReturnType::Type(_, returned) = &function.sig.output {
        return Err(Error::new_spanned(
            returned,
            "a contract test returns nothing",
        ));
    }
    let name = &function.sig.ident;
    let test_name = test_name();
    Ok(quote! {
        #[cfg(test)]
        #function

        #[cfg(test)]
        mod #name {
            #[test]
            fn native() {
                ::kumiki_contract_testing::run_native(super::#name);
            }

            #[test]
            fn wasm() {
                ::kumiki_contract_testing::run_wasm_named(&#test_name, super::#name);
            }
        }
    })
}

pub(crate) fn expand_property(function: &ItemFn) -> syn::Result<TokenStream> {
    check(function)?;
    if matches!(function.sig.output, ReturnType::Default) {
        return Err(Error::new_spanned(
            &function.sig,
            "a property test returns what random calls go to: fn name(chain: &mut TestChain) -> Property",
        ));
    }
    let name = &function.sig.ident;
    let test_name = test_name();
    Ok(quote! {
        #[cfg(test)]
        #function

        #[cfg(test)]
        mod #name {
            #[test]
            fn property() {
                ::kumiki_contract_testing::property::run(&#test_name, super::#name);
            }
        }
    })
}

fn check(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if signature.inputs.len() != 1 {
        return Err(Error::new_spanned(
            &signature.inputs,
            "a contract test takes the chain: fn name(chain: &mut TestChain)",
        ));
    }
    match &signature.asyncness {
        Some(asyncness) => Err(Error::new_spanned(
            asyncness,
            "a contract test is not async",
        )),
        None => Ok(()),
    }
}

/// Where the test is, said inside the module that is called like it.
fn test_name() -> TokenStream {
    quote! {
        ::kumiki_contract_testing::TestName {
            package: ::core::env!("CARGO_PKG_NAME"),
            manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
            path: ::core::module_path!(),
        }
    }
}
