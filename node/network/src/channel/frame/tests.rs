//! Test frames.
