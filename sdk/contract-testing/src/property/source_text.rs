//! Write steps and values as a test would.

use kumiki_abi::metadata::EntryKind;
use kumiki_abi::type_name::Type;

use super::attempt::{CALLERS, Step, message_of};
use super::message::{Part, Shape, Target, Types};
use super::value::Value;

/// What the callers are called.
pub(crate) const CALLER_NAMES: [&str; CALLERS] = ["alice", "bob", "carol", "dave"];

/// What known addresses are called in a test: the callers, then the contracts.
pub(crate) struct Names<'a>(&'a [Target]);

impl<'a> Names<'a> {
    pub(crate) const fn of(targets: &'a [Target]) -> Self {
        Self(targets)
    }

    /// A step as a statement of a test.
    pub(crate) fn step(&self, step: &Step) -> String {
        match step {
            Step::Wait { ms } => format!("chain.advance_time_ms({});", grouped(&ms.to_string())),
            Step::Call {
                caller,
                target,
                message,
                arguments,
                value,
            } => {
                let Some((target, message)) = message_of(self.0, *target, *message) else {
                    return String::new();
                };
                let parts = arguments.iter().zip(&message.arguments);
                let arguments: Vec<String> = parts
                    .map(|(value, part)| self.value(value, &part.of, &target.types))
                    .collect();
                let sent = format!(
                    "{}.{}({})",
                    target.variable,
                    message.name,
                    arguments.join(", ")
                );
                if message.kind == EntryKind::View {
                    return format!("let _ = chain.view({sent});");
                }
                let paid = match value {
                    0 => String::new(),
                    paid => format!(".with_value({})", grouped(&paid.to_string())),
                };
                let caller = CALLER_NAMES.get(*caller).copied().unwrap_or_default();
                format!("let _ = chain.call(&{caller}, {sent}{paid});")
            }
        }
    }

    /// A value as an expression.
    pub(crate) fn value(&self, value: &Value, of: &Type, types: &Types) -> String {
        let inner = |value: &Value, of: &Type| self.value(value, of, types);
        match (value, of) {
            (Value::Bool(flag), _) => flag.to_string(),
            (Value::Unsigned(number), Type::Unsigned(bytes)) => unsigned(*number, *bytes),
            (Value::Unsigned(number), _) => number.to_string(),
            (Value::Signed(number), _) => grouped(&number.to_string()),
            (Value::Text(text), _) => format!("{text:?}.into()"),
            (Value::Known(number), _) => self.known(*number),
            (Value::Address([0, rest @ ..]), _) if *rest == [0; 31] => {
                "Address([0; 32])".to_owned()
            }
            (Value::Address(word), _) => format!("Address({word:?})"),
            (Value::Hash([0, rest @ ..]), _) if *rest == [0; 31] => "Hash([0; 32])".to_owned(),
            (Value::Hash(word), _) => format!("Hash({word:?})"),
            (Value::Bytes(bytes), of) => {
                let literal = match bytes.split_first() {
                    Some((first, rest))
                        if bytes.len() > 1 && rest.iter().all(|one| one == first) =>
                    {
                        format!("[{first}; {}]", bytes.len())
                    }
                    _ => format!("{bytes:?}"),
                };
                if matches!(of, Type::Vec(_)) {
                    format!("vec!{literal}")
                } else {
                    literal
                }
            }
            (Value::List(values), Type::Vec(element) | Type::Array(element, _)) => {
                let all: Vec<String> = values.iter().map(|one| inner(one, element)).collect();
                let prefix = if matches!(of, Type::Vec(_)) {
                    "vec!"
                } else {
                    ""
                };
                format!("{prefix}[{}]", all.join(", "))
            }
            (Value::List(values), Type::Tuple(of)) => {
                let pairs = values.iter().zip(of);
                let all: Vec<String> = pairs.map(|(one, of)| inner(one, of)).collect();
                match &*all {
                    [one] => format!("({one},)"),
                    all => format!("({})", all.join(", ")),
                }
            }
            (Value::Absent, _) => "None".to_owned(),
            (Value::Present(one), Type::Option(of)) => format!("Some({})", inner(one, of)),
            (Value::Variant(position, values), Type::Result(ok, error)) => {
                let (name, of) = if *position == 0 {
                    ("Ok", ok)
                } else {
                    ("Err", error)
                };
                let all: Vec<String> = values.iter().map(|one| inner(one, of)).collect();
                format!("{name}({})", all.join(", "))
            }
            (value, Type::Named(name)) => self.named(value, name, types),
            (value, _) => format!("{value:?}"),
        }
    }

    fn named(&self, value: &Value, name: &str, types: &Types) -> String {
        match (value, types.shape(name)) {
            (Value::List(values), Shape::Struct(parts)) => {
                format!("{name}{}", self.fields(values, parts, types))
            }
            (Value::Variant(position, values), Shape::Enum(variants)) => {
                let Some(variant) = variants.get(*position) else {
                    return name.to_owned();
                };
                let fields = self.fields(values, &variant.parts, types);
                format!("{name}::{}{fields}", variant.name)
            }
            (value, _) => format!("{value:?}"),
        }
    }

    fn fields(&self, values: &[Value], parts: &[Part], types: &Types) -> String {
        let field = |(value, part): (&Value, &Part)| {
            let value = self.value(value, &part.of, types);
            if part.name.is_empty() {
                value
            } else {
                format!("{}: {value}", part.name)
            }
        };
        let all: Vec<String> = values.iter().zip(parts).map(field).collect();
        match parts.first() {
            None => String::new(),
            Some(first) if first.name.is_empty() => format!("({})", all.join(", ")),
            Some(_) => format!(" {{ {} }}", all.join(", ")),
        }
    }

    fn known(&self, number: usize) -> String {
        let caller = CALLER_NAMES.get(number).copied();
        let contract = || {
            let index = number.checked_sub(CALLERS)?;
            Some(self.0.get(index)?.variable.as_str())
        };
        match caller.or_else(contract) {
            Some(name) => format!("{name}.address"),
            None => format!("known_address_{number}"),
        }
    }
}

fn unsigned(number: u128, bytes: u8) -> String {
    let bits = 8 * u32::from(bytes);
    let max = u128::MAX >> (128 - bits);
    match max - number {
        0 if bits > 8 => format!("u{bits}::MAX"),
        below @ 1..=9 if bits > 8 => format!("u{bits}::MAX - {below}"),
        _ => grouped(&number.to_string()),
    }
}

/// Digits in groups of three, as the linter wants them.
fn grouped(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let mut text = String::from(sign);
    for (index, one) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push('_');
        }
        text.push(one);
    }
    text
}
