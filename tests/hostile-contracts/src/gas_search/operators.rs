//! List the instructions that contracts may use, by asking the parser which there are.

use wasmparser::Operator;

/// Proposals whose instructions contracts may use.
const PROPOSALS: &[&str] = &["mvp", "sign_extension", "bulk_memory", "reference_types"];

macro_rules! operators {
    ($(@$proposal:ident $operator:ident $({ $($field:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        const ALL: &[(&str, &str)] = &[$((stringify!($proposal), stringify!($operator))),*];

        /// The parser's name of an instruction.
        #[must_use]
        pub const fn operator_name(operator: &Operator<'_>) -> &'static str {
            match operator {
                $(Operator::$operator $({ $($field: _),* })? => stringify!($operator),)*
                _ => "unknown",
            }
        }
    };
}
wasmparser::for_each_operator!(operators);

/// The parser's names of all instructions that contracts may use: no floats, no `table.grow`, no `select` of several types
#[must_use]
pub fn accepted_operators() -> Vec<&'static str> {
    let is_accepted = |(proposal, operator): &&(&str, &str)| {
        PROPOSALS.contains(proposal)
            && !operator.contains("F32")
            && !operator.contains("F64")
            && !["TableGrow", "TypedSelectMulti"].contains(operator)
    };
    let accepted = ALL.iter().filter(is_accepted);
    accepted.map(|(_, operator)| *operator).collect()
}

/// The name in text format: `I32DivS` is `i32.div_s`.
#[must_use]
pub fn mnemonic(operator: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for character in operator.chars() {
        if character.is_ascii_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character.to_ascii_lowercase());
        }
    }
    let namespaces = [
        "i32", "i64", "memory", "table", "local", "global", "data", "elem", "ref",
    ];
    match words.split_first() {
        Some((first, rest)) if namespaces.contains(&first.as_str()) && !rest.is_empty() => {
            format!("{first}.{}", rest.join("_"))
        }
        Some((first, rest)) if first == "typed" => rest.join("_"),
        Some(_) | None => words.join("_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_text_format() {
        for (operator, expected) in [
            ("I32DivS", "i32.div_s"),
            ("I64Load32U", "i64.load32_u"),
            ("I64ExtendI32S", "i64.extend_i32_s"),
            ("I32Extend8S", "i32.extend8_s"),
            ("I32WrapI64", "i32.wrap_i64"),
            ("RefIsNull", "ref.is_null"),
            ("BrTable", "br_table"),
            ("TypedSelect", "select"),
            ("CallIndirect", "call_indirect"),
            ("Call", "call"),
        ] {
            assert_eq!(mnemonic(operator), expected);
        }
        assert!(accepted_operators().contains(&"I64Popcnt"));
        assert!(!accepted_operators().contains(&"F32Add"));
    }
}
