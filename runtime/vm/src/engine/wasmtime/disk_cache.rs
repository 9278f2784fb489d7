//! Keep compiled modules on disk, and load only what this node wrote.
//!
//! Loading turns bytes into machine code, so each file begins with a keyed digest over its name and content. The
//! key lies in the same folder, which only this user can read. A file that does not match is removed and the
//! contract compiled again; failing to write one only costs time. The folder's bytes are bounded: the modules written
//! first go first, and whoever needs one of them compiles it again.

use std::fs;
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kumiki_protocol::{Hash, sha2_256, sha3_256};
use wasmtime::{Engine, Module};

use crate::VmFailure;
use crate::instrument::PREPARED_BY;

const KEY_FILE: &str = "key";
const DOMAIN: &[u8] = b"kumiki/compiled/v3";
const DIGEST_BYTES: usize = 32;
/// The gas of an instance, little-endian, in front of the machine code.
const GAS_BYTES: usize = 8;
/// Machine code is a few times the size of Wasm; more is not ours.
const FILE_BYTES_MAX: u64 = 256 << 20;

pub(super) struct DiskCache {
    folder: PathBuf,
    bytes_max: u64,
    /// Bytes in the folder, as far as this process knows; counted anew when they are too many.
    bytes: Mutex<u64>,
    key: [u8; 32],
    engine: Engine,
    /// Hash of all settings, versions and prices that machine code depends on.
    compatibility: Hash,
}

/// Collects what a type hashes, to hash it the same way in every process.
#[derive(Default)]
struct Collector(Vec<u8>);

impl Hasher for Collector {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl DiskCache {
    pub(super) fn open(folder: &Path, bytes_max: u64, engine: &Engine) -> Result<Self, VmFailure> {
        let failure = |error: io::Error| VmFailure::Cache {
            path: folder.display().to_string(),
            reason: error.to_string(),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failure)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failure)?;
        let key = load_or_make_key(&folder.join(KEY_FILE)).map_err(failure)?;
        let mut collector = Collector::default();
        engine.precompile_compatibility_hash().hash(&mut collector);
        Ok(Self {
            folder: folder.to_owned(),
            bytes_max,
            bytes: Mutex::new(make_room(folder, bytes_max)),
            key,
            engine: engine.clone(),
            compatibility: sha3_256(&[&[collector.0.as_slice()], PREPARED_BY.as_slice()].concat()),
        })
    }

    /// The module of `code_hash` and the gas of its instances, if it is there and as this node wrote it.
    pub(super) fn load(&self, code_hash: &Hash) -> Option<(Module, u64)> {
        let path = self.path(code_hash);
        if fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX {
            self.discard(&path);
            return None;
        }
        let file = fs::read(&path).ok()?;
        let module = file
            .split_at_checked(DIGEST_BYTES)
            .filter(|(digest, content)| *digest == self.digest(code_hash, content).as_slice())
            .and_then(|(_, content)| {
                let (gas, compiled) = content.split_first_chunk::<GAS_BYTES>()?;
                Some((self.deserialize(compiled)?, u64::from_le_bytes(*gas)))
            });
        if module.is_none() {
            self.discard(&path);
        }
        module
    }

    #[expect(unsafe_code, reason = "wasmtime has no safe way to load compiled code")]
    fn deserialize(&self, compiled: &[u8]) -> Option<Module> {
        // SAFETY: the bytes carry a digest under this node's key, so `store` below wrote them, from
        // `Module::serialize` of an engine with the same settings and version.
        unsafe { Module::deserialize(&self.engine, compiled) }.ok()
    }

    /// Writes beside, then renames, so that no half-written file bears the name. Errors only cost time.
    pub(super) fn store(&self, code_hash: &Hash, module: &Module, instance_gas: u64) {
        let Ok(compiled) = module.serialize() else {
            return;
        };
        let content = [instance_gas.to_le_bytes().as_slice(), &compiled].concat();
        let path = self.path(code_hash);
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        let digest = self.digest(code_hash, &content);
        let written = private_file(&partial).and_then(|mut file| {
            file.write_all(&digest)?;
            file.write_all(&content)
        });
        if written.and_then(|()| fs::rename(&partial, &path)).is_err() {
            self.discard(&partial);
            return;
        }
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let file_bytes = DIGEST_BYTES.saturating_add(content.len());
        *bytes = bytes.saturating_add(u64::try_from(file_bytes).unwrap_or(u64::MAX));
        if *bytes > self.bytes_max {
            *bytes = make_room(&self.folder, self.bytes_max);
        }
    }

    fn discard(&self, path: &Path) {
        drop(fs::remove_file(path));
    }

    /// HMAC (RFC 2104) over fixed-length parts and the content. With SHA-256, which processors have instructions
    /// for: a megabyte of machine code is read back in a millisecond, and not in ten as with SHA3.
    fn digest(&self, code_hash: &Hash, content: &[u8]) -> [u8; DIGEST_BYTES] {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            for (place, key) in block.iter_mut().zip(self.key) {
                *place ^= key;
            }
            block
        };
        let inner = sha2_256(&[
            &pad(0x36),
            DOMAIN,
            &code_hash.0,
            &self.compatibility.0,
            content,
        ]);
        sha2_256(&[&pad(0x5c), &inner.0]).0
    }

    fn path(&self, code_hash: &Hash) -> PathBuf {
        let name = sha3_256(&[&code_hash.0, &self.compatibility.0]);
        self.folder.join(format!("{name}.cwasm"))
    }
}

/// Removes what was written first until the folder's modules have at most `bytes_max` bytes, and returns how many
/// they have. What an earlier process left half-written counts too.
fn make_room(folder: &Path, bytes_max: u64) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let mut files: Vec<((i64, i64), PathBuf, u64)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() != KEY_FILE)
        .filter_map(|entry| {
            let known = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let written = (known.mtime(), known.mtime_nsec());
            Some((written, entry.path(), known.len()))
        })
        .collect();
    files.sort();
    let mut bytes = files.iter().map(|(_, _, size)| size).sum::<u64>();
    for (_, path, size) in files {
        if bytes <= bytes_max {
            break;
        }
        if fs::remove_file(path).is_ok() {
            bytes = bytes.saturating_sub(size);
        }
    }
    bytes
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn load_or_make_key(path: &Path) -> io::Result<[u8; 32]> {
    if let Ok(bytes) = fs::read(path)
        && let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice())
    {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    private_file(path)?.write_all(&key)?;
    Ok(key)
}
