//! Batches for training, decoded ahead on other threads.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{
    BadImage, BadImages, DataError, Label, SampleOrder, TrainingSample, TrainingSet, Visit,
};

/// What a [`BatchLoader`] loads.
#[derive(Clone, Debug)]
pub struct LoaderConfig {
    /// The seed of order, flips, captions and latents.
    pub seed: u64,
    /// Images of a step, over all processes that share it.
    pub batch_size: usize,
    /// The rows of each step's batch that are loaded here: `0..batch_size` where one process trains
    /// alone.
    pub rows: Range<usize>,
    /// Whether half of the images are mirrored left to right.
    pub flip: bool,
    /// How many batches may be ready before they are asked for. Up to two more are in memory: the
    /// one in use and the one being decoded.
    pub ahead: usize,
    /// Threads that decode; 0 for one for each core.
    pub workers: usize,
    /// The most images that may be bad before training stops.
    pub most_bad_images: usize,
}

/// The images of a step, or the rows of it that are loaded here.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The step, counted from 0.
    pub step: u64,
    /// The index of each row's example in the data set.
    pub indices: Vec<usize>,
    /// Pixels or latents, `[rows, channels, height, width]`.
    pub images: Vec<f32>,
    /// What each row is conditioned on.
    pub labels: Vec<Label>,
    /// Bad images that were met for the first time.
    pub skipped: Vec<BadImage>,
}

/// An endless sequence of batches, decoded in parallel and a bounded number of steps ahead.
///
/// A batch is a function of data set, seed and step alone. In place of a bad image stands the next
/// one of the data set that can be used, whatever was met before.
///
/// The sequence ends after an error.
pub struct BatchLoader {
    batches: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl BatchLoader {
    /// Starts to load the batches of `first_step` and on.
    ///
    /// # Errors
    /// Where the threads cannot be started.
    ///
    /// # Panics
    /// Where the rows are none, or go beyond the batch.
    pub fn new(
        set: Arc<dyn TrainingSet>,
        config: LoaderConfig,
        first_step: u64,
    ) -> Result<Self, DataError> {
        assert!(
            !config.rows.is_empty() && config.rows.end <= config.batch_size,
            "rows {:?} of a batch of {}",
            config.rows,
            config.batch_size
        );
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.workers)
            .thread_name(|worker| format!("decode-{worker}"))
            .build()?;
        // Readers refuse data sets without images.
        let length = NonZeroUsize::new(set.len()).unwrap_or(NonZeroUsize::MIN);
        let (sender, batches) = sync_channel(config.ahead);
        let source = Source {
            order: SampleOrder::new(config.seed, length),
            bad: BadImages::new(config.most_bad_images),
            set,
            config,
            pool,
        };
        Ok(Self {
            batches: Some(batches),
            thread: Some(thread::spawn(move || source.run(first_step, &sender))),
        })
    }
}

impl Iterator for BatchLoader {
    type Item = Result<Batch, DataError>;

    /// Waits for the next batch.
    ///
    /// # Errors
    /// Where more images are bad than may be; there are no batches after that.
    ///
    /// # Panics
    /// Where a decoder panicked.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.as_ref()?.recv();
        if let Ok(batch) = batch {
            return Some(batch);
        }
        self.batches = None;
        if let Some(thread) = self.thread.take()
            && let Err(payload) = thread.join()
        {
            panic::resume_unwind(payload);
        }
        None
    }
}

impl Drop for BatchLoader {
    fn drop(&mut self) {
        // The thread ends when nobody receives any more.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been told by the thread's own message, and dropping must not panic.
            let _ = thread.join();
        }
    }
}

/// Draws the batches, on a thread of its own.
struct Source {
    set: Arc<dyn TrainingSet>,
    config: LoaderConfig,
    order: SampleOrder,
    bad: BadImages,
    pool: ThreadPool,
}

/// A row of a batch, whose pixels have been written.
struct Row {
    /// Absent where so many images were bad that none was looked for any more.
    found: Option<(usize, Label)>,
    bad: Vec<BadImage>,
}

impl Source {
    fn run(mut self, first_step: u64, batches: &SyncSender<Result<Batch, DataError>>) {
        for step in first_step.. {
            let batch = self.batch(step);
            let is_last = batch.is_err();
            if batches.send(batch).is_err() || is_last {
                return;
            }
        }
    }

    fn batch(&mut self, step: u64) -> Result<Batch, DataError> {
        let first = step * self.config.batch_size as u64;
        let positions = self.config.rows.clone().map(|row| first + row as u64);
        let samples: Vec<_> = positions
            .map(|position| (position, self.order.at(position)))
            .collect();
        let size = self.set.shape().iter().product();
        let mut images = vec![0.0; samples.len() * size];
        let source = &*self;
        let rows: Vec<Row> = self.pool.install(|| {
            let pixels = images.par_chunks_exact_mut(size);
            let rows = pixels.zip(&samples);
            rows.map(|(pixels, &(position, sample))| source.row(position, sample, pixels))
                .collect()
        });

        let mut batch = Batch {
            step,
            indices: Vec::with_capacity(rows.len()),
            images,
            labels: Vec::with_capacity(rows.len()),
            skipped: Vec::new(),
        };
        for row in rows {
            for image in row.bad {
                if self.bad.add(image.clone())? {
                    batch.skipped.push(image);
                }
            }
            let (index, label) = row.found.ok_or_else(|| self.bad.error())?;
            batch.indices.push(index);
            batch.labels.push(label);
        }
        Ok(batch)
    }

    /// Writes the image of a sample, or the next one that can be used.
    fn row(&self, position: u64, sample: TrainingSample, pixels: &mut [f32]) -> Row {
        let length = self.set.len();
        let visit = Visit {
            flip: self.config.flip && sample.flip,
            seed: self.config.seed,
            position,
        };
        let mut bad = Vec::new();
        // One bad image more than may be is an error, whatever comes after it.
        for offset in 0..length.min(self.bad.most().saturating_add(1)) {
            let index = (sample.index + offset) % length;
            match self.set.read(index, visit, pixels) {
                Ok(label) => {
                    return Row {
                        found: Some((index, label)),
                        bad,
                    };
                }
                Err(error) => bad.push(BadImage::new(index, self.set.name(index), &error)),
            }
        }
        Row { found: None, bad }
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
