//! What a table is made of: rows before they are measured, and after.

use adadiff_sampler::SolverConfig;

use crate::methods::{Method, MethodKind};
use crate::presets::Preset;
use crate::results::PublishedFigures;

/// A row before it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSpec {
    /// Its name in the table.
    pub label: String,
    /// The network; absent for the checkpoint itself.
    pub variant: Option<String>,
    /// How samples are drawn.
    pub choice: Choice,
    pub solver: SolverConfig,
    pub steps: usize,
    pub published: Option<PublishedFigures>,
}

/// A method, or one that is still to be chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Given(Method),
    /// The one of a family whose measured time is nearest to AdaDiff's.
    EqualTime(MethodKind),
}

impl RowSpec {
    /// A method on the checkpoint itself, as its preset samples.
    pub fn given(preset: &Preset, method: Method) -> Self {
        Self::on(preset, None, method)
    }

    pub fn on(preset: &Preset, variant: Option<&str>, method: Method) -> Self {
        Self {
            label: method.to_string(),
            variant: variant.map(str::to_owned),
            choice: Choice::Given(method),
            solver: preset.sampling.solver,
            steps: preset.sampling.steps,
            published: None,
        }
    }

    /// The same with another name.
    pub fn named(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }

    /// The same with what was published of it.
    pub fn beside(self, published: Option<PublishedFigures>) -> Self {
        Self { published, ..self }
    }
}
