//! Write types as the metadata and the selectors know them, and refuse those that cannot cross the boundary.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{Error, Expr, GenericArgument, Lit, PathArguments, ReturnType, Type};

/// What the contract's module says of names: `type Name = Type;` items, and types that tools cannot know.
#[derive(Default)]
pub(crate) struct Aliases {
    pub(crate) types: BTreeMap<String, Type>,
    /// Structs and enums of the module that are not marked `#[data]`.
    pub(crate) unmarked: BTreeSet<String>,
}

/// Aliases of aliases go no deeper than this.
const ALIAS_DEPTH_MAX: u32 = 16;

/// The type's name in metadata and signatures.
///
/// # Errors
/// Points at the part that cannot cross the boundary.
pub(crate) fn name(of: &Type, aliases: &Aliases) -> syn::Result<String> {
    name_within(of, aliases, ALIAS_DEPTH_MAX)
}

fn name_within(of: &Type, aliases: &Aliases, depth: u32) -> syn::Result<String> {
    let refuse = |message: &str| Err(Error::new_spanned(of, message));
    match of {
        Type::Paren(inner) => name_within(&inner.elem, aliases, depth),
        Type::Group(inner) => name_within(&inner.elem, aliases, depth),
        Type::Tuple(tuple) => {
            let parts = names(tuple.elems.iter(), aliases, depth)?;
            Ok(match parts.as_slice() {
                [one] => format!("({one},)"),
                all => format!("({})", all.join(", ")),
            })
        }
        Type::Array(array) => {
            let element = name_within(&array.elem, aliases, depth)?;
            match &array.len {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Int(number) => Ok(format!("[{element}; {}]", number.base10_digits())),
                    other => Err(Error::new_spanned(other, "an array length is a number")),
                },
                other => Err(Error::new_spanned(
                    other,
                    "write the array length as a number: it is part of the contract's interface",
                )),
            }
        }
        Type::Path(path) if path.qself.is_none() => path_name(path, aliases, depth),
        Type::Reference(_) => {
            refuse("a reference cannot cross the contract boundary; use the owned type")
        }
        Type::Slice(_) => refuse("a slice cannot cross the contract boundary; use Vec<T>"),
        _ => refuse("this type cannot cross the contract boundary"),
    }
}

fn names<'a>(
    of: impl Iterator<Item = &'a Type>,
    aliases: &Aliases,
    depth: u32,
) -> syn::Result<Vec<String>> {
    of.map(|one| name_within(one, aliases, depth)).collect()
}

fn path_name(path: &syn::TypePath, aliases: &Aliases, depth: u32) -> syn::Result<String> {
    let refuse = |message: String| Err(Error::new_spanned(path, message));
    let Some(last) = path.path.segments.last() else {
        return refuse("this type cannot cross the contract boundary".to_owned());
    };
    let ident = last.ident.to_string();
    match ident.as_str() {
        "f32" | "f64" => {
            return refuse(format!(
                "{ident} cannot be used in a contract: floats are not the same on every machine; count in the smallest unit with an integer"
            ));
        }
        "usize" | "isize" => {
            return refuse(format!(
                "{ident} has another size in Wasm than elsewhere; use u32 or u64"
            ));
        }
        "Self" => return refuse("write the type's name instead of Self".to_owned()),
        "str" => return refuse("use String".to_owned()),
        _ => {}
    }
    match &last.arguments {
        PathArguments::None => {}
        PathArguments::AngleBracketed(arguments) => {
            let inner: Vec<&Type> = arguments
                .args
                .iter()
                .filter_map(|argument| match argument {
                    GenericArgument::Type(one) => Some(one),
                    _ => None,
                })
                .collect();
            let expected = match ident.as_str() {
                "Vec" | "Option" => 1,
                "Result" => 2,
                _ => {
                    return refuse(format!(
                        "the generic type {ident} cannot cross the contract boundary; Vec, Option and Result can"
                    ));
                }
            };
            if inner.len() != expected || arguments.args.len() != expected {
                return refuse(format!("{ident} takes {expected} type here"));
            }
            let inner = names(inner.into_iter(), aliases, depth)?;
            return Ok(format!("{ident}<{}>", inner.join(", ")));
        }
        PathArguments::Parenthesized(_) => {
            return refuse("a function cannot cross the contract boundary".to_owned());
        }
    }
    if aliases.unmarked.contains(&ident) {
        return refuse(format!(
            "{ident} cannot cross the contract boundary; mark it with #[data]"
        ));
    }
    match (ident.as_str(), aliases.types.get(&ident), depth) {
        ("Balance", None, _) => Ok("u128".to_owned()),
        (_, Some(_), 0) => refuse(format!("the alias {ident} stands for itself")),
        (_, Some(aliased), _) => name_within(aliased, aliases, depth - 1),
        (_, None, _) => Ok(ident),
    }
}

/// Code that makes the compiler check, at the type's own tokens, that it is an `AbiType`.
pub(crate) fn assert_abi_type(of: &Type) -> TokenStream {
    quote_spanned! { of.span() =>
        const _: () = {
            const fn crosses_the_boundary<T: ::kumiki_contract::AbiType>() {}
            crosses_the_boundary::<#of>();
        };
    }
}

/// The words in a type that the macro takes for names of types, each with the name that it writes for it.
pub(crate) fn words(of: &Type, aliases: &Aliases) -> Vec<(Type, String)> {
    let mut found = Vec::new();
    add_words(of, aliases, ALIAS_DEPTH_MAX, &mut found);
    found
}

fn add_words(of: &Type, aliases: &Aliases, depth: u32, found: &mut Vec<(Type, String)>) {
    match of {
        Type::Paren(inner) => add_words(&inner.elem, aliases, depth, found),
        Type::Group(inner) => add_words(&inner.elem, aliases, depth, found),
        Type::Array(array) => add_words(&array.elem, aliases, depth, found),
        Type::Tuple(tuple) => {
            for one in &tuple.elems {
                add_words(one, aliases, depth, found);
            }
        }
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else {
                return;
            };
            if let PathArguments::AngleBracketed(arguments) = &last.arguments {
                for argument in &arguments.args {
                    if let GenericArgument::Type(one) = argument {
                        add_words(one, aliases, depth, found);
                    }
                }
                return;
            }
            match aliases.types.get(&last.ident.to_string()) {
                Some(aliased) if depth > 0 => add_words(aliased, aliases, depth - 1, found),
                Some(_) => {}
                None => found.extend(name(of, aliases).ok().map(|name| (of.clone(), name))),
            }
        }
        _ => {}
    }
}

/// Code that makes the compiler check that a word stands for the type that the macro takes it for.
pub(crate) fn assert_named((word, name): &(Type, String)) -> TokenStream {
    quote_spanned! { word.span() =>
        const _: () = assert!(
            ::kumiki_contract::is_named::<#word>(#name),
            "write the type that this is an alias of: its name is part of the contract's interface"
        );
    }
}

/// What a message returns: its type, and the error type of a `Result`.
pub(crate) struct Returns {
    pub(crate) value: Type,
    pub(crate) error: Option<Type>,
}

impl Returns {
    pub(crate) fn of(output: &ReturnType) -> syn::Result<Self> {
        let returned = match output {
            ReturnType::Default => {
                return Ok(Self {
                    value: syn::parse_quote!(()),
                    error: None,
                });
            }
            ReturnType::Type(_, returned) => returned,
        };
        let Type::Path(path) = &**returned else {
            return Ok(Self {
                value: (**returned).clone(),
                error: None,
            });
        };
        let Some(last) = path
            .path
            .segments
            .last()
            .filter(|last| last.ident == "Result")
        else {
            return Ok(Self {
                value: (**returned).clone(),
                error: None,
            });
        };
        if let PathArguments::AngleBracketed(arguments) = &last.arguments {
            let mut both = arguments.args.iter();
            if let (Some(GenericArgument::Type(value)), Some(GenericArgument::Type(error)), None) =
                (both.next(), both.next(), both.next())
            {
                return Ok(Self {
                    value: value.clone(),
                    error: Some(error.clone()),
                });
            }
        }
        Err(Error::new_spanned(
            path,
            "write Result<T, E> in full: the error type is part of the contract's interface",
        ))
    }
}
