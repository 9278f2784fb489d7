//! Notice when a source file of the project is saved.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;

use crate::failure::{Exit, Failure, Outcome};
use crate::project::Project;

/// Editors write a file in several steps; what happens within this time is one save.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// Saves, one at a time; those during a build count as one.
pub(crate) struct Saves {
    saved: mpsc::Receiver<()>,
    // Watches as long as it lives.
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
}

impl Saves {
    /// Watches the sources and the manifests of the project's contracts.
    pub(crate) fn of(project: &Project) -> Outcome<Self> {
        let (sender, saved) = mpsc::channel(1);
        let root = project.folder.clone();
        let handler = move |result: DebounceEventResult| {
            let changed = result.is_ok_and(|events| {
                events.iter().any(|event| {
                    !matches!(event.kind, EventKind::Access(_))
                        && event.paths.iter().any(|path| is_source(&root, path))
                })
            });
            if changed {
                // A save that is waiting already stands for this one.
                let _waiting = sender.try_send(());
            }
        };
        let mut debouncer =
            new_debouncer(DEBOUNCE, None, handler).map_err(|error| failed(&error))?;
        for (folder, mode) in watched(project) {
            debouncer
                .watch(&folder, mode)
                .map_err(|error| failed(&error))?;
        }
        Ok(Self {
            saved,
            _debouncer: debouncer,
        })
    }

    /// Returns at the next save.
    pub(crate) async fn next(&mut self) {
        if self.saved.recv().await.is_none() {
            // The watcher is gone; there will be no more saves.
            std::future::pending::<()>().await;
        }
    }
}

/// Each crate's `src`, and its folder alone for `Cargo.toml`. Never a `target` folder: each build writes thousands of
/// files there.
fn watched(project: &Project) -> Vec<(PathBuf, RecursiveMode)> {
    project
        .contracts
        .iter()
        .flat_map(|contract| {
            [
                (contract.folder.join("src"), RecursiveMode::Recursive),
                (contract.folder.clone(), RecursiveMode::NonRecursive),
            ]
        })
        .filter(|(folder, _)| folder.is_dir())
        .collect()
}

/// Whether `path` is a file that a build reads, and no editor's backup or lock.
fn is_source(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let hidden = inside.components().any(|part| match part {
        Component::Normal(name) => name.to_string_lossy().starts_with('.'),
        _ => false,
    });
    let known = path
        .extension()
        .is_some_and(|extension| extension == "rs" || extension == "toml");
    known && !hidden
}

fn failed(error: &notify_debouncer_full::notify::Error) -> Failure {
    Failure::new(
        Exit::System,
        "watch",
        format!("files cannot be watched: {error}"),
    )
    .next("kumiki dev --no-watch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_count_as_saved() {
        let root = Path::new("/home/me/.projects/app");
        for (path, expected) in [
            ("src/lib.rs", true),
            ("src/deep/er.rs", true),
            ("Cargo.toml", true),
            ("src/.lib.rs.swp", false),
            ("src/.#lib.rs", false),
            ("src/lib.rs~", false),
            (".kumiki/build/x.toml", false),
        ] {
            assert_eq!(is_source(root, &root.join(path)), expected, "{path}");
        }
    }
}
