//! The row of results of a prepared method.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, SampleStats};
use anyhow::Result;

use super::{ResultRow, RowMeasurement};
use crate::methods::{Method, PreparedMethod, variant};
use crate::presets::Preset;

/// The row of results of samples that were drawn and judged, without a speed-up.
///
/// # Errors
/// Where there are too few samples.
pub fn prepared_row<B: Kernels>(
    prepared: &PreparedMethod<'_, B>,
    preset: &Preset,
    evaluator: &Evaluator<B>,
    device: &str,
    drawn: &SampleStats,
) -> Result<ResultRow> {
    let row = ResultRow::new(RowMeasurement {
        preset,
        method: prepared.method.kind(),
        device: device.to_owned(),
        cost: prepared.cost.clone(),
        steps: prepared.steps,
        counts: &drawn.counts,
        seconds: drawn.seconds,
        features: evaluator.features(),
        frechet_distance: evaluator.frechet_distance(&drawn.statistics)?,
    })?;
    // Guidance keeps what it needs of both its evaluations.
    let evaluations = if preset.sampling.guidance == 0.0 {
        1
    } else {
        2
    };
    let bytes_per_sample = evaluations * prepared.denoiser.memory_per_sample();
    Ok(ResultRow {
        variant: variant(preset),
        bytes_per_sample: (bytes_per_sample > 0).then_some(bytes_per_sample),
        explained: drawn.trace.explained(),
        ..with_method(row, prepared)
    })
}

/// The row, saying which method it is of.
fn with_method<B: Kernels>(row: ResultRow, prepared: &PreparedMethod<'_, B>) -> ResultRow {
    let row = ResultRow {
        method: prepared.method.kind(),
        setting: Some(prepared.method),
        steps: prepared.steps,
        target_reduction: prepared.method.reduction(),
        threshold: prepared.threshold.map(f64::from),
        depth: match prepared.method {
            Method::StaticDepth { depth } => Some(depth.get() as u32),
            _ => row.depth,
        },
        ..row
    };
    match &prepared.calibration {
        Some(calibration) => row.with_exit(calibration),
        None => row,
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use adadiff_pipeline::Silent;

    use super::super::examples::example_rows;
    use super::*;
    use crate::methods::MethodKind;
    use crate::methods::tests::loaded;

    #[test]
    fn rows_say_which_method_they_are_of() {
        println!("device: flex");
        let loaded = loaded(false);
        let method = Method::Saturation { reduction: 0.4 };
        let prepared = method.prepare(&loaded, &Silent).unwrap();
        let row = with_method(example_rows().remove(0), &prepared);
        assert_eq!(row.method, MethodKind::Saturation);
        assert_eq!(row.setting, Some(method));
        assert_eq!(row.target_reduction, Some(0.4));
        assert!(row.threshold.is_some());
        assert_eq!(row.to_string(), "CALM, target 40 %");
        let line = serde_json::to_string(&row).unwrap();
        assert!(line.contains(r#""setting":{"name":"saturation","reduction":0.4}"#));
        assert_eq!(serde_json::from_str::<ResultRow>(&line).unwrap(), row);
    }
}
