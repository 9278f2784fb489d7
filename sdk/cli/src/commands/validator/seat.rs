//! Read who signs when, and say it.

use kumiki_client::abi::Abi;
use kumiki_protocol::{
    Decode, Encode as _, Height, Parameters, PublicKey, UNBONDING_EPOCHS, VALIDATORS_CONTRACT,
    ValidatorRecord, ValidatorSet, ValidatorStatus, decode_bounded,
};
use kumiki_rpc_api::ChainParameters;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;

/// Above what the largest set has.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Who signs after a block, and who will from the next epoch on.
pub(super) struct Sets {
    parameters: Parameters,
    /// The block.
    height: Height,
    now: ValidatorSet,
    next: ValidatorSet,
}

impl Sets {
    /// Reads both as of the block at `height`, the head by default.
    pub(super) async fn read(
        network: &Network,
        abi: &Abi,
        height: Option<Height>,
    ) -> Outcome<Self> {
        let info = network.client.info().await?;
        let height = height.unwrap_or(info.head.height);
        Ok(Self {
            parameters: parameters(&info.parameters),
            height,
            now: ask(network, abi, "validators", &[], height).await?,
            next: ask(network, abi, "next_validators", &[], height).await?,
        })
    }

    /// The epoch of the next block.
    fn epoch(&self) -> u64 {
        self.parameters.epoch_of(self.height.saturating_add(1))
    }

    /// The first epoch that changes which are asked for now can take effect in.
    fn open_epoch(&self) -> u64 {
        self.parameters
            .validators_epoch(self.height)
            .saturating_add(1)
    }

    fn is_next_fixed(&self) -> bool {
        self.open_epoch() > self.epoch().saturating_add(1)
    }

    fn keys(&self) -> Vec<(PublicKey, bool, bool)> {
        let mut keys = [self.now.keys(), self.next.keys()].concat();
        keys.sort_unstable();
        keys.dedup();
        keys.iter()
            .map(|key| {
                let signs = self.now.position(key).is_some();
                (*key, signs, self.next.position(key).is_some())
            })
            .collect()
    }

    pub(super) fn json(&self) -> Value {
        let validators: Vec<Value> = self
            .keys()
            .iter()
            .map(
                |(key, signs, next)| json!({ "publicKey": key, "signs": signs, "signsNext": next }),
            )
            .collect();
        let next = self.epoch().saturating_add(1);
        json!({
            "height": self.height,
            "epoch": self.epoch(),
            "nextEpoch": {
                "epoch": next,
                "height": self.parameters.first_height(next),
                "fixed": self.is_next_fixed(),
            },
            "validators": validators,
        })
    }

    pub(super) fn text(&self) -> String {
        let next = self.epoch().saturating_add(1);
        let fixed = if self.is_next_fixed() {
            "its validators are fixed"
        } else {
            "its validators as things are now"
        };
        let mut lines = vec![
            format!("epoch {} at height {}", self.epoch(), self.height),
            format!(
                "epoch {next} begins at height {}, {fixed}",
                self.parameters.first_height(next)
            ),
        ];
        lines.extend(self.keys().iter().map(|(key, signs, next)| {
            let place = match (signs, next) {
                (true, true) => "signs",
                (true, false) => "signs, leaves",
                (false, _) => "joins",
            };
            format!("{key}  {place}")
        }));
        lines.join("\n")
    }
}

/// What is known of one validator after a block.
pub(super) struct Seat {
    key: PublicKey,
    sets: Sets,
    pub(super) record: Option<ValidatorRecord>,
}

/// When the next change of a seat comes.
struct Change {
    epoch: u64,
    height: Height,
    /// Not later.
    certain: bool,
}

impl Seat {
    /// Reads it as of the block of `sets`.
    pub(super) async fn read(
        network: &Network,
        abi: &Abi,
        key: &PublicKey,
        sets: Sets,
    ) -> Outcome<Self> {
        let arguments = key.encode();
        Ok(Self {
            key: *key,
            record: ask(network, abi, "validator", &arguments, sets.height).await?,
            sets,
        })
    }

    fn change(&self) -> Option<Change> {
        let at = |epoch, certain| Change {
            epoch,
            height: self.sets.parameters.first_height(epoch),
            certain,
        };
        let open = self.sets.open_epoch();
        // Of the epoch after the next nothing is planned yet.
        let planned = |seated| {
            !self.sets.is_next_fixed() && self.sets.next.position(&self.key).is_some() == seated
        };
        match self.record?.status {
            ValidatorStatus::Queued { .. } => Some(at(open, planned(true))),
            ValidatorStatus::Leaving { .. } => Some(at(open, planned(false))),
            ValidatorStatus::Seated { from } if from > self.sets.epoch() => Some(at(from, true)),
            ValidatorStatus::Left { to, .. } => Some(at(to.saturating_add(UNBONDING_EPOCHS), true)),
            ValidatorStatus::Seated { .. } | ValidatorStatus::Removed { .. } => None,
        }
    }

    pub(super) fn json(&self) -> Value {
        let change = self
            .change()
            .map(|one| json!({ "epoch": one.epoch, "height": one.height, "certain": one.certain }));
        json!({
            "publicKey": self.key,
            "height": self.sets.height,
            "epoch": self.sets.epoch(),
            "signs": self.sets.now.position(&self.key).is_some(),
            "status": self.record.map_or("none", |record| status_name(record.status)),
            "owner": self.record.map(|record| record.owner),
            "stake": self.record.map(|record| record.stake.to_string()),
            "change": change,
        })
    }

    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!("validator    {}", self.key)];
        if let Some(record) = self.record {
            lines.push(format!("owner        {}", record.owner));
            lines.push(format!("stake        {}", record.stake));
        }
        lines.push(format!("seat         {}", self.meaning()));
        lines.join("\n")
    }

    fn meaning(&self) -> String {
        let Some(record) = self.record else {
            return "none; the stake is paid back".to_owned();
        };
        let when = self.change().map_or_else(String::new, |change| {
            let least = if change.certain {
                ""
            } else {
                ", or later: few seats change at once"
            };
            format!(
                "epoch {}, which begins at height {}{least}",
                change.epoch, change.height
            )
        });
        match record.status {
            ValidatorStatus::Queued { .. } => format!("waits; signs from {when}"),
            ValidatorStatus::Seated { from } if when.is_empty() => {
                format!("signs since epoch {from}")
            }
            ValidatorStatus::Seated { .. } => format!("fixed; signs from {when}"),
            ValidatorStatus::Leaving { .. } => format!("signs until {when}"),
            ValidatorStatus::Left { to, .. } if self.sets.epoch() < to => {
                format!("signs until epoch {to}; the stake is free from {when}")
            }
            ValidatorStatus::Left { to, .. } => {
                format!("ended with epoch {to}; the stake is free from {when}")
            }
            ValidatorStatus::Removed { epoch } => {
                format!("ended: punished in epoch {epoch}, the stake is destroyed")
            }
        }
    }
}

const fn status_name(status: ValidatorStatus) -> &'static str {
    match status {
        ValidatorStatus::Queued { .. } => "queued",
        ValidatorStatus::Seated { .. } => "seated",
        ValidatorStatus::Leaving { .. } => "leaving",
        ValidatorStatus::Left { .. } => "left",
        ValidatorStatus::Removed { .. } => "removed",
    }
}

fn parameters(shown: &ChainParameters) -> Parameters {
    Parameters {
        execution_lag: shown.execution_lag,
        epoch_blocks: shown.epoch_blocks,
        validator_stake: shown.validator_stake.0,
        gas_price_min: u64::try_from(shown.gas_price_min.0).unwrap_or(u64::MAX),
        block_gas_max: shown.block_gas_max,
        block_bytes_max: shown.block_bytes_max,
    }
}

/// What a view of the contract answers after the block at `height`.
async fn ask<T: Decode>(
    network: &Network,
    abi: &Abi,
    view: &str,
    arguments: &[u8],
    height: Height,
) -> Outcome<T> {
    let malformed = |found: String| {
        Failure::new(
            Exit::Node,
            "notKumiki",
            "the node's answer about validators is malformed",
        )
        .at(network.client.url())
        .found(found)
        .next("kumiki doctor")
    };
    let method = abi
        .method(view)
        .map_err(|error| malformed(error.to_string()))?;
    let selector = hex::decode(method.selector.trim_start_matches("0x"))
        .map_err(|error| malformed(error.to_string()))?;
    let input = [&selector, arguments].concat();
    let asked = network
        .client
        .view(VALIDATORS_CONTRACT, input, None, None, Some(height));
    decode_bounded(&asked.await?.data.0, ANSWER_BYTES_MAX)
        .map_err(|error| malformed(error.to_string()))
}
