//! Comparisons with the expected tensors of a fixture, and what came of them.

use std::collections::BTreeSet;
use std::fmt;

use adadiff_weights::WeightFile;
use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::fixture::{Fixture, values};

/// How far found values may be from the expected ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The largest difference, as a share of the largest value or of 1 if that is larger.
    Scaled(f64),
    /// The largest difference beyond 1e-7, as a share of the largest value.
    Gradient(f64),
    /// Each difference as a share of its value.
    Relative(f64),
}

impl Rule {
    fn tolerance(self) -> f64 {
        match self {
            Self::Scaled(tolerance) | Self::Gradient(tolerance) | Self::Relative(tolerance) => {
                tolerance
            }
        }
    }

    /// The error in the tolerance's measure; infinite where a value is no number.
    fn error(self, found: &[f64], expected: &[f64]) -> f64 {
        let largest = expected
            .iter()
            .fold(0.0f64, |largest, value| largest.max(value.abs()));
        let share = |part: f64, whole: f64| if part == 0.0 { 0.0 } else { part / whole };
        let errors = found.iter().zip(expected).map(|(found, expected)| {
            let difference = (found - expected).abs();
            match self {
                Self::Scaled(_) => difference / largest.max(1.0),
                Self::Gradient(_) if difference <= 1e-7 => 0.0,
                Self::Gradient(_) => share(difference - 1e-7, largest),
                Self::Relative(_) => share(difference, expected.abs()),
            }
        });
        errors.fold(0.0, |worst, error| {
            if error <= worst {
                worst
            } else if error.is_nan() {
                f64::INFINITY
            } else {
                error
            }
        })
    }
}

/// The worst of the tensors that are compared by one rule.
#[derive(Clone, Debug)]
struct Group {
    rule: Rule,
    worst: f64,
    tensor: String,
}

/// Compares tensors with those of a fixture and keeps account.
#[derive(Debug)]
pub struct FixtureReport {
    tensors: Option<WeightFile>,
    groups: Vec<Group>,
    /// Number of tensors of whole numbers that are equal.
    exact: usize,
    compared: BTreeSet<String>,
    /// The rule for `out.NAME`, where it differs from that for `out.f64.NAME`.
    single_precision: Option<Rule>,
    failures: Vec<String>,
}

impl FixtureReport {
    /// Opens the tensors of a fixture.
    pub fn new(fixture: &Fixture) -> Result<Self> {
        Ok(Self {
            tensors: Some(fixture.tensors()?),
            ..Self::without_tensors()
        })
    }

    /// The account of a fixture that has whole numbers in its configuration and no tensors.
    pub fn without_tensors() -> Self {
        Self {
            tensors: None,
            groups: Vec::new(),
            exact: 0,
            compared: BTreeSet::new(),
            single_precision: None,
            failures: Vec::new(),
        }
    }

    pub fn tensors(&self) -> &WeightFile {
        self.tensors.as_ref().expect("a fixture with tensors")
    }

    /// From now on compares by this rule with what the published code computed in single precision,
    /// where that is the less exact side.
    pub fn single_precision(&mut self, rule: Rule) {
        self.single_precision = Some(rule);
    }

    /// Compares a tensor with the expected `out.NAME`.
    pub fn tensor<B: Backend, const AXES: usize>(
        &mut self,
        rule: Rule,
        name: &str,
        found: Tensor<B, AXES>,
    ) -> Result<()> {
        let shape = found.dims();
        let found = adadiff_tests::values(found);
        self.values(rule, name, &shape, found.into_iter().map(f64::from))
    }

    /// Compares values in a shape with the expected `out.NAME` and, where there is one, with what
    /// the published code gives in double precision, `out.f64.NAME`.
    pub fn values(
        &mut self,
        rule: Rule,
        name: &str,
        shape: &[usize],
        found: impl IntoIterator<Item = f64>,
    ) -> Result<()> {
        let found: Vec<f64> = found.into_iter().collect();
        let single_precision = self.single_precision.unwrap_or(rule);
        self.expected(single_precision, format!("out.{name}"), shape, &found)?;
        let precise = format!("out.f64.{name}");
        if self.tensors().shape(&precise).is_some() {
            self.expected(rule, precise, shape, &found)?;
        }
        Ok(())
    }

    fn expected(&mut self, rule: Rule, name: String, shape: &[usize], found: &[f64]) -> Result<()> {
        let expected = values::<f64>(self.tensors(), &name)?;
        let expected_shape = self.tensors().shape(&name).map(<[usize]>::to_vec);
        if expected_shape.as_deref() != Some(shape) || found.len() != expected.len() {
            self.failures
                .push(format!("{name} is {shape:?} instead of {expected_shape:?}"));
        }
        let error = rule.error(found, &expected);
        if error > rule.tolerance() {
            self.failures.push(format!(
                "{name} is off by {error:.2e} (tolerance {:e})",
                rule.tolerance()
            ));
        }
        self.compared.insert(name.clone());
        match self.groups.iter_mut().find(|group| group.rule == rule) {
            Some(group) if error <= group.worst => {}
            Some(group) => (group.worst, group.tensor) = (error, name),
            None => self.groups.push(Group {
                rule,
                worst: error,
                tensor: name,
            }),
        }
        Ok(())
    }

    /// Compares whole numbers with those that `out.NAME` was found to stand for.
    pub fn equal(&mut self, name: &str, found: &[i64], expected: &[i64]) {
        if found == expected {
            self.exact += 1;
        } else {
            self.failures
                .push(format!("{name} is {found:?} instead of {expected:?}"));
        }
        self.compared.insert(format!("out.{name}"));
    }

    /// Leaves out `out.NAME`, which another tensor of the fixture supersedes.
    pub fn superseded(&mut self, name: &str) {
        self.compared.insert(format!("out.{name}"));
    }

    /// Ends the account: every expected tensor must have been compared.
    pub fn finish(mut self) -> Self {
        for name in self.tensors.iter().flat_map(|file| file.tensors().keys()) {
            if name.starts_with("out.") && !self.compared.contains(name) {
                self.failures
                    .push(format!("{name} was compared with nothing"));
            }
        }
        self
    }

    /// Whether anything differs from what is expected.
    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }
}

impl fmt::Display for FixtureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<_> = self
            .groups
            .iter()
            .map(|group| {
                let measure = match group.rule {
                    Rule::Scaled(_) => "error",
                    Rule::Gradient(_) => "gradients' error",
                    Rule::Relative(_) => "relative error",
                };
                let tolerance = group.rule.tolerance();
                format!(
                    "{measure} {:.1e} in {}, tolerance {tolerance:e}",
                    group.worst, group.tensor
                )
            })
            .collect();
        if self.exact > 0 {
            parts.push(format!("{} tensors equal", self.exact));
        }
        if self.has_failed() {
            parts.push(format!("FAILED: {}", self.failures.join("; ")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn errors_are_measured_as_the_tolerances_are_meant() {
        let expected = [-4.0, 0.5, 0.0];
        let found = [-4.0, 0.7, 0.1];
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12);
        close(Rule::Scaled(0.0).error(&found, &expected), 0.05);
        close(Rule::Scaled(0.0).error(&[0.2], &[0.1]), 0.1);
        close(
            Rule::Gradient(0.0).error(&found, &expected),
            (0.2 - 1e-7) / 4.0,
        );
        close(
            Rule::Gradient(0.0).error(&[0.2], &[0.1]),
            (0.1 - 1e-7) / 0.1,
        );
        close(Rule::Gradient(0.0).error(&[1e-7], &[0.0]), 0.0);
        close(Rule::Relative(0.0).error(&[-4.0, 0.7, 0.0], &expected), 0.4);
        assert_eq!(Rule::Relative(0.0).error(&found, &expected), f64::INFINITY);
        for rule in [Rule::Scaled(0.0), Rule::Gradient(0.0), Rule::Relative(0.0)] {
            assert_eq!(rule.error(&[1.0, f64::NAN, 1.0], &[1.0; 3]), f64::INFINITY);
            assert_eq!(rule.error(&[1.0; 3], &[1.0, f64::NAN, 1.0]), f64::INFINITY);
        }
    }
}
