//! Print data to stdout and messages to stderr.

use std::io::Write as _;

use serde_json::Value;

use crate::failure::{Failure, printable, printable_json};

/// How a command talks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// The result of a command: one line of JSON, or text for people.
    pub(crate) fn data(self, json: &Value, text: &str) {
        let line = if self.json {
            printable_json(&json.to_string())
        } else {
            printable(text)
        };
        print_line(&line);
    }

    /// A message about what is going on; not part of the result.
    pub(crate) fn message(self, text: &str) {
        if !self.quiet {
            // Nothing is left to do where even stderr is closed.
            let _closed = writeln!(std::io::stderr(), "{}", printable(text));
        }
    }

    /// A failure: as JSON on stdout, so that programs always read one document; else on stderr.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            print_line(&printable_json(&failure.json().to_string()));
        } else {
            let _closed = writeln!(std::io::stderr(), "{failure}");
        }
    }
}

/// Writes one line to stdout at once. A reader that went away (`| head`) ends the process quietly.
fn print_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}
