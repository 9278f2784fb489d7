//! Verify what a node has stored as the proof of its chain, as a client does that trusts genesis and nothing else.

use kumiki_protocol::{
    Certificate, CertificateError, FinalityProof, Genesis, Height, TrustedValidators, ValidatorSet,
};
use kumiki_storage::Storage;

/// Newest blocks that may wait for their certificate: those that were decided while this was looked at.
const UNCERTIFIED_MAX: usize = 16;

/// Checks the certificates of every block from 1 to the tip over all epochs, and that the verifier accepts nothing
/// less. Says what is wrong.
pub(crate) fn check(node: &Storage) -> Result<(), String> {
    let failed = |error: kumiki_storage::StorageError| error.to_string();
    let genesis = node.genesis().ok_or("the store has no genesis")?;
    let parameters = genesis.parameters;
    let mut trusted = TrustedValidators::of_genesis(&genesis).ok_or("genesis has no validators")?;
    let tip = node.tip().map_or(0, |tip| tip.height);
    let mut waiting = Vec::new();
    for height in 1..=tip {
        while trusted.epoch() < parameters.epoch_of(height) {
            let epoch = trusted.epoch();
            let end = node.epoch_end(epoch).map_err(failed)?;
            let end =
                end.ok_or_else(|| format!("nothing stored shows that epoch {epoch} ended"))?;
            trusted
                .enter_next(&end)
                .map_err(|error| format!("the end of epoch {epoch} does not verify: {error}"))?;
        }
        let header = node.header(height).map_err(failed)?;
        waiting.push(header.ok_or_else(|| format!("header {height} is missing"))?);
        let Some(certificate) = node.certificate(height).map_err(failed)? else {
            continue;
        };
        refuses_less(&genesis, trusted.validators(), &certificate, height)?;
        let proof = FinalityProof {
            headers: std::mem::take(&mut waiting),
            certificate,
        };
        trusted.verify(&proof).map_err(|error| {
            format!("the certificate of block {height} does not verify: {error}")
        })?;
    }
    if waiting.len() > UNCERTIFIED_MAX {
        return Err(format!(
            "the newest {} blocks have no certificate",
            waiting.len()
        ));
    }
    Ok(())
}

/// The verifier must refuse a certificate with one signature too few: more than two thirds of the validators sign.
fn refuses_less(
    genesis: &Genesis,
    validators: &ValidatorSet,
    certificate: &Certificate,
    height: Height,
) -> Result<(), String> {
    let seats = validators.keys().len();
    let enough = (0..=seats)
        .find(|signed| signed * 3 > seats * 2)
        .unwrap_or(seats);
    let mut less = certificate.clone();
    less.signatures.truncate(enough.saturating_sub(1));
    match less.verify(&genesis.hash(), validators) {
        Err(CertificateError::NoQuorum { .. }) => Ok(()),
        other => Err(format!(
            "a certificate of block {height} with {} of {seats} signatures gives {other:?}",
            less.signatures.len()
        )),
    }
}
