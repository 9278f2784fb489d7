//! Say which values are plainer than a value, the plainest first.

use kumiki_abi::type_name::Type;

use super::attempt::CALLERS;
use super::message::{Part, Shape, Types};
use super::value::Value;

/// Numbers below `number`, from 0 on, each nearer to it.
pub(crate) fn smaller(number: u128) -> impl Iterator<Item = u128> {
    let halves = std::iter::successors(Some(number), |rest| Some(rest / 2));
    halves
        .take_while(|rest| *rest > 0)
        .map(move |rest| number - rest)
}

/// The same values with one of them plainer; `of` are their types.
pub(crate) fn plainer_each(values: &[Value], of: &[&Type], types: &Types) -> Vec<Vec<Value>> {
    let mut lists = Vec::new();
    for (index, (value, of)) in values.iter().zip(of).enumerate() {
        for plainer in plainer(value, of, types) {
            let mut list = values.to_vec();
            if let Some(place) = list.get_mut(index) {
                *place = plainer;
            }
            lists.push(list);
        }
    }
    lists
}

fn plainer(value: &Value, of: &Type, types: &Types) -> Vec<Value> {
    match value {
        Value::Bool(flag) => flag.then_some(Value::Bool(false)).into_iter().collect(),
        Value::Unsigned(number) => smaller(*number).map(Value::Unsigned).collect(),
        Value::Signed(number) => plainer_signed(*number),
        Value::Text(text) => plainer_text(text),
        Value::Known(number) => (0..*number).map(Value::Known).collect(),
        Value::Address(_) => (0..CALLERS).map(Value::Known).collect(),
        Value::Hash(word) if *word == [0; 32] => Vec::new(),
        Value::Hash(_) => vec![Value::Hash([0; 32])],
        Value::Bytes(bytes) => plainer_bytes(bytes, matches!(of, Type::Vec(_))),
        Value::List(values) => plainer_list(values, of, types),
        Value::Absent => Vec::new(),
        Value::Present(inner) => {
            let inside = match of {
                Type::Option(of) => plainer(inner, of, types),
                _ => Vec::new(),
            };
            let inside = inside.into_iter().map(|one| Value::Present(Box::new(one)));
            std::iter::once(Value::Absent).chain(inside).collect()
        }
        Value::Variant(position, values) => plainer_variant(*position, values, of, types),
    }
}

fn plainer_signed(number: i128) -> Vec<Value> {
    let sizes = smaller(number.unsigned_abs()).filter_map(|size| i128::try_from(size).ok());
    let sizes = sizes.map(|size| if number < 0 { -size } else { size });
    let positive = number.checked_abs().filter(|_| number < 0);
    sizes.chain(positive).map(Value::Signed).collect()
}

fn plainer_text(text: &str) -> Vec<Value> {
    let count = text.chars().count();
    let shorter = [0, count / 2, count.saturating_sub(1)]
        .into_iter()
        .filter(|length| *length < count)
        .map(|length| text.chars().take(length).collect());
    let plain = Some("a".repeat(count)).filter(|plain| plain != text);
    shorter.chain(plain).map(Value::Text).collect()
}

fn plainer_bytes(bytes: &[u8], may_be_shorter: bool) -> Vec<Value> {
    let count = bytes.len();
    let lengths = [0, count / 2, count.saturating_sub(1)];
    let shorter = lengths
        .into_iter()
        .filter(|length| may_be_shorter && *length < count)
        .map(|length| bytes.iter().copied().take(length).collect());
    let zeros = Some(vec![0; count]).filter(|zeros| zeros != bytes);
    shorter.chain(zeros).map(Value::Bytes).collect()
}

fn plainer_list(values: &[Value], of: &Type, types: &Types) -> Vec<Value> {
    let parts_of =
        |parts: &[Part]| -> Vec<Type> { parts.iter().map(|one| one.of.clone()).collect() };
    let (of, may_be_shorter) = match of {
        Type::Vec(element) => (vec![(**element).clone(); values.len()], true),
        Type::Array(element, _) => (vec![(**element).clone(); values.len()], false),
        Type::Tuple(of) => (of.clone(), false),
        Type::Named(name) => match types.shape(name) {
            Shape::Struct(parts) => (parts_of(parts), false),
            Shape::Enum(_) => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let without = (0..values.len()).filter(|_| may_be_shorter).map(|index| {
        let mut shorter = values.to_vec();
        shorter.remove(index);
        shorter
    });
    let of: Vec<&Type> = of.iter().collect();
    let inside = plainer_each(values, &of, types);
    without.chain(inside).map(Value::List).collect()
}

fn plainer_variant(position: usize, values: &[Value], of: &Type, types: &Types) -> Vec<Value> {
    let inside = |of: &[&Type]| {
        let lists = plainer_each(values, of, types).into_iter();
        lists.map(move |list| Value::Variant(position, list))
    };
    match of {
        Type::Result(ok, error) => {
            inside(&[if position == 0 { &**ok } else { &**error }]).collect()
        }
        Type::Named(name) => match types.shape(name) {
            Shape::Enum(variants) => {
                let before = variants.iter().take(position).enumerate();
                let empty = before.filter(|(_, one)| one.parts.is_empty());
                let empty = empty.map(|(position, _)| Value::Variant(position, Vec::new()));
                let parts = variants.get(position).map_or(&[][..], |one| &one.parts);
                let of: Vec<&Type> = parts.iter().map(|one| &one.of).collect();
                empty.chain(inside(&of)).collect()
            }
            Shape::Struct(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}
