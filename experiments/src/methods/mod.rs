//! The methods of a comparison: each is prepared for a checkpoint, which calibrates it to its budget on
//! held-out seeds, and then draws samples that are judged, timed and accounted for like any other's.
//!
//! ```text
//! Method ── prepare(loaded) ──► PreparedMethod ── evaluate(pipeline, evaluator, plan) ──► SampleStats
//! ```

mod exit;
mod judged;
mod kind;
mod method;
mod prepare;
mod prepared;
pub mod timing;
mod timing_table;
mod variant;

pub use exit::Exit;
pub use judged::judge_samples;
pub use kind::{Knob, METHODS, MethodEntry, MethodKind, row_name};
pub use method::{Method, PAPER_REDUCTION};
pub use prepared::PreparedMethod;
pub use timing_table::timing_table;
pub use variant::variant;

#[cfg(all(test, feature = "flex"))]
pub(crate) mod tests;
