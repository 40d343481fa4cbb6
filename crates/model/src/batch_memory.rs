//! What a denoiser remembers from one evaluation of a batch to the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of a batch from its earlier evaluations.
pub trait Remembered: Clone {
    /// Bytes that are kept of a sample; of the one of which most is kept, where they differ.
    fn bytes_per_sample(&self) -> usize;
}

/// The memory of a denoiser, of the batch that it evaluates time after time.
#[derive(Debug)]
pub struct BatchMemory<M> {
    /// With the shape of the batch `[batch, channels, height, width]`.
    known: Mutex<Option<([usize; 4], M)>>,
    most_bytes: AtomicUsize,
}

impl<M> Default for BatchMemory<M> {
    fn default() -> Self {
        Self {
            known: Mutex::new(None),
            most_bytes: AtomicUsize::new(0),
        }
    }
}

impl<M: Remembered> BatchMemory<M> {
    /// Lets `evaluate` make a result, and what is to be remembered from now on, of what is known of a batch of
    /// this shape. No lock is held meanwhile, and where it fails, the memory stays as it was.
    ///
    /// # Errors
    /// Those of `evaluate`.
    pub fn evaluate<T, E>(
        &self,
        shape: [usize; 4],
        evaluate: impl FnOnce(Option<M>) -> Result<(T, M), E>,
    ) -> Result<T, E> {
        let known = self.known().clone();
        let known = known.and_then(|(of_shape, memory)| (of_shape == shape).then_some(memory));
        let (result, memory) = evaluate(known)?;
        self.most_bytes
            .fetch_max(memory.bytes_per_sample(), Ordering::Relaxed);
        *self.known() = Some((shape, memory));
        Ok(result)
    }

    /// Another batch follows.
    pub fn forget(&self) {
        *self.known() = None;
    }

    /// [`Remembered::bytes_per_sample`], the most of all so far.
    pub fn most_bytes(&self) -> usize {
        self.most_bytes.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Option<([usize; 4], M)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
