//! A validator that says blocks of its own making were decided, with certificates that nobody signed.

use std::sync::Arc;

use bytes::Bytes;
use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_consensus::simplex::types::{Finalization, Finalize, Proposal};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::ed25519;
use commonware_p2p::{Recipients, Sender as _};
use commonware_parallel::Sequential;
use commonware_utils::iter::NonEmpty;
use commonware_utils::ordered::Set;
use kumiki_consensus::simplex::{Channels, Digest, OrderedBlock, PeerKey, Scheme, digest_of};
use kumiki_protocol::{Block, SecretKey, Vote};

use crate::node::{Machine, SimReceiver, SimSender, World, peer_of};

/// The first byte of an announced finalization.
const FINALIZATION: u8 = 0;

/// Tells every peer of another first block, and that it is final.
pub(crate) fn forge(
    machine: &Machine,
    world: &World,
    mut channels: Channels<SimSender, SimReceiver>,
) {
    let storage = machine.open();
    let genesis = storage
        .block(0)
        .expect("genesis can be read")
        .expect("genesis is stored");
    let seats = machine.genesis.validators.len();
    let keys: Vec<SecretKey> = (0..seats)
        .map(|seat| SecretKey::from_seed([u8::try_from(seat).unwrap_or(0).wrapping_add(0x80); 32]))
        .collect();
    let everybody = world
        .everybody
        .iter()
        .filter(|peer| **peer != machine.peer());
    for (number, peer) in (1..).zip(everybody) {
        let mut header = genesis.header.clone();
        header.height = 1;
        header.parent = genesis.hash();
        header.time_ms = number;
        header.proposer = machine.key.public_key();
        let block = Block {
            header,
            transactions: Vec::new(),
        };
        let digest = digest_of(&block.hash());
        let finalization = finalization(machine, &keys, digest);
        let mut news = vec![FINALIZATION];
        news.extend_from_slice(&finalization.encode());
        let to = Recipients::One(peer.clone());
        let block = OrderedBlock::new(Arc::new(block)).encode();
        channels.proposals.0.send(to.clone(), block, true);
        channels.news.0.send(to, Bytes::from(news), true);
    }
}

/// A finalization in the form that the network takes, signed by keys that have no seat.
fn finalization(
    machine: &Machine,
    keys: &[SecretKey],
    block: Digest,
) -> Finalization<Scheme, Digest> {
    let namespace = Vote::namespace(&machine.genesis.hash());
    let participants: Set<PeerKey> = Set::from_iter_dedup(keys.iter().map(peer_of));
    let round = Round::new(Epoch::new(0), View::new(1));
    let proposal = Proposal::new(round, View::new(0), block);
    let mut own = None;
    let votes: Vec<_> = keys
        .iter()
        .filter_map(|key| {
            let key = ed25519::PrivateKey::decode(Copying(&key.to_seed())).ok()?;
            let scheme = Scheme::signer(&namespace, participants.clone(), key)?;
            let vote = Finalize::sign(&scheme, proposal.clone());
            own = Some(scheme);
            vote
        })
        .collect();
    let scheme = own.expect("there are validators");
    let votes = NonEmpty::try_new(votes.iter()).expect("there are validators");
    Finalization::from_finalizes(&scheme, votes, &Sequential).expect("all keys have signed")
}
