//! Experiments: presets, command line, tables, figures and reports.

// Unit tests leave out the command lines as well: they take longest to compile.
#![cfg_attr(any(test, not(feature = "programs")), allow(dead_code, unused_imports))]

mod budget;
mod calibrations;
mod checkpoint;
pub mod commands;
pub mod figures;
mod judge;
pub mod methods;
pub mod metrics_tool;
pub mod pages;
pub mod presets;
pub mod results;
mod study;
pub mod tables;
mod tally;
mod terminal;
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
pub use presets::{DataSet, LatentPreset, Place, Preset, SamplingPreset};
pub use study::{Conditions, Contexts, Draw, Drawn, Effort, LatentDecoder, Study};
pub use tally::Tally;
