//! Hold the receipts of the corpus and of every hostile contract to golden bytes.

use kumiki_conformance::Golden;
use kumiki_hostile_contracts::{Chain, cases, corpus};
use kumiki_protocol::{Encode, Receipt, sha3_256};
use kumiki_vm::run_on_execution_stack;

/// Longer receipts are held by their hash.
const BYTES_SHOWN: usize = 600;

fn text(receipt: &Receipt) -> String {
    let bytes = receipt.encode();
    if bytes.len() <= BYTES_SHOWN {
        hex::encode(bytes)
    } else {
        format!("{} bytes, sha3 {}", bytes.len(), sha3_256(&[&bytes]))
    }
}

#[test]
fn receipts_and_roots_are_as_ever() {
    let golden = run_on_execution_stack(|| {
        let mut golden = Golden::new("receipts.txt");
        let mut receipts = 0;
        let mut chain = Chain::on_both_engines();
        for sample in corpus::samples(&mut chain) {
            let transaction = chain.transaction(vec![sample.action], 20_000_000);
            let found = chain.run(vec![transaction]);
            golden.add(format!("corpus {}", sample.name), text(&found[0]));
            receipts += 1;
        }
        golden.add("root of the corpus", chain.root().to_string());
        let mut chain = Chain::on_both_engines();
        for case in cases::all() {
            let found = chain.run(vec![case.deployment(&chain)]);
            golden.add(format!("{} deployed", case.name), text(&found[0]));
            receipts += 1;
            if case.is_deployed() {
                let found = chain.run(vec![case.attack(&chain)]);
                golden.add(format!("{} called", case.name), text(&found[0]));
                receipts += 1;
            }
        }
        golden.add("root of the hostile", chain.root().to_string());
        assert!(receipts >= 200, "{receipts} receipts");
        golden
    });
    golden.unwrap().compare();
}
