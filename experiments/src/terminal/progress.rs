//! Progress in the terminal, and the wish to stop.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use adadiff_pipeline::Monitor;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::{note_line, print_line};

/// Set when the user asks the program to stop.
pub static STOP: AtomicBool = AtomicBool::new(false);

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

fn styled(length: u64, template: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// Shows work as a bar, and ends it on [`STOP`].
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
}

impl Terminal {
    /// Evaluations of the network for single samples, whose total grows as a job finds out what is to
    /// do.
    pub fn evaluations() -> Self {
        Self::over(styled(
            0,
            "[{wide_bar}] {msg}, {pos} evaluations, {elapsed}",
        ))
    }

    /// Shows work in this bar.
    pub fn over(bar: ProgressBar) -> Self {
        Self { bar }
    }

    /// Shows nothing, and ends work all the same.
    pub fn hidden() -> Self {
        Self::over(ProgressBar::hidden())
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line on standard output, above the bar.
    ///
    /// # Errors
    /// As [`print_line`].
    pub fn print(&self, line: fmt::Arguments<'_>) -> Result<()> {
        self.bar.suspend(|| print_line(line))
    }
}

impl Monitor for Terminal {
    fn expect(&self, evaluations: u64) {
        self.bar.inc_length(evaluations);
    }

    fn advance(&self, evaluations: u64) {
        self.bar.inc(evaluations);
    }

    fn stage(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn note(&self, text: &str) {
        self.bar.suspend(|| note_line(format_args!("{text}")));
    }

    fn stopped(&self) -> bool {
        STOP.load(Ordering::Relaxed)
    }
}
