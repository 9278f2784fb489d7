//! Hold what requests and answers are made of.

mod chain;
mod contract;
mod event;
mod finality;
mod node;
mod simulation;
mod state;
mod trace;
mod transaction;

pub use chain::{
    AccountView, BlockView, CertificateSignatureView, CertificateView, ChainInfo, ChainParameters,
    ExecutedView, HeadView, HeaderView, NextNonce, SignedHeader, TransactionsIn,
};
pub use contract::{ContractAbi, ContractCode, ContractView};
pub use event::{EventFilter, EventPage, EventView};
pub use finality::{EpochEndView, FinalityView, GenesisView};
pub use node::{
    ApiVersion, Health, HealthStatus, Limits, NodeRole, NodeStatus, NodeVersion, PeerView,
};
pub use simulation::{
    CallSimulation, DiagnosticKind, DiagnosticView, FeePrice, TransactionSimulation,
};
pub use state::{StateEntry, StateItem, StatePage, StateProof};
pub use trace::{CutBytes, EntryName, StepView, TraceView, TracedActionView, TracedCallView};
pub use transaction::{
    ActionView, FailureView, ImpersonatedAction, ReceiptProof, ReceiptStatus, ReceiptView,
    SubmitStatus, Submitted, TransactionReceipt, TransactionState, TransactionStatus,
    TransactionView,
};
