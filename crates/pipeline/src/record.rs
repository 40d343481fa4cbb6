//! How calibrations lie on disk: flat, and with the digest of their weights in a `calibration.json`.

use std::num::NonZeroUsize;

use adadiff_sampler::SolverConfig;
use adadiff_uem::{ExitWindow, ScheduledDepth};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::sampling_config::{every_block, is_every_block, is_zero};
use crate::{BudgetResult, Calibration, Evidence, ExitRule, ExitSetting, ReferenceId};

/// A calibration, and the weights and the solver that it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CalibrationRecord", into = "CalibrationRecord")]
pub struct StoredCalibration {
    /// The SHA-256 of the file of the weights; files from before it was stored do not tell.
    pub weights_sha256: Option<String>,
    /// The solver; the preset's, where an entry does not tell.
    pub solver: Option<SolverConfig>,
    /// The calibration.
    pub calibration: Calibration,
}

/// Everything of a calibration, side by side.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalibrationRecord {
    exit_rule: ExitRule,
    #[serde(default = "every_block", skip_serializing_if = "is_every_block")]
    check_every: NonZeroUsize,
    reduction: f64,
    reached: f64,
    threshold: f32,
    /// What schedules of before 2026-12 were made of.
    #[serde(default, skip_serializing)]
    floors: Option<IgnoredAny>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depths: Vec<ScheduledDepth>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<ExitWindow>,
    steps: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    guidance: f64,
    samples: usize,
    seed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    yardstick: Option<ReferenceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attainment: Option<BudgetResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    solver: Option<SolverConfig>,
}

impl From<Calibration> for CalibrationRecord {
    fn from(calibration: Calibration) -> Self {
        let (exit_rule, threshold) = (calibration.exits.rule(), calibration.exits.threshold());
        let mut record = Self {
            exit_rule,
            check_every: calibration.check_every,
            reduction: calibration.reduction,
            reached: calibration.reached,
            threshold,
            floors: None,
            depths: Vec::new(),
            windows: Vec::new(),
            steps: calibration.steps,
            guidance: calibration.guidance,
            samples: calibration.samples,
            seed: calibration.seed,
            yardstick: None,
            evidence: None,
            attainment: calibration.result,
            weights_sha256: None,
            solver: None,
        };
        match calibration.exits {
            ExitSetting::Threshold { .. } => {}
            ExitSetting::Schedule { depths, .. } => record.depths = depths,
            ExitSetting::Allocated { windows, .. } => record.windows = windows,
            ExitSetting::Distance {
                windows, reference, ..
            } => (record.windows, record.yardstick) = (windows, reference),
            ExitSetting::Forecast {
                windows,
                reference,
                evidence,
                ..
            } => {
                (record.windows, record.yardstick) = (windows, reference);
                record.evidence = evidence;
            }
        }
        record
    }
}

impl TryFrom<CalibrationRecord> for Calibration {
    type Error = String;

    fn try_from(record: CalibrationRecord) -> Result<Self, String> {
        let number = record.threshold;
        let rule = record.exit_rule;
        if record.floors.is_some() {
            return Err(format!(
                "the depths of this {} are those of the exit rule `excess`, which there is no more",
                rule.name()
            ));
        }
        let lists = [
            ("depths", record.depths.is_empty()),
            ("windows", record.windows.is_empty()),
        ];
        let needed: &[&str] = match rule {
            ExitRule::Threshold => &[],
            ExitRule::Schedule => &["depths"],
            ExitRule::Allocated | ExitRule::Distance | ExitRule::Forecast => &["windows"],
        };
        for (list, is_empty) in lists {
            if needed.contains(&list) == is_empty {
                let has = if is_empty { "lacks" } else { "has no use for" };
                return Err(format!("the exit rule {} {has} {list}", rule.name()));
            }
        }
        let exits = match rule {
            ExitRule::Threshold => ExitSetting::Threshold {
                uncertainty: number,
            },
            ExitRule::Schedule => ExitSetting::Schedule {
                depths: record.depths,
                price: number,
            },
            ExitRule::Allocated => ExitSetting::Allocated {
                windows: record.windows,
                price: number,
            },
            ExitRule::Distance => ExitSetting::Distance {
                windows: record.windows,
                price: number,
                reference: record.yardstick,
            },
            ExitRule::Forecast => ExitSetting::Forecast {
                windows: record.windows,
                increase: number,
                reference: record.yardstick,
                evidence: record.evidence,
            },
        };
        Ok(Self {
            exits,
            check_every: record.check_every,
            reduction: record.reduction,
            reached: record.reached,
            steps: record.steps,
            guidance: record.guidance,
            samples: record.samples,
            seed: record.seed,
            result: record.attainment,
        })
    }
}

impl From<StoredCalibration> for CalibrationRecord {
    fn from(stored: StoredCalibration) -> Self {
        Self {
            weights_sha256: stored.weights_sha256,
            solver: stored.solver,
            ..stored.calibration.into()
        }
    }
}

impl TryFrom<CalibrationRecord> for StoredCalibration {
    type Error = String;

    fn try_from(mut record: CalibrationRecord) -> Result<Self, String> {
        Ok(Self {
            weights_sha256: record.weights_sha256.take(),
            solver: record.solver,
            calibration: record.try_into()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_lies_flat_on_disk_and_comes_back() {
        let window = r#"{"timestep":999.0,"least":2,"most":5,"uncertainty":0.25}"#;
        let told = r#"{"timestep":999.0,"least":1,"most":1,"uncertainty":0.0,"forecast":{}}"#;
        let gate = r#"{"timestep":9.0,"least":1,"most":5,"uncertainty":0.0,"forecast":{"order":1,"coefficient":0.5,"last_blocks":2,"longest":4},"movement":0.125,"log_snr":1.5}"#;
        let depth = r#"{"timestep":999.0,"blocks":3}"#;
        let rest = r#""steps":8,"samples":64,"seed":7"#;
        for (rule, lists) in [
            ("threshold", String::new()),
            ("schedule", format!(r#""depths":[{depth}],"#)),
            ("allocated", format!(r#""windows":[{window}],"#)),
            ("distance", format!(r#""windows":[{window}],"#)),
            ("forecast", format!(r#""windows":[{told},{gate}],"#)),
        ] {
            let json = format!(
                r#"{{"exit_rule":"{rule}","reduction":0.4,"reached":0.41,"threshold":0.1,{lists}{rest}}}"#
            );
            let read: Calibration = serde_json::from_str(&json).unwrap();
            assert_eq!(read.exits.rule().name(), rule);
            assert_eq!(read.exits.threshold(), 0.1);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
            // In a file of several, with and without the weights.
            let entry: StoredCalibration = serde_json::from_str(&json).unwrap();
            assert_eq!((entry.weights_sha256, &entry.calibration), (None, &read));
            let of_weights = json.replace(r#""seed":7"#, r#""seed":7,"weights_sha256":"ab""#);
            let entry: StoredCalibration = serde_json::from_str(&of_weights).unwrap();
            assert_eq!(serde_json::to_string(&entry).unwrap(), of_weights);
            assert_eq!(entry.calibration, read);
        }
    }

    #[test]
    fn a_record_that_contradicts_itself_is_none() {
        let json = |rule: &str, threshold: &str, lists: &str| {
            format!(
                r#"{{"exit_rule":"{rule}","reduction":0.4,"reached":0.41,"threshold":{threshold},{lists}"steps":8,"samples":64,"seed":7}}"#
            )
        };
        for (text, told) in [
            (json("distance", "0.1", ""), "lacks windows"),
            (json("threshold", "1e60", ""), "out of range"),
            (json("excess", "0.1", ""), "use `allocated`"),
            (
                json("schedule", "0.1", r#""floors":[],"#),
                "the depths of this schedule are those of the exit rule `excess`",
            ),
            (
                json(
                    "threshold",
                    "0.1",
                    r#""depths":[{"timestep":1.0,"blocks":3}],"#,
                ),
                "has no use for depths",
            ),
        ] {
            let error = serde_json::from_str::<Calibration>(&text).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
