//! Write contracts in WAT with one line per thing that matters.

use kumiki_abi::{HOST_FUNCTIONS, HostFunction, ValueType};

/// The Wasm of `text`.
///
/// # Panics
/// When it is no WAT: the test is wrong.
#[must_use]
pub fn wasm(text: &str) -> Vec<u8> {
    let parsed = ::wat::parse_str(text).map_err(|error| format!("{error}\n{text}"));
    parsed.expect("a test's WAT is valid")
}

/// The type as WAT writes it.
#[must_use]
pub const fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    }
}

/// The import of a host function, known to the text as `id`, which may be empty.
#[must_use]
pub fn import(host: &HostFunction, id: &str) -> String {
    let parameters: Vec<&str> = host
        .parameters
        .iter()
        .map(|(_, kind)| type_name(*kind))
        .collect();
    let result = host.result.map_or(String::new(), |kind| {
        format!("(result {})", type_name(kind))
    });
    format!(
        "(import \"kumiki_v1\" \"{}\" (func {id} (param {}) {result}))",
        host.name,
        parameters.join(" ")
    )
}

/// Imports of every host function, each under its own name.
#[must_use]
pub fn imports() -> String {
    HOST_FUNCTIONS
        .iter()
        .map(|host| import(host, &format!("${}", host.name)) + "\n")
        .collect()
}

/// A module of every import, `pages` of memory, an empty `init`, and `items`.
#[must_use]
pub fn module(pages: u32, items: &str) -> String {
    format!(
        "(module {} (memory (export \"memory\") {pages}) (func (export \"init\") (param i32)) {items})",
        imports()
    )
}

/// A contract whose `call` copies its input to address 0 and runs `body`, which has the input's length as local 0.
///
/// The input of a hostile case begins with the accomplice's address; its own code's hash follows at 32.
#[must_use]
pub fn call(body: &str) -> Vec<u8> {
    call_with("", body)
}

/// The same with more `items`.
#[must_use]
pub fn call_with(items: &str, body: &str) -> Vec<u8> {
    wasm(&module(
        1,
        &format!(
            "{items} (func $run (export \"call\") (param i32) (local $n i32) (local $m i64)
               (drop (call $input (i32.const 0) (i32.const 1024))) {body})"
        ),
    ))
}

/// A module of one page of memory and an empty `call`, with `items`: for attacks on what reads modules.
#[must_use]
pub fn shaped(items: &str) -> Vec<u8> {
    wasm(&format!(
        "(module (memory (export \"memory\") 1) (func (export \"init\") (param i32))
           (func (export \"call\") (param i32)) {items})"
    ))
}
