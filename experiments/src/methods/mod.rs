//! The methods of a comparison: each is prepared for a checkpoint, which calibrates it to its budget on
//! held-out seeds, and then draws samples that are judged, timed and accounted for like any other's.
//!
//! ```text
//! Method ── prepare(loaded) ──► PreparedMethod ── judge(pipeline, evaluator, plan) ──► SampleStats ── row ──► ResultRow
//! ```

mod companion;
mod method;
mod prepare;
mod prepared;
mod variant;

pub use companion::{Companion, CompanionNetwork, Companions};
pub use method::Method;
pub use prepared::PreparedMethod;
pub use variant::variant;

#[cfg(all(test, feature = "flex"))]
mod tests;
