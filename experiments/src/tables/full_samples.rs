//! The full network's images, which those of other methods are compared with.

use adadiff_data::to_byte;
use adadiff_metrics::Similarity;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Monitor, SamplePlan, SampleStats};
use anyhow::Result;

use super::TableRunner;
use super::prepared_row::{PreparedRow, stopped_or};
use crate::methods::Method;

impl<B: Kernels> TableRunner<B> {
    /// How near the images of a row are to the full network's of the same noise; nothing for the full
    /// network itself, whose images are kept for the others.
    pub(super) fn similarity(
        &self,
        row: &PreparedRow<'_, B>,
        draw: &SamplePlan,
        drawn: &SampleStats,
    ) -> Result<Option<Similarity>> {
        let shown = SamplePlan {
            samples: draw.samples.min(SampleStats::SHOWN),
            ..draw.clone()
        };
        let full = PreparedRow::new(row.network, Method::Full);
        let store = self.results.full_samples(&self.draw_key(&full, &shown)?)?;
        if row.method == Method::Full {
            store.write("samples", drawn)?;
            return Ok(None);
        }
        let prepared = full.prepared(&self.terminal)?;
        self.terminal
            .stage(&format!("{}, to compare with", full.method));
        self.terminal
            .expect((shown.samples * prepared.steps) as u64);
        let pipeline = row.network.loaded.pipeline();
        let full = prepared
            .evaluate(pipeline, &self.evaluator, &shown, &store, &self.terminal)
            .map_err(|error| stopped_or(self.terminal.stopped(), error))?;
        let bytes = |pixels: &[f32]| -> Vec<u8> { pixels.iter().map(|&p| to_byte(p)).collect() };
        let (images, full) = (bytes(&drawn.pixels), bytes(&full.pixels));
        Ok(Similarity::mean(&images, &full, pipeline.image_shape()))
    }
}
