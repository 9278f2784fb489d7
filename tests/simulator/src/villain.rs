//! Validators that break the rules, one of four: the engine's own attackers, and one key that runs twice.

use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::mocks;
use commonware_consensus::types::{Epoch, ViewDelta};
use commonware_cryptography::{Sha256, ed25519};
use commonware_p2p::Recipients;
use commonware_p2p::simulated::{SplitOrigin, SplitTarget};
use commonware_p2p::utils::mux::Muxer;
use commonware_runtime::{Handle, Supervisor as _, deterministic};
use commonware_utils::ordered::Set;
use kumiki_consensus::simplex::{Channels, PeerKey, Scheme};
use kumiki_protocol::{SecretKey, Vote};
use std::sync::Arc;
use std::time::Duration;

use crate::liar::Liar;
use crate::node::{Machine, Running, SimReceiver, SimSender, World};
use crate::scenario::random;

/// How a validator breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Villain {
    /// It votes for what it sees and for something else too.
    Conflict,
    /// It proposes different blocks to different validators, whose contents nobody has.
    Equivocate,
    /// It gives every view up and finalizes it too.
    Nullify,
    /// It only ever gives views up.
    NullifyOnly,
    /// It votes in others' names.
    Impersonate,
    /// It repeats votes of views long past.
    Outdated,
    /// It votes in another epoch.
    Reconfigure,
    /// It says nothing.
    Silent,
    /// It says that blocks of its own making are final.
    Forge,
    /// It proposes blocks with false results and times, repeated and forged transactions.
    Lie,
    /// Its key runs two whole nodes, each talking to one half of the others.
    Twins,
}

impl Villain {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Conflict,
        Self::Equivocate,
        Self::Nullify,
        Self::NullifyOnly,
        Self::Impersonate,
        Self::Outdated,
        Self::Reconfigure,
        Self::Silent,
        Self::Forge,
        Self::Lie,
        Self::Twins,
    ];
}

/// A running villain.
pub(crate) enum Loose {
    /// Tasks, which go on as long as the simulation.
    Tasks,
    /// Whole nodes.
    Nodes(Vec<Running>),
}

impl Loose {
    /// The mempools that clients may hand transactions to.
    pub(crate) fn mempools(&self) -> Vec<&Arc<kumiki_mempool::SharedMempool>> {
        match self {
            Self::Tasks => Vec::new(),
            Self::Nodes(nodes) => nodes.iter().map(|node| &node.mempool).collect(),
        }
    }
}

/// Lets a villain loose with the key of `machine`.
pub(crate) async fn start(villain: Villain, machine: &Machine, world: &World) -> Loose {
    let channels = world.channels(&machine.key).await;
    match villain {
        Villain::Twins => return start_twins(machine, world, channels),
        Villain::Lie => return start_liar(machine, world, channels),
        Villain::Forge => {
            crate::forger::forge(machine, world, channels);
            return Loose::Tasks;
        }
        _ => {}
    }
    let validators = machine
        .genesis
        .validator_set()
        .expect("the test has validators");
    let participants =
        kumiki_consensus::simplex::participants(&validators).expect("keys are valid");
    let scheme = scheme(machine, participants);
    let env = world.env.child("villain");
    // Votes travel in the subchannel of their epoch.
    let (mux, mut votes) = Muxer::new(env.child("votes"), channels.votes.0, channels.votes.1);
    mux.start();
    let votes = votes.register(0).await.expect("the subchannel is free");
    let (mux, mut certificates) = Muxer::new(
        env.child("certificates"),
        channels.certificates.0,
        channels.certificates.1,
    );
    mux.start();
    let certificates = certificates
        .register(0)
        .await
        .expect("the subchannel is free");
    attack(villain, &env, scheme, votes, certificates);
    Loose::Tasks
}

fn scheme(machine: &Machine, participants: Set<PeerKey>) -> Scheme {
    use commonware_codec::{Copying, DecodeExt as _};
    let namespace = Vote::namespace(&machine.genesis.hash());
    let seed = machine.key.to_seed();
    let key = ed25519::PrivateKey::decode(Copying(&seed)).expect("a seed makes a key");
    Scheme::signer(&namespace, participants, key).expect("the villain has a seat")
}

fn attack(
    villain: Villain,
    env: &deterministic::Context,
    scheme: Scheme,
    votes: (
        impl commonware_p2p::Sender<PublicKey = PeerKey>,
        impl commonware_p2p::Receiver<PublicKey = PeerKey>,
    ),
    certificates: (
        impl commonware_p2p::Sender<PublicKey = PeerKey>,
        impl commonware_p2p::Receiver<PublicKey = PeerKey>,
    ),
) {
    let env = env.child("attack");
    // A task goes on when nobody holds its handle.
    let _running: Handle<()> = match villain {
        Villain::Conflict => {
            let config = mocks::conflicter::Config { scheme };
            mocks::conflicter::Conflicter::<_, _, Sha256>::new(env, config).start(votes)
        }
        Villain::Nullify => {
            let config = mocks::nuller::Config { scheme };
            mocks::nuller::Nuller::<_, _, Sha256>::new(env, config).start(votes)
        }
        Villain::NullifyOnly => {
            let config = mocks::nullify_only::Config { scheme };
            mocks::nullify_only::NullifyOnly::<_, _, Sha256>::new(env, config).start(votes)
        }
        Villain::Impersonate => {
            let config = mocks::impersonator::Config { scheme };
            mocks::impersonator::Impersonator::<_, _, Sha256>::new(env, config).start(votes)
        }
        Villain::Reconfigure => {
            let config = mocks::reconfigurer::Config { scheme };
            mocks::reconfigurer::Reconfigurer::<_, _, Sha256>::new(env, config).start(votes)
        }
        Villain::Outdated => {
            let config = mocks::outdated::Config {
                scheme,
                view_delta: ViewDelta::new(10),
            };
            mocks::outdated::Outdated::<_, _, Sha256>::new(env, config).start(votes)
        }
        Villain::Equivocate => {
            let config = mocks::equivocator::Config {
                scheme,
                elector: RoundRobin::<Sha256>::default(),
                epoch: Epoch::new(0),
                relay: Arc::new(mocks::relay::Relay::new()),
            };
            let equivocator = mocks::equivocator::Equivocator::<_, _, _, Sha256>::new(env, config);
            equivocator.start(votes, certificates)
        }
        Villain::Silent | Villain::Forge | Villain::Lie | Villain::Twins => return,
    };
}

/// Two nodes with one key: the first hears and speaks to the validators on one side, the second to the others.
fn start_twins(
    machine: &Machine,
    world: &World,
    channels: Channels<SimSender, SimReceiver>,
) -> Loose {
    let peers: Vec<PeerKey> = world.everybody.iter().cloned().collect();
    let (left, right) = peers.split_at(peers.len() / 2);
    let sides: [Arc<Vec<PeerKey>>; 2] = [Arc::new(left.to_vec()), Arc::new(right.to_vec())];
    let split = |(sender, receiver): (SimSender, SimReceiver)| {
        let senders = sender.split_with({
            let sides = sides.clone();
            move |origin: SplitOrigin, recipients: &Recipients<PeerKey>, _message: &_| {
                let side = match origin {
                    SplitOrigin::Primary => &sides[0],
                    SplitOrigin::Secondary => &sides[1],
                };
                Some(Recipients::Some(within(side, recipients)))
            }
        });
        let receivers = receiver.split_with(world.env.child("twins"), {
            let left = Arc::clone(&sides[0]);
            move |(sender, _message): &(PeerKey, _)| match left.contains(sender) {
                true => SplitTarget::Primary,
                false => SplitTarget::Secondary,
            }
        });
        ((senders.0, receivers.0), (senders.1, receivers.1))
    };
    let votes = split(channels.votes);
    let certificates = split(channels.certificates);
    let views = split(channels.views);
    let proposals = split(channels.proposals);
    let blocks = split(channels.blocks);
    let news = split(channels.news);
    let first = Channels {
        votes: votes.0,
        certificates: certificates.0,
        views: views.0,
        proposals: proposals.0,
        blocks: blocks.0,
        news: news.0,
    };
    let second = Channels {
        votes: votes.1,
        certificates: certificates.1,
        views: views.1,
        proposals: proposals.1,
        blocks: blocks.1,
        news: news.1,
    };
    let other = twin_of(machine);
    let slowness = Duration::from_millis(2);
    Loose::Nodes(vec![
        machine.start_on(world, slowness, first, |chain| chain),
        other.start_on(world, slowness, second, |chain| chain),
    ])
}

fn start_liar(
    machine: &Machine,
    world: &World,
    channels: Channels<SimSender, SimReceiver>,
) -> Loose {
    let env = world.env.child("lies");
    let random = random(u64::from_le_bytes(
        machine.key.to_seed()[..8].try_into().unwrap_or_default(),
    ));
    let liar = machine.start_on(world, Duration::from_millis(2), channels, |chain| {
        Liar::new(chain, env, random)
    });
    Loose::Nodes(vec![liar])
}

fn twin_of(machine: &Machine) -> Machine {
    let key: SecretKey = machine.key.clone();
    Machine::new(machine.index + 1_000, key, Arc::clone(&machine.genesis))
}

fn within(side: &[PeerKey], recipients: &Recipients<PeerKey>) -> Vec<PeerKey> {
    let wanted = |peer: &&PeerKey| match recipients {
        Recipients::All => true,
        Recipients::Some(some) => some.contains(peer),
        Recipients::One(one) => one == *peer,
    };
    side.iter().filter(wanted).cloned().collect()
}
