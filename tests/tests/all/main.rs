//! Tests that cross crates; those of tensor code run on every device that was compiled in.
