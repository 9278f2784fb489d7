//! Encode arguments, given as text or JSON, to SCALE.

use kumiki_abi::metadata::{EntryPoint, Field, TypeShape, Variant};
use kumiki_protocol::Hash;
use parity_scale_codec::{Compact, Encode as _};
use serde_json::Value;

use super::{
    Abi, DEPTH_MAX, FieldForm, Type, ValueError, field_form, parse_address, parse_type, shorten,
};

/// One argument as a person writes it: `name=text`. Numbers, strings, addresses and hex bytes are written
/// plainly, everything else as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentText {
    /// The argument's name.
    pub name: String,
    /// Its value.
    pub text: String,
}

/// Appends the encoding of all arguments of `method`.
pub(super) fn arguments(
    abi: &Abi,
    method: &EntryPoint,
    given: &[ArgumentText],
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let wrong = |problem: String| ValueError::Arguments {
        method: method.name.clone(),
        problem,
        signature: super::signature(method),
    };
    for (index, one) in given.iter().enumerate() {
        if !method.args.iter().any(|field| field.name == one.name) {
            return Err(wrong(format!(
                "it has no argument '{}'",
                shorten(&one.name)
            )));
        }
        if given[..index].iter().any(|before| before.name == one.name) {
            return Err(wrong(format!("argument '{}' is given twice", one.name)));
        }
    }
    for field in &method.args {
        let one = given
            .iter()
            .find(|one| one.name == field.name)
            .ok_or_else(|| {
                wrong(format!(
                    "argument '{}' ({}) is missing",
                    field.name, field.type_name
                ))
            })?;
        let parsed = parse_type(&field.type_name)?;
        let value = read_text(&parsed, &one.text, &field.name, &field.type_name)?;
        encode(abi, &parsed, &value, &Place::Root(&field.name), output)?;
    }
    Ok(())
}

/// The JSON value that `text` is: the text itself for types that are written plainly.
fn read_text(
    expected: &Type,
    text: &str,
    place: &str,
    type_name: &str,
) -> Result<Value, ValueError> {
    let plain = || Ok(Value::String(text.to_owned()));
    match expected {
        Type::Bool
        | Type::Unsigned(_)
        | Type::Signed(_)
        | Type::String
        | Type::Address
        | Type::Hash => plain(),
        Type::Vec(element) | Type::Array(element, _) if **element == Type::Unsigned(1) => plain(),
        Type::Option(_) if matches!(text, "null" | "none" | "None") => Ok(Value::Null),
        Type::Option(inner) => read_text(inner, text, place, type_name),
        Type::Named(_) => {
            Ok(serde_json::from_str(text).unwrap_or_else(|_plain| Value::String(text.to_owned())))
        }
        Type::Tuple(_) | Type::Array(..) | Type::Vec(_) | Type::Result(..) => {
            serde_json::from_str(text).map_err(|_invalid| ValueError::Mismatch {
                place: place.to_owned(),
                expected: format!("{type_name} as JSON"),
                found: format!("'{}'", shorten(text)),
            })
        }
    }
}

/// Where in an argument a value stands, spelled out only when something is wrong with it.
enum Place<'a> {
    Root(&'a str),
    Field(&'a Self, &'a str),
    Element(&'a Self, usize),
}

impl Place<'_> {
    fn text(&self) -> String {
        match self {
            Self::Root(name) => (*name).to_owned(),
            Self::Field(parent, name) => format!("{}.{name}", parent.text()),
            Self::Element(parent, index) => format!("{}[{index}]", parent.text()),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Root(_) => 0,
            Self::Field(parent, _) | Self::Element(parent, _) => parent.depth() + 1,
        }
    }

    fn mismatch(&self, expected: impl Into<String>, found: &Value) -> ValueError {
        let found = match found {
            Value::String(text) => format!("'{}'", shorten(text)),
            other => shorten(&other.to_string()),
        };
        ValueError::Mismatch {
            place: self.text(),
            expected: expected.into(),
            found,
        }
    }
}

fn encode(
    abi: &Abi,
    expected: &Type,
    value: &Value,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    if place.depth() > DEPTH_MAX {
        return Err(ValueError::TooLarge);
    }
    match expected {
        Type::Bool => output.push(u8::from(read_bool(value, place)?)),
        Type::Unsigned(bytes) => encode_unsigned(*bytes, value, place, output)?,
        Type::Signed(bytes) => encode_signed(*bytes, value, place, output)?,
        Type::String => read_string(value, place, "String")?.encode_to(output),
        Type::Address => {
            let text = read_string(value, place, "Address (kumi1…)")?;
            output.extend_from_slice(&parse_address(text, &place.text())?.0);
        }
        Type::Hash => {
            let expected = "Hash (0x and 64 hex digits)";
            let hash: Hash = read_string(value, place, expected)?
                .parse()
                .map_err(|_invalid| place.mismatch(expected, value))?;
            output.extend_from_slice(&hash.0);
        }
        Type::Tuple(parts) => encode_tuple(abi, parts, value, place, output)?,
        Type::Vec(element) => encode_list(abi, element, None, value, place, output)?,
        Type::Array(element, length) => {
            encode_list(abi, element, Some(*length), value, place, output)?;
        }
        Type::Option(inner) => match value {
            Value::Null => output.push(0),
            some => {
                output.push(1);
                encode(abi, inner, some, place, output)?;
            }
        },
        Type::Result(ok, error) => {
            let (index, inner, value) = match single_entry(value) {
                Some(("Ok", value)) => (0, ok, value),
                Some(("Err", value)) => (1, error, value),
                _ => return Err(place.mismatch(r#"{"Ok": …} or {"Err": …}"#, value)),
            };
            output.push(index);
            encode(abi, inner, value, place, output)?;
        }
        Type::Named(name) => match abi.shape(name) {
            Some(TypeShape::Struct(fields)) => {
                encode_fields(abi, name, fields, Some(value), place, output)?;
            }
            Some(TypeShape::Enum(variants)) => {
                encode_variant(abi, name, variants, value, place, output)?;
            }
            None => return Err(ValueError::UnknownType { name: name.clone() }),
        },
    }
    Ok(())
}

fn read_string<'v>(
    value: &'v Value,
    place: &Place<'_>,
    expected: &str,
) -> Result<&'v str, ValueError> {
    value
        .as_str()
        .ok_or_else(|| place.mismatch(expected, value))
}

fn read_bool(value: &Value, place: &Place<'_>) -> Result<bool, ValueError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(place.mismatch("bool (true or false)", other)),
    }
}

/// The digits of a number, in JSON a number or a string; `_` may group them.
fn digits(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.starts_with('+') && !text.starts_with('_') => {
            Some(text.replace('_', ""))
        }
        _ => None,
    }
}

fn encode_unsigned(
    bytes: u8,
    value: &Value,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let max = u128::MAX >> (128 - 8 * u32::from(bytes));
    let number = digits(value)
        .and_then(|digits| digits.parse::<u128>().ok())
        .filter(|number| *number <= max)
        .ok_or_else(|| place.mismatch(format!("u{} (0 to {max})", 8 * u32::from(bytes)), value))?;
    output.extend_from_slice(&number.to_le_bytes()[..usize::from(bytes)]);
    Ok(())
}

fn encode_signed(
    bytes: u8,
    value: &Value,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let max = i128::MAX >> (128 - 8 * u32::from(bytes));
    let min = -max - 1;
    let number = digits(value)
        .and_then(|digits| digits.parse::<i128>().ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| {
            place.mismatch(format!("i{} ({min} to {max})", 8 * u32::from(bytes)), value)
        })?;
    output.extend_from_slice(&number.to_le_bytes()[..usize::from(bytes)]);
    Ok(())
}

fn encode_tuple(
    abi: &Abi,
    parts: &[Type],
    value: &Value,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    if parts.is_empty() && value.is_null() {
        return Ok(());
    }
    let values = value
        .as_array()
        .filter(|values| values.len() == parts.len())
        .ok_or_else(|| place.mismatch(format!("an array of {} values", parts.len()), value))?;
    for (index, (part, value)) in parts.iter().zip(values).enumerate() {
        encode(abi, part, value, &Place::Element(place, index), output)?;
    }
    Ok(())
}

/// A vector (`length` is none) or an array.
fn encode_list(
    abi: &Abi,
    element: &Type,
    length: Option<usize>,
    value: &Value,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let write_count = |found: usize, what: &str, output: &mut Vec<u8>| match length {
        Some(length) if length != found => Err(place.mismatch(format!("{length} {what}"), value)),
        Some(_) => Ok(()),
        None => {
            let count = u32::try_from(found).map_err(|_above| ValueError::TooLarge)?;
            Compact(count).encode_to(output);
            Ok(())
        }
    };
    if let (Type::Unsigned(1), Value::String(text)) = (element, value) {
        let bytes = text
            .strip_prefix("0x")
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or_else(|| place.mismatch("bytes (0x and an even number of hex digits)", value))?;
        write_count(bytes.len(), "bytes (0x and hex digits)", output)?;
        output.extend_from_slice(&bytes);
        return Ok(());
    }
    let values = value
        .as_array()
        .ok_or_else(|| place.mismatch("an array", value))?;
    write_count(values.len(), "values", output)?;
    for (index, value) in values.iter().enumerate() {
        encode(abi, element, value, &Place::Element(place, index), output)?;
    }
    Ok(())
}

fn encode_variant(
    abi: &Abi,
    name: &str,
    variants: &[Variant],
    value: &Value,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let (found, fields) = match value {
        Value::String(text) => (Some(text.as_str()), None),
        other => match single_entry(other) {
            Some((key, fields)) => (Some(key), Some(fields)),
            None => (None, None),
        },
    };
    let variant = variants
        .iter()
        .find(|one| Some(one.name.as_str()) == found)
        .ok_or_else(|| {
            let names: Vec<&str> = variants.iter().map(|one| one.name.as_str()).collect();
            place.mismatch(format!("{name} ({})", names.join(", ")), value)
        })?;
    output.push(variant.index);
    let inner = Place::Field(place, &variant.name);
    encode_fields(abi, name, &variant.fields, fields, &inner, output)
}

fn encode_fields(
    abi: &Abi,
    name: &str,
    fields: &[Field],
    value: Option<&Value>,
    place: &Place<'_>,
    output: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let value = value.unwrap_or(&Value::Null);
    match field_form(fields) {
        FieldForm::Unit => Ok(()),
        FieldForm::Single(field) => {
            let inner = Place::Element(place, 0);
            encode(abi, &parse_type(&field.type_name)?, value, &inner, output)
        }
        FieldForm::Tuple => {
            let parts = fields
                .iter()
                .map(|field| parse_type(&field.type_name))
                .collect::<Result<Vec<_>, _>>()?;
            encode_tuple(abi, &parts, value, place, output)
        }
        FieldForm::Named => {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            let given = value
                .as_object()
                .filter(|given| given.keys().all(|key| names.contains(&key.as_str())))
                .ok_or_else(|| place.mismatch(format!("{name} {{{}}}", names.join(", ")), value))?;
            for field in fields {
                let inner = Place::Field(place, &field.name);
                let value = given.get(&field.name).unwrap_or(&Value::Null);
                encode(abi, &parse_type(&field.type_name)?, value, &inner, output)?;
            }
            Ok(())
        }
    }
}

fn single_entry(value: &Value) -> Option<(&str, &Value)> {
    let entries = value.as_object().filter(|entries| entries.len() == 1)?;
    entries
        .iter()
        .next()
        .map(|(key, value)| (key.as_str(), value))
}
