//! Hold the pool against a model that keeps a plain list.
