//! Hold `node.toml` to its rules: origins, order, refusals.

use super::*;

fn load(text: &str, variables: &[(&str, &str)], flags: Vec<Override>) -> Outcome<NodeSettings> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), text).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    NodeSettings::load(folder.path(), variables, flags)
}

#[track_caller]
fn refused(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let shown = load(text, variables, Vec::new()).unwrap_err().to_string();
    for part in expected {
        assert!(shown.contains(part), "no '{part}' in:\n{shown}");
    }
}

#[test]
fn what_is_written_is_read_back_as_the_defaults() {
    let settings = load(&template(&[]), &[], Vec::new()).unwrap();
    assert!(
        settings
            .all()
            .all(|(_, _, origin)| *origin == Origin::Default)
    );
    let all_set: Vec<_> = KEYS
        .iter()
        .map(|key| (key.section, key.name, literal(key.default)))
        .collect();
    let written = load(&template(&all_set), &[], Vec::new()).unwrap();
    for ((key, value, _), (_, default, _)) in written.all().zip(settings.all()) {
        assert_eq!(value, default, "{}", key.path());
    }
}

#[test]
fn flags_come_before_variables_before_the_file() {
    let text = "[rpc]\n# a comment\nport = 1\n\n[p2p]\nmdns = true\n";
    let port = |settings: &NodeSettings| {
        let (_, value, origin) = settings.all().find(|(key, ..)| key.name == "port").unwrap();
        (value.as_integer().unwrap(), origin.to_string())
    };
    let from_file = port(&load(text, &[], Vec::new()).unwrap());
    assert_eq!(from_file.0, 1);
    assert!(from_file.1.ends_with("node.toml:3"), "{}", from_file.1);
    let variables = [("KUMIKI_NODE_RPC_PORT", "2")];
    let from_variable = port(&load(text, &variables, Vec::new()).unwrap());
    assert_eq!(from_variable, (2, "KUMIKI_NODE_RPC_PORT".to_owned()));
    let flags = vec![("rpc", "port", Value::Integer(3), "--rpc-port")];
    let from_flag = port(&load(text, &variables, flags).unwrap());
    assert_eq!(from_flag, (3, "--rpc-port".to_owned()));
}

#[test]
fn unknown_names_are_refused_with_the_one_that_was_meant() {
    let text = "[rpc]\nport = 1\n\n[ordering]\nblok_time_ms = 5\n";
    refused(
        text,
        &[],
        &[
            "unknown key 'blok_time_ms'",
            "node.toml:5",
            "did you mean 'block_time_ms'?",
        ],
    );
    refused(
        "[rcp]\nport = 1\n",
        &[],
        &["unknown section 'rcp'", "'rpc'"],
    );
    refused("[rpc]\nlisten = []\n", &[], &["there is listen in [p2p]"]);
    refused("prot = 1\n", &[], &["unknown section 'prot'", ":1"]);
    let variables = [("KUMIKI_NODE_RPC_PROT", "1")];
    refused("", &variables, &["did you mean 'KUMIKI_NODE_RPC_PORT'?"]);
}

#[test]
fn values_of_the_wrong_kind_are_refused_where_they_stand() {
    refused(
        "[rpc]\nport = \"x\"\n",
        &[],
        &["rpc.port", "node.toml:2", "0 to 65535"],
    );
    refused("[rpc]\nport = 65536\n", &[], &["rpc.port"]);
    refused("[log]\nformat = \"xml\"\n", &[], &["one of text, json"]);
    refused("[p2p]\nlisten = [1]\n", &[], &["a list of texts"]);
    refused("[rpc\n", &[], &["node.toml:1"]);
    let variables = [("KUMIKI_NODE_P2P_MDNS", "yes")];
    refused("", &variables, &["KUMIKI_NODE_P2P_MDNS", "true or false"]);
}

#[test]
fn lists_in_variables_are_separated_by_commas() {
    let variables = [("KUMIKI_NODE_P2P_LISTEN", "/a, /b")];
    let settings = load("", &variables, Vec::new()).unwrap();
    let (_, value, _) = settings
        .all()
        .find(|(key, ..)| key.name == "listen")
        .unwrap();
    assert_eq!(*value, literal("[\"/a\", \"/b\"]"));
}

#[test]
fn a_trusted_block_is_a_height_and_a_hash() {
    let state_sync = |trusted: &str| {
        let text = format!("[sync]\nmode = \"state\"\ntrusted = \"{trusted}\"\n");
        load(&text, &[], Vec::new()).unwrap().state_sync()
    };
    let hash = kumiki_protocol::Hash([0xab; 32]);
    let block = state_sync(&format!("812:{hash}")).unwrap().unwrap();
    assert_eq!(block.trusted, Some((812, hash)));
    assert_eq!(state_sync("").unwrap().unwrap().trusted, None);
    for wrong in ["812", "812:0xab", "x:y", ":"] {
        let refused = state_sync(wrong).unwrap_err().to_string();
        assert!(refused.contains("sync.trusted"), "{wrong}: {refused}");
    }
    let blocks = load("", &[], Vec::new()).unwrap().state_sync().unwrap();
    assert!(blocks.is_none());
}

#[test]
fn an_rpc_listens_to_others_only_when_it_is_told_to_expose_itself() {
    let rpc = |text: String| load(&text, &[], Vec::new()).unwrap().rpc();
    for address in ["0.0.0.0", "::", "192.0.2.7", "fe80::1"] {
        let set = format!("[rpc]\naddress = \"{address}\"\n");
        let refused = rpc(set.clone()).unwrap_err().to_string();
        assert!(refused.contains("expose = true"), "{address}: {refused}");
        let exposed = rpc(format!("{set}expose = true\n")).unwrap();
        assert_eq!(exposed.listen.ip().to_string(), address);
    }
    for address in ["127.0.0.1", "127.0.0.9", "::1"] {
        assert!(rpc(format!("[rpc]\naddress = \"{address}\"\n")).is_ok());
    }
}
