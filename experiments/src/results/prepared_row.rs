//! The row of results of a prepared method.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, SampleStats};
use anyhow::Result;

use super::measured::enter_exits;
use super::{Measured, ResultRow};
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
    let measured = Measured {
        preset,
        method: prepared.method.kind(),
        device: device.to_owned(),
        cost: prepared.cost.clone(),
        steps: prepared.steps,
        effort: &drawn.counts,
        seconds: drawn.seconds,
        features: evaluator.features(),
        frechet_distance: evaluator.frechet_distance(&drawn.statistics)?,
    };
    let mut row = measured.row()?;
    enter(prepared, &mut row);
    row.variant = variant(preset);
    Ok(row)
}

/// Says in a row of results which method it is of.
fn enter<B: Kernels>(prepared: &PreparedMethod<'_, B>, row: &mut ResultRow) {
    row.method = prepared.method.kind();
    row.setting = Some(prepared.method);
    row.steps = prepared.steps;
    row.target_reduction = prepared.method.reduction();
    row.threshold = prepared.threshold.map(f64::from);
    if let Method::StaticDepth { depth } = prepared.method {
        row.depth = Some(depth.get() as u32);
    }
    if let Some(calibration) = &prepared.calibration {
        enter_exits(calibration, row);
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
        let mut row = example_rows().remove(0);
        enter(&prepared, &mut row);
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
