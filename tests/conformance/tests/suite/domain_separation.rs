//! Show that a signature made for one purpose, chain or subject is valid for no other, whoever looks at it.

use kumiki_protocol::{
    Certificate, CertificateSignature, Evidence, Genesis, Hash, Proposal, SecretKey, Signature,
    SignedVote, Transaction, TransactionBody, ValidatorSet, Vote, join_sign_bytes,
};
use kumiki_testkit::{account, validator};

use crate::samples;

/// What the noise handshake of libp2p has a node's key sign: this and the connection's own key.
const NOISE_DOMAIN: &[u8] = b"noise-libp2p-static-key:";
/// What libp2p signs to make an address record, after its length.
const RECORD_DOMAIN: &[u8] = b"libp2p-peer-record";

/// One key plays all parts: a node's key votes, joins, sends evidence and proves who connects.
fn key() -> SecretKey {
    validator(1)
}

fn proposal() -> Proposal {
    Proposal {
        epoch: 3,
        view: 17,
        parent_view: 16,
        block: samples::hash(1),
    }
}

fn body(genesis_hash: Hash) -> TransactionBody {
    let mut body = samples::body(samples::actions().into_iter().map(|(_, one)| one).collect());
    body.sender = key().public_key();
    body.genesis_hash = genesis_hash;
    body
}

/// Two chains: the same but for their name, so also a dev chain that was reset.
fn chains() -> [Hash; 2] {
    let mut other: Genesis = samples::genesis();
    other.time_ms += 1;
    [samples::genesis().hash(), other.hash()]
}

/// Everything that our code has a key sign, with a name: each purpose, on each chain, of more than one subject.
fn messages() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (number, chain) in chains().into_iter().enumerate() {
        let mut add = |name: &str, bytes: Vec<u8>| all.push((format!("{name} on {number}"), bytes));
        add("transaction", body(chain).sign_bytes());
        let mut next = body(chain);
        next.nonce += 1;
        add("transaction after it", next.sign_bytes());
        let other = Proposal {
            block: samples::hash(2),
            ..proposal()
        };
        let later = Proposal {
            view: 18,
            ..proposal()
        };
        for (of, proposal) in [("one", proposal()), ("another", other), ("a later", later)] {
            add(
                &format!("notarize {of}"),
                Vote::Notarize(proposal).sign_bytes(&chain),
            );
            add(
                &format!("finalize {of}"),
                Vote::Finalize(proposal).sign_bytes(&chain),
            );
        }
        let (epoch, view) = (3, 17);
        add("nullify", Vote::Nullify { epoch, view }.sign_bytes(&chain));
        add("join", join_sign_bytes(&chain, &account(0).address));
        add(
            "join for another",
            join_sign_bytes(&chain, &account(1).address),
        );
    }
    let point = key().public_key().0;
    all.push(("noise".to_owned(), [NOISE_DOMAIN, &point].concat()));
    let length = u8::try_from(RECORD_DOMAIN.len()).unwrap();
    all.push((
        "record".to_owned(),
        [&[length], RECORD_DOMAIN, &point[..]].concat(),
    ));
    all
}

/// Everything that takes a signature of the key, with the name of the one message that it should take.
type Verifier = (String, Box<dyn Fn(Signature) -> bool>);

fn verifiers() -> Vec<Verifier> {
    let mut all: Vec<Verifier> = Vec::new();
    for (number, chain) in chains().into_iter().enumerate() {
        let mut add = |name: &str, verify: Box<dyn Fn(Signature) -> bool>| {
            all.push((format!("{name} on {number}"), verify));
        };
        let takes = move |signature| Transaction {
            body: body(chain),
            signature,
        };
        add(
            "transaction",
            Box::new(move |signature| takes(signature).verify_signature().is_ok()),
        );
        add(
            "finalize one",
            Box::new(move |signature| certificate(signature).verify(&chain, &alone()).is_ok()),
        );
        add(
            "join",
            Box::new(move |signature| {
                let message = join_sign_bytes(&chain, &account(0).address);
                key().public_key().verify(&message, &signature).is_ok()
            }),
        );
        for (name, vote, beside) in evidence_cases() {
            add(
                name,
                Box::new(move |signature| {
                    let evidence = Evidence {
                        validator: key().public_key(),
                        first: SignedVote { vote, signature },
                        second: SignedVote {
                            vote: beside,
                            signature: key().sign(&beside.sign_bytes(&chain)),
                        },
                    };
                    evidence.verify(&chain).is_ok()
                }),
            );
        }
    }
    all
}

/// A vote that evidence takes, and one that contradicts it.
fn evidence_cases() -> [(&'static str, Vote, Vote); 3] {
    let other = Proposal {
        block: samples::hash(2),
        ..proposal()
    };
    let nullify = Vote::Nullify { epoch: 3, view: 17 };
    [
        (
            "notarize one",
            Vote::Notarize(proposal()),
            Vote::Notarize(other),
        ),
        (
            "finalize one",
            Vote::Finalize(proposal()),
            Vote::Finalize(other),
        ),
        ("nullify", nullify, Vote::Finalize(proposal())),
    ]
}

fn alone() -> ValidatorSet {
    ValidatorSet::new(vec![key().public_key()]).unwrap()
}

fn certificate(signature: Signature) -> Certificate {
    Certificate {
        proposal: proposal(),
        signatures: vec![CertificateSignature {
            validator: 0,
            signature,
        }],
    }
}

#[test]
fn each_verifier_takes_the_one_message_that_is_meant_for_it() {
    let messages = messages();
    let verifiers = verifiers();
    assert_eq!((messages.len(), verifiers.len()), (24, 12));
    for (wanted, verify) in &verifiers {
        for (name, message) in &messages {
            let taken = verify(key().sign(message));
            assert_eq!(taken, name == wanted, "{wanted} is shown {name}");
        }
    }
}

#[test]
fn no_message_begins_another() {
    let messages = messages();
    for (one, first) in &messages {
        for (other, second) in &messages {
            assert!(one == other || !first.starts_with(second), "{one}, {other}");
        }
    }
}

#[test]
fn a_signature_of_one_key_is_none_of_another() {
    for (_, verify) in verifiers() {
        for (_, message) in messages() {
            assert!(!verify(validator(2).sign(&message)));
        }
    }
}
