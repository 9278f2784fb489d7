//! Generate the SCALE encoding of a struct or enum: fields in order, variants by their number first.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Fields, Ident};

/// `Encode` and `Decode` for a type without generics; an enum has at most 256 variants.
pub(crate) fn derive(definition: &DeriveInput) -> TokenStream {
    let name = &definition.ident;
    let (encode, decode) = match &definition.data {
        Data::Struct(data) => structure(&data.fields),
        Data::Enum(data) => enumeration(data),
        Data::Union(_) => return TokenStream::new(),
    };
    quote! {
        impl ::kumiki_contract::Encode for #name {
            fn encode_to(&self, out: &mut ::kumiki_contract::buffer::Buffer) {
                #encode
            }
        }

        impl ::kumiki_contract::Decode for #name {
            fn decode(input: &mut &[u8]) -> Option<Self> {
                #decode
            }
        }
    }
}

fn structure(fields: &Fields) -> (TokenStream, TokenStream) {
    let (names, pattern) = bindings(fields);
    let values = decoded(fields);
    (
        quote! {
            let Self #pattern = self;
            #(::kumiki_contract::Encode::encode_to(#names, out);)*
        },
        quote!(Some(Self #values)),
    )
}

fn enumeration(data: &syn::DataEnum) -> (TokenStream, TokenStream) {
    let numbered = || (0..=u8::MAX).zip(&data.variants);
    let encode = numbered().map(|(number, variant)| {
        let name = &variant.ident;
        let (names, pattern) = bindings(&variant.fields);
        quote! {
            Self::#name #pattern => {
                out.push(&[#number]);
                #(::kumiki_contract::Encode::encode_to(#names, out);)*
            }
        }
    });
    let decode = numbered().map(|(number, variant)| {
        let name = &variant.ident;
        let values = decoded(&variant.fields);
        quote!(#number => Some(Self::#name #values))
    });
    let encode = if data.variants.is_empty() {
        quote!(match *self {})
    } else {
        quote!(match self { #(#encode)* })
    };
    (
        encode,
        quote! {
            match <u8 as ::kumiki_contract::Decode>::decode(input)? {
                #(#decode,)*
                _ => None,
            }
        },
    )
}

/// Names for all fields, and the pattern that binds them.
fn bindings(fields: &Fields) -> (Vec<Ident>, TokenStream) {
    let names: Vec<Ident> = (0..fields.len())
        .map(|index| format_ident!("field_{index}"))
        .collect();
    let pattern = match fields {
        Fields::Named(named) => {
            let fields = named.named.iter().map(|field| &field.ident);
            quote!({ #(#fields: #names),* })
        }
        Fields::Unnamed(_) => quote!((#(#names),*)),
        Fields::Unit => TokenStream::new(),
    };
    (names, pattern)
}

/// The fields of a struct expression, each decoded.
fn decoded(fields: &Fields) -> TokenStream {
    let value = quote!(::kumiki_contract::Decode::decode(input)?);
    match fields {
        Fields::Named(named) => {
            let fields = named.named.iter().map(|field| &field.ident);
            quote!({ #(#fields: #value),* })
        }
        Fields::Unnamed(unnamed) => {
            let values = unnamed.unnamed.iter().map(|_| &value);
            quote!((#(#values),*))
        }
        Fields::Unit => TokenStream::new(),
    }
}
