//! Noise schedules in double precision.

use adadiff_sampler::{DiscreteSchedule, NoiseSchedule, StepNumbering, VpCosine, VpLinear};
use anyhow::Result;
use serde::Deserialize;

use crate::fixture::{Fixture, values};
use crate::report::{FixtureReport, Rule};

const RULE: Rule = Rule::Relative(1e-9);

/// The published code numbers steps from 0 or from 1; tables are the same.
const NUMBERING: StepNumbering = StepNumbering::FromZero;

/// DDPM's table.
#[derive(Deserialize)]
struct DdpmLinear {
    beta_start: f64,
    beta_end: f64,
    #[serde(rename = "N")]
    steps: usize,
}

/// Stable Diffusion's table.
#[derive(Deserialize)]
struct ScaledLinear {
    linear_start: f64,
    linear_end: f64,
    #[serde(rename = "N")]
    steps: usize,
}

pub fn check(fixture: &Fixture) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    supersede_single_precision(&mut report);
    let vpsde: VpLinear = fixture.get("vpsde")?;
    let cosine: VpCosine = fixture.get("cosine")?;
    stochastic(&mut report, "vpsde", "in.t.f64", &vpsde)?;
    stochastic(&mut report, "cosine", "in.t_cosine.f64", &cosine)?;

    // DPM-Solver's code has the linear schedule with the usual settings only.
    let linear = VpLinear::default();
    log_snr(&mut report, "vp_linear", "in.t.f64", &linear)?;
    let table: ScaledLinear = fixture.get("scaled_linear")?;
    let (start, end) = (table.linear_start, table.linear_end);
    let scaled = DiscreteSchedule::scaled_linear(start, end, table.steps, NUMBERING)?;
    log_snr(&mut report, "vp_discrete", "in.t_discrete.f64", &scaled)?;

    let cum_alphas: Vec<f64> = std::iter::once(1.0)
        .chain(scaled.alphas_cumprod())
        .collect();
    // The published table starts at the image, which is time 0.
    let times = (0..=table.steps).map(|step| step as f64 / table.steps as f64);
    let cum_betas = times.map(|time| scaled.sigma(time).powi(2)).collect();
    let table: DdpmLinear = fixture.get("ddpm_linear")?;
    let (start, end) = (table.beta_start, table.beta_end);
    let ddpm = DiscreteSchedule::linear(start, end, table.steps, NUMBERING)?;
    let tables: [(&str, Vec<f64>); 6] = [
        ("ddpm_linear.betas", ddpm.betas().to_vec()),
        ("ddpm_linear.alphas_bar", ddpm.alphas_cumprod()),
        ("ddpm_linear.betas_tilde", ddpm.posterior_variances()),
        ("scaled_linear.betas", scaled.betas().to_vec()),
        ("scaled_linear.cum_alphas", cum_alphas),
        ("scaled_linear.cum_betas", cum_betas),
    ];
    for (name, found) in tables {
        report.values(RULE, &format!("{name}.f64"), &[found.len()], found)?;
    }
    Ok(report.finish())
}

/// Compares the coefficients of the stochastic differential equation.
fn stochastic(
    report: &mut FixtureReport,
    prefix: &str,
    times: &str,
    schedule: &dyn NoiseSchedule,
) -> Result<()> {
    let alpha_squared = |t: f64| schedule.alpha(t).powi(2);
    let sigma_squared = |t: f64| schedule.sigma(t).powi(2);
    let coefficients: [(&str, &dyn Fn(f64) -> f64); 6] = [
        ("cum_alpha", &alpha_squared),
        ("cum_beta", &sigma_squared),
        ("drift", &|t| -0.5 * schedule.beta(t)),
        ("diffusion", &|t| schedule.beta(t).sqrt()),
        ("snr", &|t| alpha_squared(t) / sigma_squared(t)),
        ("nsr", &|t| sigma_squared(t) / alpha_squared(t)),
    ];
    compare(report, prefix, times, &coefficients)
}

/// Compares the coefficients that solvers in log-SNR use, and the inverse of log-SNR.
fn log_snr(
    report: &mut FixtureReport,
    prefix: &str,
    times: &str,
    schedule: &dyn NoiseSchedule,
) -> Result<()> {
    let coefficients: [(&str, &dyn Fn(f64) -> f64); 3] = [
        ("log_alpha", &|t| schedule.log_mean_coefficient(t)),
        ("sigma", &|t| schedule.sigma(t)),
        ("lambda", &|t| schedule.log_snr(t)),
    ];
    compare(report, prefix, times, &coefficients)?;
    let inverse = |log_snr: f64| schedule.time_of_log_snr(log_snr);
    compare(
        report,
        prefix,
        "in.lambda.f64",
        &[("inverse_lambda", &inverse)],
    )
}

/// Compares functions of the values of an input.
fn compare(
    report: &mut FixtureReport,
    prefix: &str,
    input: &str,
    functions: &[(&str, &dyn Fn(f64) -> f64)],
) -> Result<()> {
    let points = values::<f64>(report.tensors(), input)?;
    for (name, function) in functions {
        let found = points.iter().map(|&point| function(point));
        let name = format!("{prefix}.{name}.f64");
        report.values(RULE, &name, &[points.len()], found)?;
    }
    Ok(())
}

/// The published values in single precision only show how far the published code is off itself.
fn supersede_single_precision(report: &mut FixtureReport) {
    let names = report.tensors().tensors().keys();
    let single: Vec<String> = names
        .filter_map(|name| name.strip_prefix("out.")?.strip_suffix(".f64"))
        .map(str::to_owned)
        .collect();
    for name in single {
        report.superseded(&name);
    }
}
