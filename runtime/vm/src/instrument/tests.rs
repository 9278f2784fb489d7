//! Hold the claims.
