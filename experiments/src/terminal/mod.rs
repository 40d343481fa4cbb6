//! What programs tell on a terminal.

mod advice;
mod output;
mod progress;

pub use advice::describe_error;
pub(crate) use output::{note, note_line, print_line, say};
pub use progress::{STOP, Terminal, samples_bar, steps_bar};
