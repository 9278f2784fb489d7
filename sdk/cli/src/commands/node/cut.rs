//! Keep away from the peers that `kumiki localnet fault partition` names in a file of the node's folder.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use kumiki_consensus::simplex::peer_key;
use kumiki_network::Network;
use kumiki_protocol::PublicKey;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_millis(100);
/// Longer than any partition; what is healed is let in at once.
const LONG: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Bans those that the file names, and those only, for as long as the network lasts.
pub(crate) async fn follow(file: PathBuf, network: Network) {
    let mut cut: BTreeSet<PublicKey> = BTreeSet::new();
    loop {
        // Without a file nobody is cut off.
        let text = tokio::fs::read(&file).await.unwrap_or_default();
        let wanted: BTreeSet<PublicKey> = serde_json::from_slice(&text).unwrap_or_default();
        for key in wanted.difference(&cut).filter_map(peer_key) {
            if network.ban(&key, LONG).is_err() {
                return;
            }
        }
        for key in cut.difference(&wanted).filter_map(peer_key) {
            if network.unban(&key).is_err() {
                return;
            }
        }
        cut = wanted;
        tokio::time::sleep(LOOK).await;
    }
}
