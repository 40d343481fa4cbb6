//! Progress bars in the terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over a known number of training steps.
pub fn steps_bar(steps: u64) -> ProgressBar {
    styled(
        steps,
        "{prefix}[{wide_bar}] {pos}/{len} steps, {msg}, {eta} left",
    )
}

/// A bar over a known number of samples that are read.
pub fn samples_bar(samples: u64) -> ProgressBar {
    styled(
        samples,
        "{prefix}: [{wide_bar}] {pos}/{len} samples, {eta} left",
    )
}

/// A bar over network evaluations of single samples, whose total grows as a job finds out what is
/// to do.
pub fn evaluations_bar() -> ProgressBar {
    styled(0, "[{wide_bar}] {msg}, {pos} evaluations, {elapsed}")
}

fn styled(length: u64, template: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
