//! A contract whose view ends when a test says so.

use std::sync::{Arc, Condvar, Mutex};

use kumiki_protocol::{Address, sha3_256};
use kumiki_testkit::account;
use kumiki_vm::{Entry, Frame, NativeCode};
use tokio::sync::mpsc;

use crate::live_node::LiveNode;

/// Stands for the contract's code.
const CODE: &[u8] = b"ends when a test says so";

#[derive(Default)]
struct Release {
    said: Mutex<bool>,
    changed: Condvar,
}

struct Code {
    entered: mpsc::UnboundedSender<()>,
    release: Arc<Release>,
}

/// The test's end. Dropping it lets all views end.
pub(crate) struct HeldCode {
    pub(crate) contract: Address,
    entered: mpsc::UnboundedReceiver<()>,
    release: Arc<Release>,
}

impl NativeCode for Code {
    fn run(&self, entry: Entry, frame: Frame) -> Frame {
        if entry == Entry::Query {
            // The test may be over.
            let _heard = self.entered.send(());
            let said = self.release.said.lock().unwrap();
            drop(
                self.release
                    .changed
                    .wait_while(said, |said| !*said)
                    .unwrap(),
            );
        }
        frame
    }
}

impl HeldCode {
    /// Deploys the contract from account 0, nonce 0, in the next block.
    pub(crate) fn deploy(node: &mut LiveNode) -> Self {
        let (entered, has_entered) = mpsc::unbounded_channel();
        let release = Arc::new(Release::default());
        let code = Code {
            entered,
            release: Arc::clone(&release),
        };
        node.executor
            .vm()
            .register_native(CODE.into(), Arc::new(code));
        let deploy = node.draft(0, 0).gas_limit(100_000_000).deploy(CODE, &[]);
        node.seal(vec![deploy.sign()]);
        Self {
            contract: Address::of_contract(&account(0).address, &[0; 32], &sha3_256(&[CODE])),
            entered: has_entered,
            release,
        }
    }

    /// A call of the view.
    pub(crate) fn call(&self, id: u64) -> String {
        let contract = self.contract;
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"sim_call","params":{{"contract":"{contract}","input":"0x"}}}}"#
        )
    }

    /// Returns when one more view runs.
    pub(crate) async fn entered(&mut self) {
        self.entered.recv().await.unwrap();
    }

    /// Lets all views end, those to come too.
    pub(crate) fn release(&self) {
        *self.release.said.lock().unwrap() = true;
        self.release.changed.notify_all();
    }
}

impl Drop for HeldCode {
    fn drop(&mut self) {
        self.release();
    }
}
