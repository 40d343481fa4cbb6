//! A row of a table as it is kept.

use serde::{Deserialize, Serialize};

use super::published_figures::PublishedFigures;

/// A row as it is drawn: which lines of the results it shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedRow {
    /// Its name in the table.
    pub label: String,
    pub published: Option<PublishedFigures>,
    /// The short names of its lines of quality, one for each seed.
    pub quality: Vec<String>,
    /// The short name of its line of time, where it was measured.
    pub timing: Option<String>,
    /// The short name of the line that tells how its knob was chosen.
    pub matched: Option<String>,
    /// Why it was not measured.
    pub missing: Option<String>,
}

impl RecordedRow {
    /// A row of which nothing is measured yet.
    pub fn unmeasured(label: &str, published: Option<&PublishedFigures>) -> Self {
        Self {
            label: label.to_owned(),
            published: published.cloned(),
            quality: Vec::new(),
            timing: None,
            matched: None,
            missing: None,
        }
    }
}
