//! The cosine schedule in continuous time.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{NoiseSchedule, minus_two_log_alpha};

/// The cosine schedule (Nichol & Dhariwal 2021, eq. 17): `alpha(t) = cos(a(t)) / cos(a(0))` with the
/// angle `a(t) = (t + s) / (1 + s) pi / 2`. The network is told `999 t`.
///
/// At `t = 1` nothing is left of the image and the log-SNR is infinite; walks start at 0.9946, as
/// DPM-Solver's code does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VpCosine {
    /// The offset that keeps the noise near the image from being too small, above 0.
    pub s: f64,
}

impl Default for VpCosine {
    /// The published offset, 0.008.
    fn default() -> Self {
        Self { s: 0.008 }
    }
}

impl VpCosine {
    fn angle(&self, time: f64) -> f64 {
        (time + self.s) / (1.0 + self.s) * (PI / 2.0)
    }

    /// `sigma(t)^2 = (cos(a(0))^2 - cos(a)^2) / cos(a(0))^2`, the difference as a product of sines,
    /// which does not cancel.
    fn noise_variance(&self, time: f64) -> f64 {
        let (start, angle) = (self.angle(0.0), self.angle(time));
        let step = time / (1.0 + self.s) * (PI / 2.0);
        (angle + start).sin() * step.sin() / start.cos().powi(2)
    }
}

impl NoiseSchedule for VpCosine {
    fn beta(&self, time: f64) -> f64 {
        PI / (1.0 + self.s) * self.angle(time).tan()
    }

    fn log_mean_coefficient(&self, time: f64) -> f64 {
        let variance = self.noise_variance(time);
        if variance < 0.5 {
            0.5 * (-variance).ln_1p()
        } else {
            (self.angle(time).cos() / self.angle(0.0).cos()).ln()
        }
    }

    fn sigma(&self, time: f64) -> f64 {
        self.noise_variance(time).sqrt()
    }

    fn time_of_log_snr(&self, log_snr: f64) -> f64 {
        // cos(a) = alpha cos(a(0)), so that sin(a)^2 = sin(a(0))^2 + sigma^2 cos(a(0))^2.
        let minus_two_log_alpha = minus_two_log_alpha(log_snr);
        let (sin, cos) = self.angle(0.0).sin_cos();
        let noise_variance = -(-minus_two_log_alpha).exp_m1();
        let angle = (sin * sin + noise_variance * cos * cos)
            .sqrt()
            .atan2((-0.5 * minus_two_log_alpha).exp() * cos);
        angle * (2.0 / PI) * (1.0 + self.s) - self.s
    }

    fn network_timestep(&self, time: f64) -> f64 {
        999.0 * time
    }

    fn start_time(&self) -> f64 {
        0.9946
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_relative(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs(),
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn alpha_is_the_ratio_of_cosines() {
        let schedule = VpCosine::default();
        let angle = |t: f64| (t + 0.008) / 1.008 * PI / 2.0;
        for time in [0.1, 0.4, 0.5, 0.9, 0.9946] {
            let alpha = angle(time).cos() / angle(0.0).cos();
            assert_relative(schedule.alpha(time), alpha, 1e-13);
            assert_relative(schedule.sigma(time), (1.0 - alpha * alpha).sqrt(), 1e-13);
        }
        assert_eq!((schedule.alpha(0.0), schedule.sigma(0.0)), (1.0, 0.0));
        assert_eq!(schedule.log_snr(0.0), f64::INFINITY);
    }

    #[test]
    fn the_noise_near_the_image_does_not_cancel() {
        // sigma^2 = pi tan(a(0)) / (1 + s) t to first order in t.
        let schedule = VpCosine::default();
        let slope = schedule.beta(0.0);
        assert_relative(schedule.sigma(1e-12).powi(2), slope * 1e-12, 1e-9);
    }

    #[test]
    fn beta_is_the_slope_of_log_alpha() {
        let schedule = VpCosine::default();
        for time in [0.01, 0.3, 0.7, 0.99] {
            let width = 1e-6;
            let slope = (schedule.log_mean_coefficient(time + width)
                - schedule.log_mean_coefficient(time - width))
                / (2.0 * width);
            assert_relative(schedule.beta(time), -2.0 * slope, 1e-6);
        }
    }

    #[test]
    fn time_of_log_snr_is_the_inverse() {
        let schedule = VpCosine::default();
        for time in [1e-6, 1e-4, 1e-3, 0.1, 0.5, 0.9946, 0.999] {
            assert_relative(
                schedule.time_of_log_snr(schedule.log_snr(time)),
                time,
                1e-10,
            );
        }
    }
}
