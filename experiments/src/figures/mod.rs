//! The paper's figures, each with the data that it was drawn from.

mod clean;
mod curves;
mod exits;
mod file;
mod job;
mod layer_errors;
mod maps;
mod name;
mod reliability;
mod samples;
mod trade_off;

pub use exits::exit_heatmap;
pub use file::FigureFile;
pub use job::{FigureOutcome, FigureRunner};
pub use layer_errors::{BlockErrorFigure, EvaluationErrors};
pub use maps::uncertainty_maps;
pub use name::{FIGURE_2, FigureArgument, FigureName};
pub use reliability::Reliability;
pub use samples::SamplePairs;
pub use trade_off::TradeOff;
