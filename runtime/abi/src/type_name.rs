//! Parse a type as metadata writes it.

/// Nesting of types, above any real one.
pub const DEPTH_MAX: usize = 32;

const BYTES_MAX: usize = 1_024;

/// A type that crosses the contract boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`.
    Bool,
    /// Its bytes: 1, 2, 4, 8 or 16.
    Unsigned(u8),
    /// Its bytes: 1, 2, 4, 8 or 16.
    Signed(u8),
    /// `String`.
    String,
    /// `Address`.
    Address,
    /// `Hash`.
    Hash,
    /// `(A, B)`; `()` has no parts.
    Tuple(Vec<Self>),
    /// `[T; N]`.
    Array(Box<Self>, usize),
    /// `Vec<T>`.
    Vec(Box<Self>),
    /// `Option<T>`.
    Option(Box<Self>),
    /// `Result<T, E>`.
    Result(Box<Self>, Box<Self>),
    /// The name of a [`crate::metadata::TypeDefinition`].
    Named(String),
}

impl Type {
    /// Parses `text`, which must be one whole type; `None` when it is none, or nests or lasts too long.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let mut parser = Parser { rest: text };
        let parsed = parser.parse_type(DEPTH_MAX)?;
        parser.skip_spaces();
        parser.rest.is_empty().then_some(parsed)
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn parse_type(&mut self, depth: usize) -> Option<Type> {
        let depth = depth.checked_sub(1)?;
        if self.take("(") {
            return self.parse_tuple(depth);
        }
        if self.take("[") {
            let element = self.parse_type(depth)?;
            let length = self.take(";").then(|| self.word())?.parse().ok()?;
            return self
                .take("]")
                .then(|| Type::Array(Box::new(element), length));
        }
        let name = self.word();
        let argument = |parser: &mut Self, opening: &str| {
            parser
                .take(opening)
                .then(|| parser.parse_type(depth).map(Box::new))
                .flatten()
        };
        let parsed = match name {
            "Vec" => Type::Vec(argument(self, "<")?),
            "Option" => Type::Option(argument(self, "<")?),
            "Result" => {
                let ok = argument(self, "<")?;
                Type::Result(ok, argument(self, ",")?)
            }
            plain => return plain_type(plain),
        };
        self.take(">").then_some(parsed)
    }

    fn parse_tuple(&mut self, depth: usize) -> Option<Type> {
        let mut parts = Vec::new();
        while !self.take(")") {
            parts.push(self.parse_type(depth)?);
            if !self.take(",") {
                return self.take(")").then_some(Type::Tuple(parts));
            }
        }
        Some(Type::Tuple(parts))
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let end = self
            .rest
            .find(|one: char| !one.is_ascii_alphanumeric() && one != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

fn plain_type(name: &str) -> Option<Type> {
    Some(match name {
        "" => return None,
        "bool" => Type::Bool,
        "u8" => Type::Unsigned(1),
        "u16" => Type::Unsigned(2),
        "u32" => Type::Unsigned(4),
        "u64" => Type::Unsigned(8),
        "u128" => Type::Unsigned(16),
        "i8" => Type::Signed(1),
        "i16" => Type::Signed(2),
        "i32" => Type::Signed(4),
        "i64" => Type::Signed(8),
        "i128" => Type::Signed(16),
        "String" => Type::String,
        "Address" => Type::Address,
        "Hash" => Type::Hash,
        other => Type::Named(other.to_owned()),
    })
}
