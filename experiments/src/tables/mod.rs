//! The paper's tables: each is a plan of rows, every row is measured once and kept as a JSON line, and
//! tables, figures and pages are drawn from the lines.
//!
//! ```text
//! Plan ── entries ──► Bench ── Quality, Time ──► Results (quality.jsonl, timing.jsonl)
//!                                                   │
//!                                Rendered ◄── DrawnTable (which lines a table shows)
//! ```

mod equal_time;
#[cfg(test)]
pub(crate) mod examples;
mod full_samples;
mod interleaved;
mod networks;
mod plan;
mod prepared_row;
mod render;
mod runner;
mod spec;
mod variants;

pub use networks::{TableNetwork, TableNetworks};
pub use plan::TablePlan;
pub use render::{RenderedTable, metric_name};
pub use runner::{TableRunner, TableSettings};
pub use spec::{Choice, RowSpec};
pub use variants::Variants;
