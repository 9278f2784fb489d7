//! List every key of `node.toml` once: name, default, what it may hold, what it does.

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// true or false.
    Switch,
}

/// One key of `node.toml`.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    /// As TOML writes it.
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    /// What it does, a line of comment each.
    pub(crate) about: &'static [&'static str],
}

impl Key {
    /// `section.name`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable that comes before the file.
    pub(crate) fn variable(&self) -> String {
        format!("{VARIABLES}{}_{}", self.section, self.name).to_uppercase()
    }
}

/// What environment variables of keys begin with.
pub(crate) const VARIABLES: &str = "KUMIKI_NODE_";

const PORT: Kind = Kind::Number(0, 65_535);
const COUNT: Kind = Kind::Number(1, 1_000_000);
const MILLISECONDS: Kind = Kind::Number(0, 3_600_000);
const ANY: Kind = Kind::Number(0, 1 << 50);

macro_rules! keys {
    ($($section:ident { $($name:ident = $default:literal, $kind:expr, $($about:literal),+;)* })*) => {
        &[$($(Key {
            section: stringify!($section),
            name: stringify!($name),
            default: $default,
            kind: $kind,
            about: &[$($about),+],
        }),*),*]
    };
}

/// Every key, in the order of the file that `kumiki node init` writes.
pub(crate) const KEYS: &[Key] = keys! {
    chain {
        genesis = "\"genesis.json\"", Kind::Text, "The chain's genesis; like every path here, seen from this folder.";
        key = "\"node.key\"", Kind::Text, "The node's key, of mode 0600. With a seat in the genesis it signs blocks:",
            "never let two nodes use it.";
        data = "\"data\"", Kind::Text, "Folder of blocks, state, votes and compiled contracts.";
    }
    rpc {
        address = "\"127.0.0.1\"", Kind::Text, "Address of JSON-RPC, /health, /ready, /metrics and the WebSocket.",
            "Other than loopback it needs expose = true.";
        port = "8660", PORT, "Its port; 0 takes a free one.";
        hosts = "[]", Kind::Texts, "Host names to answer for, besides localhost and the address itself.";
        origins = "[]", Kind::Texts, "Web pages to answer: \"https://app.example\", or with :* for any port.";
        expose = "false", Kind::Switch, "Let others than this machine reach the RPC.";
        debug = "false", Kind::Switch, "Serve debug_traceTx and debug_traceCall ('kumiki trace'), which have this node execute blocks",
            "again.";
    }
    p2p {
        listen = "[\"/ip4/0.0.0.0/tcp/8661\"]", Kind::Texts, "Where peers connect to, as multiaddrs; open this port in the firewall.";
        external = "[]", Kind::Texts, "Addresses under which peers reach this node where it cannot see them itself.";
        bootstrap = "[]", Kind::Texts, "Peers to begin with: \"/ip4/192.0.2.7/tcp/8661/p2p/12D3…\". One is enough to find the rest.";
        discovery = "true", Kind::Switch, "Find peers through peers. Without it only bootstrap peers are dialled.";
        mdns = "false", Kind::Switch, "Find peers on the local network.";
        quic = "false", Kind::Switch, "Dial QUIC addresses, and listen on those in listen.";
        relay_server = "false", Kind::Switch, "Let peers that nobody can reach be reached through this node.";
        relay_client = "false", Kind::Switch, "Be reachable through relays.";
        dcutr = "false", Kind::Switch, "Turn relayed connections into direct ones; needs relay_client.";
        autonat = "false", Kind::Switch, "Ask peers whether this node can be reached.";
    }
    limits {
        target_peers = "32", COUNT, "Connect to more peers while fewer than this are connected.";
        connections_in = "128", COUNT, "Connections that others opened.";
        connections_out = "64", COUNT, "Connections that this node opened.";
        upload_bytes_per_second = "0", ANY, "Bytes sent per second, all peers together; 0 is unlimited.";
        download_bytes_per_second = "0", ANY, "Bytes received per second, all peers together; 0 is unlimited.";
        one_machine = "false", Kind::Switch, "All peers share one IP address, as in 'kumiki localnet'.";
        mempool_transactions = "65536", COUNT, "Transactions that wait for a block.";
        mempool_bytes = "100663296", Kind::Number(1 << 20, 1 << 40), "Their bytes together.";
    }
    ordering {
        block_time_ms = "100", MILLISECONDS, "The least time between two blocks, when this node leads.";
        heartbeat_ms = "1000", MILLISECONDS, "An empty block after this long without transactions. The same on all validators:",
            "they wait for a leader this long and a second more.";
    }
    sync {
        mode = "\"blocks\"", Kind::Word(&["blocks", "state"]), "A new node executes all \"blocks\", or fetches a recent \"state\" from several peers.";
        trusted = "\"\"", Kind::Text, "For \"state\": a recent block that you trust, \"HEIGHT:0xHASH\", from an explorer or another operator.",
            "Empty trusts genesis: validators that left long ago could then sign another chain.";
    }
    storage {
        cache_mib = "256", Kind::Number(8, 1 << 20), "Memory for cached pages of the store, in MiB.";
        check = "\"full\"", Kind::Word(&["full", "quick"]), "At start: \"full\" reads every page (a second per gigabyte), \"quick\" the tip only.";
        undo_heights = "64", Kind::Number(64, 1_000_000), "Heights below the tip whose state can be read, and whose transactions be traced.";
    }
    log {
        format = "\"text\"", Kind::Word(&["text", "json"]), "Lines on stderr for people, or one JSON object per line.";
        level = "\"info,commonware=warn,libp2p=warn\"", Kind::Text, "error, warn, info, debug or trace, for all and for parts by their names.";
    }
};

/// The key called `section.name`.
pub(crate) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
}

/// The sections, in order.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    sections
}
