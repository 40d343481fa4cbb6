//! A row that is being measured.

use std::cell::OnceCell;

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

    /// Calibrates the method, once. The inner error tells why it cannot be measured.
    ///
    /// # Errors
    /// Where the user interrupts.
    pub fn prepared(
        &self,
        monitor: &dyn Monitor,
    ) -> Result<Result<&PreparedMethod<'n, B>, String>> {
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
            Ok(prepared.as_ref().map_err(String::clone))
        }
    }
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted; what was measured is kept, and the same command goes on from there")
}

/// An interruption is told as one, with what comes of it.
pub fn stopped_or(stopped: bool, error: Error) -> Error {
    if stopped { interrupted() } else { error }
}
