//! The methods of a comparison: each is prepared for a study, which calibrates it to its budget on
//! held-out seeds, and then draws samples that are judged, timed and accounted for like any other's.
//!
//! ```text
//! Method ── prepare(study) ──► PreparedMethod ── tally(study, judge, draw) ──► Tally ── row ──► ResultRow
//! ```

mod companion;
mod cost;
mod method;
mod prepare;
mod prepared;
mod variant;

pub use companion::{Companion, CompanionNetwork, Companions};
pub use cost::CostModel;
pub use method::Method;
pub use prepared::PreparedMethod;
pub use variant::variant;

#[cfg(all(test, feature = "flex"))]
mod tests;
