//! Read and rewrite the sections of a Wasm file.

use kumiki_abi::metadata::{Fragment, Metadata};
use kumiki_abi::{METADATA_FRAGMENTS_SECTION, METADATA_SECTION};

const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;

/// Why a file's sections were not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WasmFileError {
    #[error("it does not begin as a Wasm 1.0 module")]
    Header,
    #[error("section {index} is cut off or malformed")]
    Section { index: usize },
    #[error("the metadata of the contract macros is malformed: {reason}")]
    Fragment { reason: String },
    #[error("no #[kumiki_contract::contract] module is in it")]
    NoContract,
    #[error("{count} #[kumiki_contract::contract] modules are in it, expected one")]
    ManyContracts { count: usize },
    #[error(
        "two different types or events are called {name}: an ABI knows them by name, so rename one"
    )]
    SameName { name: String },
}

/// One section: its id, a custom section's name, and its payload (a custom section's without the name).
struct Section<'a> {
    id: u8,
    name: Option<&'a str>,
    /// The payload as in the file.
    payload: &'a [u8],
    content: &'a [u8],
}

/// The metadata that the fragments in `wasm` fold to.
pub(crate) fn fold_metadata(wasm: &[u8], compiler: &str) -> Result<Metadata, WasmFileError> {
    let mut contracts = Vec::new();
    let mut events = Vec::new();
    let mut types = Vec::new();
    for section in sections(wasm)? {
        if section.name != Some(METADATA_FRAGMENTS_SECTION) {
            continue;
        }
        let lines = section.content.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            let fragment =
                serde_json::from_slice(line).map_err(|error| WasmFileError::Fragment {
                    reason: error.to_string(),
                })?;
            match fragment {
                Fragment::Contract(contract) => contracts.push(contract),
                Fragment::Event(event) => events.push(event),
                Fragment::Type(definition) => types.push(definition),
            }
        }
    }
    // The linker decides the order of fragments; the ABI must not depend on it.
    events.sort_by(|left, right| left.name.cmp(&right.name));
    events.dedup();
    types.sort_by(|left, right| left.name.cmp(&right.name));
    types.dedup();
    let type_names = types.iter().map(|one| one.name.as_str());
    let event_names = events.iter().map(|one| one.name.as_str());
    if let Some(name) = repeated(type_names).or_else(|| repeated(event_names)) {
        return Err(WasmFileError::SameName { name });
    }
    let count = contracts.len();
    let mut metadata = match contracts.pop() {
        None => return Err(WasmFileError::NoContract),
        Some(contract) if count == 1 => *contract,
        Some(_) => return Err(WasmFileError::ManyContracts { count }),
    };
    metadata.events = events;
    metadata.types = types;
    compiler.clone_into(&mut metadata.compiler);
    Ok(metadata)
}

/// A name that two different things in a row have. They are known by their names alone, so one would be taken for
/// the other.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut before = None;
    for name in names {
        if before.replace(name) == Some(name) {
            return Some(name.to_owned());
        }
    }
    None
}

/// The metadata that [`finish`] wrote.
pub(crate) fn read_metadata(wasm: &[u8]) -> Result<Metadata, WasmFileError> {
    let found = sections(wasm)?;
    let section = found
        .iter()
        .find(|one| one.name == Some(METADATA_SECTION))
        .ok_or(WasmFileError::NoContract)?;
    serde_json::from_slice(section.content).map_err(|error| WasmFileError::Fragment {
        reason: error.to_string(),
    })
}

/// `wasm` without custom sections, and with `metadata` in one.
pub(crate) fn finish(wasm: &[u8], metadata: &[u8]) -> Result<Vec<u8>, WasmFileError> {
    let mut output = HEADER.to_vec();
    for section in sections(wasm)? {
        if section.id != CUSTOM {
            write_section(section.id, section.payload, &mut output);
        }
    }
    let mut payload = Vec::new();
    write_length(METADATA_SECTION.len(), &mut payload);
    payload.extend_from_slice(METADATA_SECTION.as_bytes());
    payload.extend_from_slice(metadata);
    write_section(CUSTOM, &payload, &mut output);
    Ok(output)
}

fn sections(wasm: &[u8]) -> Result<Vec<Section<'_>>, WasmFileError> {
    let mut rest = wasm.strip_prefix(HEADER).ok_or(WasmFileError::Header)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let section =
            next_section(&mut rest).ok_or(WasmFileError::Section { index: found.len() })?;
        found.push(section);
    }
    Ok(found)
}

fn next_section<'a>(rest: &mut &'a [u8]) -> Option<Section<'a>> {
    let (id, after) = rest.split_first()?;
    let mut after = after;
    let length = read_length(&mut after)?;
    let (payload, after) = after.split_at_checked(length)?;
    *rest = after;
    let mut content = payload;
    let mut name = None;
    if *id == CUSTOM {
        let length = read_length(&mut content)?;
        let (bytes, after) = content.split_at_checked(length)?;
        name = Some(std::str::from_utf8(bytes).ok()?);
        content = after;
    }
    Some(Section {
        id: *id,
        name,
        payload,
        content,
    })
}

/// An unsigned LEB128 number of at most 32 bits.
fn read_length(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(u32::try_from(value).ok()?).ok();
        }
    }
    None
}

fn write_length(length: usize, output: &mut Vec<u8>) {
    let mut rest = length;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            output.push(low);
            return;
        }
        output.push(low | 0x80);
    }
}

fn write_section(id: u8, payload: &[u8], output: &mut Vec<u8>) {
    output.push(id);
    write_length(payload.len(), output);
    output.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_fragments(lines: &str) -> Vec<u8> {
        let mut wasm = HEADER.to_vec();
        write_section(1, &[0], &mut wasm);
        let mut payload = Vec::new();
        write_length(METADATA_FRAGMENTS_SECTION.len(), &mut payload);
        payload.extend_from_slice(METADATA_FRAGMENTS_SECTION.as_bytes());
        payload.extend_from_slice(lines.as_bytes());
        write_section(CUSTOM, &payload, &mut wasm);
        wasm
    }

    const CONTRACT: &str = r#"{"contract":{"schema":"kumiki-abi/1","name":"C","version":"1","sdk":"1","init":null,"migrate":null,"entryPoints":[],"events":[],"error":null,"types":[],"storage":[]}}"#;
    const TYPES: &str = r#"{"type":{"name":"B","struct":[]}}
{"type":{"name":"A","struct":[]}}
{"type":{"name":"B","struct":[]}}
"#;

    #[test]
    fn fragments_fold_to_one_abi_whatever_their_order() {
        let forward = with_fragments(&format!("{CONTRACT}\n{TYPES}"));
        let backward = with_fragments(&format!("{TYPES}{CONTRACT}\n"));
        let metadata = fold_metadata(&forward, "rustc 1").unwrap();
        assert_eq!(metadata, fold_metadata(&backward, "rustc 1").unwrap());
        let names: Vec<&str> = metadata.types.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["A", "B"]);
        assert_eq!(metadata.compiler, "rustc 1");
    }

    #[test]
    fn finished_file_has_the_code_and_one_custom_section() {
        let wasm = with_fragments(CONTRACT);
        let finished = finish(&wasm, &[b'x'; 300]).unwrap();
        let found = sections(&finished).unwrap();
        let shape: Vec<(u8, Option<&str>)> = found.iter().map(|one| (one.id, one.name)).collect();
        assert_eq!(shape, [(1, None), (0, Some(METADATA_SECTION))]);
        assert_eq!(found[1].content, [b'x'; 300]);
    }

    #[test]
    fn files_that_are_no_contract_are_refused() {
        assert_eq!(fold_metadata(b"ELF", ""), Err(WasmFileError::Header));
        let other = r#"{"type":{"name":"B","struct":[{"name":"x","type":"u8"}]}}"#;
        let same = with_fragments(&format!("{CONTRACT}\n{TYPES}{other}\n"));
        let name = "B".to_owned();
        assert_eq!(
            fold_metadata(&same, ""),
            Err(WasmFileError::SameName { name })
        );
        let none = fold_metadata(&with_fragments(""), "");
        assert_eq!(none, Err(WasmFileError::NoContract));
        let two = fold_metadata(&with_fragments(&format!("{CONTRACT}\n{CONTRACT}")), "");
        assert_eq!(two, Err(WasmFileError::ManyContracts { count: 2 }));
        let whole = with_fragments(CONTRACT);
        for end in HEADER.len() + 1..whole.len() - 1 {
            // Cut inside a section: an error, never a panic.
            let cut = sections(&whole[..end]);
            assert!(cut.is_err() || end == HEADER.len() + 3, "{end}");
        }
    }
}
