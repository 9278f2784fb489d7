//! `kumiki node init`: make the folder of a node.

use std::path::Path;

use kumiki_protocol::{Genesis, PublicKey};
use kumiki_wallet::{create_node_key, read_node_key};
use serde_json::json;

use super::{KEY_FILE, folder, home_option, make_folder, overrides, peer_id};
use crate::arguments::node::NodeInitArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::genesis_file;
use crate::next_step::shell_word;
use crate::node_config::{FILE, template};
use crate::output::Output;

pub(super) fn run(arguments: &NodeInitArguments, output: Output) -> Outcome<()> {
    let folder = folder(&arguments.home)?;
    let genesis = genesis_file::read(&arguments.chain)?;
    let config = folder.join(FILE);
    if config.exists() {
        return Err(Failure::new(
            Exit::Usage,
            "nodeExists",
            "there is a node in this folder already; nothing was changed",
        )
        .at(config.display().to_string())
        .expected("a folder without a node.toml")
        .next(format!("kumiki node run{}", home_option(&arguments.home))));
    }
    make_folder(&folder)?;
    let key_file = folder.join(KEY_FILE);
    // A validator's key is older than the genesis that names it.
    let key = if key_file.exists() {
        read_node_key(&key_file)?
    } else {
        create_node_key(&key_file)?
    };
    let public = key.public_key();
    let seated = genesis.validators.contains(&public);
    check_role(arguments, &genesis, public, seated)?;
    write(&folder.join("genesis.json"), &genesis_file::text(&genesis)?)?;
    let set: Vec<_> = overrides(&arguments.values)
        .into_iter()
        .map(|(section, name, value, _)| (section, name, value))
        .collect();
    write(&config, &template(&set))?;
    let role = if seated { "validator" } else { "full node" };
    let peer = peer_id(&key);
    output.data(
        &json!({
            "home": folder,
            "genesisHash": genesis.hash(),
            "chainId": genesis.chain_id,
            "publicKey": public,
            "peerId": peer,
            "validator": seated,
        }),
        &format!(
            "made        {}\nchain       {}, genesis {}\nrole        {role}\npublic key  {public}\npeer id     {peer}\nnext: kumiki node run{}",
            folder.display(),
            genesis.chain_id,
            genesis.hash(),
            home_option(&arguments.home),
        ),
    );
    Ok(())
}

fn check_role(
    arguments: &NodeInitArguments,
    genesis: &Genesis,
    public: PublicKey,
    seated: bool,
) -> Outcome<()> {
    let refused = |what: &str| {
        Failure::new(Exit::Usage, "nodeRole", what)
            .at(arguments.chain.display().to_string())
            .found(format!("the node's key {public}"))
    };
    if arguments.validator && !seated {
        let keys: Vec<String> = genesis.validators.iter().map(ToString::to_string).collect();
        return Err(refused("this node's key has no seat in the genesis")
            .expected(format!("one of {}", keys.join(", ")))
            .next(format!(
                "kumiki node init --full --chain {}{}",
                shell_word(&arguments.chain),
                home_option(&arguments.home)
            )));
    }
    if arguments.full && seated {
        return Err(
            refused("this node's key has a seat in the genesis: as long as it only follows, a vote is missing")
                .expected("a key without a seat")
                .next(format!(
                    "kumiki node init --validator --chain {}{}",
                    shell_word(&arguments.chain),
                    home_option(&arguments.home)
                )),
        );
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    std::fs::write(path, text).map_err(|error| Failure::io(path, &error))
}
