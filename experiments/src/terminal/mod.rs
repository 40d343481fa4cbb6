//! What programs show on a terminal while they work.

mod progress;

pub use progress::{evaluations_bar, samples_bar, steps_bar};
