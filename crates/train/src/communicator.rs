//! One training in several processes: each computes some rows of every batch, and all take the same
//! step.

use std::fmt::Debug;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::TrainError;

/// Bytes of a digest.
const DIGEST: usize = 32;

/// The processes that share a training, seen by one of them. All of them call the same methods in the
/// same order.
pub trait Communicator: Debug {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// The sums of all processes' values, the same to the last bit in each process.
    ///
    /// # Errors
    /// Where this process has waited for the others in vain.
    fn sum(&self, values: Vec<f32>) -> Result<Vec<f32>, TrainError>;

    /// Waits for all processes, of which one writes that many bytes, even where this one is asked to stop: no longer
    /// then than writing them takes at worst, as nobody can tell a process that writes from one that hangs.
    ///
    /// # Errors
    /// As [`Self::sum`].
    fn wait_for_writer(&self, bytes: usize) -> Result<(), TrainError> {
        let _ = bytes;
        self.sum(vec![0.0]).map(drop)
    }
}

/// A process without others.
#[derive(Clone, Copy, Debug)]
pub struct SingleProcess;

impl Communicator for SingleProcess {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        Ok(values)
    }
}

impl dyn Communicator + '_ {
    /// Whether this process writes logs and checkpoints.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// The rows of a batch that this process computes.
    pub(crate) fn rows(&self, batch_size: usize) -> Range<usize> {
        let border = |rank: usize| batch_size * rank / self.size();
        border(self.rank())..border(self.rank() + 1)
    }

    /// Whether any process wishes it.
    pub(crate) fn any(&self, wish: bool) -> Result<bool, TrainError> {
        let wishes = self.sum(vec![f32::from(u8::from(wish))])?;
        Ok(wishes.iter().any(|&wishes| wishes > 0.0))
    }

    /// Checks that all processes say the same of `what`.
    pub(crate) fn ensure_same(&self, what: &'static str, text: &str) -> Result<(), TrainError> {
        // Each enters its own bytes, and adds nothing to those of the others.
        let mut bytes = vec![0.0; DIGEST * self.size()];
        let place = DIGEST * self.rank();
        for (byte, digit) in bytes[place..].iter_mut().zip(Sha256::digest(text)) {
            *byte = f32::from(digit);
        }
        let bytes = self.sum(bytes)?;
        let (first, others) = bytes.split_at(DIGEST);
        let others = others.chunks(DIGEST).zip(1..);
        let different: Vec<_> = others.filter(|(theirs, _)| *theirs != first).collect();
        if different.is_empty() {
            Ok(())
        } else {
            Err(TrainError::DifferentProcesses {
                what,
                ranks: different.into_iter().map(|(_, rank)| rank).collect(),
            })
        }
    }
}

#[cfg(test)]
#[path = "communicator_tests.rs"]
mod tests;
