//! `kumiki localnet logs`: print what nodes log, and go on as more comes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use serde_json::json;

use crate::arguments::localnet::LocalnetLogsArguments;
use crate::failure::Outcome;
use crate::localnet::Localnet;
use crate::localnet::process::Process;
use crate::output::Output;

/// Time between two looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// A log that is read on from where it was left.
struct Tail {
    node: usize,
    process: Process,
    read: u64,
    /// The begun line at its end.
    rest: String,
}

pub(super) async fn run(arguments: &LocalnetLogsArguments, output: Output) -> Outcome<()> {
    let network = Localnet::find(&arguments.localnet)?;
    let nodes: Vec<usize> = match arguments.node {
        Some(node) => {
            network.check_node(node)?;
            vec![node]
        }
        None => network.nodes().collect(),
    };
    let named = nodes.len() > 1;
    let mut tails = Vec::new();
    for node in nodes {
        let process = network.process(node);
        // Its length before its lines: a line may be shown twice, and none is lost.
        let length = std::fs::metadata(process.log_file()).map_or(0, |file| file.len());
        for line in process.last_lines(arguments.lines) {
            show(node, named, &line, output);
        }
        tails.push(Tail {
            node,
            process,
            read: length,
            rest: String::new(),
        });
    }
    if !arguments.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(LOOK).await;
        for tail in &mut tails {
            for line in tail.more() {
                show(tail.node, named, &line, output);
            }
        }
    }
}

impl Tail {
    /// The whole lines that came since.
    fn more(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(self.process.log_file()).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut bytes)
        });
        // A log that cannot be read now may be there again later.
        self.read += read.map_or(0, |length| length as u64);
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let Some(end) = self.rest.rfind('\n') else {
            return Vec::new();
        };
        let rest = self.rest.split_off(end + 1);
        let lines = self.rest.lines().map(str::to_owned).collect();
        self.rest = rest;
        lines
    }
}

fn show(node: usize, named: bool, line: &str, output: Output) {
    let text = if named {
        format!("{node} | {line}")
    } else {
        line.to_owned()
    };
    output.data(&json!({ "node": node, "line": line }), &text);
}
