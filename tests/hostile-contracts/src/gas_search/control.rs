//! Kernels of the instructions that steer: jumps that nobody foresees, calls, registers that do not suffice.

use super::kernel::Kernel;

const DEPTH: u32 = 16;
/// The next number of a sequence whose high bits look random.
const RANDOM: &str = "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))\n";
/// Functions of the kernels that do not fit the caches of instructions.
const MANY_FUNCTIONS: u32 = 255;

/// The kernels of an instruction that steers or moves values; none for others.
#[must_use]
pub(super) fn kernels(operator: &str) -> Vec<Kernel> {
    match operator {
        "Unreachable" => vec![unreachable(operator)],
        "Nop" | "Block" | "Drop" | "End" | "Else" | "Loop" => free(operator),
        "If" | "BrIf" | "Br" | "BrTable" => jumps(operator),
        "Return" | "Call" | "CallIndirect" => calls(operator),
        "Select" | "TypedSelect" => selects(operator),
        "LocalGet" | "LocalSet" | "LocalTee" | "GlobalGet" | "GlobalSet" => variables(operator),
        _ => Vec::new(),
    }
}

/// A query that traps at once: what is left is what the call of it costs.
fn unreachable(operator: &str) -> Kernel {
    let call = "(drop (call $call (i32.const 256) (i32.const 0) (i32.const 0) (i32.const 4300) (i64.const 0) (i32.const 3)))";
    Kernel {
        query: "(unreachable)".to_owned(),
        ..Kernel::executes(operator, "in a query", call)
    }
}

fn free(operator: &str) -> Vec<Kernel> {
    let add = "(local.set $a (i64.add (local.get $a) (local.get $b)))\n";
    let one = match operator {
        "Nop" => format!("(nop) (nop) {add}"),
        "Drop" => "(drop (i64.add (local.get $a) (local.get $b)))\n".to_owned() + add,
        "Block" | "End" => format!("(block (block (block {add})))"),
        "Else" => format!("(if (i32.and (local.get $y) (i32.const 1)) (then (nop)) (else {add}))"),
        _ => format!("(loop (loop (loop {add})))"),
    };
    let empty = match operator {
        "Loop" => "(loop (loop (loop (loop))))".repeat(8) + add,
        _ => one.clone(),
    };
    vec![
        Kernel::executes(operator, "around an addition", one.repeat(16)),
        Kernel::executes(operator, "around nothing", empty),
    ]
}

/// Bits of the sequence that look random, one after the other.
fn bits(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|step| 1 << (31 - step))
}

fn jumps(operator: &str) -> Vec<Kernel> {
    let add = "(local.set $a (i64.add (local.get $a) (local.get $b)))";
    let over = |condition: &str| match operator {
        "If" => format!("(if {condition} (then {add}))\n"),
        "Br" => format!("(block (if {condition} (then (br 1))) {add})\n"),
        _ => format!("(block (br_if 0 {condition}) {add})\n"),
    };
    let random: String = bits(DEPTH)
        .map(|bit| over(&format!("(i32.and (local.get $x) (i32.const {bit}))")))
        .collect();
    let two_sided: String = bits(DEPTH)
        .map(|bit| {
            format!(
                "(if (i32.and (local.get $x) (i32.const {bit})) (then {add}) (else (local.set $c (i64.xor (local.get $c) (local.get $a)))))\n"
            )
        })
        .collect();
    let foreseen = over("(i32.and (local.get $y) (i32.const 1))").repeat(16);
    let mut kernels = vec![Kernel::executes(operator, "foreseen", foreseen)];
    match operator {
        "BrTable" => {
            kernels.clear();
            for targets in [2_u32, 16, 256] {
                kernels.push(branch_table(operator, targets));
            }
        }
        "Br" => {
            kernels.push(Kernel::executes(
                operator,
                "not foreseen",
                format!("{RANDOM}{random}"),
            ));
            let always = format!("(block (block (br 1)) {add})\n(block {add} (br 0))\n").repeat(8);
            kernels.push(Kernel::executes(operator, "always", always));
        }
        "If" => {
            kernels.push(Kernel::executes(
                operator,
                "not foreseen",
                format!("{RANDOM}{random}"),
            ));
            kernels.push(Kernel::executes(
                operator,
                "not foreseen, two sides",
                format!("{RANDOM}{two_sided}"),
            ));
        }
        _ => kernels.push(Kernel::executes(
            operator,
            "not foreseen",
            format!("{RANDOM}{random}"),
        )),
    }
    kernels
}

/// Jumps into one of so many places, not foreseen.
fn branch_table(operator: &str, targets: u32) -> Kernel {
    let shift = 32 - targets.trailing_zeros();
    let one = |shift: u32| {
        let labels: Vec<String> = (0..targets).map(|label| (label % 8).to_string()).collect();
        let opened = "(block ".repeat(8);
        let arms: String = (0..8)
            .map(|arm| {
                format!(
                    ") (local.set $a (i64.add (local.get $a) (i64.const {})))",
                    arm * 77 + 5
                )
            })
            .collect();
        format!(
            "{opened} (br_table {} (i32.and (i32.shr_u (local.get $x) (i32.const {shift})) (i32.const {}))) {arms}\n",
            labels.join(" "),
            targets - 1
        )
    };
    let body: String = (0..4).map(|step| one(shift - 2 * step)).collect();
    Kernel::executes(
        operator,
        format!("{targets} targets"),
        format!("{RANDOM}{body}"),
    )
}

fn calls(operator: &str) -> Vec<Kernel> {
    let with = |name: &str, items: String, body: String| with_items(operator, name, items, body);
    let recursion = "(func $deep (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) \
         (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))))";
    let locals = format!(
        "(func $wide (param i64) (result i64) (local {}) (local.get 0))",
        "i64 ".repeat(200)
    );
    let parameters = format!(
        "(func $many (param {}) (result i64) (local.get 31))",
        "i64 ".repeat(32)
    );
    let returns = "(func $early (param i64) (result i64) (if (i32.wrap_i64 (local.get 0)) (then (return (i64.const 3)))) (return (i64.const 4)))";
    match operator {
        "Call" => vec![
            with(
                "of a function that does nothing",
                String::new(),
                "(local.set $a (call $id (local.get $a)))\n".repeat(16),
            ),
            with(
                "recursion 1,000 deep",
                recursion.to_owned(),
                "(drop (call $deep (i32.const 1000)))".to_owned(),
            ),
            with(
                "of one with 200 locals",
                locals,
                "(local.set $a (call $wide (local.get $a)))\n".repeat(8),
            ),
            with(
                "with 32 parameters",
                parameters,
                format!(
                    "(local.set $a (call $many {}))\n",
                    "(local.get $a)".repeat(32)
                )
                .repeat(8),
            ),
        ],
        "Return" => vec![with(
            "in the middle",
            returns.to_owned(),
            "(local.set $a (call $early (local.get $a)))\n".repeat(16),
        )],
        _ => indirect_calls(operator),
    }
}

fn with_items(operator: &str, name: &str, items: String, body: String) -> Kernel {
    Kernel {
        items,
        ..Kernel::executes(operator, name, body)
    }
}

fn indirect_calls(operator: &str) -> Vec<Kernel> {
    let with = |name: &str, items: String, body: String| with_items(operator, name, items, body);
    let same =
        "(local.set $a (call_indirect (type $unary) (local.get $a) (i32.const 1)))\n".repeat(16);
    let random: String = (0..16)
                .map(|step| {
                    format!("(local.set $a (call_indirect (type $unary) (local.get $a) (i32.and (i32.shr_u (local.get $x) (i32.const {})) (i32.const 1))))\n", 31 - step)
                })
                .collect();
    let far: String = (0..8)
                .map(|step| {
                    format!("(local.set $a (call_indirect (type $unary) (local.get $a) (i32.and (i32.shr_u (local.get $x) (i32.const {})) (i32.const 255))))\n", 24 - step)
                })
                .collect();
    vec![
        with("of one function", String::new(), same),
        with(
            "of one of two, not foreseen",
            String::new(),
            format!("{RANDOM}{random}"),
        ),
        with(
            "of one of 255, not foreseen",
            functions(2),
            format!("{RANDOM}{far}"),
        ),
        with(
            "of one of 255 long ones, not foreseen",
            functions(40),
            format!("{RANDOM}{far}"),
        ),
    ]
}

/// Functions of so many steps each, in the table from 1 on: together they do not fit the caches of instructions.
fn functions(steps: u32) -> String {
    let mut text = String::new();
    let mut names = String::new();
    for number in 0..MANY_FUNCTIONS {
        let body = (0..steps).fold("(local.get 0)".to_owned(), |inner, step| {
            let constant = (number * 31 + step).wrapping_mul(0x9e37_79b9);
            format!("(i64.xor (i64.add {inner} (i64.const {constant})) (i64.const {step}))")
        });
        text.push_str(&format!("(func $f{number} (type $unary) {body})\n"));
        names.push_str(&format!("$f{number} "));
    }
    format!("{text} (elem (i32.const 1) func {names})")
}

fn selects(operator: &str) -> Vec<Kernel> {
    let kind = if operator == "TypedSelect" {
        "(result i64)"
    } else {
        ""
    };
    let chain: String = (0..16_u64)
        .map(|step| {
            format!("(local.set $a (select {kind} (i64.xor (local.get $a) (i64.const {})) (local.get $b) (i32.wrap_i64 (local.get $a))))\n", step * 77 + 13)
        })
        .collect();
    let random: String = bits(DEPTH)
        .map(|bit| {
            format!("(local.set $a (select {kind} (local.get $b) (local.get $a) (i32.and (local.get $x) (i32.const {bit}))))\n")
        })
        .collect();
    vec![
        Kernel::executes(operator, "chain", chain),
        Kernel::executes(operator, "not foreseen", format!("{RANDOM}{random}")),
    ]
}

fn variables(operator: &str) -> Vec<Kernel> {
    if operator.starts_with("Global") {
        let chain = "(global.set $g (i64.add (global.get $g) (local.get $b)))\n".repeat(16);
        let moved = "(global.set $g (i64.add (local.get $a) (global.get $g))) (local.set $a (global.get $g)) (global.set $h (i32.wrap_i64 (local.get $a)))\n".repeat(8);
        return vec![
            Kernel::executes(operator, "chain", chain),
            Kernel::executes(operator, "moved about", moved),
        ];
    }
    let tee = operator == "LocalTee";
    let count = 100;
    let names: String = (0..count)
        .map(|name| format!("(local $l{name} i64) "))
        .collect();
    let mixed: String = (0..count)
        .map(|name| {
            let (from, other) = ((name * 37 + 11) % count, (name * 53 + 29) % count);
            let sum = format!("(i64.add (local.get $l{from}) (local.get $l{other}))");
            if tee {
                format!("(local.set $l{other} (local.tee $l{name} {sum}))\n")
            } else {
                format!("(local.set $l{name} {sum})\n")
            }
        })
        .collect();
    let turned: String = (1..count)
        .map(|name| format!("(local.set $l{} (local.get $l{name}))\n", name - 1))
        .collect();
    let first: String = (0..count)
        .map(|name| format!("(local.set $l{name} (i64.add (local.get 0) (i64.const {name})))\n"))
        .collect();
    let function = |body: String| {
        format!(
            "(func $spill (param i64) (result i64) (local $i i32) {names} {first} (local.set $i (i32.const 50))
               (loop $again {body} (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
               (i64.add (local.get $l0) (i64.add (local.get $l33) (local.get $l98))))"
        )
    };
    let chain =
        "(local.set $a (i64.add (local.tee $c (local.get $a)) (local.get $b)))\n".repeat(16);
    let call = "(local.set $a (call $spill (local.get $a)))";
    let turning = format!("(local.set $l99 (local.get $l0)) {turned}");
    vec![
        Kernel::executes(operator, "around additions", chain),
        Kernel {
            items: function(mixed),
            ..Kernel::executes(operator, "100 of them, mixed", call)
        },
        Kernel {
            items: function(turning),
            ..Kernel::executes(operator, "100 of them, moved on by one", call)
        },
    ]
}
