//! A row that is being measured.

use std::cell::OnceCell;

use adadiff_model::kernels::Kernels;
use anyhow::{Error, Result, anyhow};
use indicatif::ProgressBar;

use super::networks::Network;
use crate::methods::{Method, PreparedMethod};

/// A row that can be measured.
pub struct Row<'n, 'a, B: Kernels> {
    /// The network.
    pub network: &'n Network<'a, B>,
    /// How samples are drawn.
    pub method: Method,
    prepared: OnceCell<Result<PreparedMethod<'n, B>, String>>,
}

impl<'n, 'a, B: Kernels> Row<'n, 'a, B> {
    /// A row of which nothing is prepared yet.
    pub fn new(network: &'n Network<'a, B>, method: Method) -> Self {
        Self {
            network,
            method,
            prepared: OnceCell::new(),
        }
    }

    /// Calibrates the method, once. The inner error tells why it cannot be measured.
    ///
    /// # Errors
    /// Where the user interrupts.
    pub fn prepared(&self, bar: &ProgressBar) -> Result<Result<&PreparedMethod<'n, B>, String>> {
        let study = &self.network.undecoded;
        let prepared = self.prepared.get_or_init(|| {
            bar.set_message(format!("calibrating {}", self.method));
            self.method
                .prepare(study, bar)
                .map_err(|error| format!("not measured: {error:#}"))
        });
        match study.is_stopped() {
            true => Err(interrupted()),
            false => Ok(prepared.as_ref().map_err(String::clone)),
        }
    }
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted; what was measured is kept, and the same command goes on from there")
}

/// An interruption is told as one, with what comes of it.
pub fn stopped_or(stopped: bool, error: Error) -> Error {
    match stopped {
        true => interrupted(),
        false => error,
    }
}
