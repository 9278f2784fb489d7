//! Kernels of the instructions that touch memory and tables: what misses caches, crosses pages, waits for stores.

use super::kernel::{Kernel, ring};

/// Operations of one round.
const DEPTH: usize = 24;
/// Sizes of bulk operations that are powers of two, as exponents; 24 is the whole memory.
const BULK_LOG2: std::ops::RangeInclusive<u32> = 0..=24;

/// Pages of a memory whose accesses are cheap, and of the largest.
const SMALL: u32 = 8;
const LARGE: u32 = 256;

/// Memory from the caches nearest to the processor to the largest there is: places, bytes apart, pages of memory.
const RINGS: &[(&str, u32, u32, u32)] = &[
    ("first cache", 8, 64, SMALL),
    ("512 KiB, each line", 13, 64, SMALL),
    ("512 KiB, each page", 7, 4_096, SMALL),
    ("4 MiB", 16, 64, LARGE),
    ("16 MiB, each line", 18, 64, LARGE),
    ("16 MiB, each page", 12, 4_096, LARGE),
];

/// The kernels of an instruction on memory or a table; none for others.
#[must_use]
pub(super) fn kernels(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    match mnemonic {
        "memory.size" | "table.size" => sizes(operator, mnemonic),
        "memory.grow" => growth(operator),
        "memory.fill" | "memory.copy" | "memory.init" => bulk(operator, mnemonic),
        "data.drop" | "elem.drop" => dropped(operator, mnemonic),
        "table.fill" | "table.copy" | "table.init" => table_bulk(operator, mnemonic),
        "table.get" | "table.set" | "ref.null" | "ref.func" | "ref.is_null" => {
            references(operator, mnemonic)
        }
        _ if mnemonic.contains(".load") => loads(operator, mnemonic),
        _ if mnemonic.contains(".store") => stores(operator, mnemonic),
        _ => Vec::new(),
    }
}

/// An address that the value found before decides: it wanders through the whole memory.
fn wander(mask: u32) -> String {
    format!(
        "(i32.and (local.tee $x (i32.add (local.get $x) (i32.const 0x9e3779b1))) (i32.const {mask}))"
    )
}

fn on_memory(pages: u32, kernel: Kernel, once: String) -> Kernel {
    Kernel {
        pages,
        once,
        ..kernel
    }
}

/// What a load gives, as an address.
fn as_address(mnemonic: &str, loaded: String) -> String {
    match mnemonic.starts_with("i64") {
        true => format!("(i32.wrap_i64 {loaded})"),
        false => loaded,
    }
}

fn loads(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let narrowed = |text: String| as_address(mnemonic, text);
    let mut kernels = Vec::new();
    let is_word = matches!(mnemonic, "i32.load" | "i64.load32_u" | "i64.load32_s");
    for (what, log2, stride, pages) in RINGS {
        let body = if is_word {
            (0..DEPTH).fold("(local.get $x)".to_owned(), |inner, _| {
                narrowed(format!("({mnemonic} {inner})"))
            })
        } else {
            // The loaded value is zero above the ring's word, so it delays the next address and does not change it.
            let mask = (stride << log2) - 64;
            (0..DEPTH).fold("(local.get $x)".to_owned(), |inner, _| {
                let loaded = narrowed(format!("({mnemonic} offset=8 (i32.and {inner} (i32.const {mask})))"));
                format!("(i32.add {loaded} (local.tee $x (i32.add (local.get $x) (i32.const 0x9e3779b1))))")
            })
        };
        let once = if is_word {
            ring(*log2, *stride, 0)
        } else {
            String::new()
        };
        let body = format!("(local.set $x {body})");
        kernels.push(on_memory(
            *pages,
            Kernel::executes(operator, format!("chain through {what}"), body),
            once,
        ));
    }
    kernels.extend(other_loads(operator, mnemonic));
    kernels
}

/// Loads over the ends of pages and lines, beside each other, and behind stores.
fn other_loads(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let narrowed = |text: String| as_address(mnemonic, text);
    let mut kernels = Vec::new();
    let crossing = |mask: u32| {
        let step = narrowed(format!(
            "({mnemonic} offset=4095 (i32.and (local.get $x) (i32.const {mask})))"
        ));
        format!("(local.set $x (i32.add (local.get $x) (i32.add (i32.const 0x3779b1) {step})))\n")
            .repeat(DEPTH)
    };
    for (name, mask, pages) in [("512 KiB", 0x7_e000, SMALL), ("16 MiB", 0xff_e000, LARGE)] {
        let name = format!("chain over page ends of {name}");
        let kernel = Kernel::executes(operator, name, crossing(mask));
        kernels.push(on_memory(pages, kernel, String::new()));
    }
    kernels.push(Kernel::executes(operator, "chain over line ends", {
        let step = narrowed(format!(
            "({mnemonic} offset=63 (i32.and (local.get $x) (i32.const 0xfc0)))"
        ));
        format!("(local.set $x (i32.add (i32.const 64) {step}))\n").repeat(DEPTH)
    }));
    kernels.push(on_memory(
        LARGE,
        Kernel::executes(
            operator,
            "side by side over 16 MiB",
            format!(
                "(local.set $y (i32.xor (local.get $y) {}))\n",
                narrowed(format!("({mnemonic} {})", wander(0x00ff_fff0)))
            )
            .repeat(DEPTH),
        ),
        String::new(),
    ));
    kernels.push(Kernel::executes(
        operator,
        "behind a store of one byte in it",
        {
            let loaded = narrowed(format!("({mnemonic} (i32.const 4096))"));
            format!("(i32.store8 (i32.const 4096) (local.get $x)) (local.set $x {loaded})\n")
                .repeat(DEPTH)
        },
    ));
    kernels
}

fn stores(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let value = if mnemonic.starts_with("i64") {
        "(local.get $a)"
    } else {
        "(local.get $y)"
    };
    let (kind, local) = if mnemonic.starts_with("i64") {
        ("i64", "$a")
    } else {
        ("i32", "$y")
    };
    let store =
        |offset: u32, address: &str| format!("({mnemonic} offset={offset} {address} {value})\n");
    let mut kernels = vec![
        Kernel::executes(
            operator,
            "one place",
            store(4_096, "(i32.const 0)").repeat(DEPTH),
        ),
        Kernel::executes(
            operator,
            "one place over a line's end",
            store(4_159, "(i32.const 0)").repeat(DEPTH),
        ),
        Kernel::executes(operator, "and loaded back wider", {
            let stored = store(4_097, "(i32.const 0)");
            format!("{stored} (local.set {local} ({kind}.load (i32.const 4096)))\n").repeat(DEPTH)
        }),
        Kernel::executes(operator, "and loaded back", {
            let stored = store(4_096, "(i32.const 0)");
            format!("{stored} (local.set {local} ({kind}.load8_u (i32.const 4096)))\n")
                .repeat(DEPTH)
        }),
    ];
    for (what, mask, offset, pages) in [
        ("over 512 KiB", 0x7_fff0, 0, SMALL),
        ("over page ends of 512 KiB", 0x7_f000, 4_095, SMALL),
        ("over line ends of 512 KiB", 0x7_ffc0, 63, SMALL),
        ("over 4 MiB", 0x3f_fff0, 0, LARGE),
        ("over 16 MiB", 0xff_fff0, 0, LARGE),
        ("over page ends of 16 MiB", 0xff_f000, 4_095, LARGE),
        ("over line ends of 16 MiB", 0xff_ffc0, 63, LARGE),
    ] {
        let mask: u32 = mask - if offset > 0 { 0x1000 } else { 0 };
        let body = store(offset, &wander(mask)).repeat(DEPTH);
        let kernel = Kernel::executes(operator, what, body);
        kernels.push(on_memory(pages, kernel, String::new()));
    }
    kernels
}

fn sizes(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let call = match mnemonic {
        "table.size" => "(table.size 0)",
        _ => "(memory.size)",
    };
    let body = format!("(local.set $x (i32.xor (local.get $x) {call}))\n").repeat(DEPTH);
    vec![Kernel::executes(operator, "again and again", body)]
}

fn growth(operator: &str) -> Vec<Kernel> {
    let touched = "(local.set $y (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
        (if (i32.ge_s (local.get $y) (i32.const 0)) (then (memory.fill (local.get $y) (local.get $x) (i32.const 65536))))";
    let spread: String = (0..16)
        .map(|page| {
            format!(
                "(i32.store offset={} (local.get $y) (local.get $x))\n",
                page * 4_096
            )
        })
        .collect();
    let paged =
        format!("(local.set $y (i32.shl (memory.grow (i32.const 1)) (i32.const 16))) {spread}");
    let bounded = |name: &str, body: &str| Kernel {
        rounds_max: 250,
        calls: 4,
        pages: 5,
        pages_max: Some(LARGE),
        ..Kernel::executes(operator, name, body)
    };
    vec![
        Kernel::executes(
            operator,
            "by nothing",
            "(drop (memory.grow (i32.const 0)))\n".repeat(4),
        ),
        Kernel::executes(operator, "too far", "(drop (memory.grow (i32.const 257)))"),
        bounded(
            "a page that is not touched",
            "(drop (memory.grow (i32.const 1)))",
        ),
        bounded("a page that is filled", touched),
        bounded("a page whose every 4 KiB are touched", &paged),
    ]
}

fn bulk(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    let largest = if mnemonic == "memory.init" {
        12
    } else {
        *BULK_LOG2.end()
    };
    for log2 in *BULK_LOG2.start()..=largest {
        let size = if log2 == 0 { 0 } else { 1_u32 << log2 };
        let wide = size >= 1 << 23;
        let memory: u32 = 1 << 24;
        let place = if wide {
            "(i32.const 0)".to_owned()
        } else {
            wander(0x7f_ffff)
        };
        let size_max = if wide { size - 64 } else { size };
        let mut add = |name: String, body: String| {
            kernels.push(Kernel {
                pages: 256,
                items: "(data $bytes \"".to_owned() + &"\\2a".repeat(4_096) + "\")",
                ..Kernel::executes(operator, name, body)
            });
        };
        match mnemonic {
            "memory.fill" => {
                add(
                    format!("{size} bytes anywhere"),
                    format!("(memory.fill {place} (local.get $y) (i32.const {size_max}))"),
                );
                if size <= 1 << 16 {
                    let text =
                        format!("(memory.fill (i32.const 1) (local.get $y) (i32.const {size}))");
                    add(format!("{size} bytes in one place"), text);
                }
            }
            "memory.copy" => {
                let from = if wide {
                    "(i32.const 33)"
                } else {
                    "(i32.sub (i32.const 0x7fffff) (local.get $n))"
                };
                let from = if wide {
                    from.to_owned()
                } else {
                    format!("(i32.and {from} (i32.const 0x7fffff))")
                };
                add(
                    format!("{size} bytes anywhere"),
                    format!("(memory.copy {place} {from} (i32.const {size_max}))"),
                );
                let overlap = size.min(memory - 4_096);
                add(
                    format!("{size} bytes onto themselves"),
                    format!("(memory.copy (i32.const 1) (i32.const 0) (i32.const {overlap}))"),
                );
            }
            _ => add(
                format!("{size} bytes anywhere"),
                format!("(memory.init $bytes {place} (i32.const 0) (i32.const {size}))"),
            ),
        }
    }
    kernels
}

fn dropped(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let (items, body) = match mnemonic {
        "data.drop" => ("(data $gone \"x\")", "(data.drop $gone)"),
        _ => ("(elem $gone func $id)", "(elem.drop $gone)"),
    };
    vec![Kernel {
        items: items.to_owned(),
        ..Kernel::executes(operator, "again and again", body.repeat(4))
    }]
}

fn table_bulk(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let entries = "$id ".repeat(256);
    let mut kernels = Vec::new();
    for size in [0_u32, 1, 4, 16, 64, 255] {
        let body = match mnemonic {
            "table.fill" => {
                format!("(table.fill 0 (i32.const 0) (ref.func $id) (i32.const {size}))")
            }
            "table.copy" => {
                format!("(table.copy 0 0 (i32.const 1) (i32.const 0) (i32.const {size}))")
            }
            _ => format!("(table.init 0 $some (i32.const 0) (i32.const 0) (i32.const {size}))"),
        };
        let filled = "(table.init 0 $some (i32.const 0) (i32.const 0) (i32.const 256))".to_owned();
        kernels.push(Kernel {
            items: format!("(elem $some func {entries}) (elem declare func $id)"),
            once: filled,
            ..Kernel::executes(operator, format!("{size} entries"), body)
        });
    }
    kernels
}

fn references(operator: &str, mnemonic: &str) -> Vec<Kernel> {
    let index =
        "(i32.and (local.tee $x (i32.add (local.get $x) (i32.const 0x9e3779b1))) (i32.const 255))";
    let chained = "(i32.and (local.get $x) (i32.const 255))";
    let got = |index: &str| {
        format!(
            "(local.set $x (i32.add (i32.const 7) (i32.add (local.get $x) (ref.is_null (table.get 0 {index})))))\n"
        )
    };
    let bodies: Vec<(&str, String)> = match mnemonic {
        "table.get" => vec![("anywhere", got(index)), ("chain", got(chained))],
        "table.set" => vec![
            ("null anywhere", format!("(table.set 0 {index} (ref.null func))\n")),
            ("a function anywhere", format!("(table.set 0 {index} (ref.func $twist))\n")),
        ],
        "ref.null" => vec![("and looked at", "(local.set $f (ref.null func)) (local.set $x (i32.add (local.get $x) (ref.is_null (local.get $f))))\n".to_owned())],
        "ref.func" => vec![("and looked at", "(local.set $x (i32.add (local.get $x) (ref.is_null (ref.func $id))))\n".to_owned())],
        _ => vec![
            ("of a table's entry", got(chained)),
            ("of a function", "(local.set $x (i32.add (local.get $x) (ref.is_null (local.get $f)))) (local.set $f (ref.func $id))\n".to_owned()),
        ],
    };
    bodies
        .into_iter()
        .map(|(name, body)| Kernel {
            items: "(elem declare func $id $twist)".to_owned(),
            ..Kernel::executes(operator, name, body.repeat(DEPTH / 2))
        })
        .collect()
}
