//! Hold the verifier of finality to golden proofs and verdicts, which a verifier in another language reads as well.
//!
//! A case of `golden/finality.txt` names where trust starts, the steps over the epochs, the proof, and what comes of
//! them: `final HEIGHT HASH`, or `refused` with the part (`start`, `end`, `proof`) and the first reason.

use std::collections::BTreeMap;

use kumiki_conformance::Golden;
use kumiki_protocol::{
    CertificateError, Decode, Encode, FinalityError, Genesis, Hash, Header, TrustedValidators,
    ValidatorSet, decode_bounded,
};

use crate::finality_cases::{Case, cases};
use crate::finality_chain::{genesis, starts};

/// Above every value of the file.
const BYTES_MAX: usize = 1 << 20;

/// The values of the golden file, by name. Verdicts come from these texts and from nothing else.
#[derive(Default)]
struct Vectors(BTreeMap<String, String>);

impl Vectors {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn value<T: Decode>(&self, name: &str) -> Result<T, String> {
        let bytes = hex::decode(self.text(name)).unwrap();
        decode_bounded(&bytes, BYTES_MAX).map_err(|_malformed| "encoding".to_owned())
    }

    fn start(&self, name: &str) -> Result<TrustedValidators, String> {
        let genesis: Genesis = self.value("genesis")?;
        assert_eq!(genesis.hash().to_string(), self.text("genesis.hash"));
        if name == "genesis" {
            return Ok(TrustedValidators::of_genesis(&genesis).unwrap());
        }
        let header: Header = self.value(&format!("start.{name}.header"))?;
        let trusted: Hash = self.text(&format!("start.{name}.hash")).parse().unwrap();
        let validators: ValidatorSet = self.value(&format!("start.{name}.validators"))?;
        TrustedValidators::after_header(&genesis, &trusted, &header, validators)
            .map_err(|error| reason(&error))
    }

    fn verdict(&self, case: &str) -> String {
        let part = |name: &str| format!("case.{case}.{name}");
        let mut trusted = match self.start(self.text(&part("start"))) {
            Ok(trusted) => trusted,
            Err(reason) => return format!("refused start {reason}"),
        };
        let ends = self.text(&part("ends"));
        for end in ends.split(' ').filter(|name| *name != "none") {
            let entered = self
                .value(&format!("end.{end}"))
                .and_then(|end| trusted.enter_next(&end).map_err(|error| reason(&error)));
            if let Err(reason) = entered {
                return format!("refused end {reason}");
            }
        }
        let shown = self.value(&part("proof")).and_then(|proof| {
            let shown = trusted.verify(&proof);
            shown.cloned().map_err(|error| reason(&error))
        });
        match shown {
            Ok(header) => format!("final {} {}", header.height, header.hash()),
            Err(reason) => format!("refused proof {reason}"),
        }
    }
}

fn reason(error: &FinalityError) -> String {
    let name = match error {
        FinalityError::Headers { .. } => "headers",
        FinalityError::Chain { .. } => "chain",
        FinalityError::Link { .. } => "link",
        FinalityError::Epoch { .. } => "epoch",
        FinalityError::OtherBlock => "other_block",
        FinalityError::Certificate(CertificateError::Positions { .. }) => "certificate.positions",
        FinalityError::Certificate(CertificateError::NoQuorum { .. }) => "certificate.no_quorum",
        FinalityError::Certificate(CertificateError::Signature { .. }) => "certificate.signature",
        FinalityError::NotTrusted { .. } => "not_trusted",
        FinalityError::NotTheEnd { .. } => "not_the_end",
        FinalityError::Validators => "validators",
    };
    name.to_owned()
}

#[test]
fn proofs_of_finality_over_epochs_are_judged_as_ever() {
    let mut golden = Golden::new("finality.txt");
    let mut vectors = Vectors::default();
    let mut add = |name: String, value: String| {
        golden.add(name.clone(), value.clone());
        vectors.0.insert(name, value);
    };
    let genesis = genesis();
    add("genesis".to_owned(), hex::encode(genesis.encode()));
    add("genesis.hash".to_owned(), genesis.hash().to_string());
    for start in starts() {
        let part = |name: &str| format!("start.{}.{name}", start.name);
        add(part("header"), hex::encode(start.header.encode()));
        add(part("hash"), start.hash.to_string());
        add(part("validators"), hex::encode(start.validators.encode()));
    }
    let cases = cases();
    let mut ends = BTreeMap::new();
    for (name, bytes) in cases.iter().flat_map(|case| &case.ends) {
        let known = ends.insert(name.clone(), bytes.clone());
        assert!(known.is_none_or(|known| known == *bytes), "two ends {name}");
    }
    for (name, bytes) in ends {
        add(format!("end.{name}"), hex::encode(bytes));
    }
    for Case {
        name,
        start,
        ends,
        proof,
        verdict,
    } in &cases
    {
        let part = |what: &str| format!("case.{name}.{what}");
        let ends: Vec<&str> = ends.iter().map(|(name, _)| name.as_str()).collect();
        let none = if ends.is_empty() { "none" } else { "" };
        add(part("start"), (*start).to_owned());
        add(part("ends"), ends.join(" ") + none);
        add(part("proof"), hex::encode(proof));
        add(part("verdict"), verdict.clone());
    }
    // What each case must come to is written beside it: blessing cannot hide a verifier that judges otherwise.
    for case in &cases {
        assert_eq!(vectors.verdict(case.name), case.verdict, "{}", case.name);
    }
    golden.compare();
}
