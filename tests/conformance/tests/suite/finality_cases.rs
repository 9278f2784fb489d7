//! List proofs of finality, sound and altered, each with what must come of it.

use kumiki_protocol::{Encode, EpochEnd, FinalityProof, Hash, Header};

use crate::finality_chain::{certificate, end, ends, header, proof, set};

/// Something to judge, and the verdict.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// `genesis`, or the name of a [`crate::finality_chain::Start`].
    pub(crate) start: &'static str,
    /// Steps to the next epochs, each with its name.
    pub(crate) ends: Vec<(String, Vec<u8>)>,
    pub(crate) proof: Vec<u8>,
    pub(crate) verdict: String,
}

/// All cases, the sound ones first.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = sound();
    all.extend(altered_headers());
    all.extend(of_another_epoch_or_form());
    all.extend(altered_certificates());
    all.extend(altered_steps());
    all.extend(false_steps_and_starts());
    all
}

fn case(
    name: &'static str,
    start: &'static str,
    ends: Vec<(String, Vec<u8>)>,
    proof: &FinalityProof,
    verdict: &str,
) -> Case {
    let shown = |header: &Header| format!("final {} {}", header.height, header.hash());
    let verdict = match (verdict, proof.headers.first()) {
        ("final", Some(first)) => shown(first),
        _ => format!("refused {verdict}"),
    };
    Case {
        name,
        start,
        ends,
        proof: proof.encode(),
        verdict,
    }
}

fn sound() -> Vec<Case> {
    let one = |name, start, epochs, (from, to)| {
        case(name, start, ends(epochs), &proof(from, to), "final")
    };
    vec![
        one("own_certificate", "genesis", 0..0, (3, 3)),
        one("through_descendants", "genesis", 0..0, (2, 5)),
        one("genesis_through_descendants", "genesis", 0..0, (0, 2)),
        one("a_whole_epoch", "genesis", 0..1, (8, 15)),
        one("last_of_an_epoch", "genesis", 0..2, (23, 23)),
        one("one_validator_decides", "genesis", 0..3, (25, 27)),
        one("the_set_stays_the_same", "genesis", 0..5, (41, 42)),
        one("from_a_header", "within_an_epoch", 0..0, (13, 14)),
        one("before_the_header", "within_an_epoch", 0..0, (9, 10)),
        one("on_from_a_header", "within_an_epoch", 1..4, (35, 38)),
        one("from_an_end", "at_the_end_of_an_epoch", 2..3, (24, 25)),
    ]
}

fn from_genesis(name: &'static str, alter: fn(&mut FinalityProof), verdict: &str) -> Case {
    let mut altered = proof(2, 5);
    alter(&mut altered);
    case(name, "genesis", Vec::new(), &altered, verdict)
}

/// Signs the altered last header anew, as the validators of epoch 0 would.
fn sign_anew(proof: &mut FinalityProof) {
    let last = proof.headers.last().unwrap();
    proof.certificate = certificate(last, 0, 0);
}

fn altered_headers() -> Vec<Case> {
    vec![
        from_genesis("no_header", |proof| proof.headers.clear(), "proof headers"),
        from_genesis(
            "a_gap",
            |proof| {
                proof.headers.remove(1);
            },
            "proof link",
        ),
        from_genesis(
            "in_another_order",
            |proof| proof.headers.swap(1, 2),
            "proof link",
        ),
        from_genesis(
            "altered_first_header",
            |proof| proof.headers[0].executed.state_root = Hash([9; 32]),
            "proof link",
        ),
        from_genesis(
            "altered_last_header",
            |proof| proof.headers[3].time_ms += 1,
            "proof other_block",
        ),
        from_genesis(
            "signed_height_that_does_not_follow",
            |proof| {
                proof.headers[3].height += 1;
                sign_anew(proof);
            },
            "proof link",
        ),
        from_genesis(
            "signed_header_of_another_chain",
            |proof| {
                proof.headers[3].genesis_hash = Hash([5; 32]);
                sign_anew(proof);
            },
            "proof chain",
        ),
        from_genesis(
            "signed_header_of_another_version",
            |proof| {
                proof.headers[3].version += 1;
                sign_anew(proof);
            },
            "proof chain",
        ),
        from_genesis(
            "certificate_of_a_block_before",
            |proof| proof.certificate = certificate(&proof.headers[2], 0, 0),
            "proof other_block",
        ),
    ]
}

fn of_another_epoch_or_form() -> Vec<Case> {
    vec![
        case(
            "of_the_next_epoch",
            "genesis",
            Vec::new(),
            &proof(9, 10),
            "proof epoch",
        ),
        case(
            "of_the_epoch_before",
            "genesis",
            ends(0..1),
            &proof(2, 5),
            "proof epoch",
        ),
        case(
            "decided_in_the_next_epoch",
            "genesis",
            Vec::new(),
            &proof(7, 8),
            "proof epoch",
        ),
        Case {
            proof: [proof(2, 3).encode(), vec![0]].concat(),
            ..from_genesis("a_byte_too_many", |_proof| (), "proof encoding")
        },
        Case {
            proof: proof(2, 3).encode().split_off(1),
            ..from_genesis("a_byte_too_few", |_proof| (), "proof encoding")
        },
    ]
}

fn altered_certificates() -> Vec<Case> {
    vec![
        from_genesis(
            "a_signature_less_than_a_quorum",
            |proof| {
                proof.certificate.signatures.pop();
            },
            "proof certificate.no_quorum",
        ),
        from_genesis(
            "a_signature_twice",
            |proof| proof.certificate.signatures[1] = proof.certificate.signatures[0],
            "proof certificate.positions",
        ),
        from_genesis(
            "a_position_outside_the_set",
            |proof| proof.certificate.signatures[2].validator = 4,
            "proof certificate.positions",
        ),
        from_genesis(
            "a_false_signature",
            |proof| proof.certificate.signatures[0].signature.0[5] ^= 1,
            "proof certificate.signature",
        ),
        from_genesis(
            "another_epoch",
            |proof| proof.certificate.proposal.epoch = 1,
            "proof epoch",
        ),
        from_genesis(
            "another_view",
            |proof| proof.certificate.proposal.view += 1,
            "proof certificate.signature",
        ),
        from_genesis(
            "another_parent_view",
            |proof| proof.certificate.proposal.parent_view += 1,
            "proof certificate.signature",
        ),
        from_genesis(
            "signed_by_later_validators",
            |proof| proof.certificate = certificate(&proof.headers[3], 0, 2),
            "proof certificate.signature",
        ),
        case(
            "signed_by_earlier_validators",
            "genesis",
            ends(0..2),
            &FinalityProof {
                headers: vec![header(17)],
                certificate: certificate(&header(17), 2, 0),
            },
            "proof certificate.signature",
        ),
    ]
}

/// A step that takes `end`, altered, for the end of epoch 0.
fn step(name: &'static str, alter: impl FnOnce(&mut EpochEnd), verdict: &str) -> Case {
    let mut altered = end(0);
    alter(&mut altered);
    let ends = vec![(name.to_owned(), altered.encode())];
    case(name, "genesis", ends, &proof(9, 10), verdict)
}

fn altered_steps() -> Vec<Case> {
    vec![
        step(
            "end_before_the_end",
            |end| {
                end.header = header(6);
                end.certificate = certificate(&header(6), 0, 0);
            },
            "end not_the_end",
        ),
        step(
            "end_with_other_validators",
            |end| end.next_validators = set(2),
            "end validators",
        ),
        step(
            "end_without_a_quorum",
            |end| end.certificate.signatures.truncate(2),
            "end certificate.no_quorum",
        ),
        step(
            "end_signed_by_the_next_validators",
            |end| end.certificate = certificate(&end.header, 0, 2),
            "end certificate.signature",
        ),
        step(
            "end_that_was_altered",
            |end| end.header.executed.state_root = Hash([9; 32]),
            "end other_block",
        ),
        step(
            "end_in_the_name_of_the_next_epoch",
            |end| end.certificate = certificate(&end.header, 1, 1),
            "end epoch",
        ),
    ]
}

fn false_steps_and_starts() -> Vec<Case> {
    let start = |name, start, verdict| case(name, start, Vec::new(), &proof(13, 14), verdict);
    let unsorted = |end: &mut EpochEnd| {
        let mut bytes = end.encode();
        let length = bytes.len();
        // The last two keys of the set change places.
        bytes[length - 64..].rotate_left(32);
        vec![("unsorted_validators".to_owned(), bytes)]
    };
    vec![
        case(
            "a_missing_end",
            "genesis",
            [ends(0..1), ends(2..3)].concat(),
            &proof(25, 27),
            "end not_the_end",
        ),
        case(
            "an_end_twice",
            "genesis",
            [ends(0..1), ends(0..1)].concat(),
            &proof(9, 10),
            "end not_the_end",
        ),
        case(
            "unsorted_validators",
            "genesis",
            unsorted(&mut end(0)),
            &proof(9, 10),
            "end encoding",
        ),
        start(
            "start_of_another_hash",
            "of_another_hash",
            "start not_trusted",
        ),
        start(
            "start_with_other_validators",
            "with_other_validators",
            "start validators",
        ),
        start("start_of_another_chain", "of_another_chain", "start chain"),
    ]
}
