//! `kumiki bench`: drive a running node and report how fast it is.

use crate::arguments::BenchArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;

pub(crate) async fn run(_arguments: &BenchArguments, _output: Output) -> Outcome<()> {
    Err(Failure::new(Exit::System, "bench", "pending"))
}
