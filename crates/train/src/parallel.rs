//! One training on several devices of a machine: each computes some rows of every batch, and all
//! take the same step.
//!
//! Workers are threads that exchange gradients through Burn's collectives. Processes, on one machine
//! or several, are [`crate::Node`]'s. Burn has one table of graphs for a process, so one
//! worker's backward pass waits until no other builds a graph ([`crate::graph`]); nodes need not wait.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{panic, thread};

use adadiff_model::kernels::Kernels;
use adadiff_uem::AdaDiff;
use burn::tensor::backend::AutodiffBackend;

use crate::collective::Peer;
use crate::{LogLine, Outcome, TrainError, TrainObserver, Trainer};

/// Burn has one place of exchange for each backend in a process.
static EXCHANGE: Mutex<()> = Mutex::new(());

/// A training that several workers share, one on each device.
///
/// It takes the steps that one worker takes with the whole batch, up to rounding: with three or more
/// workers the order of sums, and so the last bits, are not fixed. Only UAL in the published form,
/// whose weights couple the images that are computed together, is that of each worker's rows.
pub struct Workers<B: AutodiffBackend>
where
    B::InnerBackend: Kernels,
{
    trainers: Vec<Trainer<B>>,
    /// The device of each trainer.
    devices: Vec<B::Device>,
}

impl<B> Workers<B>
where
    B: AutodiffBackend + Kernels,
    B::InnerBackend: Kernels,
{
    /// Shares a training, at its start or resumed, among `devices`, each of which may be named more
    /// than once.
    ///
    /// # Errors
    /// Where there are no devices, or more than a batch has images.
    pub fn new(trainer: Trainer<B>, devices: &[B::Device]) -> Result<Self, TrainError> {
        let batch_size = trainer.config().batch_size;
        if devices.is_empty() || devices.len() > batch_size {
            return Err(TrainError::Config(format!(
                "{} devices cannot share batches of {batch_size} images",
                devices.len()
            )));
        }
        let trainers = devices.iter().map(|device| trainer.fork(device));
        Ok(Self {
            trainers: trainers.collect::<Result<_, _>>()?,
            devices: devices.to_vec(),
        })
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.trainers[0].steps_done()
    }

    /// The moving average of the weights, the same for all workers.
    pub fn average(&self) -> &AdaDiff<B::InnerBackend> {
        self.trainers[0].average()
    }

    /// Trains as [`Trainer::run`] does. The worker of the first device writes into `folder` and is
    /// observed; an interruption ends all workers after the same step. Each worker counts the bad
    /// images among its own rows.
    ///
    /// # Errors
    /// As [`Trainer::run`], of any worker, or where the workers lose each other.
    pub fn run(
        &mut self,
        folder: &Path,
        observer: &mut dyn TrainObserver<B>,
    ) -> Result<Outcome, TrainError> {
        let _alone = EXCHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        let devices = &self.devices;
        let work = |trainer: &mut Trainer<B>, index: usize, observer: &mut dyn TrainObserver<B>| {
            let peer = Peer::<B::InnerBackend>::join(index, devices.len(), &devices[index])?;
            let outcome = trainer.run_among(&peer, folder, observer)?;
            peer.leave()?;
            Ok(outcome)
        };
        let (leader, others) = self.trainers.split_at_mut(1);
        let results: Vec<Result<Outcome, TrainError>> = thread::scope(|scope| {
            let spawn =
                |(index, trainer)| scope.spawn(move || work(trainer, index + 1, &mut Unobserved));
            let others: Vec<_> = others.iter_mut().enumerate().map(spawn).collect();
            let mut results = vec![work(&mut leader[0], 0, observer)];
            for other in others {
                let result = other.join();
                results.push(result.unwrap_or_else(|payload| panic::resume_unwind(payload)));
            }
            results
        });
        // That the others lost a worker follows from that worker's own error.
        let follows = |result: &Result<Outcome, TrainError>| match result {
            Ok(_) => 2,
            Err(TrainError::Collective(_)) => 1,
            Err(_) => 0,
        };
        let first = results.into_iter().min_by_key(follows);
        first.unwrap_or(Ok(Outcome::Finished))
    }
}

/// Watches the workers that nobody else watches.
struct Unobserved;

impl<B: AutodiffBackend> TrainObserver<B> for Unobserved {
    fn step(&mut self, _step: u64, _steps: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn line(&mut self, _line: &LogLine) {}

    fn sample(&mut self, _step: u64, _average: &AdaDiff<B::InnerBackend>) {}
}

#[cfg(test)]
#[path = "parallel_tests.rs"]
mod tests;
