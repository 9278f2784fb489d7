//! Find the key that signs: published on a dev chain, else from the keystore with a passphrase.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use kumiki_protocol::{Address, ChainKind, PublicKey, SecretKey};
use kumiki_wallet::{Passphrase, dev_account};

use crate::arguments::SenderArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;

const SECRET_BYTES_MAX: u64 = 4_096;

/// A key and the name it goes by.
pub(crate) struct Signer {
    pub(crate) name: String,
    pub(crate) key: SecretKey,
}

/// Whose transaction it is, for what needs no signature.
pub(crate) struct Sender {
    pub(crate) name: String,
    pub(crate) public_key: PublicKey,
}

impl Sender {
    /// The account that the arguments name; on a dev chain alice unless they name one. Asks for no passphrase.
    pub(crate) fn find(arguments: &SenderArguments, network: &Network) -> Outcome<Self> {
        let name = name_in(arguments, network)?;
        let public_key = match published(name, network)? {
            Some(key) => key.public_key(),
            None => network.home.keystore()?.find(name)?.public_key,
        };
        Ok(Self {
            name: name.to_owned(),
            public_key,
        })
    }

    /// Of its account.
    pub(crate) fn address(&self) -> Address {
        Address::of_account(&self.public_key)
    }
}

impl Signer {
    /// The account that the arguments name; on a dev chain alice unless they name one.
    pub(crate) fn find(arguments: &SenderArguments, network: &Network) -> Outcome<Self> {
        let name = name_in(arguments, network)?;
        let key = match published(name, network)? {
            Some(key) => key,
            None => {
                let keystore = network.home.keystore()?;
                keystore.find(name)?;
                let prompt = format!("Passphrase of {name}: ");
                let passphrase = read_passphrase(arguments.passphrase_file.as_deref(), &prompt)?;
                keystore.unlock(name, &passphrase)?
            }
        };
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// Its public half.
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            name: self.name.clone(),
            public_key: self.key.public_key(),
        }
    }
}

fn name_in<'a>(arguments: &'a SenderArguments, network: &Network) -> Outcome<&'a str> {
    match (&arguments.from, network.client.kind()) {
        (Some(name), _) => Ok(name.as_str()),
        (None, ChainKind::Dev) => Ok(dev_account::NAMES[0]),
        (None, ChainKind::Live) => {
            Err(
                Failure::new(Exit::Usage, "senderMissing", "which account should sign?")
                    .at(format!("chain {}", network.client.chain_id()))
                    .expected("--from ACCOUNT, with an account of the keystore")
                    .found("nothing, and this is no dev chain")
                    .next("kumiki account list"),
            )
        }
    }
}

/// The key of a published account, which only dev chains take.
fn published(name: &str, network: &Network) -> Outcome<Option<SecretKey>> {
    let Some(account) = dev_account::find(name) else {
        return Ok(None);
    };
    dev_account::check_allowed(&account.key.public_key(), network.client.kind())?;
    Ok(Some(account.key))
}

/// The passphrase in `file` (`-` is stdin), or one typed at a terminal.
pub(crate) fn read_passphrase(file: Option<&Path>, prompt: &str) -> Outcome<Passphrase> {
    if let Some(file) = file {
        return read_secret(file).map(Passphrase::new);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "passphraseMissing",
            "a passphrase is needed, and there is no terminal to ask for it",
        )
        .expected("--passphrase-file FILE, or KUMIKI_PASSPHRASE_FILE")
        .found("neither")
        .next("export KUMIKI_PASSPHRASE_FILE=passphrase.txt"));
    }
    rpassword::prompt_password(prompt)
        .map(Passphrase::new)
        .map_err(|error| Failure::new(Exit::System, "passphrase", error.to_string()))
}

/// A new passphrase, typed twice at a terminal.
pub(crate) fn read_new_passphrase(file: Option<&Path>) -> Outcome<Passphrase> {
    let first = read_passphrase(file, "New passphrase: ")?;
    if file.is_none() && !first.same_as(&read_passphrase(None, "Once more: ")?) {
        return Err(Failure::new(
            Exit::Usage,
            "passphraseMismatch",
            "the two passphrases differ; nothing was kept",
        ));
    }
    if first.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "passphraseEmpty",
            "the passphrase is empty; nothing was kept",
        )
        .expected("at least one character"));
    }
    Ok(first)
}

/// The seed in `file`. From a terminal it is asked for without showing what is typed.
pub(crate) fn read_seed(file: &Path) -> Outcome<String> {
    if file == Path::new("-") && std::io::stdin().is_terminal() {
        return rpassword::prompt_password("Seed (64 hex digits): ")
            .map_err(|error| Failure::new(Exit::System, "seed", error.to_string()));
    }
    read_secret(file)
}

/// The first line of `file`; `-` is stdin.
fn read_secret(file: &Path) -> Outcome<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(SECRET_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::io(file, &error))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
