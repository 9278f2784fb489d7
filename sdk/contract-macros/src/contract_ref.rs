//! Expand `#[contract_ref]`: a trait becomes a struct whose methods make messages.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Ident, ItemTrait, TraitItem, Visibility};

use crate::abi_type::Aliases;
use crate::check::Errors;
use crate::message::Message;

pub(crate) fn expand(definition: &ItemTrait) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    if !definition.generics.params.is_empty() {
        errors.at(&definition.generics, "a contract handle cannot be generic");
    }
    if !definition.supertraits.is_empty() {
        errors.at(
            &definition.supertraits,
            "a contract handle has no supertraits",
        );
    }
    let mut messages = Vec::new();
    for item in &definition.items {
        let TraitItem::Fn(method) = item else {
            errors.at(
                item,
                "a contract handle lists messages only: methods with &self or &mut self",
            );
            continue;
        };
        if let Some(body) = &method.default {
            errors.at(body, "the contract has the body of this message");
        }
        let message = Message::of(&method.sig, &method.attrs, &Aliases::default());
        messages.extend(errors.keep(message));
    }
    refuse_reserved(&messages, &mut errors);
    errors.into_result()?;
    let docs = definition.attrs.iter();
    let handle = handle(&definition.vis, &definition.ident, None, &messages);
    let assertions = messages.iter().map(Message::assertions);
    Ok(quote!(#(#docs)* #handle #(#assertions)*))
}

/// The handle struct named `name` with a method per message.
pub(crate) fn handle(
    visibility: &Visibility,
    name: &Ident,
    contract: Option<&Ident>,
    messages: &[Message],
) -> TokenStream {
    let methods = messages
        .iter()
        .map(|message| message.handle_method(name, contract));
    quote! {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #visibility struct #name {
            /// Where the contract is.
            pub address: ::kumiki_contract::Address,
        }

        impl #name {
            /// The handle of the contract at `address`.
            #[must_use]
            pub const fn at(address: ::kumiki_contract::Address) -> Self {
                Self { address }
            }

            #(#methods)*
        }

        impl From<::kumiki_contract::Address> for #name {
            fn from(address: ::kumiki_contract::Address) -> Self {
                Self { address }
            }
        }
    }
}

/// Refuses messages whose names the generated handle needs itself.
pub(crate) fn refuse_reserved(messages: &[Message], errors: &mut Errors) {
    for message in messages {
        if message.name == "at" {
            errors.add(Error::new_spanned(
                &message.name,
                "a message cannot be named `at`: every handle has that method",
            ));
        }
    }
}
