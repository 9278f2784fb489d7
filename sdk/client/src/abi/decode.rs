//! Decode SCALE that a node handed out to JSON.

use kumiki_abi::metadata::{Field, TypeShape};
use kumiki_protocol::{Address, Hash};
use parity_scale_codec::{Compact, Decode as _};
use serde_json::Value;

use super::{
    Abi, ArgumentText, DEPTH_MAX, FieldForm, Type, VALUES_MAX, ValueError, field_form, object,
    parse_type,
};

/// The one value of type `type_name` that all of `bytes` is.
pub(super) fn whole(abi: &Abi, type_name: &str, bytes: &[u8]) -> Result<Value, ValueError> {
    let mut reader = Reader::new(abi, type_name, bytes);
    let value = reader.read(&parse_type(type_name)?, 0)?;
    reader.finish()?;
    Ok(value)
}

/// The fields that all of `bytes` is, by name.
pub(super) fn fields(abi: &Abi, fields: &[Field], bytes: &[u8]) -> Result<Value, ValueError> {
    let mut reader = Reader::new(abi, "event", bytes);
    let value = reader.read_named(fields, 0)?;
    reader.finish()?;
    Ok(value)
}

/// The arguments that all of `bytes` is, as they are written to be encoded again.
pub(super) fn arguments(
    abi: &Abi,
    wanted: &[Field],
    bytes: &[u8],
) -> Result<Vec<ArgumentText>, ValueError> {
    let mut reader = Reader::new(abi, "call", bytes);
    let mut found = Vec::with_capacity(wanted.len());
    for field in wanted {
        let of = parse_type(&field.type_name)?;
        let value = reader.read(&of, 0)?;
        let text = as_text(&of, &value);
        let name = field.name.clone();
        found.push(ArgumentText { name, text });
    }
    reader.finish()?;
    Ok(found)
}

/// A value as a person writes it: plainly where its type is written so, else as JSON.
fn as_text(of: &Type, value: &Value) -> String {
    match (of, value) {
        (Type::Option(inner), value) if !value.is_null() => as_text(inner, value),
        (Type::Named(_), value) => value.to_string(),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}

struct Reader<'a> {
    abi: &'a Abi,
    expected: &'a str,
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn new(abi: &'a Abi, expected: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            abi,
            expected,
            rest: bytes,
            values_left: VALUES_MAX,
        }
    }

    fn finish(&self) -> Result<(), ValueError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("bytes are left over"))
        }
    }

    fn malformed(&self, reason: &'static str) -> ValueError {
        ValueError::Malformed {
            expected: super::shorten(self.expected),
            reason,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.malformed("it ends too soon"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ValueError> {
        Ok(self.take(1)?[0])
    }

    fn length(&mut self) -> Result<usize, ValueError> {
        let Compact(count) = Compact::<u32>::decode(&mut self.rest)
            .map_err(|_invalid| self.malformed("a length is malformed"))?;
        usize::try_from(count).map_err(|_above| ValueError::TooLarge)
    }

    fn read(&mut self, expected: &Type, depth: usize) -> Result<Value, ValueError> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .filter(|_left| depth <= DEPTH_MAX)
            .ok_or(ValueError::TooLarge)?;
        Ok(match expected {
            Type::Bool => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(self.malformed("a bool is neither 0 nor 1")),
            },
            Type::Unsigned(bytes) => {
                let number = self.little_endian(*bytes, 0)?;
                let number = u128::from_le_bytes(number);
                small_or_text(u32::try_from(number).ok(), *bytes, &number)
            }
            Type::Signed(bytes) => {
                let negative = self
                    .rest
                    .get(usize::from(*bytes) - 1)
                    .is_some_and(|last| last & 0x80 != 0);
                let fill = if negative { 0xff } else { 0 };
                let number = i128::from_le_bytes(self.little_endian(*bytes, fill)?);
                small_or_text(i32::try_from(number).ok(), *bytes, &number)
            }
            Type::String => self.read_string()?,
            Type::Address => Value::String(Address(self.array()?).to_string()),
            Type::Hash => Value::String(Hash(self.array()?).to_string()),
            Type::Tuple(parts) if parts.is_empty() => Value::Null,
            Type::Tuple(parts) => self.read_all(parts.iter(), depth)?,
            Type::Vec(element) => {
                let count = self.length()?;
                self.read_list(element, count, depth)?
            }
            Type::Array(element, count) => self.read_list(element, *count, depth)?,
            Type::Option(inner) => match self.byte()? {
                0 => Value::Null,
                1 => self.read(inner, depth + 1)?,
                _ => return Err(self.malformed("an Option is neither 0 nor 1")),
            },
            Type::Result(ok, error) => {
                let (name, inner) = match self.byte()? {
                    0 => ("Ok", ok),
                    1 => ("Err", error),
                    _ => return Err(self.malformed("a Result is neither 0 nor 1")),
                };
                object([(name.to_owned(), self.read(inner, depth + 1)?)])
            }
            Type::Named(name) => self.read_definition(name, depth)?,
        })
    }

    /// The next `bytes` bytes, filled up to 16 with `fill`.
    fn little_endian(&mut self, bytes: u8, fill: u8) -> Result<[u8; 16], ValueError> {
        let taken = self.take(usize::from(bytes))?;
        let mut number = [fill; 16];
        number[..taken.len()].copy_from_slice(taken);
        Ok(number)
    }

    fn array(&mut self) -> Result<[u8; 32], ValueError> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.take(32)?);
        Ok(bytes)
    }

    fn read_string(&mut self) -> Result<Value, ValueError> {
        let count = self.length()?;
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes)
            .map(|text| Value::String(text.to_owned()))
            .map_err(|_invalid| self.malformed("a String is not UTF-8"))
    }

    fn read_list(
        &mut self,
        element: &Type,
        count: usize,
        depth: usize,
    ) -> Result<Value, ValueError> {
        if *element == Type::Unsigned(1) {
            let bytes = self.take(count)?;
            return Ok(Value::String(format!("0x{}", hex::encode(bytes))));
        }
        self.read_all(std::iter::repeat_n(element, count), depth)
    }

    fn read_all<'t>(
        &mut self,
        types: impl Iterator<Item = &'t Type>,
        depth: usize,
    ) -> Result<Value, ValueError> {
        types
            .map(|one| self.read(one, depth + 1))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array)
    }

    fn read_definition(&mut self, name: &str, depth: usize) -> Result<Value, ValueError> {
        let abi = self.abi;
        match abi.shape(name) {
            Some(TypeShape::Struct(fields)) => self.read_fields(fields, depth),
            Some(TypeShape::Enum(variants)) => {
                let index = self.byte()?;
                let variant = variants
                    .iter()
                    .find(|one| one.index == index)
                    .ok_or_else(|| self.malformed("no variant has this index"))?;
                let name = variant.name.clone();
                if variant.fields.is_empty() {
                    return Ok(Value::String(name));
                }
                Ok(object([(name, self.read_fields(&variant.fields, depth)?)]))
            }
            None => Err(ValueError::UnknownType {
                name: super::shorten(name),
            }),
        }
    }

    fn read_fields(&mut self, fields: &[Field], depth: usize) -> Result<Value, ValueError> {
        match field_form(fields) {
            FieldForm::Unit => Ok(Value::Null),
            FieldForm::Single(field) => self.read(&parse_type(&field.type_name)?, depth + 1),
            FieldForm::Tuple => fields
                .iter()
                .map(|field| self.read(&parse_type(&field.type_name)?, depth + 1))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            FieldForm::Named => self.read_named(fields, depth),
        }
    }

    fn read_named(&mut self, fields: &[Field], depth: usize) -> Result<Value, ValueError> {
        let mut entries = Vec::with_capacity(fields.len());
        for field in fields {
            let value = self.read(&parse_type(&field.type_name)?, depth + 1)?;
            entries.push((field.name.clone(), value));
        }
        Ok(object(entries))
    }
}

/// Integers of up to 32 bits are JSON numbers, wider types always strings.
fn small_or_text<S: Into<Value>>(small: Option<S>, bytes: u8, number: &impl ToString) -> Value {
    match small {
        Some(small) if bytes <= 4 => small.into(),
        _ => Value::String(number.to_string()),
    }
}
