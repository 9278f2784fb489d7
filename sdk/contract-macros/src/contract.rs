//! Read a contract's module: sort its items by their markers, refuse what cannot be a contract.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use syn::{
    Attribute, DeriveInput, Error, ImplItem, Item, ItemImpl, ItemMod, ItemStruct, Type, Visibility,
    parse_quote,
};

use crate::abi_type::Aliases;
use crate::check::{Errors, take_marker};
use crate::contract_ref::refuse_reserved;
use crate::event::{self, Event};
use crate::expand;
use crate::handle::{self, Handle};
use crate::message::{Kind, Message};

/// A contract as read from its module.
pub(crate) struct Contract {
    pub(crate) storage: ItemStruct,
    pub(crate) handles: Vec<Handle>,
    /// Structs marked `#[old_storage]`: what earlier versions stored, for `migrate`.
    pub(crate) old_storage: Vec<(ItemStruct, Vec<Handle>)>,
    pub(crate) messages: Vec<Message>,
    pub(crate) events: Vec<Event>,
    /// The struct or enum marked `#[error]`, and its expansion.
    pub(crate) error: Option<(syn::Ident, TokenStream)>,
    /// Everything else, as written.
    pub(crate) items: Vec<Item>,
}

pub(crate) fn expand(mut module: ItemMod) -> syn::Result<TokenStream> {
    let Some((_, items)) = module.content.take() else {
        return Err(Error::new_spanned(
            &module,
            "a contract's module has its body here: #[contract] mod name { … }",
        ));
    };
    let contract = read(&module, items)?;
    Ok(expand::module(&module, &contract))
}

fn read(module: &ItemMod, items: Vec<Item>) -> syn::Result<Contract> {
    let mut errors = Errors::default();
    let aliases = aliases(&items);
    let mut sorted = Sorted::default();
    for item in items {
        sorted.add(item, &aliases, &mut errors);
    }
    let Some(storage) = sorted.storage else {
        errors.at(
            &module.ident,
            "a contract has one struct marked #[storage]; a contract that stores nothing has an empty one",
        );
        errors.into_result()?;
        return Err(Error::new_spanned(module, "no #[storage] struct"));
    };
    let handles = handle::handles(&storage, &aliases, &mut errors);
    let mut old_storage = Vec::new();
    for old in sorted.old_storage {
        let handles = handle::handles(&old, &aliases, &mut errors);
        old_storage.push((old, handles));
    }
    let mut messages = Vec::new();
    let mut items = sorted.items;
    for item in &mut items {
        if let Item::Impl(block) = item
            && is_inherent_impl_of(block, &storage)
        {
            read_messages(block, &aliases, &mut messages, &mut errors);
        }
    }
    check_messages(&storage, &messages, sorted.error.as_ref(), &mut errors);
    errors.into_result()?;
    Ok(Contract {
        storage,
        handles,
        old_storage,
        messages,
        events: sorted.events,
        error: sorted.error,
        items,
    })
}

fn aliases(items: &[Item]) -> Aliases {
    let mut aliases = Aliases::default();
    for item in items {
        if let Item::Type(alias) = item
            && alias.generics.params.is_empty()
        {
            aliases
                .types
                .insert(alias.ident.to_string(), (*alias.ty).clone());
        }
        let (name, attributes) = match item {
            Item::Struct(definition) => (&definition.ident, &definition.attrs),
            Item::Enum(definition) => (&definition.ident, &definition.attrs),
            _ => continue,
        };
        let is_marked = |attribute: &Attribute| {
            ["data", "error"]
                .iter()
                .any(|marker| attribute.path().is_ident(marker))
                || attribute.path().segments.len() > 1
        };
        if !attributes.iter().any(is_marked) {
            aliases.unmarked.insert(name.to_string());
        }
    }
    aliases
}

#[derive(Default)]
struct Sorted {
    storage: Option<ItemStruct>,
    old_storage: Vec<ItemStruct>,
    events: Vec<Event>,
    error: Option<(syn::Ident, TokenStream)>,
    items: Vec<Item>,
}

impl Sorted {
    fn add(&mut self, item: Item, aliases: &Aliases, errors: &mut Errors) {
        match item {
            Item::Struct(mut definition) => {
                if take_marker(&mut definition.attrs, "storage", errors).is_some() {
                    if self.storage.is_some() {
                        errors.at(
                            &definition.ident,
                            "a contract has only one #[storage] struct",
                        );
                    } else {
                        self.storage = Some(definition);
                    }
                } else if take_marker(&mut definition.attrs, "old_storage", errors).is_some() {
                    self.old_storage.push(definition);
                } else if take_marker(&mut definition.attrs, "event", errors).is_some() {
                    self.events
                        .extend(errors.keep(event::expand(definition, aliases)));
                } else if take_marker(&mut definition.attrs, "error", errors).is_some() {
                    errors.at(
                        &definition.ident,
                        "#[error] marks an enum: one variant per reason",
                    );
                } else {
                    self.add_data(Item::Struct(definition), aliases, errors);
                }
            }
            Item::Enum(mut definition) => {
                if take_marker(&mut definition.attrs, "error", errors).is_some() {
                    self.add_error(definition, aliases, errors);
                } else if take_marker(&mut definition.attrs, "event", errors).is_some() {
                    errors.add(event::not_a_struct(&definition.ident));
                } else {
                    self.add_data(Item::Enum(definition), aliases, errors);
                }
            }
            other => self.items.push(other),
        }
    }

    fn add_error(&mut self, definition: syn::ItemEnum, aliases: &Aliases, errors: &mut Errors) {
        if self.error.is_some() {
            errors.at(
                &definition.ident,
                "a contract has only one #[error] enum: callers decode one type",
            );
            return;
        }
        let name = definition.ident.clone();
        let definition: DeriveInput = definition.into();
        if let Some(code) = errors.keep(crate::data::expand(&definition, aliases)) {
            self.error = Some((name, code));
        }
    }

    /// Expands `#[data]` here, where the module's aliases are known.
    fn add_data(&mut self, mut item: Item, aliases: &Aliases, errors: &mut Errors) {
        let attributes = match &mut item {
            Item::Struct(definition) => &mut definition.attrs,
            Item::Enum(definition) => &mut definition.attrs,
            _ => return self.items.push(item),
        };
        if take_marker(attributes, "data", errors).is_none() {
            return self.items.push(item);
        }
        let definition: DeriveInput = match item {
            Item::Struct(definition) => definition.into(),
            Item::Enum(definition) => definition.into(),
            other => return self.items.push(other),
        };
        if let Some(code) = errors.keep(crate::data::expand(&definition, aliases)) {
            self.items.push(Item::Verbatim(code));
        }
    }
}

fn is_inherent_impl_of(block: &ItemImpl, storage: &ItemStruct) -> bool {
    match &*block.self_ty {
        Type::Path(path) => block.trait_.is_none() && path.path.is_ident(&storage.ident),
        _ => false,
    }
}

fn read_messages(
    block: &mut ItemImpl,
    aliases: &Aliases,
    messages: &mut Vec<Message>,
    errors: &mut Errors,
) {
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else {
            continue;
        };
        let init = take_marker(&mut method.attrs, "init", errors);
        let migrate = take_marker(&mut method.attrs, "migrate", errors);
        let payable = take_marker(&mut method.attrs, "payable", errors);
        let marked = init.as_ref().or(migrate.as_ref()).or(payable.as_ref());
        if !matches!(method.vis, Visibility::Public(_)) {
            if let Some(marker) = marked {
                errors.at(marker, "only a pub method is a message; make it pub");
            }
            continue;
        }
        let Some(mut message) = errors.keep(Message::of(&method.sig, &method.attrs, aliases))
        else {
            continue;
        };
        if message.kind == Kind::View
            && let Some(marker) = marked
        {
            errors.at(
                marker,
                "this marks a method that changes state: it takes &mut self",
            );
        }
        if let (Some(_), Some(both)) = (&init, &migrate) {
            errors.at(both, "a method is #[init] or #[migrate], not both");
        }
        if let (Some(_), Some(both)) = (&migrate, &payable) {
            errors.at(both, "an upgrade carries no native tokens");
        }
        message.payable = payable.is_some();
        if init.is_some() {
            message.kind = Kind::Init;
        } else if migrate.is_some() {
            message.kind = Kind::Migrate;
        }
        messages.push(message);
    }
}

fn check_messages(
    storage: &ItemStruct,
    messages: &[Message],
    error: Option<&(syn::Ident, TokenStream)>,
    errors: &mut Errors,
) {
    refuse_reserved(messages, errors);
    let mut inits = messages.iter().filter(|one| one.kind == Kind::Init);
    if inits.next().is_none() {
        errors.at(
            &storage.ident,
            "a contract has one method marked #[init]: pub fn init(&mut self, …)",
        );
    }
    for second in inits {
        errors.at(&second.name, "a contract has only one #[init] method");
    }
    let migrations = messages.iter().filter(|one| one.kind == Kind::Migrate);
    for second in migrations.skip(1) {
        errors.at(&second.name, "a contract has only one #[migrate] method");
    }
    let mut selectors: BTreeMap<[u8; 4], String> = BTreeMap::new();
    for message in messages {
        if matches!(message.kind, Kind::Init | Kind::Migrate) {
            if message.returns.value != parse_quote!(()) {
                errors.at(
                    &message.returns.value,
                    "#[init] and #[migrate] return nothing or Result<(), Error>",
                );
            }
        } else if let Some(other) = selectors.insert(message.selector(), message.signature()) {
            errors.at(
                &message.name,
                format!(
                    "the selector of {} equals that of {other}; rename one",
                    message.signature()
                ),
            );
        }
        check_error(message, error, errors);
    }
}

fn check_error(message: &Message, error: Option<&(syn::Ident, TokenStream)>, errors: &mut Errors) {
    let Some(returned) = &message.returns.error else {
        return;
    };
    let declared = match (returned, error) {
        (Type::Path(path), Some((name, _))) => path.path.is_ident(name),
        _ => false,
    };
    if !declared {
        errors.at(
            returned,
            "messages fail with the contract's own error: an enum marked #[error] in this module",
        );
    }
}
