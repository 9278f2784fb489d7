//! Keep a node's folder: key, genesis, node.toml.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kumiki_protocol::{Genesis, SecretKey, limits};

use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::next_step::shell_word;

const KEY_FILE: &str = "node.key";
const GENESIS_FILE: &str = "genesis.json";

/// A node's folder.
#[derive(Clone, Debug)]
pub(crate) struct NodeFolder(pub(crate) PathBuf);

impl NodeFolder {
    /// The folder that was named, or the user's own.
    pub(crate) fn find(named: Option<&PathBuf>) -> Outcome<Self> {
        let folder = match named {
            Some(folder) => folder.clone(),
            None => Home::find()?.path().join("node"),
        };
        std::path::absolute(&folder)
            .map(Self)
            .map_err(|error| Failure::io(&folder, &error))
    }

    /// Makes the folder with a new key; refuses where there is a node already.
    pub(crate) fn make(&self, genesis: &Genesis, settings: &str) -> Outcome<SecretKey> {
        let settings_file = self.0.join("node.toml");
        if settings_file.exists() {
            return Err(
                Failure::new(Exit::System, "nodeExists", "there is a node in this folder")
                    .at(self.0.display().to_string())
                    .expected("a folder without one: its key would be lost")
                    .next(format!("kumiki node run --home {}", shell_word(&self.0))),
            );
        }
        fs::create_dir_all(&self.0).map_err(|error| Failure::io(&self.0, &error))?;
        let key = self.key_or_new()?;
        self.write_rest(genesis, settings)?;
        Ok(key)
    }

    /// The same with a key that exists already.
    pub(crate) fn make_with_key(
        &self,
        key: &SecretKey,
        genesis: &Genesis,
        settings: &str,
    ) -> Outcome<()> {
        fs::create_dir_all(&self.0).map_err(|error| Failure::io(&self.0, &error))?;
        self.write_key(key)?;
        self.write_rest(genesis, settings)
    }

    fn write_rest(&self, genesis: &Genesis, settings: &str) -> Outcome<()> {
        let json = serde_json::to_string_pretty(genesis).unwrap_or_default();
        write(&self.0.join(GENESIS_FILE), json.as_bytes())?;
        // Last: with it the folder counts as a node's.
        write(&self.0.join("node.toml"), settings.as_bytes())
    }

    /// The key that an earlier try made, or a new one.
    fn key_or_new(&self) -> Outcome<SecretKey> {
        let path = self.0.join(KEY_FILE);
        if path.exists() {
            return self.key();
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Failure::new(Exit::System, "noRandomness", error.to_string()))?;
        let key = SecretKey::from_seed(seed);
        self.write_key(&key)?;
        Ok(key)
    }

    fn write_key(&self, key: &SecretKey) -> Outcome<()> {
        let path = self.0.join(KEY_FILE);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| {
            writeln!(file, "{}", hex::encode(key.to_seed()))?;
            file.sync_all()
        });
        written.map_err(|error| Failure::io(&path, &error))
    }

    /// The node's key. A file that others may read is refused.
    pub(crate) fn key(&self) -> Outcome<SecretKey> {
        let path = self.0.join(KEY_FILE);
        check_private(&path)?;
        let text = fs::read_to_string(&path).map_err(|error| Failure::io(&path, &error))?;
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim(), &mut seed).map_err(|_malformed| {
            Failure::new(Exit::System, "keyMalformed", "the key file holds no key")
                .at(path.display().to_string())
                .expected("64 hex digits")
                .next(format!("restore {} from a backup", shell_word(&path)))
        })?;
        Ok(SecretKey::from_seed(seed))
    }

    /// The chain that the node is for.
    pub(crate) fn genesis(&self) -> Outcome<Genesis> {
        read_genesis(&self.0.join(GENESIS_FILE))
    }
}

/// Reads and checks a genesis.
pub(crate) fn read_genesis(path: &Path) -> Outcome<Genesis> {
    let size = fs::metadata(path)
        .map_err(|error| Failure::io(path, &error))?
        .len();
    let malformed = |what: String| {
        Failure::new(Exit::Usage, "genesisMalformed", what)
            .at(path.display().to_string())
            .expected("a genesis as 'kumiki node genesis' writes it")
            .next("kumiki node genesis --help")
    };
    if size > limits::GENESIS_BYTES_MAX as u64 {
        return Err(malformed(format!("the file has {size} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::io(path, &error))?;
    let genesis: Genesis =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    genesis
        .check()
        .map_err(|error| malformed(error.to_string()))?;
    Ok(genesis)
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    fs::write(path, bytes).map_err(|error| Failure::io(path, &error))
}

#[cfg(unix)]
fn check_private(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)
        .map_err(|error| Failure::io(path, &error))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(
        Failure::new(Exit::System, "keyExposed", "others can read the node's key")
            .at(path.display().to_string())
            .expected("mode 600")
            .found(format!("mode {:o}", mode & 0o777))
            .next(format!("chmod 600 {}", shell_word(path))),
    )
}

#[cfg(not(unix))]
fn check_private(_path: &Path) -> Outcome<()> {
    Ok(())
}
