//! Figure 6: what the network is unsure of, over steps.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Monitor, Pipeline, SampleSpec};
use adadiff_report::{MapRow, UncertaintyMap, UncertaintyMaps};
use adadiff_uem::{AdaptiveUVit, ExitPolicy};
use anyhow::Result;
use serde_json::{Value, json};

use super::curves::spread_over;

/// Samples whose maps are kept.
const SAMPLES: usize = 4;

/// Steps whose maps are kept.
const STEPS: usize = 8;

/// Draws a few samples that leave as `policy` says, and keeps the uncertainty of some steps.
///
/// # Errors
/// Where the user interrupts or the device fails.
pub fn uncertainty_maps<B: Kernels>(
    pipeline: &Pipeline<B>,
    policy: impl ExitPolicy,
    monitor: &dyn Monitor,
) -> Result<UncertaintyMaps> {
    let draw = pipeline.plan(&SampleSpec::new(SAMPLES))?;
    let network_shape = pipeline.config.model.backbone.image_shape();
    let shape = pipeline.image_shape();
    let mut maps: Vec<Vec<UncertaintyMap>> = vec![Vec::new(); SAMPLES];
    let denoiser = AdaptiveUVit::new(&pipeline.model, policy).with_maps();
    let schedule = pipeline.config.schedule.build()?;
    monitor.expect((SAMPLES * draw.steps) as u64);
    let drawn = pipeline.generate_with(&denoiser, &draw, monitor, &mut |progress| {
        let step = progress.step;
        let Some(prediction) = progress.prediction() else {
            return;
        };
        let Some(map) = &prediction.uncertainty_map else {
            return;
        };
        if !spread_over(step.count, STEPS).contains(&step.index) {
            return;
        }
        let values: Vec<f32> = map.clone().into_data().iter::<f32>().collect();
        let size = values.len() / prediction.blocks.len();
        let samples = values.chunks(size).zip(&prediction.blocks);
        for (sample, (values, &blocks)) in progress.samples.clone().zip(samples) {
            maps[sample].push(UncertaintyMap {
                step: step.index + 1,
                timestep: schedule.network_timestep(step.from),
                blocks,
                values: enlarge(values, network_shape, shape),
            });
        }
    })?;
    let images = drawn.pixels.chunks(shape.iter().product());
    let rows = maps.into_iter().zip(images).enumerate();
    let rows = rows.map(|(sample, (maps, image))| {
        let evaluations = &drawn.trace.steps;
        let blocks = evaluations
            .iter()
            .map(|step| f64::from(step.blocks[sample]));
        MapRow {
            sample,
            blocks_mean: blocks.sum::<f64>() / evaluations.len() as f64,
            maps,
            image: image.to_vec(),
        }
    });
    let blocks = drawn.trace.blocks_per_prediction;
    Ok(UncertaintyMaps::new(shape, blocks, rows.collect())?)
}

/// The maps as data: the mean over channels, row by row, in thousandths.
pub fn data(maps: &UncertaintyMaps) -> Value {
    let map = |map: &UncertaintyMap| {
        let values: Vec<u32> = maps
            .uncertainties(map)
            .map(|uncertainty| (1000.0 * uncertainty).round() as u32)
            .collect();
        json!({
            "step": map.step,
            "timestep": map.timestep,
            "blocks": map.blocks,
            "uncertainty_in_thousandths": values,
        })
    };
    let rows = maps.rows().iter().map(|row| {
        json!({
            "sample": row.sample,
            "blocks_mean": row.blocks_mean,
            "maps": row.maps.iter().map(map).collect::<Vec<_>>(),
        })
    });
    json!({
        "shape": maps.shape(),
        "largest_uncertainty": maps.maximum(),
        "samples": rows.collect::<Vec<_>>(),
    })
}

/// A map of the network's latents on their images' pixels: the mean over the channels, in all
/// channels. A map of pixels stays as it is.
fn enlarge(map: &[f32], [channels, height, width]: [usize; 3], image: [usize; 3]) -> Vec<f32> {
    if [channels, height, width] == image {
        return map.to_vec();
    }
    let [image_channels, image_height, image_width] = image;
    let place = |row: usize, column: usize| {
        (row * height / image_height) * width + column * width / image_width
    };
    let pixels = (0..image_height)
        .flat_map(|row| (0..image_width).map(move |column| place(row, column)))
        .map(|place| {
            let values = map.iter().skip(place).step_by(height * width);
            values.sum::<f32>() / channels as f32
        });
    let pixels: Vec<f32> = pixels.collect();
    pixels.repeat(image_channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_latents_cover_their_images() {
        let map = [0.0, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.8];
        let enlarged = enlarge(&map, [2, 2, 2], [1, 4, 4]);
        let rows = [[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.7, 0.7]];
        let expected = [rows[0], rows[0], rows[1], rows[1]].concat();
        for (found, expected) in enlarged.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(enlarged.len(), 16);
        assert_eq!(enlarge(&map, [2, 2, 2], [2, 2, 2]), map);
    }
}
