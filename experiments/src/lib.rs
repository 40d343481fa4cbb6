//! Experiments: presets, command line, tables, figures and reports.

pub mod allocator;
pub mod device;
pub mod fashion_mnist;
pub mod preset;
pub mod report;
pub mod train;
