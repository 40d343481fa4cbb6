//! Training images in memory and an observer that remembers.

use std::ops::ControlFlow;

use adadiff_data::{Conditioning, ImageError, Label, TrainingSet, Visit};
use adadiff_train::{LogLine, TrainObserver};
use adadiff_uem::AdaDiff;
use burn::tensor::backend::AutodiffBackend;

use crate::{Named, parameters};

/// Labelled images of 8x8 pixels and two channels: stripes, each image of another direction and
/// width.
#[derive(Clone, Copy, Debug)]
pub struct Patterns {
    /// Number of images.
    pub count: usize,
}

const SIDE: usize = 8;

impl TrainingSet for Patterns {
    fn len(&self) -> usize {
        self.count
    }

    fn shape(&self) -> [usize; 3] {
        [2, SIDE, SIDE]
    }

    fn name(&self, index: usize) -> String {
        format!("pattern {index}")
    }

    fn conditioning(&self) -> Conditioning {
        Conditioning::Class { classes: 4 }
    }

    fn read(&self, index: usize, visit: Visit, pixels: &mut [f32]) -> Result<Label, ImageError> {
        for (place, pixel) in pixels.iter_mut().enumerate() {
            let (channel, row) = (place / (SIDE * SIDE), place / SIDE % SIDE);
            let column = if visit.flip {
                SIDE - 1 - place % SIDE
            } else {
                place % SIDE
            };
            let along = if (index + channel).is_multiple_of(2) {
                row
            } else {
                column
            };
            let light = (along / (1 + index / 2)).is_multiple_of(2);
            *pixel = if light { 0.8 } else { -0.8 };
        }
        Ok(Label::Class(index % 4))
    }
}

/// Keeps what a training shows and interrupts it where it is told to.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    /// The step to interrupt after; never where there is none.
    pub stop_after: Option<u64>,
    /// The lines of the log.
    pub lines: Vec<LogLine>,
    /// The averaged weights each time they were shown.
    pub averages: Vec<Named>,
}

impl Watcher {
    /// One that interrupts after `step`.
    pub fn stopping_after(step: u64) -> Self {
        Self {
            stop_after: Some(step),
            ..Self::default()
        }
    }
}

impl<B: AutodiffBackend> TrainObserver<B> for Watcher {
    fn step(&mut self, step: u64, _steps: u64) -> ControlFlow<()> {
        match self.stop_after {
            Some(stop) if step >= stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn line(&mut self, line: &LogLine) {
        self.lines.push(line.clone());
    }

    fn sample(&mut self, _step: u64, average: &AdaDiff<B::InnerBackend>) {
        self.averages
            .push(parameters::<B::InnerBackend, _>(average));
    }
}
