//! Experiments: presets, command line, tables, figures and reports.

// Unit tests leave out the command lines as well: they take longest to compile.
#![cfg_attr(any(test, not(feature = "programs")), allow(dead_code, unused_imports))]
#![allow(
    missing_docs,
    reason = "in an application, what says nothing is left out"
)]

mod checkpoint;
pub mod commands;
mod evaluator;
pub mod figures;
pub mod methods;
pub mod metrics_tool;
mod networks;
pub mod pages;
pub mod presets;
pub mod results;
pub mod tables;
mod terminal;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use checkpoint::{Checkpoint, LoadedCheckpoint};
pub use evaluator::test_images;
pub use methods::{Method, PreparedMethod};
pub use presets::{DataSet, DatasetPath, LatentPreset, Preset};
