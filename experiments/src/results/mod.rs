//! Result rows: a result is a JSON line first; tables, curves and pages are drawn from it.

mod curve;
#[cfg(test)]
pub(crate) mod examples;
mod row;
mod table;

pub use curve::reduction_curve;
pub use row::{MethodKind, ResultRow, write_rows};
pub use table::results_table;
