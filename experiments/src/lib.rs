//! Experiments: presets, command line, tables, figures and reports.

// Unit tests leave out the command lines as well: they take longest to compile.
#![cfg_attr(any(test, not(feature = "programs")), allow(dead_code, unused_imports))]

mod backends;
mod budget_request;
mod calibrate;
mod checkpoint;
mod dry_run;
mod evaluate;
mod evaluator;
pub mod experiment;
pub mod figures;
mod import;
mod loaded;
mod main_job;
mod measured;
pub mod methods;
pub mod metrics_tool;
mod network_file;
mod options;
pub mod page;
mod prepare;
mod prepared;
mod presentation;
mod preset;
mod progress;
mod published;
pub mod readme;
mod reference;
pub mod results;
mod sample;
mod surroundings;
pub mod tables;
mod terminal;
mod text_encoder;
mod time_exits;
mod timing;
mod train;
mod train_features;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use checkpoint::Checkpoint;
pub use evaluator::test_images;
pub use loaded::LoadedCheckpoint;
pub use methods::{Method, PreparedMethod};
pub use preset::{DataSet, LatentPreset, Place, Preset};
