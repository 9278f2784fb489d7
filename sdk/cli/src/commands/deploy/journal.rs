//! Keep what a deployment is about to do and has done, a line each, on disk before it goes on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use kumiki_protocol::{Hash, Height, TransactionHash};
use kumiki_rpc_api::Bytes;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure, Outcome};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Entry {
    /// The first: the plan that is carried out, by the hash of its file.
    Plan(Hash),
    /// A step's transaction, which is sent next. Sent again it is the same one.
    Signed {
        step: usize,
        hash: TransactionHash,
        transaction: Bytes,
    },
    /// That transaction can never be executed, so another may be signed.
    Void { step: usize, hash: TransactionHash },
    /// The step's contract stands.
    Done {
        step: usize,
        height: Option<Height>,
        hash: Option<TransactionHash>,
    },
}

/// The file, open and locked.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) entries: Vec<Entry>,
}

impl Journal {
    /// Opens the journal beside the plan at `plan`, or a new one. A last line that is cut off was not on disk when the
    /// process ended, so nothing had followed it: it goes.
    pub(super) fn open(plan: &Path) -> Outcome<Self> {
        let mut path = plan.as_os_str().to_owned();
        path.push(".journal");
        let path = PathBuf::from(path);
        let failed = |error: std::io::Error| Failure::io(&path, &error);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    Exit::Refused,
                    "planInUse",
                    "another process carries this plan out",
                )
                .at(path.display().to_string())
                .next(format!(
                    "kumiki deploy --resume {}",
                    crate::next_step::shell_word(plan)
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        let lines = bytes.get(..whole).unwrap_or_default();
        let entries = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<Result<Vec<Entry>, _>>()
            .map_err(|error| {
                Failure::new(Exit::System, "journalMalformed", error.to_string())
                    .at(path.display().to_string())
                    .expected("the journal that 'kumiki deploy --apply' wrote")
                    .next("kumiki deploy --help")
            })?;
        let end = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        sync_folder(&path).map_err(failed)?;
        Ok(Self {
            path,
            file,
            entries,
        })
    }

    /// Adds a line; on return it is on disk.
    pub(super) fn add(&mut self, entry: Entry) -> Outcome<()> {
        let mut line = serde_json::to_vec(&entry)
            .map_err(|error| Failure::new(Exit::System, "journal", error.to_string()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_all())
            .map_err(|error| Failure::io(&self.path, &error))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Whether the step's contract stands.
    pub(super) fn is_done(&self, wanted: usize) -> bool {
        let done = |one: &Entry| matches!(one, Entry::Done { step, .. } if *step == wanted);
        self.entries.iter().any(done)
    }

    /// The step's last transaction, if it may still be executed.
    pub(super) fn signed(&self, wanted: usize) -> Option<(TransactionHash, Bytes)> {
        let mut found = None;
        for entry in &self.entries {
            match entry {
                Entry::Signed {
                    step,
                    hash,
                    transaction,
                } if *step == wanted => found = Some((*hash, transaction.clone())),
                Entry::Void { step, .. } if *step == wanted => found = None,
                _ => {}
            }
        }
        found
    }
}

/// Makes a new file's name durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let hash = Hash([7; 32]);
        vec![
            Entry::Plan(hash),
            Entry::Signed {
                step: 0,
                hash,
                transaction: Bytes(vec![1, 2]),
            },
            Entry::Void { step: 0, hash },
            Entry::Signed {
                step: 0,
                hash: Hash([8; 32]),
                transaction: Bytes(vec![3]),
            },
            Entry::Done {
                step: 0,
                height: Some(5),
                hash: Some(Hash([8; 32])),
            },
        ]
    }

    #[test]
    fn a_journal_cut_at_any_byte_holds_the_whole_lines_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("plan.json");
        let mut journal = Journal::open(&plan).unwrap();
        let mut ends = vec![0];
        for entry in entries() {
            journal.add(entry).unwrap();
            ends.push(std::fs::metadata(&journal.path).unwrap().len());
        }
        let path = journal.path.clone();
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        for end in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let mut journal = Journal::open(&plan).unwrap();
            let whole = ends.iter().filter(|one| **one <= end as u64).count() - 1;
            assert_eq!(journal.entries, entries()[..whole], "{end}");
            assert_eq!(journal.is_done(0), whole == 5);
            let signed = journal.signed(0).map(|(_, bytes)| bytes.0);
            let expected = [
                None,
                None,
                Some(vec![1, 2]),
                None,
                Some(vec![3]),
                Some(vec![3]),
            ];
            assert_eq!(signed, expected[whole]);
            journal.add(Entry::Plan(Hash([9; 32]))).unwrap();
            drop(journal);
            let again = Journal::open(&plan).unwrap();
            assert_eq!(again.entries.len(), whole + 1);
            assert_eq!(again.entries[whole], Entry::Plan(Hash([9; 32])));
        }
    }

    #[test]
    fn only_one_process_has_a_journal_open() {
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("plan.json");
        let first = Journal::open(&plan).unwrap();
        let second = Journal::open(&plan).err().unwrap();
        assert_eq!(second.name(), "planInUse");
        drop(first);
        assert!(Journal::open(&plan).is_ok());
    }
}
