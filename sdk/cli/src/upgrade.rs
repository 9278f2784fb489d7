//! Judge new code for a contract that stands on a chain: what changes in its storage, and how the state is taken over.

use kumiki_client::abi::Abi;
use kumiki_client::abi::layout::{LayoutChange, LayoutChangeKind, compare_layouts};
use kumiki_client::{Client, ClientError};
use kumiki_protocol::{Action, Address, ChainKind, Hash};
use kumiki_rpc_api::ErrorCode;
use serde_json::{Value, json};

use crate::commands::call::example_arguments;
use crate::failure::{Exit, Failure, Outcome};

/// A contract as it is on the chain.
pub(crate) struct Standing {
    pub(crate) address: Address,
    pub(crate) code_hash: Hash,
    pub(crate) code_size: u32,
    pub(crate) admin: Option<Address>,
    /// What its code says of itself; `None` where it says nothing.
    pub(crate) abi: Option<Abi>,
}

impl Standing {
    /// The contract at `address`, if there is one.
    pub(crate) async fn find(client: &Client, address: Address) -> Outcome<Option<Self>> {
        let has_code = |error: &ClientError, none: ErrorCode| matches!(error, ClientError::Api(error) if error.code == none);
        let contract = match client.contract(address).await {
            Ok(contract) => contract,
            Err(error) if has_code(&error, ErrorCode::ContractUnknown) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let abi = match client.abi(address).await {
            Ok(abi) => Some(abi),
            Err(error) if has_code(&error, ErrorCode::AbiMissing) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Self {
            address,
            code_hash: contract.code_hash,
            code_size: contract.code_size,
            admin: contract.admin,
            abi,
        }))
    }

    /// Whether the account at `sender` may give it other code.
    pub(crate) fn check_admin(&self, name: &str, sender: Address) -> Outcome<()> {
        let failure = |name: &str, what: String| {
            Failure::new(Exit::Refused, name, what).at(self.address.to_string())
        };
        match self.admin {
            Some(admin) if admin == sender => Ok(()),
            Some(admin) => Err(failure(
                "notAllowed",
                format!("only the admin of '{name}' may give it other code; nothing was sent"),
            )
            .expected(format!("--from the account of {admin}"))
            .found(sender.to_string())
            .next("kumiki account list")),
            None => Err(failure(
                "immutable",
                format!("'{name}' was deployed immutable: nobody may ever give it other code"),
            )
            .expected("a contract with an admin")
            .found("none")
            .next(format!("kumiki view {name}"))),
        }
    }
}

/// What new code changes in the storage.
pub(crate) struct Layout(Vec<LayoutChange>);

impl Layout {
    /// Compares the contract's code with code that has the ABI `new`.
    pub(crate) async fn between(client: &Client, standing: &Standing, new: &Abi) -> Outcome<Self> {
        let Some(old) = &standing.abi else {
            return Ok(Self(vec![LayoutChange {
                field: "storage".to_owned(),
                place: String::new(),
                kind: LayoutChangeKind::Unknown,
                what: "the deployed code carries no ABI".to_owned(),
            }]));
        };
        let mut changes = compare_layouts(old, new);
        let added = changes
            .iter_mut()
            .filter(|one| one.kind == LayoutChangeKind::FieldAdded);
        for change in added {
            if is_occupied(client, standing.address, new, &change.field).await? {
                change.kind = LayoutChangeKind::FieldReturns;
            }
        }
        Ok(Self(changes))
    }

    /// No changes.
    pub(crate) const fn same() -> Self {
        Self(Vec::new())
    }

    /// The changes that are unsafe, but for the fields in `allowed`.
    pub(crate) fn refused(&self, allowed: &[String]) -> Vec<&LayoutChange> {
        let is_refused = |one: &&LayoutChange| !one.is_safe() && !allowed.contains(&one.field);
        self.0.iter().filter(is_refused).collect()
    }

    pub(crate) fn is_safe(&self) -> bool {
        self.0.iter().all(LayoutChange::is_safe)
    }

    pub(crate) fn json(&self) -> Value {
        let change = |one: &LayoutChange| {
            json!({
                "field": one.field,
                "place": one.place,
                "change": one.kind.name(),
                "what": one.what,
                "safe": one.is_safe(),
                "reason": one.kind.reason(),
            })
        };
        self.0.iter().map(change).collect()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.iter().map(line).collect()
    }
}

/// One change for people.
pub(crate) fn line(change: &LayoutChange) -> String {
    let verdict = if change.is_safe() { "safe" } else { "unsafe" };
    format!(
        "{verdict:<6}  {}: {}, {} ({})",
        change.location(),
        words(change.kind),
        change.what,
        change.kind.reason()
    )
}

/// The name of a kind as words: `type changed`.
fn words(kind: LayoutChangeKind) -> String {
    let mut words = String::new();
    for one in kind.name().chars() {
        if one.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(one.to_ascii_lowercase());
    }
    words
}

/// Whether an earlier version left something under the keys of a new field.
async fn is_occupied(client: &Client, contract: Address, new: &Abi, field: &str) -> Outcome<bool> {
    let storage = &new.metadata().storage;
    let found = storage.iter().find(|one| one.name == field);
    let Some(prefix) = found.and_then(|one| hex::decode(one.prefix.strip_prefix("0x")?).ok())
    else {
        return Ok(false);
    };
    let page = client.state_page(prefix, Some(contract), Some(1)).await?;
    Ok(!page.entries.is_empty())
}

/// How new code takes the state over.
pub(crate) enum Takeover {
    /// It reads what is stored.
    AsItIs,
    /// Its `migrate` rewrites what is stored; with these arguments.
    Migrate(Vec<u8>),
}

impl Takeover {
    /// The one step that replaces the code and takes the state over.
    pub(crate) fn action(self, contract: Address, code: Vec<u8>) -> Action {
        match self {
            Self::AsItIs => Action::ReplaceCode { contract, code },
            Self::Migrate(input) => Action::Upgrade {
                contract,
                code,
                input,
            },
        }
    }
}

/// What the user can do where new code does not read what is stored, each with its command and what it does.
pub(crate) fn choices(
    name: &str,
    new: &Abi,
    refused: &[&LayoutChange],
    kind: ChainKind,
) -> Vec<(String, &'static str)> {
    let upgrade = format!("kumiki upgrade {name}");
    let mut found = Vec::new();
    found.push(match &new.metadata().migrate {
        Some(migrate) => (
            format!(
                "{upgrade} --migrate {}{}",
                migrate.name,
                example_arguments(&migrate.args)
            ),
            "migrate: this method of the new code rewrites what is stored",
        ),
        None => (
            format!("{upgrade} --migrate METHOD"),
            "migrate: first write a method marked #[migrate] that rewrites what is stored",
        ),
    });
    if kind == ChainKind::Dev {
        found.push((
            format!("{upgrade} --replay"),
            "replay: a fresh contract, which gets the old one's calls again",
        ));
        found.push((format!("{upgrade} --reset"), "reset: a fresh contract"));
    }
    let mut fields: Vec<&str> = refused.iter().map(|one| one.field.as_str()).collect();
    fields.dedup();
    let accepted: String = fields
        .iter()
        .map(|one| format!(" --allow-unsafe {one}"))
        .collect();
    let what = match fields.is_empty() {
        true => "as it is: the new code reads what is stored, and 'migrate' does not run",
        false => "accept: what is stored there is lost or misread",
    };
    found.push((format!("{upgrade}{accepted}"), what));
    found
}
