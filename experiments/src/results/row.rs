//! One JSON object for each measured result.

use std::fmt;
use std::path::Path;

use adadiff_report::ReportError;
use adadiff_storage::{replace_file, to_json_lines};
use serde::{Deserialize, Serialize};

use crate::methods::{Method, MethodKind, row_name};

/// One method, measured once. Fields that do not apply are `null` in its JSON object, or missing
/// where the first version's objects did not have them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// The experiment's name, for example `fashion_mnist`.
    pub experiment: String,
    /// How blocks were chosen.
    #[serde(with = "row_name")]
    pub method: MethodKind,
    /// The method with its knob, for comparisons of many methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<Method>,
    /// What distinguishes the network from AdaDiff as the paper has it, for example `own heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Blocks run in every evaluation, for [`MethodKind::StaticDepth`].
    pub depth: Option<u32>,
    /// The device, as the command line names it.
    pub device: String,
    /// The type of the numbers computed with, for example `f32`.
    pub dtype: String,
    /// The solver's name, for example `dpm-solver++`.
    pub solver: String,
    /// Solver steps for each sample.
    pub steps: usize,
    pub samples: usize,
    /// Samples computed together.
    pub batch: usize,
    pub seed: u64,
    /// What the threshold is compared with, for [`MethodKind::AdaDiff`]: the name of an
    /// [`ExitRule`](adadiff_pipeline::ExitRule).
    pub exit_rule: Option<String>,
    /// Samples were judged after every this many blocks, where that is not every block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_every: Option<u32>,
    /// The exit threshold, for [`MethodKind::AdaDiff`].
    pub threshold: Option<f64>,
    /// The share of blocks in `[0, 1]` that the threshold was calibrated to save.
    pub target_reduction: Option<f64>,
    /// Blocks run, mean over samples and network evaluations.
    pub blocks_mean: f64,
    /// Blocks run, sum over samples and network evaluations.
    pub blocks_total: u64,
    /// Blocks that one evaluation of one sample runs where nothing is skipped.
    pub blocks_per_prediction: u32,
    /// The share of blocks that was skipped, in `[0, 1]`.
    pub block_reduction: f64,
    /// 10^9 floating-point operations for each sample, over all its steps.
    pub gflops_per_image: f64,
    /// Wall-clock seconds of sampling divided by the samples.
    pub seconds_per_image: f64,
    /// The full model's seconds for each image divided by this row's; absent where the full model
    /// was not measured beside it.
    pub speedup: Option<f64>,
    /// The Fréchet distance to the reference images. It shrinks with the number of samples:
    /// compare rows of equal [`samples`](Self::samples) only.
    pub frechet_distance: f64,
    /// The feature extractor that the distance was taken with, for example `fashion-cnn`.
    pub features: String,
    /// The version of the crate that measured.
    pub crate_version: String,
    /// How near images are to the full network's of the same noise, the first up to 512 of them, in dB;
    /// absent for the full network itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// The same as structural similarity, for images of 11 pixels a side or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssim: Option<f64>,
    /// Bytes that are kept of a sample from one network evaluation to the next, where any are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_sample: Option<usize>,
    /// The shares of the variance of the blocks run, by up to 512 samples, that step and sample explain, in `[0, 1]`; where
    /// that is not always the same number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<[f64; 2]>,
}

impl ResultRow {
    /// What fails where a number is not finite, which JSON cannot hold.
    fn check_finite(&self) -> Result<(), ReportError> {
        let numbers = [
            ("threshold", self.threshold.unwrap_or_default()),
            (
                "target_reduction",
                self.target_reduction.unwrap_or_default(),
            ),
            ("blocks_mean", self.blocks_mean),
            ("block_reduction", self.block_reduction),
            ("gflops_per_image", self.gflops_per_image),
            ("seconds_per_image", self.seconds_per_image),
            ("speedup", self.speedup.unwrap_or_default()),
            ("frechet_distance", self.frechet_distance),
            ("psnr", self.psnr.unwrap_or_default()),
            ("ssim", self.ssim.unwrap_or_default()),
            ("explained", self.explained.unwrap_or_default().iter().sum()),
        ];
        match numbers.into_iter().find(|(_, value)| !value.is_finite()) {
            Some((field, value)) => Err(ReportError::NotFinite {
                what: format!("`{field}` of the row `{self}`"),
                value,
            }),
            None => Ok(()),
        }
    }
}

/// The row's method as tables name it.
impl fmt::Display for ResultRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method_label();
        match &self.variant {
            Some(variant) => write!(formatter, "{method} ({variant})"),
            None => write!(formatter, "{method}"),
        }
    }
}

impl ResultRow {
    fn method_label(&self) -> String {
        match (
            self.method,
            self.depth,
            self.target_reduction,
            self.threshold,
        ) {
            (MethodKind::Full, ..) => "full model".to_owned(),
            (MethodKind::StaticDepth, Some(depth), ..) => format!("static depth {depth}"),
            (MethodKind::StaticDepth, None, ..) => "static depth".to_owned(),
            (MethodKind::AdaDiff, _, Some(target), _) => {
                let rule = match self.exit_rule.as_deref() {
                    None | Some("threshold") => String::new(),
                    Some(rule) => format!(" ({rule})"),
                };
                let checks = match self.check_every {
                    Some(every) => format!(", judged every {every} blocks"),
                    None => String::new(),
                };
                let target = 100.0 * target;
                if self.exit_rule.as_deref() == Some("forecast") {
                    return format!("exit and forecast, target {target:.0} %");
                }
                format!("AdaDiff{rule}{checks}, target {target:.0} %")
            }
            (MethodKind::AdaDiff, _, None, Some(threshold)) => {
                format!("AdaDiff, threshold {threshold:.4}")
            }
            (MethodKind::AdaDiff, _, None, None) => "AdaDiff".to_owned(),
            (method, ..) => match &self.setting {
                Some(setting) => setting.to_string(),
                None => format!("{method:?}"),
            },
        }
    }
}

/// Writes one JSON object a row to `path`, atomically.
///
/// # Errors
/// [`ReportError::NotFinite`] for a number that JSON cannot hold, [`ReportError::Storage`] where the
/// file cannot be written.
pub fn write_rows(path: &Path, rows: &[ResultRow]) -> Result<(), ReportError> {
    rows.iter().try_for_each(ResultRow::check_finite)?;
    Ok(replace_file(path, to_json_lines(rows)?.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use adadiff_storage::{StorageError, read_json_lines};

    use super::super::examples::example_rows;
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn rows_survive_the_file() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("results.jsonl");
        write_rows(&path, &example_rows())?;
        assert_eq!(read_json_lines::<ResultRow>(&path)?, example_rows());
        assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 4);
        Ok(())
    }

    #[test]
    fn every_object_has_every_field() -> TestResult {
        let names = [
            "experiment",
            "method",
            "depth",
            "device",
            "dtype",
            "solver",
            "steps",
            "samples",
            "batch",
            "seed",
            "exit_rule",
            "threshold",
            "target_reduction",
            "blocks_mean",
            "blocks_total",
            "blocks_per_prediction",
            "block_reduction",
            "gflops_per_image",
            "seconds_per_image",
            "speedup",
            "frechet_distance",
            "features",
            "crate_version",
        ];
        let mut expected = names.to_vec();
        expected.sort_unstable();
        for (row, method) in example_rows()
            .iter()
            .zip(["full", "static", "static", "adadiff"])
        {
            let object = serde_json::to_value(row)?;
            let mut found: Vec<&str> = object
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            found.sort_unstable();
            assert_eq!(found, expected);
            assert_eq!(object["method"], method);
        }
        assert!(serde_json::to_value(&example_rows()[0])?["threshold"].is_null());
        assert_eq!(serde_json::to_value(&example_rows()[1])?["depth"], 7);
        Ok(())
    }

    #[test]
    fn a_number_that_is_not_finite_is_not_written() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("results.jsonl");
        let mut rows = example_rows();
        rows[3].frechet_distance = f64::NAN;
        let message = write_rows(&path, &rows).map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err(
                "`frechet_distance` of the row `AdaDiff, target 45 %` is NaN, but only a finite \
                 number can be reported"
                    .to_owned()
            )
        );
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn a_damaged_line_is_named() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("results.jsonl");
        write_rows(&path, &example_rows()[..1])?;
        let text = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("{text}{}", &text[..40]))?;
        assert!(matches!(
            read_json_lines::<ResultRow>(&path),
            Err(StorageError::Line { line: 2, .. })
        ));
        Ok(())
    }
}
