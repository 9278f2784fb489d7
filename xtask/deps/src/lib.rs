//! Selects every third-party crate with the features the workspace uses; holds no code.
