//! Experiments: presets, command line, tables, figures and reports.

// Unit tests leave out the command lines as well: they take longest to compile.
#![cfg_attr(any(test, not(feature = "programs")), allow(dead_code, unused_imports))]

pub mod allocator;
mod backends;
mod budget;
mod calibrate;
mod calibrations;
mod checkpoint;
pub mod device;
mod dry_run;
mod evaluate;
pub mod experiment;
pub mod figures;
mod import;
mod judge;
mod kept;
mod main_job;
mod measured;
pub mod methods;
pub mod metrics_tool;
mod network_file;
mod options;
pub mod page;
mod precision;
mod prepare;
mod prepared;
mod presentation;
mod preset;
mod progress;
mod published;
pub mod readme;
mod reference;
pub mod report;
mod run_folder;
mod sample;
mod solver_name;
mod study;
mod surroundings;
pub mod tables;
mod tally;
mod terminal;
mod text_encoder;
mod time_exits;
mod timing;
mod train;
mod train_features;
mod turns;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use budget::{Attainment, FdIncrease, Goal};
pub use calibrations::{Budget, Calibration, Calibrations, ExitRule};
pub use checkpoint::Checkpoint;
pub use judge::{Extractor, Judge, test_images};
pub use methods::{Method, PreparedMethod};
pub use precision::Precision;
pub use preset::{DataSet, LatentPreset, Place, Preset, SamplingPreset};
pub use study::{Conditions, Contexts, Draw, Drawn, Effort, LatentDecoder, Study};
pub use tally::Tally;
