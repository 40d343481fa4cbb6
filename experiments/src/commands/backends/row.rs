//! A device's line of results, and the table of all of them.

use adadiff_backends::DeviceName;
use adadiff_report::Table;
use serde::{Deserialize, Serialize};

use super::{Agreement, AgreementVerdict, Part};
use crate::presets::Preset;

/// A device beside the reference. What was not measured is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendRow {
    /// The experiment's name.
    pub experiment: String,
    pub device: String,
    /// The device that it is compared with.
    pub reference: Option<String>,
    /// What the comparison says.
    pub verdict: AgreementVerdict,
    /// Why the device could not be used.
    pub reason: Option<String>,
    /// The type of the network's numbers.
    pub dtype: String,
    pub steps: usize,
    pub seed: u64,
    #[serde(flatten)]
    pub measured: Option<MeasuredDevice>,
    /// The version of the crate that measured.
    pub crate_version: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredDevice {
    pub samples: usize,
    /// Samples computed together.
    pub batch: usize,
    /// Of the first step's noise prediction, the largest difference over the largest value.
    pub noise_difference: f64,
    /// Share of equal exits, over evaluations and samples.
    pub equal_exits: f64,
    /// Of the full network's images, the root of the mean square difference, in levels of 8 bits.
    pub full_image_difference: f64,
    /// Of AdaDiff's images, likewise.
    pub adaptive_image_difference: f64,
    /// The share of blocks that AdaDiff skipped.
    pub block_reduction: f64,
    /// Median seconds for an image with the full network.
    pub full_seconds_per_image: f64,
    /// Median seconds for an image with AdaDiff.
    pub adaptive_seconds_per_image: f64,
    /// The most memory of the host that the device's process had resident, in MiB.
    pub peak_memory_mib: Option<u64>,
}

impl BackendRow {
    /// The row of a device that computed `part`.
    pub fn new(
        preset: &Preset,
        device: DeviceName,
        reference: DeviceName,
        part: &Part,
        agreement: Agreement,
    ) -> Self {
        Self {
            reference: Some(reference.to_string()),
            verdict: agreement.verdict,
            reason: None,
            measured: Some(MeasuredDevice {
                samples: part.exits.first().map_or(0, Vec::len),
                batch: part.batch,
                noise_difference: agreement.noise_difference,
                equal_exits: agreement.equal_exits,
                full_image_difference: agreement.full_image_difference,
                adaptive_image_difference: agreement.adaptive_image_difference,
                block_reduction: part.block_reduction,
                full_seconds_per_image: part.full_seconds_per_image,
                adaptive_seconds_per_image: part.adaptive_seconds_per_image,
                peak_memory_mib: part.peak_memory_mib,
            }),
            ..Self::absent(preset, device, String::new())
        }
    }

    /// The row of a device that could not be used.
    pub fn absent(preset: &Preset, device: DeviceName, reason: String) -> Self {
        let sampling = &preset.sampling;
        Self {
            experiment: preset.name.clone(),
            device: device.to_string(),
            reference: None,
            verdict: AgreementVerdict::Unusable,
            reason: Some(reason),
            dtype: sampling.precision.name().to_owned(),
            steps: sampling.steps,
            seed: sampling.seed,
            measured: None,
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

pub fn table(rows: &[BackendRow]) -> Table {
    let heading = [
        "device",
        "noise, relative",
        "equal exits",
        "full images, levels",
        "AdaDiff's, levels",
        "full, s/image",
        "AdaDiff, s/image",
        "speed-up",
        "host memory, MiB",
    ];
    let cells = |row: &BackendRow| {
        let mut cells = vec![row.device.clone()];
        match &row.measured {
            None => cells.extend(vec!["–".to_owned(); heading.len() - 1]),
            Some(measured) => {
                let (full, adaptive) = (
                    measured.full_seconds_per_image,
                    measured.adaptive_seconds_per_image,
                );
                cells.extend([
                    format!("{:.1e}", measured.noise_difference),
                    format!("{:.1} %", 100.0 * measured.equal_exits),
                    format!("{:.3}", measured.full_image_difference),
                    format!("{:.3}", measured.adaptive_image_difference),
                    format!("{full:.4}"),
                    format!("{adaptive:.4}"),
                    format!("{:.2}×", full / adaptive),
                    match measured.peak_memory_mib {
                        Some(mib) => mib.to_string(),
                        None => "–".to_owned(),
                    },
                ]);
            }
        }
        cells
    };
    Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows: rows.iter().map(cells).collect(),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::Part;
    use crate::commands::calibrate::tests::calibration;

    /// Two samples of one pixel and two evaluations.
    pub fn part() -> Part {
        Part {
            noise: vec![-2.0, 0.5],
            full: vec![0.1, 0.2],
            adaptive: vec![0.1, 0.3],
            exits: vec![vec![3, 4], vec![5, 13]],
            block_reduction: 0.4,
            full_seconds_per_image: 0.5,
            adaptive_seconds_per_image: 0.25,
            peak_memory_mib: None,
            batch: 2,
            calibration: calibration(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_storage::to_json_lines;

    fn device(name: &str) -> DeviceName {
        name.parse().unwrap()
    }

    #[test]
    fn rows_are_lines_and_a_table() {
        let preset = Preset::fashion_mnist().unwrap();
        let part = testing::part();
        let rows = [
            BackendRow::new(
                &preset,
                device("flex"),
                device("flex"),
                &part,
                Agreement::reference(),
            ),
            BackendRow::absent(&preset, device("cuda:1"), "it is not there".to_owned()),
        ];
        let text = to_json_lines(&rows).unwrap();
        let read: Vec<BackendRow> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, rows);
        let value: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(value["verdict"], "reference");
        assert_eq!(value["equal_exits"], 1.0);
        assert_eq!(value["samples"], 2);

        let table = table(&rows);
        assert_eq!(table.rows[0][7], "2.00×");
        assert_eq!(table.rows[0][8], "–");
        assert!(table.rows[1][1..].iter().all(|cell| cell == "–"));
    }
}
