//! Read one message off a method's signature: its kind, arguments, result and selector.

use proc_macro2::TokenStream;
use quote::quote;
use sha3::Digest as _;
use syn::{Attribute, Error, FnArg, Ident, Pat, Signature, Type};

use crate::abi_type::{self, Aliases, Returns};
use crate::check::docs;
use crate::json::{self, Json};

/// What a message may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Init,
    Migrate,
    Call,
    View,
}

/// One message of a contract.
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) payable: bool,
    pub(crate) name: Ident,
    pub(crate) arguments: Vec<(Ident, Type)>,
    argument_names: Vec<String>,
    pub(crate) returns: Returns,
    return_name: String,
    /// The names of types in arguments and result.
    words: Vec<(Type, String)>,
    pub(crate) doc_attributes: Vec<Attribute>,
}

impl Message {
    /// Reads a method whose receiver is `&self` (a view) or `&mut self` (a call).
    pub(crate) fn of(
        signature: &Signature,
        attributes: &[Attribute],
        aliases: &Aliases,
    ) -> syn::Result<Self> {
        let kind = receiver_kind(signature)?;
        refuse_qualifiers(signature)?;
        let mut arguments = Vec::new();
        let mut argument_names = Vec::new();
        for argument in signature.inputs.iter().skip(1) {
            let FnArg::Typed(typed) = argument else {
                continue;
            };
            let Pat::Ident(pattern) = &*typed.pat else {
                return Err(Error::new_spanned(
                    &typed.pat,
                    "give the argument a plain name: tools show it",
                ));
            };
            argument_names.push(abi_type::name(&typed.ty, aliases)?);
            arguments.push((pattern.ident.clone(), (*typed.ty).clone()));
        }
        let returns = Returns::of(&signature.output)?;
        let return_name = abi_type::name(&returns.value, aliases)?;
        if let Some(error) = &returns.error {
            abi_type::name(error, aliases)?;
        }
        let types = arguments.iter().map(|(_, one)| one);
        let words = types
            .chain(std::iter::once(&returns.value))
            .flat_map(|one| abi_type::words(one, aliases))
            .collect();
        Ok(Self {
            kind,
            words,
            payable: false,
            name: signature.ident.clone(),
            arguments,
            argument_names,
            returns,
            return_name,
            doc_attributes: attributes
                .iter()
                .filter(|attribute| attribute.path().is_ident("doc"))
                .cloned()
                .collect(),
        })
    }

    /// `name(type,type)`.
    pub(crate) fn signature(&self) -> String {
        format!("{}({})", self.name, self.argument_names.join(","))
    }

    /// The first 4 bytes of SHA3-256 of the signature; zero for `init` and `migrate`, which have an entry of their own.
    pub(crate) fn selector(&self) -> [u8; 4] {
        match self.kind {
            Kind::Init | Kind::Migrate => [0; 4],
            Kind::Call | Kind::View => {
                let digest: [u8; 32] = sha3::Sha3_256::digest(self.signature().as_bytes()).into();
                [digest[0], digest[1], digest[2], digest[3]]
            }
        }
    }

    /// Checks, at their own tokens, that all types may cross the boundary.
    pub(crate) fn assertions(&self) -> TokenStream {
        let arguments = self
            .arguments
            .iter()
            .map(|(_, one)| abi_type::assert_abi_type(one));
        let value = abi_type::assert_abi_type(&self.returns.value);
        let error = self.returns.error.iter().map(abi_type::assert_abi_type);
        let names = self.words.iter().map(abi_type::assert_named);
        quote!(#(#arguments)* #value #(#error)* #(#names)*)
    }

    /// The types that this message names.
    pub(crate) fn named_types(&self) -> impl Iterator<Item = &Type> {
        self.arguments
            .iter()
            .map(|(_, one)| one)
            .chain(std::iter::once(&self.returns.value))
    }

    /// The method of a typed handle that makes this message.
    pub(crate) fn handle_method(&self, handle: &Ident, contract: Option<&Ident>) -> TokenStream {
        let Self {
            name,
            doc_attributes,
            ..
        } = self;
        let value = &self.returns.value;
        let error = match &self.returns.error {
            Some(error) => quote!(#error),
            None => quote!(::kumiki_contract::NoError),
        };
        let parameters = self.arguments.iter().map(|(name, of)| quote!(#name: #of));
        let arguments = tuple_of(self.arguments.iter().map(|(name, _)| quote!(#name)));
        let [a, b, c, d] = self.selector();
        let full_name = format!("{}.{name}", contract.unwrap_or(handle));
        match (self.kind, contract) {
            (Kind::Init, Some(contract)) => quote! {
                #(#doc_attributes)*
                pub fn #name(#(#parameters),*) -> ::kumiki_contract::Deploy<#contract, #error> {
                    ::kumiki_contract::Deploy::new(#full_name, &#arguments)
                }
            },
            (Kind::Migrate, Some(contract)) => quote! {
                #(#doc_attributes)*
                pub fn #name(#(#parameters),*) -> ::kumiki_contract::Upgrade<#contract, #error> {
                    ::kumiki_contract::Upgrade::new(#full_name, &#arguments)
                }
            },
            (Kind::Init | Kind::Migrate, None) => TokenStream::new(),
            (Kind::Call, _) => quote! {
                #(#doc_attributes)*
                pub fn #name(&self, #(#parameters),*) -> ::kumiki_contract::Call<#value, #error> {
                    ::kumiki_contract::Call::new(#full_name, self.address, [#a, #b, #c, #d], &#arguments)
                }
            },
            (Kind::View, _) => quote! {
                #(#doc_attributes)*
                pub fn #name(&self, #(#parameters),*) -> ::kumiki_contract::View<#value, #error> {
                    ::kumiki_contract::View::new(#full_name, self.address, [#a, #b, #c, #d], &#arguments)
                }
            },
        }
    }

    /// The entry point's metadata.
    pub(crate) fn metadata(&self) -> Json {
        let kind = match self.kind {
            Kind::Init => "init",
            Kind::Migrate => "migrate",
            Kind::Call => "call",
            Kind::View => "view",
        };
        let arguments = self.arguments.iter().zip(&self.argument_names);
        let arguments = arguments.map(|((name, _), of)| json::field(&name.to_string(), of));
        Json::Object(vec![
            ("name", Json::text(self.name.to_string())),
            ("selector", json::hex(&self.selector())),
            ("kind", Json::text(kind)),
            ("payable", Json::Bool(self.payable)),
            ("args", Json::List(arguments.collect())),
            ("returns", Json::text(&self.return_name)),
            ("docs", Json::text(docs(&self.doc_attributes))),
        ])
    }
}

/// A tuple expression or pattern, right also for one part and none.
pub(crate) fn tuple_of(parts: impl Iterator<Item = TokenStream>) -> TokenStream {
    quote!((#(#parts,)*))
}

fn receiver_kind(signature: &Signature) -> syn::Result<Kind> {
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) => match (&receiver.reference, &receiver.mutability) {
            (Some((_, None)), None) if receiver.colon_token.is_none() => Ok(Kind::View),
            (Some((_, None)), Some(_)) if receiver.colon_token.is_none() => Ok(Kind::Call),
            _ => Err(Error::new_spanned(
                receiver,
                "a message takes &self (it only reads) or &mut self (it may change state)",
            )),
        },
        Some(FnArg::Typed(_)) | None => Err(Error::new_spanned(
            &signature.ident,
            "a pub method of the storage struct is a message and takes &self or &mut self; make it private or pub(crate) if it is none",
        )),
    }
}

fn refuse_qualifiers(signature: &Signature) -> syn::Result<()> {
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "a message cannot be generic: callers know only its selector",
        ));
    }
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new_spanned(asyncness, "a message cannot be async"));
    }
    if let Some(unsafety) = &signature.unsafety {
        return Err(Error::new_spanned(unsafety, "a message cannot be unsafe"));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, "a message has no ABI of its own"));
    }
    match &signature.variadic {
        Some(variadic) => Err(Error::new_spanned(variadic, "a message cannot be variadic")),
        None => Ok(()),
    }
}
