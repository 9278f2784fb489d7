//! `kumiki node genesis`: write the genesis of a new network.

use kumiki_node::system_clock;
use kumiki_protocol::{ChainKind, Genesis, GenesisAccount, Parameters};
use kumiki_wallet::dev_account;
use serde_json::json;

use crate::arguments::node::NodeGenesisArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::genesis_file;
use crate::next_step::shell_word;
use crate::output::Output;

pub(super) fn run(arguments: &NodeGenesisArguments, output: Output) -> Outcome<()> {
    let genesis = genesis(arguments);
    genesis.check().map_err(|error| {
        Failure::new(
            Exit::Usage,
            "genesisRefused",
            "this starts no chain; nothing was written",
        )
        .found(error.to_string())
        .next("kumiki node genesis --help")
    })?;
    check_no_published_account(&genesis)?;
    let path = &arguments.out;
    // Another genesis is another chain: none is replaced by accident.
    let mut file = std::fs::File::create_new(path).map_err(|error| {
        Failure::io(path, &error)
            .expected("a name that is not taken")
            .next("kumiki node genesis --help")
    })?;
    let text = genesis_file::text(&genesis)?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .map_err(|error| Failure::io(path, &error))?;
    output.data(
        &json!({
            "file": path,
            "hash": genesis.hash(),
            "chainId": genesis.chain_id,
            "validators": genesis.validators.len(),
        }),
        &format!(
            "wrote       {}\nhash        {}\nvalidators  {}\nnext: kumiki node init --chain {}",
            path.display(),
            genesis.hash(),
            genesis.validators.len(),
            shell_word(path),
        ),
    );
    Ok(())
}

fn genesis(arguments: &NodeGenesisArguments) -> Genesis {
    let account = |(address, balance): &(_, _)| GenesisAccount {
        address: *address,
        balance: *balance,
    };
    Genesis {
        chain_id: arguments.chain_id.clone(),
        kind: ChainKind::Live,
        time_ms: system_clock()(),
        certificate_scheme: "ed25519".to_owned(),
        validators: arguments.validator.clone(),
        accounts: arguments.account.iter().map(account).collect(),
        parameters: Parameters {
            execution_lag: arguments.execution_lag,
            epoch_blocks: arguments.epoch_blocks,
            validator_stake: arguments.validator_stake,
            gas_price_min: arguments.gas_price_min,
            // A gas is about a nanosecond at worst, so no block takes much longer than a second.
            block_gas_max: 1_000_000_000,
            block_bytes_max: 4 << 20,
        },
    }
}

/// Everybody knows the keys of published accounts: what they hold on a live chain is gone at once.
fn check_no_published_account(genesis: &Genesis) -> Outcome<()> {
    let funded = dev_account::all().into_iter().find(|one| {
        let accounts = &genesis.accounts;
        accounts
            .iter()
            .any(|account| account.address == one.address)
    });
    match funded {
        None => Ok(()),
        Some(one) => Err(Failure::new(
            Exit::Usage,
            "genesisRefused",
            format!(
                "the key of {} is published: anyone could spend this",
                one.name
            ),
        )
        .expected("addresses of your own, as 'kumiki account new' makes them")
        .found(one.address.to_string())
        .next("kumiki account new mine")),
    }
}
