//! Statements about errors, their estimates, and what training does to both.

use super::super::comparison::{Comparison, mean_and_spread};
use super::rows::{is_adadiff, metric, of_method, rows};
use super::{Claim, ClaimVerdict, all};
use crate::figures::{BlockErrorFigure, EvaluationErrors, Reliability};
use crate::results::{MeanAndSpread, RecordedTable, Results};

/// The largest calibration error of an estimate that can be relied on.
const RELIABLE: f64 = 0.05;

pub fn depth_over_time(errors: &BlockErrorFigure) -> Option<Claim> {
    let blocks = errors.evaluations.first()?.squared_errors.len();
    let half = (blocks / 2).checked_sub(1)?;
    let third = errors.evaluations.len().div_ceil(3);
    let mean = |evaluations: &[EvaluationErrors]| {
        let errors = evaluations
            .iter()
            .map(|evaluation| evaluation.squared_errors[half]);
        errors.sum::<f64>() / evaluations.len() as f64
    };
    let noise = mean(&errors.evaluations[..third]);
    let image = mean(&errors.evaluations[errors.evaluations.len() - third..]);
    Some(Claim {
        statement: "Steps near noise need fewer blocks than steps near the image.".to_owned(),
        verdict: if noise < image {
            ClaimVerdict::Holds
        } else {
            ClaimVerdict::Fails
        },
        evidence: format!(
            "After {} of {blocks} blocks the squared error against the last block is {noise:.4} in \
             the first third of the steps and {image:.4} in the last third ({} samples).",
            half + 1,
            errors.samples
        ),
    })
}

pub fn reliable(reliability: &Reliability) -> Claim {
    let error = reliability.calibration_error;
    Claim {
        statement: "The estimators know the error that is really made.".to_owned(),
        verdict: if error <= RELIABLE {
            ClaimVerdict::Holds
        } else {
            ClaimVerdict::Fails
        },
        evidence: format!(
            "The expected calibration error over all blocks is {error:.4} on {} {}; {RELIABLE} counts \
             as reliable.",
            reliability.samples, reliability.images
        ),
    }
}

pub fn ual_helps(results: &Results, table: &RecordedTable) -> Option<Claim> {
    let of_variant = |variant: Option<&str>| {
        table.entries.iter().find_map(|entry| {
            let rows = rows(results, entry);
            (rows.first()?.variant.as_deref() == variant).then_some(rows)
        })
    };
    let with = of_variant(None)?;
    let without = of_variant(Some("no-ual"))?;
    let comparison = Comparison::new(&with, &without)?;
    Some(Claim {
        statement: "UAL makes the full network better.".to_owned(),
        verdict: comparison.order().into(),
        evidence: format!(
            "{} of the full network is {} with UAL and {} without.",
            metric(&with),
            mean_and_spread(comparison.first),
            mean_and_spread(comparison.second)
        ),
    })
}

pub fn parts_help(results: &Results, table: &RecordedTable) -> Option<Claim> {
    let (_, whole) = of_method(results, table, is_adadiff)?;
    let mut evidence = Vec::new();
    let mut orders = Vec::new();
    for entry in &table.entries {
        let rows = rows(results, entry);
        let Some(first) = rows.first() else { continue };
        if first.variant.is_none() || !first.setting.is_some_and(|method| is_adadiff(&method)) {
            continue;
        }
        let Some(comparison) = Comparison::new(&whole, &rows) else {
            continue;
        };
        orders.push(comparison.order());
        evidence.push(format!(
            "{}: {}",
            entry.label,
            mean_and_spread(comparison.second)
        ));
    }
    let verdict = all(&orders)?;
    Some(Claim {
        statement: "Every part of the method makes AdaDiff better.".to_owned(),
        verdict,
        evidence: format!(
            "{} with all parts is {}; {}.",
            metric(&whole),
            MeanAndSpread::from_numbers(whole.iter().map(|row| row.frechet_distance))
                .map(mean_and_spread)?,
            evidence.join("; ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_at_half_depth_are_compared_between_noise_and_image() {
        let evaluation = |error| EvaluationErrors {
            timestep: 1.0,
            squared_errors: vec![0.9, error, 0.1, 0.0],
        };
        let errors = BlockErrorFigure {
            samples: 4,
            evaluations: [0.1, 0.3, 0.5].map(evaluation).to_vec(),
        };
        let claim = depth_over_time(&errors).unwrap();
        assert_eq!(claim.verdict, ClaimVerdict::Holds);
        assert!(
            claim.evidence.contains("0.1000 in the first third"),
            "{}",
            claim.evidence
        );
        assert!(
            claim.evidence.contains("0.5000 in the last third"),
            "{}",
            claim.evidence
        );
    }
}
