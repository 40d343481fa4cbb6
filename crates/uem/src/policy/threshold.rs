//! The paper's exit rule.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy};

/// A sample leaves at the first block whose mean uncertainty is under the threshold
/// (AdaDiff, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Mean uncertainty in `[0, 1]`; the published scripts give one minus it.
    pub uncertainty: f32,
}

impl ExitPolicy for Threshold {
    fn needs_uncertainty(&self, _context: BlockContext) -> bool {
        true
    }

    fn leaves(&self, _context: BlockContext, uncertainty: &[f32]) -> bool {
        uncertainty
            .last()
            .is_some_and(|&latest| latest < self.uncertainty)
    }
}
