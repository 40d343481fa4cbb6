//! A row that is being measured.

use std::cell::OnceCell;
use std::fmt;

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Monitor;
use anyhow::{Error, Result, anyhow};

use super::networks::TableNetwork;
use crate::methods::{Method, PreparedMethod};

pub struct PreparedRow<'n, B: Kernels> {
    pub network: &'n TableNetwork<B>,
    /// How samples are drawn.
    pub method: Method,
    prepared: OnceCell<Result<PreparedMethod<'n, B>, String>>,
}

impl<'n, B: Kernels> PreparedRow<'n, B> {
    /// A row of which nothing is prepared yet.
    pub fn new(network: &'n TableNetwork<B>, method: Method) -> Self {
        Self {
            network,
            method,
            prepared: OnceCell::new(),
        }
    }

    /// Calibrates the method, once.
    ///
    /// # Errors
    /// [`Missing`] where it cannot be, or another one where the user interrupts.
    pub fn prepared(&self, monitor: &dyn Monitor) -> Result<&PreparedMethod<'n, B>> {
        let loaded = &self.network.undecoded;
        let prepared = self.prepared.get_or_init(|| {
            monitor.stage(&format!("calibrating {}", self.method));
            self.method
                .prepare(loaded, monitor)
                .map_err(|error| format!("not measured: {error:#}"))
        });
        if monitor.stopped() {
            Err(interrupted())
        } else {
            let prepared = prepared.as_ref();
            Ok(prepared.map_err(|reason| Missing(reason.clone()))?)
        }
    }
}

/// Why a row has no numbers, which its table tells.
#[derive(Debug)]
pub struct Missing(pub String);

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// What was measured, or why it was not.
///
/// # Errors
/// All but [`Missing`].
pub fn or_missing<T>(measured: Result<T>) -> Result<Result<T, String>> {
    match measured {
        Ok(measured) => Ok(Ok(measured)),
        Err(error) => Ok(Err(error.downcast::<Missing>()?.0)),
    }
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted; what was measured is kept, and the same command goes on from there")
}

/// An interruption is told as one, with what comes of it.
pub fn stopped_or(stopped: bool, error: Error) -> Error {
    if stopped { interrupted() } else { error }
}
