//! Have validators come and go at every epoch under load, follow the handovers as a client that trusts only genesis
//! does, and check the chain.

use std::sync::Arc;
use std::time::Duration;

use kumiki_client::{Client, ProofAnchor};
use kumiki_protocol::{Height, PublicKey, ValidatorSet, decode_bounded, state_key};
use kumiki_rpc_api::ChainInfo;
use serde_json::Value;

use crate::{Load, Net, Promise, check, opening};

/// Seats that stay; nodes without one at first, which take turns.
const STAY: usize = 4;
const TURNS: usize = 2;
/// Enough for a stake and fees.
const FUNDS: &str = "5000000000000";
const OWNER: &str = "owner";
/// Above what the sets here have.
const SET_BYTES_MAX: usize = 4_096;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct TurnoverPlan {
    /// Blocks of an epoch.
    pub epoch_blocks: u32,
    /// Runs until so many seats have begun or ended.
    pub changes: u32,
    /// What the load is drawn from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct TurnoverReport {
    /// Transactions that were acknowledged.
    pub acknowledged: usize,
    /// Handovers from one epoch to the next that were followed, each with its certificate.
    pub epochs: u64,
    /// Of these, those to another set.
    pub changed_sets: u32,
    /// The longest time between two blocks, by their own clocks, where the second begins an epoch.
    pub handover_ms_max: u64,
    /// The same for all others.
    pub block_ms_max: u64,
    /// Promises that were broken.
    pub broken: Vec<Promise>,
}

/// Runs a plan.
///
/// # Errors
/// When the network cannot be started, driven or read.
pub async fn turnover(plan: &TurnoverPlan) -> Result<TurnoverReport, String> {
    let blocks = plan.epoch_blocks.to_string();
    let net = Arc::new(Net::start(STAY, TURNS, &["--epoch-blocks", &blocks])?);
    let opening = opening(&net).await?;
    let client = net.client_soon(0).await?;
    let mut follower = Follower::start(&client).await?;
    make_owner(&net)?;
    let load = Load::start(&net, plan.seed);
    let mut expected: Option<Expected> = None;
    let mut broken = Vec::new();
    while follower.changed_sets < plan.changes {
        let epoch = follower.next_epoch(&client).await?;
        if let Some(expected) = expected.take() {
            broken.extend(expected.check(&follower));
        }
        if epoch.is_early {
            let net = Arc::clone(&net);
            let change = tokio::task::spawn_blocking(move || change_something(&net)).await;
            expected = change.map_err(|error| error.to_string())??;
        }
    }
    let told = load.finish().await;
    broken.extend(check(&net, opening, &told).await?);
    let (handover_ms_max, block_ms_max) = pauses(&client, plan.epoch_blocks).await?;
    Ok(TurnoverReport {
        acknowledged: told.transactions.len(),
        epochs: follower.epoch,
        changed_sets: follower.changed_sets,
        handover_ms_max,
        block_ms_max,
        broken,
    })
}

/// An account that no load is sent from: it owns the seats that come and go.
fn make_owner(net: &Net) -> Result<(), String> {
    let passphrase = net.scratch().join("passphrase");
    std::fs::write(&passphrase, "secret").map_err(|error| error.to_string())?;
    let file = passphrase.to_string_lossy();
    net.kumiki(&["account", "new", OWNER, "--passphrase-file", &file])?;
    net.kumiki(&["account", "fund", OWNER, FUNDS])?;
    Ok(())
}

/// What the program promised about a seat.
struct Expected {
    key: PublicKey,
    seated: bool,
    epoch: u64,
}

impl Expected {
    fn check(&self, follower: &Follower) -> Option<Promise> {
        let found = follower.set.position(&self.key).is_some();
        let wrong = follower.epoch == self.epoch && found != self.seated;
        wrong.then(|| {
            format!(
                "{} should have a seat in epoch {}: {}, has: {found}",
                self.key, self.epoch, self.seated
            )
        })
    }
}

/// Ends the seat of a node that has one, else begins one; nothing where all wait for something. What is certain of it
/// comes back.
fn change_something(net: &Net) -> Result<Option<Expected>, String> {
    let passphrase = net.scratch().join("passphrase");
    let file = passphrase.to_string_lossy().into_owned();
    let validator = |node: usize, what: &str| {
        let home = net.folder(node).to_string_lossy().into_owned();
        let mut arguments = vec!["validator", what, "--home", &home];
        if what != "show" {
            arguments.extend(["--from", OWNER, "--passphrase-file", &file]);
        }
        net.kumiki(&arguments)
    };
    // A key that never had a seat is unknown.
    let seats: Vec<Value> = (STAY..STAY + TURNS)
        .map(|node| validator(node, "show").unwrap_or(Value::Null))
        .collect();
    let is = |seat: &Value, status: &str| seat["status"].as_str() == Some(status);
    let nodes = || (STAY..).zip(&seats);
    if let Some((node, _)) = nodes().find(|(_, seat)| is(seat, "seated") && seat["signs"] == true) {
        return Ok(expected(&validator(node, "leave")?, false));
    }
    // The height from which the stake is free is in the past.
    let free = |seat: &Value| {
        is(seat, "left") && seat["epoch"].as_u64() >= seat["change"]["epoch"].as_u64()
    };
    if let Some((node, seat)) = nodes().find(|(_, seat)| seat.is_null() || free(seat)) {
        if !seat.is_null() {
            validator(node, "withdraw")?;
        }
        return Ok(expected(&validator(node, "join")?, true));
    }
    Ok(None)
}

fn expected(answer: &Value, seated: bool) -> Option<Expected> {
    let validator = &answer["validator"];
    let change = &validator["change"];
    (change["certain"] == true).then_some(())?;
    Some(Expected {
        key: validator["publicKey"].as_str()?.parse().ok()?,
        seated,
        epoch: change["epoch"].as_u64()?,
    })
}

/// A light client: it knows the validators of one epoch, and learns those of the next from a header they signed.
struct Follower {
    info: ChainInfo,
    epoch: u64,
    set: ValidatorSet,
    anchor: ProofAnchor,
    changed_sets: u32,
}

struct Entered {
    /// Whether half of the epoch was still to come when it was entered.
    is_early: bool,
}

impl Follower {
    async fn start(client: &Client) -> Result<Self, String> {
        let info = client.info().await.map_err(|error| error.to_string())?;
        if info.head.height + 1 >= u64::from(info.parameters.epoch_blocks) {
            return Err("the first epoch is over before the run begins".to_owned());
        }
        let anchor = client.proof_anchor().await;
        let anchor = anchor.map_err(|error| error.to_string())?;
        Ok(Self {
            info,
            epoch: 0,
            set: anchor.newest().validators().clone(),
            anchor,
            changed_sets: 0,
        })
    }

    /// Waits for the last block of this epoch, and takes the next set over from the header that its validators signed.
    async fn next_epoch(&mut self, client: &Client) -> Result<Entered, String> {
        let blocks = u64::from(self.info.parameters.epoch_blocks);
        let last = (self.epoch + 1) * blocks - 1;
        let head = wait_for(client, last).await?;
        let key = state_key::validators();
        let at = last - u64::from(self.info.parameters.execution_lag);
        let (proven, _) = client
            .proven_state(&mut self.anchor, &key, None, Some(at))
            .await
            .map_err(|error| format!("epoch {} hands over without proof: {error}", self.epoch))?;
        let bytes = proven.value.ok_or("no validators are proven")?;
        let set: ValidatorSet =
            decode_bounded(&bytes, SET_BYTES_MAX).map_err(|error| error.to_string())?;
        let told = client.validators_of(&mut self.anchor, self.epoch + 1).await;
        let told = told.map_err(|error| format!("epoch {} has no end: {error}", self.epoch))?;
        if *told.validators() != set {
            return Err(format!("the header of block {last} names another set"));
        }
        self.changed_sets += u32::from(set != self.set);
        self.set = set;
        self.epoch += 1;
        Ok(Entered {
            is_early: head < last + blocks / 2,
        })
    }
}

/// Waits until the head is at `height`, and says where it is then. A chain that stands still is an error.
async fn wait_for(client: &Client, height: Height) -> Result<Height, String> {
    let mut highest = 0;
    let mut looks = 0;
    while looks < 1_200 {
        let head = client.health().await.map_or(0, |health| health.height);
        if head >= height {
            return Ok(head);
        }
        looks = if head > highest { 0 } else { looks + 1 };
        highest = highest.max(head);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!(
        "the chain stands still at {highest}, before {height}"
    ))
}

/// The longest time between two blocks, where the second begins an epoch and elsewhere.
async fn pauses(client: &Client, epoch_blocks: u32) -> Result<(u64, u64), String> {
    let (mut handover, mut other) = (0, 0);
    let mut before = None;
    let head = client
        .health()
        .await
        .map_err(|error| error.to_string())?
        .height;
    for height in 1..=head {
        let header = client
            .header(Some(height))
            .await
            .map_err(|error| error.to_string())?;
        let time = header.header.time_ms;
        let pause = time - before.replace(time).unwrap_or(time);
        if height % u64::from(epoch_blocks) == 0 {
            handover = handover.max(pause);
        } else {
            other = other.max(pause);
        }
    }
    Ok((handover, other))
}
