//! A method that is ready to draw samples.

use adadiff_metrics::ComputeSummary;
use adadiff_model::Denoiser;
use adadiff_model::kernels::Kernels;
use anyhow::Result;
use indicatif::ProgressBar;

use super::{CostModel, Method};
use crate::calibrations::Calibration;
use crate::judge::Judge;
use crate::study::{Draw, Drawn, Effort, Study};
use crate::tally::Tally;

/// A method, calibrated for a study whose network it draws from.
pub struct PreparedMethod<'s, B: Kernels> {
    /// The method.
    pub method: Method,
    /// What predicts the noise.
    pub denoiser: Box<dyn Denoiser<B> + 's>,
    /// Network evaluations for each sample.
    pub steps: usize,
    /// What an evaluation costs.
    pub cost: CostModel,
    /// The calibration of [`Method::AdaDiff`].
    pub calibration: Option<Calibration>,
    /// The threshold of other methods that leave by one.
    pub threshold: Option<f32>,
}

impl<B: Kernels> PreparedMethod<'_, B> {
    /// The samples of `draw`, in this method's number of steps.
    pub fn plan(&self, draw: &Draw) -> Draw {
        Draw {
            steps: self.steps,
            ..draw.clone()
        }
    }

    /// Draws samples.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn draw(&self, study: &Study<'_, B>, draw: &Draw, bar: &ProgressBar) -> Result<Drawn> {
        study.draw_from(self.denoiser.as_ref(), &self.plan(draw), bar, &mut |_| ())
    }

    /// Draws samples and judges them.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn tally(
        &self,
        study: &Study<'_, B>,
        judge: &Judge<B>,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<Tally> {
        let plan = self.plan(draw);
        let none = Tally::none(judge, &plan)?;
        let denoiser: &dyn Denoiser<B> = self.denoiser.as_ref();
        none.draw_from(study, judge, denoiser, &plan, bar, &mut |_| Ok(()))
    }

    /// Blocks and operations of samples that were drawn.
    ///
    /// # Errors
    /// Where they ran more blocks than the network has.
    pub fn cost(&self, effort: &Effort) -> Result<ComputeSummary> {
        effort.summary(&self.cost)
    }
}
