//! `kumiki chain info`: what chain this is and how far it has come.

use kumiki_protocol::ChainKind;
use serde_json::json;

use crate::arguments::NodeArguments;
use crate::failure::Outcome;
use crate::network::Network;
use crate::output::Output;

pub(crate) async fn info(arguments: &NodeArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(arguments).await?;
    let info = network.client.info().await?;
    let kind = match info.kind {
        ChainKind::Dev => "dev",
        ChainKind::Live => "live",
    };
    let text = format!(
        "chain    {} ({kind})\ngenesis  {}\nnode     {}\nhead     {} at height {}\nstate    {} entries, root {}",
        info.chain_id,
        info.genesis_hash,
        network.client.url(),
        info.head.hash,
        info.head.height,
        info.head.state_entries,
        info.head.state_root,
    );
    output.data(
        &json!({ "rpc": network.client.url(), "chain": info }),
        &text,
    );
    Ok(())
}
