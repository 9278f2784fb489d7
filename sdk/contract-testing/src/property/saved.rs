//! Keep sequences that once broke a property in a file of the project, and read them again.
//!
//! The file names accounts and contracts instead of holding their addresses, which depend on the code.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::attempt::{Attempt, Step};
use super::source_text::{CALLER_NAMES, Names};
use super::value::Codec;

const HEADER: &str = "\
# Sequences that once broke this property, found by random calls. Every later run begins with them: keep this file under
# version control. Lines with > are read, the others explain; an empty line ends a sequence.
";

/// What stands for the known address of this number.
fn placeholder(number: usize) -> [u8; 32] {
    let mut word = [0; 32];
    let text = format!("known address {number}");
    word.iter_mut()
        .zip(text.bytes())
        .for_each(|(to, from)| *to = from);
    word
}

fn placeholders(attempt: &Attempt) -> Vec<[u8; 32]> {
    (0..attempt.known.len()).map(placeholder).collect()
}

/// The sequences in the file, each with the line it begins at; none where there is no file.
pub(crate) fn read(path: &Path, attempt: &Attempt) -> Result<Vec<(usize, Vec<Step>)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let known = placeholders(attempt);
    let mut sequences: Vec<(usize, Vec<Step>)> = Vec::new();
    let mut is_new = true;
    for (line, number) in text.lines().zip(1..) {
        let Some(written) = line.strip_prefix("> ") else {
            is_new |= line.trim().is_empty();
            continue;
        };
        let step = parse(written, attempt, &known).ok_or_else(|| {
            format!(
                "{}:{number}: '{written}' does not fit the contract any more, or never did; delete its sequence",
                path.display()
            )
        })?;
        match sequences.last_mut().filter(|_| !is_new) {
            Some((_, steps)) => steps.push(step),
            None => sequences.push((number, vec![step])),
        }
        is_new = false;
    }
    Ok(sequences)
}

fn parse(line: &str, attempt: &Attempt, known: &[[u8; 32]]) -> Option<Step> {
    let words: Vec<&str> = line.split(' ').collect();
    let (caller, sent, input, value) = match *words {
        ["wait", ms] => {
            return Some(Step::Wait {
                ms: ms.parse().ok()?,
            });
        }
        [caller, sent, input, value] => (caller, sent, input, value),
        _ => return None,
    };
    let (variable, name) = sent.split_once('.')?;
    let mut targets = attempt.property.targets.iter();
    let target = targets.position(|one| one.variable == variable)?;
    let contract = attempt.property.targets.get(target)?;
    let message = contract.messages.iter().position(|one| one.name == name)?;
    let codec = Codec {
        types: &contract.types,
        known,
    };
    let input = hex::decode(input.strip_prefix("0x")?).ok()?;
    let parts = &contract.messages.get(message)?.arguments;
    Some(Step::Call {
        caller: CALLER_NAMES.iter().position(|one| *one == caller)?,
        target,
        message,
        arguments: codec.decode_parts(&input, parts)?,
        value: value.parse().ok()?,
    })
}

/// Adds a sequence to the file, with the lines of `why` before it.
pub(crate) fn add(path: &Path, attempt: &Attempt, steps: &[Step], why: &str) -> Result<(), String> {
    let known = placeholders(attempt);
    let names = Names::of(&attempt.property.targets);
    let mut text = String::new();
    if !path.exists() {
        text.push_str(HEADER);
    }
    text.push('\n');
    for line in why.lines() {
        text.push_str(&format!("# {line}\n"));
    }
    for step in steps {
        text.push_str(&format!("# {}\n", names.step(step)));
        text.push_str(&written(step, attempt, &known));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed)
}

fn written(step: &Step, attempt: &Attempt, known: &[[u8; 32]]) -> String {
    let (caller, target, message, arguments, value) = match step {
        Step::Wait { ms } => return format!("> wait {ms}\n"),
        Step::Call {
            caller,
            target,
            message,
            arguments,
            value,
        } => (caller, target, message, arguments, value),
    };
    let targets = &attempt.property.targets;
    let Some((contract, message)) = super::attempt::message_of(targets, *target, *message) else {
        return String::new();
    };
    let mut input = Vec::new();
    let codec = Codec {
        types: &contract.types,
        known,
    };
    codec.encode_parts(arguments, &message.arguments, &mut input);
    format!(
        "> {} {}.{} 0x{} {value}\n",
        CALLER_NAMES.get(*caller).copied().unwrap_or_default(),
        contract.variable,
        message.name,
        hex::encode(input)
    )
}
