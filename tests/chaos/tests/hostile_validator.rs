//! A validator's key in the hands of somebody who sends nonsense: the three others go on, and refuse whoever has it.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::time::Duration;

use kumiki_chaos::attacker::{self, Harm, Target};
use kumiki_chaos::{Load, Net, Nodes, check, opening};
use libp2p::identity::Keypair;

/// Whose key it is; all others are needed for a quorum.
const STOLEN: usize = 3;
/// Attacks after which every node must have had enough.
const ROUNDS_MAX: u32 = 4;
/// How long each kind of harm is done to all others at once.
const TIME: Duration = Duration::from_secs(3);
/// Looks at a node that goes on; a busy machine stretches them.
const LOOKS: u32 = 2_400;

/// Does one kind of harm to all targets over all protocols at once, over many connections of one peer, and says how many
/// streams each target took.
async fn attack_all(keypair: &Keypair, targets: &[Target], harm: Harm) -> Vec<usize> {
    let attacks = targets.iter().map(async |target| {
        let protocols = attacker::protocols(&target.prefix);
        let over = protocols
            .iter()
            .map(|protocol| attacker::attack_as(keypair.clone(), target, protocol, harm, TIME));
        let outcomes = futures_util::future::join_all(over).await;
        let taken = outcomes.into_iter().map(|outcome| outcome.unwrap().taken);
        taken.sum()
    });
    futures_util::future::join_all(attacks).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_seat_that_sends_nonsense_costs_the_others_nothing_but_the_seat() {
    let net = Net::start(STOLEN + 1, 0, &[]).unwrap();
    let opening = opening(&net).await.unwrap();
    let client = net.client_soon(0).await.unwrap();
    let genesis = client.info().await.unwrap().genesis_hash;
    let key = kumiki_wallet::read_node_key(&net.folder(STOLEN).join("node.key")).unwrap();
    let keypair = Keypair::ed25519_from_bytes(key.to_seed()).unwrap();
    net.localnet(&["fault", "kill", &STOLEN.to_string()])
        .unwrap();

    let mut others = Nodes::clone(&net);
    others.rpc.truncate(STOLEN);
    let load = Load::start(&others, 41);
    let targets: Vec<Target> = (0..STOLEN)
        .map(|node| Target::of(&net, node, &genesis).unwrap())
        .collect();
    // What costs a ban at once comes last.
    for harm in [
        Harm::Drip,
        Harm::Streams,
        Harm::Garbage,
        Harm::Flood,
        Harm::Endless,
    ] {
        let height = others.height(0).await.unwrap_or(0);
        let mut taken = attack_all(&keypair, &targets, harm).await;
        println!("{harm:?}: {taken:?} streams taken");
        if harm == Harm::Drip {
            // A node that still holds the killed node's connection may take none the first time.
            for _ in 1..ROUNDS_MAX {
                if taken.iter().all(|taken| *taken > 0) {
                    break;
                }
                let more = attack_all(&keypair, &targets, harm).await;
                println!("again: {more:?} streams taken");
                taken
                    .iter_mut()
                    .zip(more)
                    .for_each(|(taken, more)| *taken += more);
            }
            assert!(taken.iter().all(|taken| *taken > 0), "nothing was attacked");
        }
        for node in 0..STOLEN {
            others.higher_than(height + 2, node, LOOKS).await.unwrap();
        }
    }
    // Whoever has the key is refused by all of them, once each has heard enough: a connection may end before.
    let mut taken = attack_all(&keypair, &targets, Harm::Drip).await;
    for _ in 0..ROUNDS_MAX {
        if taken == [0; STOLEN] {
            break;
        }
        println!("not refused yet: {taken:?} streams taken");
        attack_all(&keypair, &targets, Harm::Endless).await;
        taken = attack_all(&keypair, &targets, Harm::Drip).await;
    }
    assert_eq!(taken, [0; STOLEN]);
    let told = load.finish().await;
    println!("{} transactions acknowledged", told.transactions.len());
    assert!(told.transactions.len() > 100, "clients were not served");
    assert_eq!(
        check(&others, opening, &told).await.unwrap(),
        Vec::<String>::new()
    );
}
