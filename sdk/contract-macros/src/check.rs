//! Collect errors and find marker attributes.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Error, Expr, Lit, Meta};

/// All errors found, reported together.
#[derive(Default)]
pub(crate) struct Errors {
    all: Option<Error>,
}

impl Errors {
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.all {
            Some(all) => all.combine(error),
            None => self.all = Some(error),
        }
    }

    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// The value of `result`, or nothing and its error kept.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn into_result(self) -> syn::Result<()> {
        self.all.map_or(Ok(()), Err)
    }
}

/// The error of an attribute that was given arguments and takes none.
pub(crate) fn no_arguments(attribute: &str, arguments: &TokenStream) -> Option<Error> {
    (!arguments.is_empty())
        .then(|| Error::new_spanned(arguments, format!("{attribute} takes no arguments")))
}

/// Takes the marker `#[name]` out of `attributes`, if it is there.
pub(crate) fn take_marker(
    attributes: &mut Vec<Attribute>,
    name: &str,
    errors: &mut Errors,
) -> Option<Attribute> {
    let position = attributes
        .iter()
        .position(|attribute| attribute.path().is_ident(name))?;
    let found = attributes.remove(position);
    if !matches!(found.meta, Meta::Path(_)) {
        errors.at(&found.meta, format!("#[{name}] takes no arguments"));
    }
    if let Some(second) = attributes.iter().find(|one| one.path().is_ident(name)) {
        errors.at(second, format!("#[{name}] stands here twice"));
    }
    Some(found)
}

/// The text of doc comments, lines joined.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .collect();
    lines.join("\n").trim().to_owned()
}
