//! Hold the store against a model: every block, every past state, every proof, through crashes and damage.

mod chain;
mod damage;
#[cfg(target_os = "linux")]
mod disk_faults;
mod events;
mod power_loss;
mod reading;
mod rewind;
mod rot;
