//! What a run leaves behind to look at, drawn from plain data: result rows, tables, image grids,
//! figures and one self-contained page.
//!
//! A result is a JSON line first ([`rows`]); tables ([`table`]), charts ([`chart`]) and the page
//! ([`html`]) are drawn from it. Nothing here knows of tensors, devices or networks.

pub mod chart;
pub mod curve;
pub mod figure;
mod files;
pub mod grid;
pub mod heatmap;
pub mod html;
pub mod images;
pub mod maps;
pub mod rows;
pub mod table;

mod axis;
mod error;
#[cfg(test)]
pub(crate) mod examples;
mod palette;
mod picture;
mod raster;

pub use chart::Chart;
pub use curve::{CurvePoint, ReductionCurve};
pub use error::ReportError;
pub use figure::Figure;
pub use grid::{GridStyle, image_grid, pair_grid, png_bytes, write_png};
pub use heatmap::{ExitHeatmap, HeatmapStep};
pub use html::{Report, Section};
pub use images::ImageBatch;
pub use maps::{MapRow, UncertaintyMap, UncertaintyMaps};
pub use picture::{Align, Picture};
pub use rows::{Method, ResultRow, write_rows};
pub use table::{Table, update_between_markers};
