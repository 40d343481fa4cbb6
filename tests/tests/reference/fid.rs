//! Distances between sets of features, and the inception score.

use adadiff_metrics::{
    Features, Gaussian, GaussianStats, RowLength, cmmd, frechet_distance, inception_score,
    kernel_distance, precision_recall,
};
use anyhow::{Context, Result};

use crate::fixture::{Fixture, values};
use crate::report::{FixtureReport, Rule};

const RULE: Rule = Rule::Relative(1e-6);

/// For the published root of a singular product, which is off by as much itself.
const SINGULAR: Rule = Rule::Relative(1e-5);

/// For counts of samples over their number.
const EXACT: Rule = Rule::Relative(0.0);

pub fn check(fixture: &Fixture) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let neighbours = fixture.get::<usize>("pr_k")?;
    for set in fixture.get::<Vec<String>>("sets")? {
        let real = Rows::read(&report, format!("in.{set}.x"))?;
        let generated = Rows::read(&report, format!("in.{set}.y"))?;
        let distance = frechet_distance(&real.gaussian()?, &generated.gaussian()?)?;
        let is_singular = real.samples() <= real.dims || generated.samples() <= generated.dims;
        let rule = if is_singular { SINGULAR } else { RULE };
        let (real, generated) = (real.features()?, generated.features()?);
        let sides = precision_recall(&real, &generated, neighbours)?;
        for (metric, rule, found) in [
            ("fid", rule, distance),
            ("fid_eig", RULE, distance),
            ("kid", RULE, kernel_distance(&real, &generated)?),
            ("precision", EXACT, sides.precision),
            ("recall", EXACT, sides.recall),
            ("cmmd", RULE, cmmd(&real, &generated, RowLength::Kept)?),
            (
                "cmmd_normalized",
                RULE,
                cmmd(&real, &generated, RowLength::Unit)?,
            ),
        ] {
            report.values(rule, &format!("{set}.{metric}"), &[1], [found])?;
        }
    }
    let splits = fixture.get("is_splits")?;
    for set in fixture.get::<Vec<String>>("prob_sets")? {
        let probabilities = Rows::read(&report, format!("in.{set}.probs"))?;
        let score = inception_score(&probabilities.features()?, splits, None)?;
        report.values(RULE, &format!("{set}.is_mean"), &[1], [score.mean])?;
        report.values(RULE, &format!("{set}.is_std"), &[1], [score.std])?;
    }
    Ok(report.finish())
}

/// A matrix of the fixture, one row for each sample.
struct Rows {
    values: Vec<f32>,
    dims: usize,
}

impl Rows {
    fn read(report: &FixtureReport, name: String) -> Result<Self> {
        let shape = report.tensors().shape(&name).context("a missing set")?;
        let &[_, dims] = shape else {
            anyhow::bail!("{name} is {shape:?}, which are no features");
        };
        let values = values(report.tensors(), &name)?;
        Ok(Self { values, dims })
    }

    fn samples(&self) -> usize {
        self.values.len() / self.dims
    }

    fn features(&self) -> Result<Features<'_>> {
        Ok(Features::new("a set", &self.values, self.dims)?)
    }

    fn gaussian(&self) -> Result<Gaussian> {
        let mut stats = GaussianStats::new(self.dims);
        stats.push(&self.values)?;
        Ok(stats.gaussian()?)
    }
}
