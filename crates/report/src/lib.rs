//! What a run leaves behind to look at, drawn from plain data: tables, charts, image grids, heat maps
//! and one self-contained page. Nothing here knows of tensors, devices or networks.
//!
//! [`Table`] is text for terminals and documents, [`Chart`] and [`ExitHeatmap`] are vector figures with
//! their data beside them, [`image_grid`] and [`UncertaintyMaps`] are pictures, and [`Report`] is a page
//! of [`Figure`]s that asks for nothing from the network. Figures are written as SVG, and with the
//! feature `png` as PNG too.
//!
//! ```
//! use adadiff_report::{Figure, Report, Section, Table};
//!
//! # fn main() -> Result<(), adadiff_report::ReportError> {
//! let table = Table {
//!     heading: ["method", "blocks"].map(str::to_owned).to_vec(),
//!     rows: vec![["full model", "13"].map(str::to_owned).to_vec()],
//! };
//! assert_eq!(table.terminal().lines().last(), Some("full model      13"));
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("report.html");
//! let report = Report {
//!     title: "A run".to_owned(),
//!     summary: "One row.".to_owned(),
//!     facts: Vec::new(),
//!     command: String::new(),
//!     preset: String::new(),
//!     sections: vec![Section {
//!         heading: "Cost".to_owned(),
//!         text: Vec::new(),
//!         figures: vec![Figure::table(&table, "Blocks of an evaluation")],
//!     }],
//!     notes: Vec::new(),
//! };
//! report.write(&path)
//! # }
//! ```

pub mod chart;
mod curve;
mod figure;
mod grid;
mod heatmap;
mod html;
mod images;
mod maps;
mod table;

mod axis;
mod error;
mod palette;
mod picture;
mod picture_files;
#[cfg(feature = "png")]
mod raster;

pub use chart::Chart;
pub use curve::{CurvePoint, ReductionCurve};
pub use error::ReportError;
pub use figure::Figure;
pub use grid::{GridStyle, image_grid, pair_grid, png_bytes, write_png};
pub use heatmap::{ExitHeatmap, HeatmapStep};
pub use html::{Report, Section};
pub use images::ImageValues;
pub use maps::{MapRow, UncertaintyMap, UncertaintyMaps};
pub use picture::{Align, Picture};
pub use picture_files::{WRITES_PNG, picture_path};
pub use table::{Table, decimals, update_between_markers};
