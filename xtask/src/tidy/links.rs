//! Check that links between documents lead to files and headings that exist.

/// Every link of the document `text` at `path` that leads nowhere, one line each.
pub(super) fn check(
    path: &str,
    text: &str,
    exists: &dyn Fn(&str) -> bool,
    read: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = match target.split_once('#') {
                Some((file, heading)) => (file, Some(heading)),
                None => (target, None),
            };
            let file = if file.is_empty() {
                path.to_owned()
            } else {
                resolve(path, file)
            };
            if !exists(&file) {
                broken.push(format!(
                    "{path}:{number}: links to {target}, which is not there"
                ));
            } else if let Some(heading) = heading
                && let Some(document) = read(&file)
                && !has_heading(&document, heading)
            {
                broken.push(format!("{path}:{number}: {file} has no heading #{heading}"));
            }
        }
    }
    broken
}

/// What the `](target)` links of a line point at.
fn targets(line: &str) -> Vec<&str> {
    line.match_indices("](")
        .filter_map(|(at, _)| {
            let rest = &line[at + 2..];
            rest.find(')').map(|end| &rest[..end])
        })
        .collect()
}

/// `link` as seen from the document at `path`, relative to the root.
fn resolve(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn has_heading(document: &str, wanted: &str) -> bool {
    document
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| slug(line.trim_start_matches('#').trim()) == wanted)
}

/// A heading's anchor as forges make it.
fn slug(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
