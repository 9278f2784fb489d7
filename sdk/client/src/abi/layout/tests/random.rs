//! Hold safe verdicts to bytes: random types, random changes of them, random values of the old type.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{abi, structure};
use crate::abi::layout::compare_layouts;
use crate::abi::{Abi, decode};

/// A type to be written out as metadata.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Plain(&'static str),
    Tuple(Vec<Tree>),
    Array(Box<Tree>, usize),
    Vec(Box<Tree>),
    Option(Box<Tree>),
    Result(Box<Tree>, Box<Tree>),
    Struct(Vec<(String, Tree)>),
    Enum(Vec<(String, Vec<Tree>)>),
}

const PLAIN: [&str; 14] = [
    "bool", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "String",
    "Address", "Hash",
];

/// Choices, read off bytes; zeros when they are used up.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn name(&mut self) -> String {
        format!("n{}", self.byte())
    }

    fn tree(&mut self, depth: usize) -> Tree {
        let kinds = if depth == 0 { 1 } else { 9 };
        let count = self.below(4);
        match self.below(kinds) {
            0 | 1 => Tree::Plain(PLAIN[self.below(PLAIN.len())]),
            2 => Tree::Tuple((0..count).map(|_| self.tree(depth - 1)).collect()),
            3 => Tree::Array(Box::new(self.tree(depth - 1)), count + 1),
            4 => Tree::Vec(Box::new(self.tree(depth - 1))),
            5 => Tree::Option(Box::new(self.tree(depth - 1))),
            6 => Tree::Result(
                Box::new(self.tree(depth - 1)),
                Box::new(self.tree(depth - 1)),
            ),
            7 => Tree::Struct(
                (0..count)
                    .map(|index| (format!("f{index}"), self.tree(depth - 1)))
                    .collect(),
            ),
            _ => Tree::Enum(
                (0..=count)
                    .map(|index| {
                        let fields = self.below(3);
                        let fields = (0..fields).map(|_| self.tree(depth - 1)).collect();
                        (format!("V{index}"), fields)
                    })
                    .collect(),
            ),
        }
    }

    /// The same type with some changes, harmless and harmful ones.
    fn changed(&mut self, of: &Tree) -> Tree {
        let inner = match of {
            Tree::Plain(name) => Tree::Plain(name),
            Tree::Tuple(parts) => Tree::Tuple(parts.iter().map(|one| self.changed(one)).collect()),
            Tree::Array(element, count) => Tree::Array(Box::new(self.changed(element)), *count),
            Tree::Vec(element) => Tree::Vec(Box::new(self.changed(element))),
            Tree::Option(inner) => Tree::Option(Box::new(self.changed(inner))),
            Tree::Result(ok, error) => {
                Tree::Result(Box::new(self.changed(ok)), Box::new(self.changed(error)))
            }
            Tree::Struct(parts) => self.changed_struct(parts),
            Tree::Enum(variants) => self.changed_enum(variants),
        };
        match (self.byte(), inner) {
            (0..=9, inner) => Tree::Struct(vec![(self.name(), inner)]),
            (10..=19, Tree::Struct(mut parts)) if parts.len() == 1 => parts.remove(0).1,
            (20..=59, Tree::Plain("String")) => Tree::Vec(Box::new(Tree::Plain("u8"))),
            (20..=59, Tree::Plain("Address")) => Tree::Plain("Hash"),
            (20..=59, Tree::Plain("Hash")) => Tree::Array(Box::new(Tree::Plain("u8")), 32),
            (60..=63, Tree::Plain(_)) => Tree::Plain(PLAIN[self.below(PLAIN.len())]),
            (60..=79, Tree::Struct(parts)) => {
                Tree::Tuple(parts.into_iter().map(|(_, of)| of).collect())
            }
            (80..=83, inner) => Tree::Option(Box::new(inner)),
            (_, inner) => inner,
        }
    }

    fn changed_struct(&mut self, parts: &[(String, Tree)]) -> Tree {
        let mut parts: Vec<_> = parts
            .iter()
            .map(|(name, of)| (name.clone(), self.changed(of)))
            .collect();
        let at = self.below(parts.len() + 1);
        match self.byte() {
            0..=39 if at < parts.len() => parts[at].0 = self.name(),
            40..=47 => parts.insert(at, (self.name(), Tree::Plain("u8"))),
            48..=55 if at < parts.len() => drop(parts.remove(at)),
            56..=63 => parts.reverse(),
            _ => {}
        }
        Tree::Struct(parts)
    }

    fn changed_enum(&mut self, variants: &[(String, Vec<Tree>)]) -> Tree {
        let mut variants: Vec<_> = variants
            .iter()
            .map(|(name, fields)| {
                let fields = fields.iter().map(|one| self.changed(one)).collect();
                (name.clone(), fields)
            })
            .collect();
        let at = self.below(variants.len());
        match self.byte() {
            0..=39 => variants[at].0 = self.name(),
            40..=79 => variants.push((self.name(), vec![Tree::Plain("u8")])),
            80..=87 => variants.insert(at, (self.name(), Vec::new())),
            88..=95 if variants.len() > 1 => drop(variants.remove(at)),
            96..=103 => variants.reverse(),
            _ => {}
        }
        Tree::Enum(variants)
    }

    /// The bytes of some value.
    fn value(&mut self, of: &Tree, out: &mut Vec<u8>) {
        match of {
            Tree::Plain("bool") => out.push(self.byte() % 2),
            Tree::Plain("String") => {
                let count = self.below(4);
                out.push(u8::try_from(count).unwrap() << 2);
                out.extend((0..count).map(|_| b'a' + self.byte() % 26));
            }
            Tree::Plain(name) => {
                let bytes = match *name {
                    "Address" | "Hash" => 32,
                    number => number[1..].parse::<usize>().unwrap() / 8,
                };
                out.extend((0..bytes).map(|_| self.byte()));
            }
            Tree::Tuple(parts) => parts.iter().for_each(|one| self.value(one, out)),
            Tree::Array(element, count) => (0..*count).for_each(|_| self.value(element, out)),
            Tree::Vec(element) => {
                let count = self.below(4);
                out.push(u8::try_from(count).unwrap() << 2);
                (0..count).for_each(|_| self.value(element, out));
            }
            Tree::Option(inner) => {
                let some = self.byte() % 2;
                out.push(some);
                (0..some).for_each(|_| self.value(inner, out));
            }
            Tree::Result(ok, error) => {
                let is_error = self.byte() % 2;
                out.push(is_error);
                self.value(if is_error == 0 { ok } else { error }, out);
            }
            Tree::Struct(parts) => parts.iter().for_each(|(_, of)| self.value(of, out)),
            Tree::Enum(variants) => {
                let index = self.below(variants.len());
                out.push(u8::try_from(index).unwrap());
                variants[index]
                    .1
                    .iter()
                    .for_each(|one| self.value(one, out));
            }
        }
    }
}

/// The type as metadata writes it; what it defines goes to `types`.
fn written(of: &Tree, types: &mut Vec<Value>) -> String {
    let mut all =
        |trees: &[Tree]| -> Vec<String> { trees.iter().map(|one| written(one, types)).collect() };
    match of {
        Tree::Plain(name) => (*name).to_owned(),
        Tree::Tuple(parts) => match all(parts).as_slice() {
            [one] => format!("({one},)"),
            parts => format!("({})", parts.join(", ")),
        },
        Tree::Array(element, count) => format!("[{}; {count}]", written(element, types)),
        Tree::Vec(element) => format!("Vec<{}>", written(element, types)),
        Tree::Option(inner) => format!("Option<{}>", written(inner, types)),
        Tree::Result(ok, error) => {
            format!("Result<{}, {}>", written(ok, types), written(error, types))
        }
        Tree::Struct(parts) => {
            let fields: Vec<(String, String)> = parts
                .iter()
                .map(|(name, of)| (name.clone(), written(of, types)))
                .collect();
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, of)| (&**name, &**of)).collect();
            let name = format!("T{}", types.len());
            types.push(structure(&name, &fields));
            name
        }
        Tree::Enum(variants) => {
            let variants: Vec<Value> = variants
                .iter()
                .enumerate()
                .map(|(index, (name, fields))| {
                    let fields: Vec<Value> = fields
                        .iter()
                        .map(|one| json!({"name": "", "type": written(one, types)}))
                        .collect();
                    json!({"name": name, "index": index, "fields": fields})
                })
                .collect();
            let name = format!("T{}", types.len());
            types.push(json!({"name": name, "enum": variants}));
            name
        }
    }
}

fn version(of: &Tree) -> (Abi, String) {
    let mut types = Vec::new();
    let name = written(of, &mut types);
    (abi(&[("it", &format!("Item<{name}>"))], json!(types)), name)
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Same,
    Safe,
    Unsafe,
}

/// Changes a type as `choices` say. Where that is judged safe, values of the old type must be values of the new one.
fn judge(choices: &[u8]) -> Verdict {
    let mut choices = Choices(choices.iter());
    let old = choices.tree(3);
    let new = choices.changed(&old);
    let ((old_abi, _), (new_abi, new_type)) = (version(&old), version(&new));
    let changes = compare_layouts(&old_abi, &new_abi);
    if !changes.iter().all(super::LayoutChange::is_safe) {
        assert_ne!(old, new, "{changes:?}");
        return Verdict::Unsafe;
    }
    for _ in 0..8 {
        let mut bytes = Vec::new();
        choices.value(&old, &mut bytes);
        let read = decode::whole(&new_abi, &new_type, &bytes);
        assert!(
            read.is_ok(),
            "{old:?} {new:?} {bytes:?} {read:?} {changes:?}"
        );
    }
    if changes.is_empty() {
        Verdict::Same
    } else {
        Verdict::Safe
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_judged_safe_reads_what_was_written(choices in proptest::collection::vec(any::<u8>(), 0..600)) {
        judge(&choices);
    }
}

#[test]
fn random_changes_come_to_all_verdicts() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut found = [0_u32; 3];
    for _ in 0..3_000 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .take(400)
        .collect();
        found[judge(&bytes) as usize] += 1;
    }
    assert!(found.iter().all(|count| *count >= 100), "{found:?}");
}
