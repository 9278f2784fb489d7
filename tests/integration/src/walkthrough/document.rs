//! Read the commands and shown outputs of a document.

/// One fenced block of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Whether its command stays running.
    pub background: bool,
    /// Its commands in order.
    pub steps: Vec<Step>,
}

/// One command and what the document shows of its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What is typed.
    pub command: String,
    /// Shown lines, in order.
    pub shown: Vec<String>,
}

impl Step {
    /// The exit status that the document announces with `# exit N`; 0 where it says nothing.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        self.command
            .rsplit_once("# exit ")
            .and_then(|(_, number)| number.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The first shown line that `output` does not have after the lines shown before it.
    #[must_use]
    pub fn first_missing<'a>(&'a self, output: &str) -> Option<&'a str> {
        let mut lines = output.lines();
        self.shown
            .iter()
            .map(String::as_str)
            .find(|shown| !lines.any(|line| matches_line(shown, line)))
    }
}

/// The blocks marked `console` in Markdown text.
#[must_use]
pub fn parse(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut in_other_block = false;
    for line in document.lines() {
        let trimmed = line.trim_start();
        if let Some(info) = trimmed.strip_prefix("```") {
            if let Some(block) = open.take() {
                blocks.push(block);
            } else if in_other_block {
                in_other_block = false;
            } else if info.split_whitespace().next() == Some("console") {
                open = Some(Block {
                    background: info.contains("background"),
                    steps: Vec::new(),
                });
            } else {
                in_other_block = true;
            }
        } else if let Some(block) = &mut open {
            add_line(block, trimmed);
        }
    }
    blocks
}

fn add_line(block: &mut Block, line: &str) {
    if let Some(step) = block.steps.last_mut()
        && step.shown.is_empty()
        && let Some(begun) = step.command.strip_suffix('\\')
    {
        step.command = format!("{}{}", begun, line.trim_start());
    } else if let Some(command) = line.strip_prefix("$ ") {
        block.steps.push(Step {
            command: command.to_owned(),
            shown: Vec::new(),
        });
    } else if let Some(step) = block.steps.last_mut()
        && !line.trim().is_empty()
        && line.trim() != "…"
    {
        step.shown.push(line.trim_end().to_owned());
    }
}

/// Whether `line` is `shown`, where `…` stands for anything and space at the ends does not count.
#[must_use]
pub(super) fn matches_line(shown: &str, line: &str) -> bool {
    let mut parts = shown.trim().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.trim().strip_prefix(first) else {
        return false;
    };
    let mut last = first;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty()
        || (last.is_empty() && shown.contains('…'))
        || (shown.contains('…') && line.trim().ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
Text.
```console
$ kumiki view token balance_of \\
    owner=alice
1000
$ kumiki call nothing # exit 3
error: …
…
  try: kumiki chain info
```
```rust
$ not a command
```
```console background
$ kumiki dev
ready
```
";

    #[test]
    fn commands_and_shown_lines_are_read() {
        let blocks = parse(DOCUMENT);
        assert_eq!(blocks.len(), 2);
        let steps = &blocks[0].steps;
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].command, "kumiki view token balance_of owner=alice");
        assert_eq!(steps[0].shown, ["1000"]);
        assert_eq!(steps[0].exit_status(), 0);
        assert_eq!(steps[1].exit_status(), 3);
        assert_eq!(steps[1].shown, ["error: …", "try: kumiki chain info"]);
        assert!(blocks[1].background && !blocks[0].background);
        assert_eq!(blocks[1].steps[0].command, "kumiki dev");
    }

    #[test]
    fn dots_stand_for_anything_and_nothing_else_does() {
        for (shown, line) in [
            ("ready", "ready"),
            ("ready", "  ready  "),
            ("hash …", "hash 0x12"),
            ("… final", "0x12 final"),
            ("at … of …", "at 3 of 7"),
            ("a … a", "a b a a"),
            ("…", "anything"),
        ] {
            assert!(matches_line(shown, line), "{shown} | {line}");
        }
        for (shown, line) in [
            ("ready", "not ready"),
            ("ready", "ready soon"),
            ("hash …", "the hash 0x12"),
            ("… final", "0x12 final?"),
            ("at … of … now", "at 3 of 7"),
        ] {
            assert!(!matches_line(shown, line), "{shown} | {line}");
        }
    }

    #[test]
    fn shown_lines_must_come_in_order() {
        let step = Step {
            command: String::new(),
            shown: vec!["one".to_owned(), "three".to_owned()],
        };
        assert_eq!(step.first_missing("one\ntwo\nthree\n"), None);
        assert_eq!(step.first_missing("three\none\n"), Some("three"));
        assert_eq!(step.first_missing("two\n"), Some("one"));
    }
}
