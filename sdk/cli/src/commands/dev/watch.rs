//! Notice when a source file of the project is saved.

use std::collections::BTreeMap;
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
            if has_save(&root, &result) {
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

/// The project's folder and each crate's, for their `.toml` files, and `src` of each crate with all below. Never a
/// `target` folder: each build writes thousands of files there.
fn watched(project: &Project) -> BTreeMap<PathBuf, RecursiveMode> {
    let crates = project.contracts.iter().map(|one| one.folder.clone());
    let folders = crates.clone().chain([project.folder.clone()]);
    let sources = crates
        .map(|folder| folder.join("src"))
        .filter(|folder| folder.is_dir());
    folders
        .map(|folder| (folder, RecursiveMode::NonRecursive))
        .chain(sources.map(|folder| (folder, RecursiveMode::Recursive)))
        .collect()
}

/// Whether a source was saved, or may have been: a watcher that lost track counts as a save.
fn has_save(root: &Path, result: &DebounceEventResult) -> bool {
    match result {
        Ok(events) => events.iter().any(|event| {
            let changes = !matches!(event.kind, EventKind::Access(_))
                && event.paths.iter().any(|path| is_source(root, path));
            changes || event.need_rescan()
        }),
        Err(_lost) => true,
    }
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
    use std::time::Instant;

    use notify_debouncer_full::DebouncedEvent;
    use notify_debouncer_full::notify::Event;
    use notify_debouncer_full::notify::event::{AccessKind, Flag};

    use super::*;

    #[test]
    fn a_watcher_that_lost_track_counts_as_a_save() {
        let root = Path::new("/app");
        let event = |event: Event| {
            Ok(vec![DebouncedEvent {
                event,
                time: Instant::now(),
            }])
        };
        assert!(has_save(root, &Err(vec![])));
        assert!(has_save(
            root,
            &event(Event::new(EventKind::Other).set_flag(Flag::Rescan))
        ));
        let opened = Event::new(EventKind::Access(AccessKind::Any));
        assert!(!has_save(
            root,
            &event(opened.add_path(root.join("src/lib.rs")))
        ));
    }

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
