//! What programs tell, and what they show on a terminal while they work.

mod output;
mod progress;

pub(crate) use output::{note, note_line, print_line, say};
pub use progress::{evaluations_bar, samples_bar, steps_bar};
