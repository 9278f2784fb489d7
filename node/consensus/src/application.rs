//! State what an ordering engine needs of the chain: build, check, commit, validators, blocks.

use std::future::Future;
use std::sync::Arc;

use kumiki_protocol::{Block, Certificate, Evidence, Hash, Height, PublicKey, ValidatorSet};
use tokio::sync::oneshot;

/// An answer that comes when the work is done. A closed one means that the application has stopped.
pub type Pending<T> = oneshot::Receiver<T>;

/// The block to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub block_hash: Hash,
}

/// What a proposer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// Height of the block.
    pub height: Height,
    /// Hash of the block before.
    pub parent: Hash,
    /// The engine's clock, in milliseconds since 1970. A block is never older than its parent, whatever this says.
    pub time_ms: u64,
    /// Who proposes.
    pub proposer: PublicKey,
    /// Whether a block without transactions is wanted too.
    pub allow_empty: bool,
    /// The blocks up to the parent, oldest first, as far down as the engine does not know them to be committed.
    pub ancestors: Vec<Arc<Block>>,
}

/// A proposal to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRequest {
    /// The block.
    pub block: Arc<Block>,
    /// The blocks up to its parent, as in [`BuildRequest`].
    pub ancestors: Vec<Arc<Block>>,
}

/// A block that is decided, and the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The block.
    pub block: Arc<Block>,
    /// The proof; `None` where the engine knows only one for a later block, which decides all before it.
    pub certificate: Option<Certificate>,
}

/// The chain, as an ordering engine sees it.
///
/// Every method returns at once, whatever it asks for: engines call these from the tasks that also answer
/// votes, and an engine that waits for an execution or a disk stalls the whole network. So a callback hands
/// the work to the executor's queue and returns the receiving end of its answer. Work on one chain is done
/// in the order in which it was asked for.
pub trait Application: Send + Sync + 'static {
    /// Builds a block. The answer is `None` when there is nothing to put into it and an empty one is not wanted, or
    /// when its parent is not on the chain that was decided meanwhile. Where the results of the newest transactions
    /// are not in a header yet, an empty block that settles them counts as wanted.
    fn build(&self, request: BuildRequest) -> Pending<Option<Arc<Block>>>;

    /// Whether a block, proposed by another validator, may be voted for: its parent, time, limits and the results of
    /// earlier blocks that its header repeats. Who may propose it and when is the engine's to check.
    fn check(&self, request: CheckRequest) -> Pending<bool>;

    /// Takes a decided block. The answer comes when it, its certificate and what it leads to are synced to
    /// disk. Heights come without gaps; one that came before is answered again.
    fn commit(&self, decided: Decided) -> Pending<()>;

    /// Takes every committed block above `height` back, and answers with the tip and its time, in milliseconds since
    /// 1970; `None` where that state is not kept. Only the driver of a chain for development asks for it; an application
    /// that never takes anything back answers `None`.
    fn rewind(&self, _height: Height) -> Pending<Option<(Tip, u64)>> {
        let (reply, answer) = oneshot::channel();
        let _listens = reply.send(None);
        answer
    }

    /// The newest block that [`Self::commit`] has stored.
    fn tip(&self) -> Tip;

    /// The validators that sign the block at `height`; `None` where the chain does not know them yet, or any more.
    fn validators(&self, height: Height) -> Option<Arc<ValidatorSet>>;

    /// The decided block at `height`, where the chain has stored it; genesis is one. Read from the disk at once, which
    /// takes no longer than reading it from an engine's own files.
    fn decided(&self, height: Height) -> Option<Decided>;

    /// The height of the block with this hash, where the chain has stored it. Read from the disk at once.
    fn height_of(&self, hash: &Hash) -> Option<Height>;

    /// Takes the proof that a validator voted twice, which has been verified. Each validator is reported once.
    fn misbehaved(&self, evidence: Evidence);

    /// Returns once there is something to put into a block. May return early; asking again is cheap.
    fn work_waits(&self) -> impl Future<Output = ()> + Send;
}
