//! Results and the folder that they are kept in: a result is a JSON line first; tables, curves and pages
//! are drawn from it.

mod curve;
#[cfg(test)]
pub(crate) mod examples;
mod folder;
mod key;
mod mean;
mod measured;
mod notes;
mod prepared_row;
mod published_figures;
mod recorded_row;
mod row;
mod table;
mod table_name;

pub use curve::reduction_curve;
pub use folder::{EqualTimeMatch, MatchKey, QualityRecord, RecordedTable, Results, TimingRecord};
pub use key::{DrawKey, NetworkKey, NetworkKeys, QualityKey, TimingKey};
pub use mean::MeanAndSpread;
pub use measured::RowMeasurement;
pub use notes::note_on_features;
pub use prepared_row::prepared_row;
pub use published_figures::PublishedFigures;
pub use recorded_row::RecordedRow;
pub use row::{ResultRow, write_rows};
pub use table::results_table;
pub use table_name::TableName;
