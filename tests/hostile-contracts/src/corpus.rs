//! Keep contracts whose results may only change on purpose, with one message or more for each path through them.
//!
//! `corpus/token.wasm` and `corpus/probe.wasm` are what `kumiki build` made of `contracts/token` and
//! `tests/probe-contract` when this corpus was begun. They stay as they are: what is held here is the executor, not
//! the SDK.

use kumiki_protocol::{Action, Address, Encode as _};
use kumiki_testkit::account;

use crate::{Case, Chain, cases};

const TOKEN: &[u8] = include_bytes!("../corpus/token.wasm");
const PROBE: &[u8] = include_bytes!("../corpus/probe.wasm");

/// A message with a name.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The name.
    pub name: String,
    /// What is done.
    pub action: Action,
}

/// Selector and SCALE arguments.
fn message(selector: u32, arguments: &[Vec<u8>]) -> Vec<u8> {
    [selector.to_be_bytes().to_vec(), arguments.concat()].concat()
}

fn deploy(code: &[u8], input: Vec<u8>) -> Action {
    Action::Deploy {
        code: code.to_vec(),
        salt: [7; 32],
        input,
        value: 0,
        admin: Some(account(0).address),
    }
}

fn token_input() -> Vec<u8> {
    message(
        0,
        &[
            "Corpus".encode(),
            "C".encode(),
            6_u8.encode(),
            1_000_000_u128.encode(),
        ],
    )[4..]
        .to_vec()
}

/// The messages of the token, which is at this address.
fn token(contract: Address) -> Vec<(&'static str, Action)> {
    let to = account(1).address.encode();
    let call = |selector, arguments: &[Vec<u8>]| Action::Call {
        contract,
        input: message(selector, arguments),
        value: 0,
    };
    vec![
        (
            "token transfer",
            call(0xe588_91bc, &[to.clone(), 5_u128.encode()]),
        ),
        (
            "token transfer of too much",
            call(0xe588_91bc, &[to.clone(), u128::MAX.encode()]),
        ),
        (
            "token approve",
            call(0x3c05_657f, &[to.clone(), 9_u128.encode()]),
        ),
        (
            "token transfer_from",
            call(0x175a_c719, &[to.clone(), to.clone(), 1_u128.encode()]),
        ),
        (
            "token mint",
            call(0x4cc9_b0a2, &[to.clone(), 1_u128.encode()]),
        ),
        (
            "token mint of too much",
            call(0x4cc9_b0a2, &[to, u128::MAX.encode()]),
        ),
        ("token burn", call(0xca94_e08b, &[77_u128.encode()])),
        ("token unknown message", call(0x1234_5678, &[])),
        (
            "token message cut short",
            call(0xe588_91bc, &[vec![1, 2, 3]]),
        ),
    ]
}

/// The messages of the probe, which is at this address.
fn probe(contract: Address, token: Address) -> Vec<(&'static str, Action)> {
    let call = |selector, arguments: &[Vec<u8>]| Action::Call {
        contract,
        input: message(selector, arguments),
        value: 0,
    };
    let words: Vec<&str> = vec!["the", "quick", "brown", "fox"];
    let order = [
        account(2).address.encode(),
        vec![1],
        7_u64.encode(),
        vec![0],
    ]
    .concat();
    vec![
        (
            "probe set_name",
            call(
                0x2818_af81,
                &["name".encode(), Some(vec![7_u8; 500]).encode()],
            ),
        ),
        ("probe flag", call(0x754c_ea77, &[3_u32.encode()])),
        (
            "probe append",
            call(0x96be_6bee, &[vec![9], "a line".encode()]),
        ),
        ("probe drop_lines", call(0x1be8_f767, &[0_u32.encode()])),
        (
            "probe place",
            call(0xa7c0_ae6a, &[10_u64.encode(), (-3_i32).encode(), order]),
        ),
        (
            "probe withdraw",
            call(0xd803_195d, &[10_u64.encode(), 3_i32.encode()]),
        ),
        ("probe sort", call(0x0b0a_d7c2, &[words.encode()])),
        (
            "probe see",
            call(0xb57c_c0e0, &[(-5_i64).encode(), "seen".encode()]),
        ),
        (
            "probe count",
            call(0x3f9f_3182, &[token.encode(), 1_u64.encode()]),
        ),
        (
            "probe count_or_fail",
            call(0xde46_a450, &[token.encode(), 1_u64.encode()]),
        ),
        ("probe panic", call(0x6dd1_5244, &[true.encode()])),
        ("probe no panic", call(0x6dd1_5244, &[false.encode()])),
    ]
}

/// Deploys the corpus, and gives what can be done with it. Deployments are among it, under other salts.
///
/// # Panics
/// When a contract of the corpus cannot be deployed.
#[must_use]
pub fn samples(chain: &mut Chain) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut made = Vec::new();
    for (name, code, input) in [
        ("token deployed", TOKEN, token_input()),
        ("probe deployed", PROBE, vec![0]),
        ("probe refuses to be made", PROBE, Some("no").encode()),
    ] {
        let action = deploy(code, input);
        let receipt = chain.run(vec![chain.transaction(vec![action.clone()], 100_000_000)]);
        made.extend(crate::chain::made_address(&receipt[0]));
        let action = match action {
            Action::Deploy {
                code,
                input,
                value,
                admin,
                ..
            } => Action::Deploy {
                code,
                salt: [8; 32],
                input,
                value,
                admin,
            },
            other => other,
        };
        samples.push((name.to_owned(), action));
    }
    assert_eq!(made.len(), 2, "token and probe are deployed");
    samples.extend(
        token(made[0])
            .into_iter()
            .map(|(name, action)| (name.to_owned(), action)),
    );
    samples.extend(
        probe(made[1], made[0])
            .into_iter()
            .map(|(name, action)| (name.to_owned(), action)),
    );
    samples.extend(hostile(chain));
    samples
        .into_iter()
        .map(|(name, action)| Sample { name, action })
        .collect()
}

/// Hostile calls, one for each way to end; those of host functions are many and alike.
fn hostile(chain: &mut Chain) -> Vec<(String, Action)> {
    let alike = [
        "_the_end",
        "_wrapping",
        "_of_2_gib",
        "_maximal",
        "_staggered",
    ];
    let cases: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| case.is_deployed() && !alike.iter().any(|end| case.name.ends_with(end)))
        .collect();
    cases
        .into_iter()
        .map(|case| {
            chain.run(vec![case.deployment(chain)]);
            let action = case.attack_action(chain);
            (case.name, action)
        })
        .collect()
}
