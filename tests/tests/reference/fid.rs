//! Distances between sets of features.

use adadiff_metrics::{Gaussian, GaussianStats, frechet_distance};
use anyhow::{Context, Result};

use crate::fixture::{Fixture, values};
use crate::report::{Report, Rule};

const RULE: Rule = Rule::Relative(1e-6);

/// For the published root of a singular product, which is off by as much itself.
const SINGULAR: Rule = Rule::Relative(1e-5);

pub fn check(fixture: &Fixture) -> Result<Report> {
    let mut report = Report::new(fixture)?;
    for set in fixture.get::<Vec<String>>("sets")? {
        let (x, is_singular) = gaussian(&report, &format!("in.{set}.x"))?;
        let (y, _) = gaussian(&report, &format!("in.{set}.y"))?;
        let distance = frechet_distance(&x, &y)?;
        let rule = if is_singular { SINGULAR } else { RULE };
        report.values(rule, &format!("{set}.fid"), &[1], [distance])?;
        report.values(RULE, &format!("{set}.fid_eig"), &[1], [distance])?;
    }
    for metric in [
        "cmmd",
        "cmmd_normalized",
        "is_mean",
        "is_std",
        "kid",
        "precision",
        "recall",
    ] {
        report.pending(metric);
    }
    Ok(report.finish())
}

/// The normal distribution of features, and whether there are too few for a regular covariance.
fn gaussian(report: &Report, name: &str) -> Result<(Gaussian, bool)> {
    let features = values::<f64>(report.tensors(), name)?;
    let shape = report.tensors().shape(name).context("a missing set")?;
    let &[samples, dims] = shape else {
        anyhow::bail!("{name} is {shape:?}, which are no features");
    };
    let mut stats = GaussianStats::new(dims);
    stats.push(&features)?;
    Ok((stats.gaussian()?, samples <= dims))
}
