//! Find source lines and names of functions in the file that a build leaves with line table and names.
//!
//! What is deployed has neither. Its instructions are those of this file, one for one, so that a place in it leads to
//! a line here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use addr2line::Context;
use addr2line::gimli::{self, Dwarf, EndianSlice, LittleEndian, SectionId};
use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

use crate::compact::instruction_offsets;
use crate::{MalformedWasm, PACKAGE, WORKSPACE};

/// What is in paths of code that is not the author's: the standard library, crates, the SDK wherever it lies.
const LIBRARIES: [&str; 5] = [
    "/rustc/",
    "/cargo/",
    "/kumiki/",
    "/sdk/contract/src/",
    "/runtime/abi/src/",
];

/// Functions that a contract exports.
const EXPORTS: [&str; 4] = ["init", "call", "query", "migrate"];

/// The function in which the macros find the method that an input names.
const DISPATCH: &str = "run";

/// A line of source code that led to a place in a contract's Wasm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The function, as the compiler names it.
    pub function: String,
    /// The file. The folders of the contract's package and of its workspace are called `/contract` and `/workspace`.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// Whether it is code of the standard library, of a registry's crate or of the SDK.
    pub is_library: bool,
}

impl SourceLine {
    /// The file as it is called from where the package lies at `package`, and its workspace at `workspace`.
    #[must_use]
    pub fn path_from(&self, package: &Path, workspace: &Path) -> PathBuf {
        let inside = |name: &str, folder: &Path| {
            let rest = self.file.strip_prefix(name)?.strip_prefix('/')?;
            Some(folder.join(rest))
        };
        inside(PACKAGE, package)
            .or_else(|| inside(WORKSPACE, workspace))
            .unwrap_or_else(|| PathBuf::from(&self.file))
    }
}

/// The lines worth showing of those that led to a failure, innermost first: the author's own, without the dispatch that
/// the macros write, or where there are none, all.
#[must_use]
pub fn own_lines(lines: Vec<SourceLine>) -> Vec<SourceLine> {
    let (mut own, libraries): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| !line.is_library);
    if own.is_empty() {
        return libraries;
    }
    // Outermost is the exported function, and in it what finds the method that the input names.
    for dispatch in [&EXPORTS[..], &[DISPATCH]] {
        let is_outermost = |line: &SourceLine| dispatch.contains(&&*line.function);
        if own.len() > 1 && own.last().is_some_and(is_outermost) {
            own.pop();
        }
    }
    // The line is the author's, the name is the macros'.
    for line in own.iter_mut().filter(|line| line.function == DISPATCH) {
        line.function.clear();
    }
    own
}

/// A function and the size of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSize {
    /// Its name in the source, or its number where the file has no name for it.
    pub name: String,
    /// Bytes of its body, in the deployed form.
    pub bytes: usize,
}

/// What is known of a contract's Wasm from the file that the compiler made.
pub struct DebugFile<'a> {
    lines: Context<EndianSlice<'a, LittleEndian>>,
    /// Names of functions by their index, as the file has them.
    names: BTreeMap<u32, String>,
    /// Functions that are imported: their indices come first.
    imports: u32,
    /// Where the code section begins, which addresses of the line table count from.
    code_start: usize,
    /// Where each instruction begins.
    instructions: Vec<usize>,
    /// Where each instruction begins in the deployed form.
    deployed: Vec<usize>,
    /// Bytes of the body of each function in the deployed form.
    bodies: Vec<usize>,
}

impl std::fmt::Debug for DebugFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DebugFile")
            .field("functions", &self.bodies.len())
            .finish_non_exhaustive()
    }
}

impl<'a> DebugFile<'a> {
    /// Reads `debug`, the file as the compiler made it, for code that was deployed as `deployed`.
    ///
    /// # Errors
    /// When one of them is no Wasm module, or the line table is damaged.
    pub fn new(debug: &'a [u8], deployed: &[u8]) -> Result<Self, MalformedWasm> {
        let mut sections: BTreeMap<&str, &'a [u8]> = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut code_start = 0;
        for payload in Parser::new(0).parse_all(debug) {
            match payload? {
                Payload::CodeSectionStart { range, .. } => code_start = range.start,
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Name(found) => names = function_names(found)?,
                    _ => drop(sections.insert(section.name(), section.data())),
                },
                _ => {}
            }
        }
        let section = |id: SectionId| {
            let bytes = sections.get(id.name()).copied().unwrap_or_default();
            Ok(EndianSlice::new(bytes, LittleEndian))
        };
        let lines = Dwarf::load(section).and_then(Context::from_dwarf);
        let (imports, bodies) = functions(deployed)?;
        Ok(Self {
            lines: lines.map_err(|_damaged: gimli::Error| MalformedWasm { offset: 0 })?,
            names,
            imports,
            code_start,
            instructions: instruction_offsets(debug)?,
            deployed: instruction_offsets(deployed)?,
            bodies,
        })
    }

    /// The lines that led to the instruction at `offset` of the deployed code: first that of the innermost function
    /// that was inlined there, last that of the function which Wasm calls. Empty where nothing is known.
    #[must_use]
    pub fn lines_at(&self, offset: u32) -> Vec<SourceLine> {
        self.find_lines(offset).unwrap_or_default()
    }

    fn find_lines(&self, offset: u32) -> Option<Vec<SourceLine>> {
        let offset = usize::try_from(offset).ok()?;
        let position = self.deployed.binary_search(&offset).ok()?;
        let address = self
            .instructions
            .get(position)?
            .checked_sub(self.code_start)?;
        let address = u64::try_from(address).ok()?;
        let mut frames = self.lines.find_frames(address).skip_all_loads().ok()?;
        let mut lines = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let place = frame.location.as_ref();
            let Some((path, line)) = place.and_then(|place| Some((place.file?, place.line?)))
            else {
                continue;
            };
            let function = frame.function.as_ref();
            let function = function.and_then(|one| one.raw_name().ok());
            lines.push(SourceLine {
                function: demangled(&function.unwrap_or_default()),
                file: path.to_owned(),
                line,
                is_library: LIBRARIES.iter().any(|part| path.contains(part)),
            });
        }
        Some(lines)
    }

    /// The functions of the deployed code, the largest first.
    #[must_use]
    pub fn functions_by_size(&self) -> Vec<FunctionSize> {
        let functions = (self.imports..).zip(&self.bodies);
        let mut sizes: Vec<FunctionSize> = functions
            .map(|(index, bytes)| FunctionSize {
                name: self
                    .names
                    .get(&index)
                    .map_or_else(|| format!("function {index}"), |name| demangled(name)),
                bytes: *bytes,
            })
            .collect();
        sizes.sort_by(|left, right| {
            let by_size = right.bytes.cmp(&left.bytes);
            by_size.then_with(|| left.name.cmp(&right.name))
        });
        sizes
    }
}

fn function_names(
    section: wasmparser::NameSectionReader<'_>,
) -> Result<BTreeMap<u32, String>, MalformedWasm> {
    let mut names = BTreeMap::new();
    for part in section {
        if let Name::Function(functions) = part? {
            for function in functions {
                let function = function?;
                names.insert(function.index, function.name.to_owned());
            }
        }
    }
    Ok(names)
}

/// How many functions are imported, and the bytes of each of the others.
fn functions(wasm: &[u8]) -> Result<(u32, Vec<usize>), MalformedWasm> {
    let mut imports = 0;
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if matches!(import?.ty, TypeRef::Func(_)) {
                        imports += 1;
                    }
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range().len()),
            _ => {}
        }
    }
    Ok((imports, bodies))
}

/// A function's name without the hash of its crate.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(file: &str, line: u32, function: &str) -> SourceLine {
        SourceLine {
            function: function.to_owned(),
            file: file.to_owned(),
            line,
            is_library: LIBRARIES.iter().any(|part| file.contains(part)),
        }
    }

    #[test]
    fn the_authors_lines_are_shown_and_the_dispatch_is_not() {
        let lines = vec![
            line(
                "/home/a/.kumiki/sdk/sdk/contract/src/runtime.rs",
                99,
                "panic",
            ),
            line("/rustc/1/library/core/src/panicking.rs", 9, "panic_fmt"),
            line("/contract/src/lib.rs", 46, "increase"),
            line("/contract/src/lib.rs", 45, "run"),
            line("/contract/src/lib.rs", 5, "call"),
        ];
        assert_eq!(own_lines(lines.clone()), lines[2..3]);
        // An error that a message returns comes from where the dispatch calls it.
        let shown = own_lines(lines[3..].to_vec());
        assert_eq!(shown, [line("/contract/src/lib.rs", 45, "")]);
        assert_eq!(own_lines(lines[..2].to_vec()), lines[..2]);
        assert!(own_lines(Vec::new()).is_empty());
    }

    #[test]
    fn paths_lead_to_where_package_and_workspace_lie() {
        let path = |file: &str| {
            let line = line(file, 1, "");
            line.path_from(Path::new("contracts/a"), Path::new("up"))
        };
        assert_eq!(
            path("/contract/src/lib.rs"),
            Path::new("contracts/a/src/lib.rs")
        );
        assert_eq!(
            path("/workspace/b/src/lib.rs"),
            Path::new("up/b/src/lib.rs")
        );
        assert_eq!(path("/contracts/lib.rs"), Path::new("/contracts/lib.rs"));
    }

    #[test]
    fn files_without_a_line_table_have_no_lines() {
        let wasm = b"\0asm\x01\0\0\0";
        let file = DebugFile::new(wasm, wasm).unwrap();
        assert!(file.lines_at(0).is_empty() && file.functions_by_size().is_empty());
        assert!(DebugFile::new(b"\0asm\x01\0\0\0\x0a\x05\x01", wasm).is_err());
    }
}
