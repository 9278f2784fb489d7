//! Kernels of the instructions that compute: chains, side by side, with operands that take long.

use super::kernel::Kernel;

/// Operations of one round: enough to hide the loop.
const DEPTH: u32 = 24;

/// The two locals of a type, and two more.
struct Operands {
    kind: &'static str,
    main: &'static str,
    other: &'static str,
    third: &'static str,
    three: &'static str,
    /// Makes a dividend long, positive.
    big: &'static str,
    /// The same with the highest bit.
    highest: &'static str,
}

const I32: Operands = Operands {
    kind: "i32",
    main: "$x",
    other: "$y",
    third: "$z",
    three: "$t",
    big: "0x70000000",
    highest: "0xf0000000",
};
const I64: Operands = Operands {
    kind: "i64",
    main: "$a",
    other: "$b",
    third: "$c",
    three: "$s",
    big: "0x7000000000000000",
    highest: "0xf000000000000000",
};

fn get(local: &str) -> String {
    format!("(local.get {local})")
}

fn nest(start: &str, wrap: impl Fn(u32, &str) -> String) -> String {
    (0..DEPTH).fold(start.to_owned(), |inner, step| wrap(step, &inner))
}

/// A constant that no two steps share, so that nothing is folded.
fn odd(step: u32) -> u32 {
    (step + 1).wrapping_mul(0x9e37_79b9) >> 1 | 1
}

/// The kernels of an instruction that takes and gives numbers; none for others.
#[must_use]
pub(super) fn kernels(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let (operands, name) = match mnemonic.split_once('.') {
        Some(("i32", name)) => (&I32, name),
        Some(("i64", name)) => (&I64, name),
        _ => return Vec::new(),
    };
    match name {
        "add" | "sub" | "mul" | "and" | "or" | "xor" | "shl" | "shr_s" | "shr_u" | "rotl"
        | "rotr" => binary(operator, mnemonic, operands),
        "div_s" | "div_u" | "rem_s" | "rem_u" => division(operator, mnemonic, operands),
        "eq" | "ne" | "lt_s" | "lt_u" | "gt_s" | "gt_u" | "le_s" | "le_u" | "ge_s" | "ge_u" => {
            comparison(operator, mnemonic, operands)
        }
        "eqz" | "clz" | "ctz" | "popcnt" | "extend8_s" | "extend16_s" | "extend32_s"
        | "extend_i32_s" | "extend_i32_u" | "wrap_i64" => unary(operator, mnemonic, operands),
        "const" => constant(operator, operands),
        _ => Vec::new(),
    }
}

fn set(local: &str, value: &str) -> String {
    format!("(local.set {local} {value})\n")
}

fn binary(operator: &str, mnemonic: &str, operands: &Operands) -> Vec<Kernel> {
    let Operands {
        kind,
        main,
        other,
        third,
        ..
    } = *operands;
    let chain = nest(&get(main), |_, inner| {
        format!("({mnemonic} {inner} {})", get(other))
    });
    let constants = nest(&get(main), |step, inner| {
        format!("({mnemonic} {inner} ({kind}.const {}))", odd(step))
    });
    let mixed = nest(&get(main), |step, inner| {
        format!(
            "({mnemonic} ({kind}.xor {inner} ({kind}.const {})) {})",
            odd(step),
            get(other)
        )
    });
    let itself: String = (0..DEPTH)
        .map(|step| {
            let varied = format!("({kind}.xor {} ({kind}.const {}))", get(main), odd(step));
            set(main, &format!("({mnemonic} {varied} {})", get(main)))
        })
        .collect();
    let side_by_side: String = (0..DEPTH / 3)
        .flat_map(|_| [(main, other), (other, third), (third, main)])
        .map(|(to, from)| set(to, &format!("({mnemonic} {} {})", get(to), get(from))))
        .collect();
    vec![
        Kernel::executes(operator, "chain", set(main, &chain)),
        Kernel::executes(operator, "chain with constants", set(main, &constants)),
        Kernel::executes(operator, "chain with xor", set(main, &mixed)),
        Kernel::executes(operator, "chain with itself", itself),
        Kernel::executes(operator, "side by side", side_by_side),
    ]
}

fn division(operator: &str, mnemonic: &str, operands: &Operands) -> Vec<Kernel> {
    let Operands {
        kind,
        main,
        three,
        big,
        highest,
        third,
        other,
        ..
    } = *operands;
    let chain = |big: &str, divisor: &str| {
        let nested = nest(&get(main), |_, inner| {
            format!("({mnemonic} ({kind}.or {inner} ({kind}.const {big})) {divisor})")
        });
        set(main, &nested)
    };
    let long = format!("({kind}.or {} ({kind}.const 0x10001))", get(three));
    let by_constant = nest(&get(main), |step, inner| {
        format!(
            "({mnemonic} ({kind}.or {inner} ({kind}.const {highest})) ({kind}.const {}))",
            odd(step)
        )
    });
    let side: String = (0..DEPTH / 2)
        .flat_map(|_| [third, other])
        .map(|to| {
            let varied = format!("({kind}.or {} ({kind}.const {highest}))", get(to));
            set(to, &format!("({mnemonic} {varied} {})", get(three)))
        })
        .collect();
    vec![
        Kernel::executes(operator, "chain of long by short", chain(big, &get(three))),
        Kernel::executes(
            operator,
            "chain of longest by short",
            chain(highest, &get(three)),
        ),
        Kernel::executes(operator, "chain of longest by half", chain(highest, &long)),
        Kernel::executes(operator, "chain by constants", set(main, &by_constant)),
        Kernel::executes(operator, "side by side", side),
    ]
}

/// As one of the type, whatever the result is.
fn widened(kind: &str, comparison: String) -> String {
    match kind {
        "i64" => format!("(i64.extend_i32_u {comparison})"),
        _ => comparison,
    }
}

fn comparison(operator: &str, mnemonic: &str, operands: &Operands) -> Vec<Kernel> {
    let Operands {
        kind, main, other, ..
    } = *operands;
    let mixed = nest(&get(main), |step, inner| {
        let varied = format!("({kind}.xor {inner} ({kind}.const {}))", odd(step));
        widened(kind, format!("({mnemonic} {varied} {})", get(other)))
    });
    let plain = nest(&get(main), |_, inner| {
        widened(kind, format!("({mnemonic} {inner} {})", get(other)))
    });
    vec![
        Kernel::executes(operator, "chain with xor", set(main, &mixed)),
        Kernel::executes(operator, "chain", set(main, &plain)),
    ]
}

fn unary(operator: &str, mnemonic: &str, operands: &Operands) -> Vec<Kernel> {
    let Operands { kind, main, .. } = *operands;
    let (from, back) = match mnemonic {
        "i32.wrap_i64" => ("i64", "(i64.extend_i32_u "),
        "i64.extend_i32_s" | "i64.extend_i32_u" => ("i32", "(i32.wrap_i64 "),
        "i64.eqz" => ("i64", "(i64.extend_i32_u "),
        _ => (kind, ""),
    };
    let (main, close) = match (from, back) {
        ("i32", _) => ("$x", if back.is_empty() { "" } else { ")" }),
        (_, "") => (main, ""),
        _ => ("$a", ")"),
    };
    let mixed = nest(&get(main), |step, inner| {
        format!(
            "{back}({mnemonic} ({from}.xor {inner} ({from}.const {}))){close}",
            odd(step)
        )
    });
    let plain = nest(&get(main), |_, inner| {
        format!("{back}({mnemonic} {inner}){close}")
    });
    vec![
        Kernel::executes(operator, "chain with xor", set(main, &mixed)),
        Kernel::executes(operator, "chain", set(main, &plain)),
    ]
}

fn constant(operator: &str, operands: &Operands) -> Vec<Kernel> {
    let Operands {
        kind, main, third, ..
    } = *operands;
    let wide = |step: u32| u64::from(odd(step)) << if kind == "i64" { 32 } else { 0 };
    let chain = nest(&get(main), |step, inner| {
        format!("({kind}.xor {inner} ({kind}.const {}))", wide(step))
    });
    let rotated = nest(&get(third), |step, inner| {
        format!(
            "({kind}.rotl ({kind}.add {inner} ({kind}.const {})) ({kind}.const 7))",
            wide(step)
        )
    });
    vec![
        Kernel::executes(operator, "chain of xor", set(main, &chain)),
        Kernel::executes(operator, "chain of add and rotl", set(third, &rotated)),
    ]
}
