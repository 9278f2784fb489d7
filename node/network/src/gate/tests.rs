//! Test the gate.
