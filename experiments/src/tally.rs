//! What is kept of samples that are drawn, judged and dropped, part after part.

use adadiff_metrics::{CHUNK, GaussianStats};
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, ExitPolicy, ExitTrace};
use anyhow::Result;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::judge::Judge;
use crate::study::{Draw, Effort, Study};

/// Samples whose pixels and exits are kept.
const SHOWN: usize = 512;

/// Pixels that are kept at most: 64 images of 256 x 256, or all 512 of 32 x 32.
const SHOWN_PIXELS: usize = 64 * 3 * 256 * 256;

/// What is known of a run's samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The features of all samples.
    pub statistics: GaussianStats,
    /// Blocks run and estimates made.
    pub effort: Effort,
    /// Seconds of the sampling loop.
    pub seconds: f64,
    /// Pixels of the first samples, as many as a picture shows.
    pub pixels: Vec<f32>,
    /// The exits of the first samples.
    pub trace: ExitTrace,
}

impl Tally {
    /// No samples yet.
    ///
    /// # Errors
    /// Where statistics cannot start at the first sample.
    pub fn none<B: Kernels>(judge: &Judge<B>, draw: &Draw) -> Result<Self> {
        Ok(Self {
            statistics: judge.no_statistics(draw.first_sample)?,
            effort: Effort::default(),
            seconds: 0.0,
            pixels: Vec::new(),
            trace: ExitTrace::default(),
        })
    }

    /// Draws the samples that are missing, leaving the network as `policy` says, and judges them.
    /// `keep` is shown the tally after each part.
    ///
    /// # Errors
    /// Where the user interrupts, the device fails or `keep` does.
    pub fn draw<B: Kernels>(
        self,
        study: &Study<'_, B>,
        judge: &Judge<B>,
        policy: &dyn ExitPolicy,
        draw: &Draw,
        bar: &ProgressBar,
        keep: &mut dyn FnMut(&Self) -> Result<()>,
    ) -> Result<Self> {
        let denoiser = AdaptiveUVit::new(&study.model, policy);
        self.draw_from(study, judge, &denoiser, draw, bar, keep)
    }

    /// Draws the samples that are missing with anything that predicts noise, and judges each part as
    /// it is there: memory does not grow with their number. `keep` is shown the tally after each
    /// part.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn draw_from<B: Kernels>(
        mut self,
        study: &Study<'_, B>,
        judge: &Judge<B>,
        denoiser: &dyn Denoiser<B>,
        draw: &Draw,
        bar: &ProgressBar,
        keep: &mut dyn FnMut(&Self) -> Result<()>,
    ) -> Result<Self> {
        let part = (CHUNK as usize).next_multiple_of(draw.batch);
        for offset in (self.effort.samples as usize..draw.samples).step_by(part) {
            let part = draw.part(offset, part);
            let drawn = study.draw_from(denoiser, &part, bar, &mut |_| ())?;
            judge.add(&mut self.statistics, &drawn.pixels)?;
            self.effort.add(&drawn.effort);
            self.seconds += drawn.seconds;
            if offset < SHOWN {
                let room = SHOWN_PIXELS.saturating_sub(self.pixels.len());
                let size = drawn.pixels.len() / drawn.effort.samples.max(1) as usize;
                let whole = room / size * size;
                self.pixels.extend(drawn.pixels.iter().take(whole));
                self.trace.append_samples(drawn.trace);
            }
            keep(&self)?;
        }
        Ok(self)
    }

    /// Seconds of the sampling loop for each image.
    pub fn seconds_per_image(&self) -> f64 {
        self.seconds / self.effort.samples.max(1) as f64
    }
}
