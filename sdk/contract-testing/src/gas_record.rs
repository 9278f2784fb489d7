//! Leave the gas of a test's messages in a file, for `kumiki test --gas-snapshot` and `--gas-check`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::TestName;
use crate::gas_report::GasReport;
use crate::wasm_file::fail;

/// Names a folder in which each test leaves a file of its own.
const GAS_DIR: &str = "KUMIKI_GAS_DIR";

/// Writes a line for each message that ran a contract: `TEST Contract.message#N GAS`, where N counts the messages of
/// that name in the test, from 1. Other messages between two of the same name do not rename them.
pub(crate) fn leave(test: &TestName, report: &GasReport) {
    let Some(folder) = std::env::var_os(GAS_DIR) else {
        return;
    };
    let name = test.full();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut text = String::new();
    // A transfer runs no contract: its name has no dot.
    for (message, gas) in report.sent.iter().filter(|(name, _)| name.contains('.')) {
        let count = counts.entry(message).or_default();
        *count += 1;
        text.push_str(&format!("{name} {message}#{count} {gas}\n"));
    }
    let path = Path::new(&folder).join(format!("{}.gas", name.replace(['/', ':'], "-")));
    let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fail(&format!(
            "two tests are called {name}: their gas could not be told apart, so rename one"
        )),
        Err(error) => fail(&format!("{}: {error}", path.display())),
    }
}
