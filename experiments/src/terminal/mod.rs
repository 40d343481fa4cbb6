//! What programs tell on a terminal.

mod output;
mod progress;

pub(crate) use output::{note, note_line, print_line, say};
pub use progress::{STOP, Terminal, samples_bar, steps_bar};
