//! The paper's tables: each is a plan of rows, every row is measured once and kept as a JSON line, and
//! tables, figures and pages are drawn from the lines.
//!
//! ```text
//! Plan ── entries ──► Bench ── Quality, Time ──► Results (quality.jsonl, timing.jsonl)
//!                                                   │
//!                                Rendered ◄── DrawnTable (which lines a table shows)
//! ```

mod bench;
mod clock;
mod entry;
mod equal_time;
#[cfg(test)]
pub(crate) mod examples;
mod job;
mod key;
mod lines;
mod name;
mod networks;
mod options;
mod plan;
mod published;
mod render;
mod results;
mod row;
mod summary;
mod variants;

pub use bench::{Bench, Settings};
pub use entry::{Choice, DrawnEntry, Entry, Family};
pub use job::{Job, Wanted};
pub use key::{DrawKey, NetworkKey, QualityKey, TimingKey};
pub use lines::{Line, Lines};
pub use name::TableName;
pub use networks::{Network, Networks};
pub use options::{FigureOptions, MeasuringOptions, StudyOptions, TableArgument, TableOptions};
pub use plan::Plan;
pub use published::Published;
pub use render::{Rendered, metric_name};
pub use results::{DrawnTable, Match, MatchKey, Quality, Results, Time, read_json};
pub use summary::MeanAndSpread;
pub use variants::Variants;
