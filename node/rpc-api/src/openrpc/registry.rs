//! Hold the table of methods that the OpenRPC document is made from.

use kumiki_protocol::{Gas, Height};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{MethodSpec, ParamSpec};
use crate::ErrorCode as E;
use crate::schema::{AddressText, HashText};
use crate::wire::{
    AccountView, ApiVersion, BlockView, CallSimulation, ChainInfo, ContractAbi, ContractCode,
    ContractView, EpochEndView, EventFilter, EventPage, EventView, FeePrice, FinalityView,
    GenesisView, HeadView, HeaderView, Health, ImpersonatedAction, Limits, NextNonce, NodeStatus,
    NodeVersion, PeerView, SignedHeader, StateEntry, StatePage, StateProof, Submitted, TraceView,
    TransactionReceipt, TransactionSimulation, TransactionStatus, TransactionsIn,
};
use crate::{Bytes, Cursor, Decimal};

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn required<T: JsonSchema>(name: &'static str, description: &'static str) -> ParamSpec {
    ParamSpec {
        name,
        description,
        required: true,
        schema: of::<T>,
    }
}

const fn optional<T: JsonSchema>(name: &'static str, description: &'static str) -> ParamSpec {
    ParamSpec {
        required: false,
        ..required::<T>(name, description)
    }
}

const fn method<T: JsonSchema>(
    name: &'static str,
    summary: &'static str,
    params: &'static [ParamSpec],
    result: &'static str,
    errors: &'static [E],
) -> MethodSpec {
    MethodSpec {
        name,
        summary,
        params,
        result: (result, of::<T>),
        subscription: None,
        errors,
    }
}

const fn subscription<T: JsonSchema>(
    names: (&'static str, &'static str),
    summary: &'static str,
    params: &'static [ParamSpec],
    errors: &'static [E],
) -> MethodSpec {
    let (name, unsubscribe) = names;
    MethodSpec {
        subscription: Some((unsubscribe, of::<T>)),
        ..method::<u64>(name, summary, params, "subscription", errors)
    }
}

const fn unsubscription(name: &'static str, summary: &'static str) -> MethodSpec {
    const ID: &[ParamSpec] = &[required::<u64>(
        "subscription",
        "Id that subscribing answered.",
    )];
    method::<bool>(name, summary, ID, "removed", &[])
}

const AT: ParamSpec = optional::<Height>(
    "at",
    "The height after which the answer holds; the head by default.",
);
const ADDRESS: ParamSpec = required::<AddressText>("address", "The account or contract.");
const HEIGHT: ParamSpec = optional::<Height>("height", "Height of the block.");
const BLOCK_HASH: ParamSpec = optional::<HashText>("hash", "Hash of the block.");
const TRANSACTION: ParamSpec =
    required::<Bytes>("transaction", "SCALE encoding of the signed transaction.");
const TRANSACTION_HASH: ParamSpec = required::<HashText>("hash", "Id of the transaction.");
const BODY: ParamSpec = required::<Bytes>("body", "SCALE encoding of the transaction's body.");
const KEY: ParamSpec = required::<Bytes>("key", "The key.");
const CONTRACT: ParamSpec = optional::<AddressText>(
    "contract",
    "Take keys as those of this contract's storage; else they are whole state keys.",
);
const FILTER: ParamSpec =
    optional::<EventFilter>("filter", "Which events are wanted; all by default.");
const AFTER: ParamSpec = optional::<Cursor>("after", "Cursor of the last event seen.");

const REFUSALS: &[E] = &[
    E::Malformed,
    E::BadSignature,
    E::WrongChain,
    E::NonceTooLow,
    E::NonceTooFar,
    E::Expired,
    E::ValidUntilTooFar,
    E::InsufficientFunds,
    E::GasPriceTooLow,
    E::GasLimitOutOfRange,
    E::TooLarge,
    E::PoolFull,
    E::SenderFull,
    E::ReplacementUnderpriced,
    E::Busy,
    E::Unavailable,
    E::Replaced,
    E::WaitTimedOut,
    E::WaitersTooMany,
    E::ChainRewound,
];
const HEIGHTS: &[E] = &[E::HeightUnknown, E::HeightPruned];
const BLOCKS: &[E] = &[E::HeightUnknown, E::HeightPruned, E::BlockUnknown];
const CONTRACTS: &[E] = &[
    E::HeightUnknown,
    E::HeightPruned,
    E::ContractUnknown,
    E::CodeUnknown,
    E::AbiMissing,
];
const RECEIPTS: &[E] = &[
    E::TransactionUnknown,
    E::TransactionPending,
    E::ProofNotReady,
    E::HeightPruned,
];
const PAGES: &[E] = &[E::HeightUnknown, E::HeightPruned, E::PageOutOfRange];
const PROOFS: &[E] = &[E::HeightUnknown, E::HeightPruned, E::ProofNotReady];
const SIMULATIONS: &[E] = &[
    E::HeightUnknown,
    E::HeightPruned,
    E::ContractUnknown,
    E::GasOutOfRange,
    E::SimulationsTooMany,
    E::Malformed,
    E::WrongChain,
    E::NonceTooLow,
    E::NonceGap,
    E::Expired,
    E::ValidUntilTooFar,
    E::InsufficientFunds,
    E::GasPriceTooLow,
    E::GasLimitOutOfRange,
    E::TooLarge,
    E::Reverted,
    E::OutOfGas,
    E::StackOverflow,
    E::Trap,
    E::CallDepth,
    E::Limit,
    E::Reentrancy,
    E::CalleeUnknown,
    E::InsufficientBalance,
    E::InvalidCode,
    E::AddressTaken,
    E::NotAllowed,
    E::ReadOnly,
    E::CalleeCodeUnknown,
];
const TRACES: &[E] = &[
    E::TransactionUnknown,
    E::TransactionPending,
    E::HeightPruned,
    E::SimulationsTooMany,
];
const STREAMS: &[E] = &[
    E::HeightUnknown,
    E::HeightPruned,
    E::NeedsWebSocket,
    E::SubscriptionInBatch,
    E::ReaderTooSlow,
    E::ChainRewound,
];

const METHODS: &[MethodSpec] = &[
    method::<serde_json::Value>(
        "rpc.discover",
        "The OpenRPC document of this node.",
        &[],
        "document",
        &[],
    ),
    method::<ApiVersion>(
        "rpc_version",
        "Version of the methods and types.",
        &[],
        "version",
        &[],
    ),
    method::<Limits>("rpc_limits", "What this node allows.", &[], "limits", &[]),
    method::<ChainInfo>(
        "chain_getInfo",
        "What chain this is and how far it has come.",
        &[],
        "info",
        &[],
    ),
    method::<BlockView>(
        "chain_getBlock",
        "A block, by height or hash; the head by default.",
        &[
            HEIGHT,
            BLOCK_HASH,
            optional::<TransactionsIn>("transactions", "Show hashes (default) or full contents."),
        ],
        "block",
        BLOCKS,
    ),
    method::<SignedHeader>(
        "chain_getHeader",
        "A header and its certificate, if it has its own, by height or hash; the head by default.",
        &[HEIGHT, BLOCK_HASH],
        "header",
        BLOCKS,
    ),
    method::<FinalityView>(
        "chain_getFinality",
        "Why a block is final: its header, those after it up to the first with a certificate, and that.",
        &[required::<Height>("height", "Height of the block.")],
        "finality",
        PROOFS,
    ),
    method::<EpochEndView>(
        "chain_getEpochEnd",
        "The step from an epoch to the next: its last header, certificate, and the next validators.",
        &[required::<u64>("epoch", "The epoch that ends.")],
        "epochEnd",
        PROOFS,
    ),
    method::<GenesisView>(
        "chain_getGenesis",
        "The genesis of the chain, for who knows its hash.",
        &[],
        "genesis",
        &[],
    ),
    subscription::<HeaderView>(
        ("chain_subscribeHeads", "chain_unsubscribeHeads"),
        "Every header from now on, or from a height on, in order and without gaps.",
        &[optional::<Height>("from", "The first height wanted.")],
        STREAMS,
    ),
    unsubscription(
        "chain_unsubscribeHeads",
        "Ends a subscription of chain_subscribeHeads.",
    ),
    method::<AccountView>(
        "account_get",
        "Balance and nonce of an account.",
        &[ADDRESS, AT],
        "account",
        HEIGHTS,
    ),
    method::<NextNonce>(
        "account_nextNonce",
        "The nonce to sign the next transaction with.",
        &[ADDRESS],
        "nonce",
        &[],
    ),
    method::<Submitted>(
        "tx_submit",
        "Hands in a signed transaction. Sending again is harmless.",
        &[TRANSACTION],
        "submitted",
        REFUSALS,
    ),
    method::<TransactionReceipt>(
        "tx_submitAndWait",
        "Hands in a signed transaction and answers when it is executed and on disk.",
        &[
            TRANSACTION,
            optional::<u64>("timeoutMs", "The longest to wait, in milliseconds."),
        ],
        "receipt",
        REFUSALS,
    ),
    method::<TransactionStatus>(
        "tx_get",
        "The fate of a transaction; certain once the head is past its validUntil.",
        &[
            TRANSACTION_HASH,
            optional::<Height>(
                "validUntil",
                "The transaction's validUntil, to be told when it is expired.",
            ),
            optional::<bool>("encoded", "Show the SCALE encoding too."),
        ],
        "status",
        &[],
    ),
    method::<TransactionReceipt>(
        "tx_getReceipt",
        "What a final transaction came to.",
        &[TRANSACTION_HASH, optional::<bool>("proof", "Add a proof.")],
        "receipt",
        RECEIPTS,
    ),
    method::<CallSimulation>(
        "sim_call",
        "Runs a view of a contract.",
        &[
            required::<AddressText>("contract", "The contract."),
            required::<Bytes>("input", "Selector and SCALE arguments."),
            optional::<AddressText>(
                "caller",
                "Who the contract sees as caller; the zero address by default.",
            ),
            optional::<Gas>(
                "gas",
                "The most gas to use; what rpc_limits allows by default.",
            ),
            AT,
        ],
        "answer",
        SIMULATIONS,
    ),
    method::<TransactionSimulation>(
        "sim_tx",
        "Runs an unsigned transaction on top of the head.",
        &[BODY],
        "simulation",
        SIMULATIONS,
    ),
    method::<ContractView>(
        "contract_get",
        "Code hash, admin and balance of a contract.",
        &[ADDRESS, AT],
        "contract",
        CONTRACTS,
    ),
    method::<ContractAbi>(
        "contract_getAbi",
        "What a contract's code says of itself.",
        &[ADDRESS, AT],
        "abi",
        CONTRACTS,
    ),
    method::<ContractCode>(
        "contract_getCode",
        "The Wasm of a contract, or the one with a code hash.",
        &[
            optional::<AddressText>("address", "The contract."),
            optional::<HashText>("codeHash", "The code."),
            AT,
        ],
        "code",
        CONTRACTS,
    ),
    method::<StateEntry>(
        "state_get",
        "What the state holds under a key.",
        &[KEY, CONTRACT, AT],
        "entry",
        HEIGHTS,
    ),
    method::<StatePage>(
        "state_getPrefix",
        "A page of what the state holds under keys with a prefix.",
        &[
            required::<Bytes>("prefix", "What the keys begin with."),
            CONTRACT,
            optional::<Bytes>("after", "Begin after this key: `next` of the page before."),
            optional::<u32>(
                "limit",
                "The most entries to answer; a full page by default.",
            ),
            AT,
        ],
        "page",
        PAGES,
    ),
    method::<StateProof>(
        "state_getProof",
        "A proof of what the state holds under a key, or that it holds nothing.",
        &[
            KEY,
            CONTRACT,
            optional::<Height>(
                "at",
                "The height; by default the last that a decided header commits to.",
            ),
        ],
        "proof",
        PROOFS,
    ),
    method::<EventPage>(
        "events_query",
        "A page of events.",
        &[
            FILTER,
            optional::<Height>("from", "The first height; 0 by default."),
            optional::<Height>("to", "The last height; the head by default."),
            AFTER,
            optional::<u32>(
                "limit",
                "The most events to answer; a full page by default.",
            ),
        ],
        "page",
        PAGES,
    ),
    subscription::<EventView>(
        ("events_subscribe", "events_unsubscribe"),
        "Events from now on, from a height on, or after a cursor: the past first, then live.",
        &[
            FILTER,
            optional::<Height>("from", "The first height wanted."),
            AFTER,
        ],
        STREAMS,
    ),
    unsubscription(
        "events_unsubscribe",
        "Ends a subscription of events_subscribe.",
    ),
    method::<FeePrice>("fee_getPrice", "What gas costs.", &[], "price", &[]),
    method::<HeadView>(
        "dev_mine",
        "Makes blocks at once; the first take what waits. Only on a chain for development.",
        &[optional::<u32>(
            "blocks",
            "How many, at most 1,000; one by default.",
        )],
        "head",
        &[],
    ),
    method::<HeadView>(
        "dev_warp",
        "Moves the chain's time on, and makes a block that shows it. Only on a chain for development.",
        &[
            optional::<u64>("byMs", "By so many milliseconds."),
            optional::<u64>("toMs", "To a moment, in milliseconds since 1970."),
        ],
        "head",
        &[E::TimeOutOfRange],
    ),
    method::<HeadView>(
        "dev_snapshot",
        "A moment to go back to with dev_revert, by its hash. Only on a chain for development.",
        &[],
        "head",
        &[],
    ),
    method::<HeadView>(
        "dev_revert",
        "Takes every block after this one back, and what waits. Only on a chain for development.",
        &[required::<HashText>(
            "hash",
            "Hash of the block that becomes the head.",
        )],
        "head",
        &[E::BlockUnknown, E::HeightPruned],
    ),
    method::<HeadView>(
        "dev_undo",
        "Takes the newest blocks that have transactions back, with all blocks after them. Only on a chain for development.",
        &[optional::<u32>(
            "blocks",
            "How many that have transactions, at most 1,000; one by default.",
        )],
        "head",
        &[E::HeightUnknown, E::HeightPruned],
    ),
    method::<HeadView>(
        "dev_reset",
        "Takes all blocks but genesis back. Only on a chain for development.",
        &[],
        "head",
        &[E::HeightPruned],
    ),
    method::<TransactionReceipt>(
        "dev_setBalance",
        "Sets what an account or a contract holds, in a transaction of the node. Only on a chain for development.",
        &[
            required::<AddressText>("account", "The account or contract."),
            required::<Decimal>(
                "balance",
                "What it holds from then on, in base units; at most 2^96.",
            ),
        ],
        "receipt",
        REFUSALS,
    ),
    method::<TransactionReceipt>(
        "dev_impersonate",
        "Has an account or a contract take steps that it did not sign, in a transaction of the node, which pays. Only on a chain for development.",
        &[
            required::<AddressText>("account", "The account or contract."),
            required::<Vec<ImpersonatedAction>>(
                "actions",
                "The steps, all or none of which happen.",
            ),
        ],
        "receipt",
        REFUSALS,
    ),
    method::<TraceView>(
        "debug_traceTx",
        "What the calls of a final transaction did. Only where the node serves developers.",
        &[TRANSACTION_HASH],
        "trace",
        TRACES,
    ),
    method::<TraceView>(
        "debug_traceCall",
        "What the calls of an unsigned transaction would do. Only where the node serves developers.",
        &[BODY],
        "trace",
        SIMULATIONS,
    ),
    method::<Health>(
        "node_getHealth",
        "Whether the node serves.",
        &[],
        "health",
        &[],
    ),
    method::<NodeVersion>(
        "node_getVersion",
        "What the node runs.",
        &[],
        "version",
        &[],
    ),
    method::<NodeStatus>(
        "node_getStatus",
        "The node's place in the chain's network.",
        &[],
        "status",
        &[],
    ),
    method::<Vec<PeerView>>(
        "node_getPeers",
        "The peers that the node is connected to.",
        &[],
        "peers",
        &[],
    ),
];

/// Every method, in the order of the document.
#[must_use]
pub const fn method_specs() -> &'static [MethodSpec] {
    METHODS
}
