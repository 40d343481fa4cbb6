//! Noise schedules in double precision.

use adadiff_sampler::{NoiseSchedule, VpLinear};
use anyhow::Result;

use crate::fixture::{Fixture, values};
use crate::report::{Report, Rule};

const RULE: Rule = Rule::Relative(1e-9);

pub fn check(fixture: &Fixture) -> Result<Report> {
    let mut report = Report::new(fixture)?;
    supersede_single_precision(&mut report);
    let schedule: VpLinear = fixture.get("vpsde")?;
    let times = values::<f64>(report.tensors(), "in.t.f64")?;
    let alpha_squared = |t: f64| schedule.alpha(t).powi(2);
    let sigma_squared = |t: f64| schedule.sigma(t).powi(2);
    let at_times: [(&str, &dyn Fn(f64) -> f64); 9] = [
        ("vpsde.cum_alpha", &alpha_squared),
        ("vpsde.cum_beta", &sigma_squared),
        ("vpsde.drift", &|t| -0.5 * schedule.beta(t)),
        ("vpsde.diffusion", &|t| schedule.beta(t).sqrt()),
        ("vpsde.snr", &|t| alpha_squared(t) / sigma_squared(t)),
        ("vpsde.nsr", &|t| sigma_squared(t) / alpha_squared(t)),
        ("vp_linear.log_alpha", &|t| schedule.log_mean_coefficient(t)),
        ("vp_linear.sigma", &|t| schedule.sigma(t)),
        ("vp_linear.lambda", &|t| schedule.log_snr(t)),
    ];
    for (name, coefficient) in at_times {
        let found = times.iter().map(|&time| coefficient(time));
        report.values(RULE, &format!("{name}.f64"), &[times.len()], found)?;
    }
    let log_snrs = values::<f64>(report.tensors(), "in.lambda.f64")?;
    let found = log_snrs
        .iter()
        .map(|&log_snr| schedule.time_of_log_snr(log_snr));
    report.values(
        RULE,
        "vp_linear.inverse_lambda.f64",
        &[log_snrs.len()],
        found,
    )?;
    for schedule in ["cosine", "ddpm_linear", "scaled_linear", "vp_discrete"] {
        report.pending(schedule);
    }
    Ok(report.finish())
}

/// The published values in single precision only show how far the published code is off itself.
fn supersede_single_precision(report: &mut Report) {
    let names = report.tensors().tensors().keys();
    let single: Vec<String> = names
        .filter_map(|name| name.strip_prefix("out.")?.strip_suffix(".f64"))
        .map(str::to_owned)
        .collect();
    for name in single {
        report.superseded(&name);
    }
}
