//! Check that the crate table of ARCHITECTURE.md says what the manifests say.

use std::collections::BTreeMap;

use crate::workspace::Package;

/// Contracts and examples are described by their own READMEs; this crate's commands by its `--help`.
const LISTED: [&str; 4] = ["runtime/", "node/", "sdk/", "tests/"];

/// Every difference between the table in `text` and `packages`, one line each.
///
/// A row is `| `folder` | description | …`; only the first two cells are read.
pub(crate) fn check(text: &str, packages: &[Package]) -> Vec<String> {
    let mut rows: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines() {
        let mut cells = line.split('|').map(str::trim);
        if let (Some(""), Some(folder), Some(description)) =
            (cells.next(), cells.next(), cells.next())
            && let Some(folder) = folder
                .strip_prefix('`')
                .and_then(|rest| rest.strip_suffix('`'))
            && LISTED.iter().any(|prefix| folder.starts_with(prefix))
        {
            rows.insert(folder, description);
        }
    }
    let mut broken = Vec::new();
    for package in packages {
        if !LISTED
            .iter()
            .any(|prefix| package.folder.starts_with(prefix))
        {
            continue;
        }
        let folder = package.folder.as_str();
        match rows.remove(folder) {
            Some(found) if found == package.description => {}
            Some(found) => broken.push(format!(
                "ARCHITECTURE.md: {folder} is described as '{found}', its Cargo.toml says '{}'",
                package.description
            )),
            None => broken.push(format!(
                "ARCHITECTURE.md: the crate table has no row | `{folder}` | {} |",
                package.description
            )),
        }
    }
    broken.extend(
        rows.keys()
            .map(|folder| format!("ARCHITECTURE.md: there is no crate {folder}")),
    );
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> Vec<Package> {
        [
            ("node/storage", "Keeps blocks."),
            ("contracts/token", "A token."),
        ]
        .map(|(folder, description)| Package {
            name: String::new(),
            folder: folder.to_owned(),
            description: description.to_owned(),
            dependencies: Vec::new(),
        })
        .to_vec()
    }

    #[test]
    fn a_true_table_passes() {
        let table = "| crate | owns |\n|---|---|\n| `node/storage` | Keeps blocks. | redb |\n";
        assert_eq!(check(table, &packages()), Vec::<String>::new());
    }

    #[test]
    fn missing_stale_and_untrue_rows_are_named() {
        assert!(check("", &packages())[0].contains("no row"));
        let untrue = "| `node/storage` | Keeps everything. |";
        assert!(check(untrue, &packages())[0].contains("Keeps everything"));
        let stale = "| `node/storage` | Keeps blocks. |\n| `node/gone` | Went. |";
        assert_eq!(
            check(stale, &packages()),
            ["ARCHITECTURE.md: there is no crate node/gone"]
        );
    }
}
