//! Expand `#[kumiki_contract_testing::test]`: one body, one test per host.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, ReturnType};

pub(crate) fn expand(function: &ItemFn) -> syn::Result<TokenStream> {
    let signature = &function.sig;
    if signature.inputs.len() != 1 {
        return Err(Error::new_spanned(
            &signature.inputs,
            "a contract test takes the chain: fn name(chain: &mut TestChain)",
        ));
    }
    if let ReturnType::Type(_, returned) = &signature.output {
        return Err(Error::new_spanned(
            returned,
            "a contract test returns nothing",
        ));
    }
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new_spanned(
            asyncness,
            "a contract test is not async",
        ));
    }
    let name = &signature.ident;
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
                ::kumiki_contract_testing::run_wasm(super::#name);
            }
        }
    })
}
