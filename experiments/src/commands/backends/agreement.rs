//! How far two devices agree.

use std::fmt;

use adadiff_backends::Precision;
use serde::{Deserialize, Serialize};

use super::Part;

/// What may differ where two devices agree: rounding, and what follows from it.
struct Tolerance {
    /// Of the noise prediction: the largest difference over the largest value.
    noise: f64,
    /// The least share of equal exits: a sample whose uncertainty lies at the threshold may leave a
    /// block earlier or later.
    exits: f64,
    /// Of the full network's images: the root of the mean square difference, in levels of 8 bits.
    image: f64,
}

impl Tolerance {
    fn for_precision(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self {
                noise: 1e-3,
                exits: 0.95,
                image: 1.0,
            },
            Precision::F16 | Precision::Bf16 => Self {
                noise: 5e-2,
                exits: 0.8,
                image: 8.0,
            },
        }
    }
}

/// Differences of a device from the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Of the noise prediction, the largest difference over the largest value.
    pub noise_difference: f64,
    /// Share of equal exits, over evaluations and samples.
    pub equal_exits: f64,
    /// Of the full network's images, the root of the mean square difference, in levels of 8 bits.
    pub full_image_difference: f64,
    /// Of AdaDiff's images, likewise.
    pub adaptive_image_difference: f64,
    pub verdict: AgreementVerdict,
}

/// What a comparison says of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgreementVerdict {
    /// The others are compared with it.
    Reference,
    /// It computes the same up to rounding.
    Agrees,
    /// The networks agree, but samples leave elsewhere.
    ExitsDiffer,
    /// It computes something else.
    Differs,
    /// It could not be used.
    Unusable,
}

impl fmt::Display for AgreementVerdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reference => "the reference",
            Self::Agrees => "agrees up to rounding",
            Self::ExitsDiffer => "the network agrees, but samples leave at other blocks",
            Self::Differs => "computes something else",
            Self::Unusable => "not usable",
        })
    }
}

impl Agreement {
    /// The reference's with itself.
    pub fn reference() -> Self {
        Self {
            noise_difference: 0.0,
            equal_exits: 1.0,
            full_image_difference: 0.0,
            adaptive_image_difference: 0.0,
            verdict: AgreementVerdict::Reference,
        }
    }

    /// The agreement of `found` with `expected`.
    pub fn new(found: &Part, expected: &Part, precision: Precision) -> Self {
        let tolerance = Tolerance::for_precision(precision);
        let noise_difference = largest_difference(&found.noise, &expected.noise);
        let equal_exits = equal_share(&found.exits, &expected.exits);
        let full_image_difference = levels(&found.full, &expected.full);
        // Written so that what is no number differs.
        let network_agrees =
            noise_difference <= tolerance.noise && full_image_difference <= tolerance.image;
        Self {
            noise_difference,
            equal_exits,
            full_image_difference,
            adaptive_image_difference: levels(&found.adaptive, &expected.adaptive),
            verdict: match (network_agrees, equal_exits >= tolerance.exits) {
                (true, true) => AgreementVerdict::Agrees,
                (true, false) => AgreementVerdict::ExitsDiffer,
                (false, _) => AgreementVerdict::Differs,
            },
        }
    }
}

/// The largest difference over the largest value; infinite for lists of different lengths.
fn largest_difference(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    let difference = largest(&mut found.iter().zip(expected).map(|(a, b)| (a - b).abs()));
    let scale = largest(&mut expected.iter().map(|value| value.abs()));
    f64::from(difference) / f64::from(scale.max(f32::MIN_POSITIVE))
}

/// The root of the mean square difference of pixels in `[-1, 1]`, in levels of 8 bits.
fn levels(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let squares: f64 = found
        .iter()
        .zip(expected)
        .map(|(&a, &b)| f64::from(a - b).powi(2))
        .sum();
    127.5 * (squares / found.len().max(1) as f64).sqrt()
}

fn equal_share(found: &[Vec<u32>], expected: &[Vec<u32>]) -> f64 {
    let all: usize = expected.iter().map(Vec::len).sum();
    let pairs = found.iter().zip(expected);
    let equal: usize = pairs
        .map(|(found, expected)| found.iter().zip(expected).filter(|(a, b)| a == b).count())
        .sum();
    equal as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::backends::row::testing::part;

    #[test]
    fn differences_are_measured_where_they_count() {
        let expected = part();
        let mut found = expected.clone();
        let agreement = Agreement::new(&found, &expected, Precision::F32);
        assert_eq!(agreement.verdict, AgreementVerdict::Agrees);
        assert_eq!(agreement.equal_exits, 1.0);

        found.noise[1] += 0.004;
        let agreement = Agreement::new(&found, &expected, Precision::F32);
        assert!((agreement.noise_difference - 0.002).abs() < 1e-6);
        assert_eq!(agreement.verdict, AgreementVerdict::Differs);
        let agreement = Agreement::new(&found, &expected, Precision::F16);
        assert_eq!(agreement.verdict, AgreementVerdict::Agrees);

        let mut found = expected.clone();
        found.exits[0][1] += 1;
        let agreement = Agreement::new(&found, &expected, Precision::F32);
        assert_eq!(agreement.equal_exits, 0.75);
        assert_eq!(agreement.verdict, AgreementVerdict::ExitsDiffer);

        let mut found = expected.clone();
        found.full[0] += 0.02;
        let agreement = Agreement::new(&found, &expected, Precision::F32);
        let expected_levels = 127.5 * 0.02 / 2.0_f64.sqrt();
        assert!((agreement.full_image_difference - expected_levels).abs() < 1e-3);
        assert_eq!(agreement.verdict, AgreementVerdict::Differs);
        found.full.pop();
        let agreement = Agreement::new(&found, &expected, Precision::F32);
        assert_eq!(agreement.verdict, AgreementVerdict::Differs);
    }
}
