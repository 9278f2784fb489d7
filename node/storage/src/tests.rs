//! Hold the store against a model: every block, every past state, every proof, through crashes and damage.

mod chain;
mod damage;
mod events;
mod power_loss;
mod reading;
mod rewind;
