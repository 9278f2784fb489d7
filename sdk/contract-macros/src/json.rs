//! Write metadata fragments as lines of JSON in the schema of `kumiki_abi::metadata`, and put them into the Wasm.

use std::fmt::Write as _;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// A JSON value being written.
pub(crate) enum Json {
    Text(String),
    Bool(bool),
    Number(usize),
    Null,
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

impl Json {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// One line of JSON.
    pub(crate) fn to_line(&self) -> String {
        let mut line = String::new();
        self.write(&mut line);
        line.push('\n');
        line
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_text(text, out),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Null => out.push_str("null"),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(pairs) => {
                out.push('{');
                for (index, (name, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// `{"name": …, "type": …}`.
pub(crate) fn field(name: &str, type_name: &str) -> Json {
    Json::Object(vec![
        ("name", Json::text(name)),
        ("type", Json::text(type_name)),
    ])
}

/// `0x` and hex digits.
pub(crate) fn hex(bytes: &[u8]) -> Json {
    let mut text = String::from("0x");
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    Json::Text(text)
}

/// A static that puts `line` into the Wasm's fragments section.
pub(crate) fn section(line: &str) -> TokenStream {
    let bytes = Literal::byte_string(line.as_bytes());
    let length = line.len();
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[allow(unsafe_code, reason = "names the custom section that tools read")]
            #[unsafe(link_section = "kumiki.abi.fragments")]
            static FRAGMENT: [u8; #length] = *#bytes;
        };
    }
}
