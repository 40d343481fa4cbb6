//! A solver and its steps, where they are not the preset's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How samples were drawn where that is not the preset's own way: figures of one protocol are not compared
/// with those of another, and lie beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The solver's name.
    pub solver: String,
    pub steps: usize,
}

impl Protocol {
    /// The name of a file of this protocol, `stem-SOLVER-STEPS`; `stem` alone for the preset's own.
    pub fn file_name(protocol: Option<&Self>, stem: &str) -> String {
        match protocol {
            Some(Self { solver, steps }) => format!("{stem}-{solver}-{steps}"),
            None => stem.to_owned(),
        }
    }

    /// The title of what is of this protocol.
    pub fn title(protocol: Option<&Self>, title: &str) -> String {
        match protocol {
            Some(protocol) => format!("{title}: {protocol}"),
            None => title.to_owned(),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {} steps", self.solver, self.steps)
    }
}
