//! Tests that cross crates and run on every backend.
