//! What programs tell on a terminal.

mod output;
mod progress;

pub use output::{note_line, print_line};
pub use progress::{STOP, Terminal, samples_bar, steps_bar};
