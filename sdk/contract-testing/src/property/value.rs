//! Hold a value of a type of metadata, and encode and decode it.

use kumiki_abi::type_name::Type;
use parity_scale_codec::{Compact, Decode as _, Encode as _};

use super::message::{Part, Shape, Types};
use crate::wasm_file::fail;

/// A value that crosses the contract boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    Unsigned(u128),
    Signed(i128),
    Text(String),
    /// A caller or contract, by its number: where it is depends on the code, and a saved sequence outlives that.
    Known(usize),
    /// Any other address.
    Address([u8; 32]),
    Hash([u8; 32]),
    /// `Vec<u8>` or `[u8; N]`.
    Bytes(Vec<u8>),
    /// The elements or fields of a tuple, array, vector or struct.
    List(Vec<Self>),
    Absent,
    Present(Box<Self>),
    /// The position of an enum's variant, and its fields; of a `Result`, 0 is `Ok`.
    Variant(usize, Vec<Self>),
}

impl Value {
    /// Calls `visit` with this value and all inside it.
    pub(crate) fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::List(values) | Self::Variant(_, values) => {
                values.iter().for_each(|one| one.walk(visit));
            }
            Self::Present(inner) => inner.walk(visit),
            _ => {}
        }
    }
}

/// What encoding and decoding need to know besides type and value.
#[derive(Clone, Copy)]
pub(crate) struct Codec<'a> {
    pub(crate) types: &'a Types,
    /// Where [`Value::Known`] are.
    pub(crate) known: &'a [[u8; 32]],
}

impl Codec<'_> {
    /// The encoding of all `values`, which are of the types of `parts`.
    pub(crate) fn encode_parts(&self, values: &[Value], parts: &[Part], out: &mut Vec<u8>) {
        for (value, part) in values.iter().zip(parts) {
            self.encode(value, &part.of, out);
        }
    }

    fn encode(&self, value: &Value, of: &Type, out: &mut Vec<u8>) {
        match (value, of) {
            (Value::Bool(flag), _) => out.push(u8::from(*flag)),
            (Value::Unsigned(number), Type::Unsigned(bytes)) => {
                out.extend(number.to_le_bytes().iter().take(usize::from(*bytes)));
            }
            (Value::Signed(number), Type::Signed(bytes)) => {
                out.extend(number.to_le_bytes().iter().take(usize::from(*bytes)));
            }
            (Value::Text(text), _) => text.encode_to(out),
            (Value::Known(number), _) => match self.known.get(*number) {
                Some(address) => out.extend(address),
                None => fail("a known address is known"),
            },
            (Value::Address(word) | Value::Hash(word), _) => out.extend(word),
            (Value::Bytes(bytes), Type::Vec(_)) => bytes.encode_to(out),
            (Value::Bytes(bytes), _) => out.extend(bytes),
            (Value::List(values), Type::Vec(element)) => {
                Compact(u32::try_from(values.len()).unwrap_or(u32::MAX)).encode_to(out);
                values.iter().for_each(|one| self.encode(one, element, out));
            }
            (Value::List(values), Type::Array(element, _)) => {
                values.iter().for_each(|one| self.encode(one, element, out));
            }
            (Value::List(values), Type::Tuple(types)) => {
                let pairs = values.iter().zip(types);
                pairs.for_each(|(one, of)| self.encode(one, of, out));
            }
            (Value::Absent, _) => out.push(0),
            (Value::Present(inner), Type::Option(of)) => {
                out.push(1);
                self.encode(inner, of, out);
            }
            (Value::Variant(position, values), Type::Result(ok, error)) => {
                let of = if *position == 0 { ok } else { error };
                out.push(u8::from(*position != 0));
                values.iter().for_each(|one| self.encode(one, of, out));
            }
            (value, Type::Named(name)) => self.encode_named(value, name, out),
            (value, of) => fail(&format!("{value:?} is no {of:?}")),
        }
    }

    fn encode_named(&self, value: &Value, name: &str, out: &mut Vec<u8>) {
        match (value, self.types.shape(name)) {
            (Value::List(values), Shape::Struct(parts)) => self.encode_parts(values, parts, out),
            (Value::Variant(position, values), Shape::Enum(variants)) => {
                let Some(variant) = variants.get(*position) else {
                    fail(&format!("{name} has no variant {position}"))
                };
                out.push(variant.index);
                self.encode_parts(values, &variant.parts, out);
            }
            _ => fail(&format!("{value:?} is no {name}")),
        }
    }

    /// The values that all of `input` is, if it is.
    pub(crate) fn decode_parts(&self, mut input: &[u8], parts: &[Part]) -> Option<Vec<Value>> {
        let values = self.take_parts(&mut input, parts)?;
        input.is_empty().then_some(values)
    }

    /// The value that all of `input` is, if it is.
    pub(crate) fn decode_whole(&self, mut input: &[u8], of: &Type) -> Option<Value> {
        let value = self.take(&mut input, of)?;
        input.is_empty().then_some(value)
    }

    fn take_parts(&self, input: &mut &[u8], parts: &[Part]) -> Option<Vec<Value>> {
        parts
            .iter()
            .map(|part| self.take(input, &part.of))
            .collect()
    }

    fn take(&self, input: &mut &[u8], of: &Type) -> Option<Value> {
        Some(match of {
            Type::Bool => Value::Bool(bool::decode(input).ok()?),
            Type::Unsigned(bytes) => {
                Value::Unsigned(u128::from_le_bytes(number(input, *bytes, 0)?))
            }
            Type::Signed(bytes) => {
                let last = input.get(usize::from(*bytes).checked_sub(1)?)?;
                let fill = if last & 0x80 == 0 { 0 } else { 0xff };
                Value::Signed(i128::from_le_bytes(number(input, *bytes, fill)?))
            }
            Type::String => Value::Text(String::decode(input).ok()?),
            Type::Address => {
                let word = take_word(input)?;
                match self.known.iter().position(|one| *one == word) {
                    Some(number) => Value::Known(number),
                    None => Value::Address(word),
                }
            }
            Type::Hash => Value::Hash(take_word(input)?),
            Type::Tuple(types) => {
                let values = types.iter().map(|of| self.take(input, of));
                Value::List(values.collect::<Option<_>>()?)
            }
            Type::Vec(element) => {
                let Compact(count) = Compact::<u32>::decode(input).ok()?;
                self.take_list(input, element, usize::try_from(count).ok()?)?
            }
            Type::Array(element, count) => self.take_list(input, element, *count)?,
            Type::Option(of) => match u8::decode(input).ok()? {
                0 => Value::Absent,
                1 => Value::Present(Box::new(self.take(input, of)?)),
                _ => return None,
            },
            Type::Result(ok, error) => match u8::decode(input).ok()? {
                0 => Value::Variant(0, vec![self.take(input, ok)?]),
                1 => Value::Variant(1, vec![self.take(input, error)?]),
                _ => return None,
            },
            Type::Named(name) => match self.types.shape(name) {
                Shape::Struct(parts) => Value::List(self.take_parts(input, parts)?),
                Shape::Enum(variants) => {
                    let index = u8::decode(input).ok()?;
                    let position = variants.iter().position(|one| one.index == index)?;
                    let parts = &variants.get(position)?.parts;
                    Value::Variant(position, self.take_parts(input, parts)?)
                }
            },
        })
    }

    fn take_list(&self, input: &mut &[u8], element: &Type, count: usize) -> Option<Value> {
        if *element == Type::Unsigned(1) {
            return take(input, count).map(|bytes| Value::Bytes(bytes.to_vec()));
        }
        let values = (0..count).map(|_| self.take(input, element));
        Some(Value::List(values.collect::<Option<_>>()?))
    }
}

fn take<'i>(input: &mut &'i [u8], count: usize) -> Option<&'i [u8]> {
    let (taken, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(taken)
}

fn take_word(input: &mut &[u8]) -> Option<[u8; 32]> {
    take(input, 32)?.try_into().ok()
}

/// The next `bytes` bytes, filled up to 16 with `fill`.
fn number(input: &mut &[u8], bytes: u8, fill: u8) -> Option<[u8; 16]> {
    let taken = take(input, usize::from(bytes))?;
    let mut number = [fill; 16];
    number
        .iter_mut()
        .zip(taken)
        .for_each(|(to, from)| *to = *from);
    Some(number)
}
