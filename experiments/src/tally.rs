//! What is kept of samples that are drawn, judged and dropped, part after part.

use adadiff_metrics::{CHUNK, GaussianStats};
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, ExitPolicy, ExitTrace};
use anyhow::Result;
use indicatif::ProgressBar;

use crate::judge::Judge;
use crate::study::{Draw, Effort, Study};

/// Samples whose pixels and exits are kept.
const SHOWN: usize = 512;

/// Pixels that are kept at most: 64 images of 256 x 256, or all 512 of 32 x 32.
const SHOWN_PIXELS: usize = 64 * 3 * 256 * 256;

/// What is known of a run's samples.
#[derive(Clone, Debug)]
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
    /// Draws samples, leaving the network as `policy` says, and judges them.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn draw<B: Kernels>(
        study: &Study<'_, B>,
        judge: &Judge<B>,
        policy: &dyn ExitPolicy,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<Self> {
        let denoiser = AdaptiveUVit::new(&study.model, policy);
        Self::draw_from(study, judge, &denoiser, draw, bar)
    }

    /// Draws samples with anything that predicts noise, and judges each part as it is there: memory
    /// does not grow with their number.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn draw_from<B: Kernels>(
        study: &Study<'_, B>,
        judge: &Judge<B>,
        denoiser: &dyn Denoiser<B>,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<Self> {
        let mut tally = Self {
            statistics: judge.no_statistics(draw.first_sample)?,
            effort: Effort::default(),
            seconds: 0.0,
            pixels: Vec::new(),
            trace: ExitTrace::default(),
        };
        let part = (CHUNK as usize).next_multiple_of(draw.batch);
        for offset in (0..draw.samples).step_by(part) {
            let part = draw.part(offset, part);
            let drawn = study.draw_from(denoiser, &part, bar, &mut |_| ())?;
            judge.add(&mut tally.statistics, &drawn.pixels)?;
            tally.effort.add(&drawn.effort);
            tally.seconds += drawn.seconds;
            if offset < SHOWN {
                let room = SHOWN_PIXELS.saturating_sub(tally.pixels.len());
                let size = drawn.pixels.len() / drawn.effort.samples.max(1) as usize;
                let whole = room / size * size;
                tally.pixels.extend(drawn.pixels.iter().take(whole));
                tally.trace.append_samples(drawn.trace);
            }
        }
        Ok(tally)
    }

    /// Seconds of the sampling loop for each image.
    pub fn seconds_per_image(&self) -> f64 {
        self.seconds / self.effort.samples.max(1) as f64
    }
}
