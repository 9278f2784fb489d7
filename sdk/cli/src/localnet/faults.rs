//! Say what is wrong with the connections between nodes, and tell the relay.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::Localnet;
use crate::failure::{Exit, Failure, Outcome};

/// In the network's folder: the faults that hold.
const FILE: &str = "faults.json";
/// What the relay answers.
pub(super) const DONE: &str = "done";
/// The relay answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Faults {
    /// Nodes of different groups do not hear each other. Nodes in no group are one more.
    pub(crate) groups: Vec<Vec<usize>>,
    /// How much longer everything takes that a node sends or receives.
    pub(crate) delay_ms: BTreeMap<usize, u64>,
    /// The share of what a node sends or receives that is lost and sent again.
    pub(crate) loss_percent: BTreeMap<usize, u8>,
}

impl Faults {
    /// Whether nothing goes from one node to the other.
    pub(crate) fn cut(&self, from: usize, to: usize) -> bool {
        let group = |node| self.groups.iter().position(|group| group.contains(&node));
        group(from) != group(to)
    }

    /// How much longer it takes from one node to the other.
    pub(crate) fn delay(&self, from: usize, to: usize) -> Duration {
        let of = |node| self.delay_ms.get(&node).copied().unwrap_or(0);
        Duration::from_millis(of(from) + of(to))
    }

    /// What share is lost from one node to the other.
    pub(crate) fn loss_percent(&self, from: usize, to: usize) -> u8 {
        let of = |node| self.loss_percent.get(&node).copied().unwrap_or(0);
        of(from).max(of(to))
    }

    /// One line for people; none where nothing is wrong.
    pub(crate) fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.groups.is_empty() {
            let groups = self.groups.iter().map(|group| {
                let nodes: Vec<String> = group.iter().map(ToString::to_string).collect();
                nodes.join(",")
            });
            parts.push(format!(
                "partition {}",
                groups.collect::<Vec<_>>().join(" ")
            ));
        }
        let delays = self.delay_ms.iter();
        parts.extend(delays.map(|(node, ms)| format!("node {node} delayed by {ms} ms")));
        let losses = self.loss_percent.iter();
        parts.extend(losses.map(|(node, percent)| format!("node {node} loses {percent} %")));
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl Localnet {
    /// The faults that hold.
    pub(crate) fn faults(&self) -> Faults {
        // Without a readable file nothing is wrong, as in a new network.
        std::fs::read_to_string(self.folder.join(FILE))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Makes `faults` hold from now on, also for a relay that is started again. On return they do.
    pub(crate) async fn set_faults(&self, faults: &Faults) -> Outcome<()> {
        let path = self.folder.join(FILE);
        let text = serde_json::to_string(faults)
            .map_err(|error| Failure::new(Exit::System, "faults", error.to_string()))?;
        let told = tokio::time::timeout(ANSWER_TIMEOUT, self.tell_relay(&text)).await;
        let refused = |found: String| {
            Failure::new(
                Exit::Node,
                "localnetRelay",
                "the relay between the nodes does not answer; nothing was changed",
            )
            .at(format!("127.0.0.1:{}", self.layout.control_port()))
            .expected("a running network")
            .found(found)
            .next("kumiki localnet up")
        };
        match told {
            Ok(Ok(answer)) if answer.trim() == DONE => {}
            Ok(Ok(answer)) => return Err(refused(answer)),
            Ok(Err(error)) => return Err(refused(error.to_string())),
            Err(_elapsed) => return Err(refused("no answer".to_owned())),
        }
        std::fs::write(&path, text).map_err(|error| Failure::io(&path, &error))
    }

    async fn tell_relay(&self, text: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.layout.control_port())).await?;
        stream.write_all(format!("{text}\n").as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cut_both_ways_and_the_rest_is_a_group() {
        let faults = Faults {
            groups: vec![vec![0, 1], vec![2]],
            ..Faults::default()
        };
        for (from, to, cut) in [(0, 1, false), (0, 2, true), (3, 4, false), (3, 0, true)] {
            assert_eq!(faults.cut(from, to), cut, "{from} {to}");
            assert_eq!(faults.cut(to, from), cut, "{to} {from}");
        }
        assert!(!Faults::default().cut(0, 1));
        assert_eq!(faults.text().as_deref(), Some("partition 0,1 2"));
        assert_eq!(Faults::default().text(), None);
    }
}
