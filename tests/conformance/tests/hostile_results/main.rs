//! Hold what the corpus and the hostile contracts come to, also where they fail, to golden bytes.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

mod failure_paths;
mod receipts;
