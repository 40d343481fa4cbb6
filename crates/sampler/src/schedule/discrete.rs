//! Schedules that are a table of steps.

use serde::{Deserialize, Serialize};

use super::{NoiseSchedule, minus_two_log_alpha};
use crate::ScheduleError;

/// How the steps of a discrete schedule are numbered when the network is told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepNumbering {
    /// `0..steps`: DDPM, DDIM, UniPC, Stable Diffusion.
    FromZero,
    /// `1..=steps`: U-ViT's and AdaDiff's training in discrete time.
    FromOne,
}

/// The variance-preserving schedule of discrete steps with the variances `beta_n` (Ho et al. 2020,
/// eq. 2 and 4): `alpha_n^2 = (1 - beta_1) ... (1 - beta_n)`.
///
/// Step `n`, from 1, is at the time `n / steps`. Between the steps `ln alpha` is interpolated
/// linearly in time, and extrapolated outside of them, as DPM-Solver does (Lu et al. 2022,
/// appendix D); time 0 alone is the image itself. Little before the first step the extrapolated
/// noise vanishes, so that no walk should end there: it may end at the first step or at 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscreteSchedule {
    betas: Vec<f64>,
    /// `ln alpha` of every step, falling.
    log_alphas: Vec<f64>,
    numbering: StepNumbering,
}

impl DiscreteSchedule {
    /// The schedule of given variances, step by step.
    ///
    /// # Errors
    /// Where there are fewer than two steps, or a variance is not between 0 and 1.
    pub fn new(betas: Vec<f64>, numbering: StepNumbering) -> Result<Self, ScheduleError> {
        if betas.len() < 2 {
            return Err(ScheduleError::TooFewSteps { steps: betas.len() });
        }
        let mut log_alphas = Vec::with_capacity(betas.len());
        let mut log_alpha = 0.0;
        for (step, &beta) in betas.iter().enumerate() {
            let next = log_alpha + 0.5 * (-beta).ln_1p();
            // Written so that NaN and variances too small to count fail it.
            if !(beta > 0.0 && beta < 1.0 && next < log_alpha) {
                return Err(ScheduleError::Beta { step, beta });
            }
            log_alpha = next;
            log_alphas.push(log_alpha);
        }
        Ok(Self {
            betas,
            log_alphas,
            numbering,
        })
    }

    /// Variances in an arithmetic progression (Ho et al. 2020, section 4).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn linear(
        start: f64,
        end: f64,
        steps: usize,
        numbering: StepNumbering,
    ) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        Self::new(progression(start, end, steps).collect(), numbering)
    }

    /// Standard deviations, the roots of the variances, in an arithmetic progression (Rombach et
    /// al. 2022, latent diffusion's code).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn scaled_linear(
        start: f64,
        end: f64,
        steps: usize,
        numbering: StepNumbering,
    ) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        let roots = progression(start.sqrt(), end.sqrt(), steps);
        Self::new(roots.map(|root| root * root).collect(), numbering)
    }

    /// DDPM's schedule: 1000 variances from 1e-4 to 0.02, steps numbered from 0.
    ///
    /// # Panics
    /// Never: the variances are valid.
    pub fn ddpm_linear() -> Self {
        Self::linear(1e-4, 0.02, 1000, StepNumbering::FromZero).expect("valid variances")
    }

    /// Stable Diffusion's schedule, which U-ViT and AdaDiff use for latents: 1000 variances from
    /// 0.00085 to 0.012, with roots in an arithmetic progression.
    ///
    /// # Panics
    /// Never: the variances are valid.
    pub fn stable_diffusion(numbering: StepNumbering) -> Self {
        Self::scaled_linear(0.00085, 0.012, 1000, numbering).expect("valid variances")
    }

    /// The variances `beta_n`, step by step.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// `alpha_n^2`, which DDPM calls alpha bar and code `alphas_cumprod`, step by step.
    pub fn alphas_cumprod(&self) -> Vec<f64> {
        let squares = self.log_alphas.iter().map(|log| (2.0 * log).exp());
        squares.collect()
    }

    /// The variances of `x_{n-1}` given `x_n` and the image (Ho et al. 2020, eq. 7, beta tilde), step
    /// by step; 0 for the first, whose `x_{n-1}` is the image.
    pub fn posterior_variances(&self) -> Vec<f64> {
        // 1 - alpha_n^2
        let noise = |log_alpha: f64| -(2.0 * log_alpha).exp_m1();
        let before = std::iter::once(0.0).chain(self.log_alphas.iter().copied());
        before
            .zip(&self.log_alphas)
            .zip(&self.betas)
            .map(|((before, &log_alpha), beta)| beta * noise(before) / noise(log_alpha))
            .collect()
    }

    /// The step, from 0, that starts the line on which `place`, counted in steps, lies.
    fn segment(&self, place: f64) -> usize {
        (place.max(0.0) as usize).min(self.log_alphas.len() - 2)
    }

    fn steps(&self) -> f64 {
        self.log_alphas.len() as f64
    }
}

/// Checks that there is memory for a table of so many steps.
fn check_steps(steps: usize) -> Result<(), ScheduleError> {
    const MOST: usize = 1 << 20;
    match steps {
        ..=MOST => Ok(()),
        _ => Err(ScheduleError::TooManySteps { steps, most: MOST }),
    }
}

/// Numbers from `start` to `end`.
fn progression(start: f64, end: f64, count: usize) -> impl Iterator<Item = f64> {
    let intervals = count.saturating_sub(1).max(1) as f64;
    (0..count).map(move |i| start + (end - start) * (i as f64 / intervals))
}

impl NoiseSchedule for DiscreteSchedule {
    fn beta(&self, time: f64) -> f64 {
        let first = self.segment(time * self.steps() - 1.0);
        2.0 * self.steps() * (self.log_alphas[first] - self.log_alphas[first + 1])
    }

    fn log_mean_coefficient(&self, time: f64) -> f64 {
        if time <= 0.0 {
            return 0.0;
        }
        let place = time * self.steps() - 1.0;
        let first = self.segment(place);
        let (from, to) = (self.log_alphas[first], self.log_alphas[first + 1]);
        from + (to - from) * (place - first as f64)
    }

    fn time_of_log_snr(&self, log_snr: f64) -> f64 {
        if log_snr == f64::INFINITY {
            return 0.0;
        }
        let log_alpha = -0.5 * minus_two_log_alpha(log_snr);
        let above = self.log_alphas.partition_point(|&step| step > log_alpha);
        let first = above.saturating_sub(1).min(self.log_alphas.len() - 2);
        let (from, to) = (self.log_alphas[first], self.log_alphas[first + 1]);
        (first as f64 + 1.0 + (log_alpha - from) / (to - from)) / self.steps()
    }

    fn network_timestep(&self, time: f64) -> f64 {
        match self.numbering {
            StepNumbering::FromZero => time * self.steps() - 1.0,
            StepNumbering::FromOne => time * self.steps(),
        }
    }

    fn trained_steps(&self) -> Option<usize> {
        Some(self.log_alphas.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-12 * expected.abs(),
            "found {found}, expected {expected}"
        );
    }

    fn schedule(betas: &[f64]) -> DiscreteSchedule {
        DiscreteSchedule::new(betas.to_vec(), StepNumbering::FromOne).unwrap()
    }

    #[test]
    fn tables_follow_from_the_variances() {
        let schedule = schedule(&[0.1, 0.2, 0.5]);
        let expected = [0.9, 0.72, 0.36];
        for (found, expected) in schedule.alphas_cumprod().into_iter().zip(expected) {
            assert_close(found, expected);
        }
        let expected = [0.0, 0.2 * 0.1 / 0.28, 0.5 * 0.28 / 0.64];
        for (found, expected) in schedule.posterior_variances().into_iter().zip(expected) {
            assert_close(found, expected);
        }
        assert_close(schedule.alpha(2.0 / 3.0).powi(2), 0.72);
        assert_close(schedule.sigma(1.0).powi(2), 0.64);
        assert_close(schedule.beta(0.9), -3.0 * 0.5_f64.ln());
        assert_close(schedule.beta(0.6), -3.0 * 0.8_f64.ln());
    }

    #[test]
    fn between_steps_the_logarithm_is_linear() {
        let schedule = schedule(&[0.1, 0.2, 0.5]);
        assert_close(schedule.alpha(0.5).powi(2), (0.9_f64 * 0.72).sqrt());
        assert_close(schedule.alpha(7.0 / 6.0).powi(2), 0.36 * 0.5_f64.sqrt());
        assert_close(schedule.alpha(1.0 / 6.0).powi(2), 0.9 / 0.8_f64.sqrt());
        assert_eq!((schedule.alpha(0.0), schedule.sigma(0.0)), (1.0, 0.0));
    }

    #[test]
    fn time_of_log_snr_is_the_inverse() {
        let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromOne);
        for time in [0.0008, 0.001, 0.0015, 0.3, 0.5, 0.9995, 1.0, 1.2] {
            let found = schedule.time_of_log_snr(schedule.log_snr(time));
            assert!((found - time).abs() < 1e-12, "{found} instead of {time}");
        }
        assert_eq!(schedule.time_of_log_snr(f64::INFINITY), 0.0);
    }

    #[test]
    fn the_network_is_told_the_number_of_the_step() {
        let told = |numbering| {
            let schedule = DiscreteSchedule::stable_diffusion(numbering);
            [0.001, 0.7, 1.0].map(|time| schedule.network_timestep(time) as f32)
        };
        assert_eq!(told(StepNumbering::FromZero), [0.0, 699.0, 999.0]);
        assert_eq!(told(StepNumbering::FromOne), [1.0, 700.0, 1000.0]);
    }

    #[test]
    fn refuses_what_is_no_table_of_variances() {
        let refuse = |betas: &[f64]| {
            DiscreteSchedule::new(betas.to_vec(), StepNumbering::FromZero).unwrap_err()
        };
        assert_eq!(refuse(&[0.1]), ScheduleError::TooFewSteps { steps: 1 });
        for beta in [0.0, -0.1, 1.0, f64::INFINITY] {
            assert_eq!(refuse(&[0.1, beta]), ScheduleError::Beta { step: 1, beta });
        }
        assert!(matches!(
            refuse(&[f64::NAN, 0.1]),
            ScheduleError::Beta { step: 0, .. }
        ));
        let none = DiscreteSchedule::linear(0.1, 0.2, 0, StepNumbering::FromZero);
        assert_eq!(none, Err(ScheduleError::TooFewSteps { steps: 0 }));
    }
}
