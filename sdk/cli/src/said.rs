//! Tell what contracts and their engine said of a failure, with lines of the source where it is at hand.

use std::collections::BTreeMap;

use kumiki_protocol::{Address, Hash};
use kumiki_rpc_api::{DiagnosticKind, DiagnosticView};
use serde_json::{Value, json};

use crate::debug_files::{self, Found, ShownLine};
use crate::deployments::Deployments;
use crate::project::Project;

/// Lines shown of one message; a recursion has many alike.
const LINES_MAX: usize = 12;

/// What was said, for people and for programs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) lines: Vec<String>,
    pub(crate) json: Vec<Value>,
}

/// What helps to tell contracts of a chain by name and by source.
pub(crate) struct Sources<'a> {
    project: Option<&'a Project>,
    names: BTreeMap<Address, String>,
    /// By code hash; `None` where there is no debug file.
    found: BTreeMap<Hash, Option<Found>>,
}

impl<'a> Sources<'a> {
    /// What `project` knows of the contracts on the chain with this genesis.
    pub(crate) fn new(project: Option<&'a Project>, chain: &Hash) -> Self {
        let deployments = project.and_then(|project| Deployments::load(project).ok());
        let names = deployments.map_or_else(BTreeMap::new, |deployments| {
            let names = deployments.names(chain).into_iter();
            names
                .filter_map(|name| {
                    let deployment = deployments.find(chain, name)?;
                    Some((deployment.address, name.to_owned()))
                })
                .collect()
        });
        Self {
            project,
            names,
            found: BTreeMap::new(),
        }
    }

    /// The contract's name, or its address.
    pub(crate) fn name(&self, contract: &Address) -> String {
        let name = self.names.get(contract);
        name.cloned().unwrap_or_else(|| contract.to_string())
    }

    /// The author's lines that led to the instructions at `offsets` of the code with this hash, innermost first; `None`
    /// where there is no debug file of that code.
    fn lines(&mut self, code_hash: &Hash, offsets: &[u32]) -> Option<Vec<ShownLine>> {
        let project = self.project?;
        let found = self
            .found
            .entry(*code_hash)
            .or_insert_with(|| debug_files::find(project, code_hash));
        found.as_ref().map(|found| found.lines(offsets))
    }

    /// What `diagnostics` say, in the order it happened: what a called contract said comes before its caller.
    pub(crate) fn explain(&mut self, diagnostics: &[DiagnosticView]) -> Said {
        let mut said = Said::default();
        let mut unknown: Vec<Hash> = Vec::new();
        let mut before: Option<(&DiagnosticView, Vec<ShownLine>)> = None;
        for one in diagnostics {
            let lines = self.lines(&one.code_hash, &one.wasm_offsets);
            if lines.is_none() && !unknown.contains(&one.code_hash) {
                unknown.push(one.code_hash);
            }
            let lines = lines.unwrap_or_default();
            said.json.push(self.json(one, &lines));
            if let Some((failed_call, same)) = &before
                && is_because_of(one, failed_call)
                && *same == lines
            {
                continue;
            }
            said.lines.push(self.headline(one));
            let shown = lines.iter().take(LINES_MAX);
            said.lines
                .extend(shown.map(|line| format!("  at {}", line.text())));
            if lines.len() > LINES_MAX {
                let more = lines.len() - LINES_MAX;
                said.lines.push(format!("  and {more} more lines"));
            }
            before = Some((one, lines));
        }
        said.lines.extend(hint(diagnostics, &unknown));
        said
    }

    fn headline(&self, one: &DiagnosticView) -> String {
        let contract = self.name(&one.contract);
        let message = &one.message;
        match (one.kind, message.as_str(), &one.callee) {
            (DiagnosticKind::Panic, ..) => format!("{contract} panicked: {message}"),
            (DiagnosticKind::Trap, ..) => format!("{contract} trapped: {message}"),
            (DiagnosticKind::Ended, "reverted", _) => format!("{contract} returned an error"),
            (DiagnosticKind::Ended, "outOfGas", _) => format!("{contract} ran out of gas"),
            (DiagnosticKind::Ended, ..) => format!("{contract} ended with {message}"),
            (DiagnosticKind::CallFailed, _, Some(callee)) => {
                format!("{contract} called {}: {message}", self.name(callee))
            }
            (DiagnosticKind::CallFailed, _, None) => format!("{contract} made a call: {message}"),
        }
    }

    fn json(&self, one: &DiagnosticView, lines: &[ShownLine]) -> Value {
        let lines: Vec<Value> = lines
            .iter()
            .map(|line| json!({ "file": line.file, "line": line.line, "function": line.function }))
            .collect();
        json!({
            "kind": one.kind,
            "contract": one.contract,
            "name": self.names.get(&one.contract),
            "codeHash": one.code_hash,
            "callee": one.callee,
            "callDepth": one.call_depth,
            "message": one.message,
            "lines": lines,
        })
    }
}

impl ShownLine {
    pub(crate) fn text(&self) -> String {
        format!("{}:{}  {}", self.file, self.line, self.function)
            .trim_end()
            .to_owned()
    }
}

/// Whether a contract reverted where, and so because, a call that it made had failed.
fn is_because_of(one: &DiagnosticView, failed_call: &DiagnosticView) -> bool {
    failed_call.kind == DiagnosticKind::CallFailed
        && one.kind == DiagnosticKind::Ended
        && one.message == "reverted"
        && one.contract == failed_call.contract
        && one.call_depth == failed_call.call_depth
}

/// Why lines are missing, and what to do about it.
fn hint(diagnostics: &[DiagnosticView], unknown: &[Hash]) -> Option<String> {
    if diagnostics.iter().all(|one| one.wasm_offsets.is_empty()) {
        return None;
    }
    let first = unknown.first()?;
    Some(format!(
        "no lines for code {first}: run 'kumiki build' in the project whose source it was deployed from"
    ))
}
