//! Do what each command says, one module per command.

pub(crate) mod account;
pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod call;
pub(crate) mod chain;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod localnet;
pub(crate) mod new_project;
pub(crate) mod node;
pub(crate) mod proof;
pub(crate) mod test;
pub(crate) mod trace;
pub(crate) mod tx;
pub(crate) mod upgrade;
pub(crate) mod validator;
pub(crate) mod verify;
