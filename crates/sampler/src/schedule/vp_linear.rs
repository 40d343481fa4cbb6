//! The schedule that U-ViT and AdaDiff train with in continuous time.

use serde::{Deserialize, Serialize};

use super::{NoiseSchedule, minus_two_log_alpha};

/// The variance-preserving SDE with a linear `beta(t)` (Song et al. 2021, appendix B, eq. 33), for
/// `t` in `(0, 1]`. The network is told `999 t`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VpLinear {
    /// `beta(0)`.
    pub beta_min: f64,
    /// `beta(1)`, above `beta_min`.
    pub beta_max: f64,
}

impl Default for VpLinear {
    /// The published values, 0.1 and 20.
    fn default() -> Self {
        Self {
            beta_min: 0.1,
            beta_max: 20.0,
        }
    }
}

impl NoiseSchedule for VpLinear {
    fn beta(&self, time: f64) -> f64 {
        self.beta_min + time * (self.beta_max - self.beta_min)
    }

    fn log_mean_coefficient(&self, time: f64) -> f64 {
        -0.25 * time * time * (self.beta_max - self.beta_min) - 0.5 * time * self.beta_min
    }

    fn time_of_log_snr(&self, log_snr: f64) -> f64 {
        // Lu et al. 2022 (DPM-Solver), appendix D.4.
        let minus_two_log_alpha = minus_two_log_alpha(log_snr);
        let slope = self.beta_max - self.beta_min;
        let root = (self.beta_min * self.beta_min + 2.0 * slope * minus_two_log_alpha).sqrt();
        2.0 * minus_two_log_alpha / (root + self.beta_min)
    }

    fn network_timestep(&self, time: f64) -> f64 {
        999.0 * time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_relative(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs(),
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn coefficients_are_the_published_ones() {
        // Evaluated in f64 with the published code's formulas; times are f32 values.
        let schedule = VpLinear::default();
        let early = 9.999999747378752e-05;
        assert_relative(schedule.log_mean_coefficient(early), -5.049749871175794e-06);
        assert_relative(schedule.sigma(early), 0.003177962986337124);
        assert_relative(schedule.log_snr(early), 5.751509808027252);
        let middle = 0.6526745557785034;
        assert_relative(schedule.alpha(middle).powi(2), 0.013516974548647871);
        assert_relative(schedule.sigma(middle), 0.9932185184798722);
        assert_relative(schedule.log_snr(middle), -2.1450999244439886);
        assert_relative(schedule.beta(middle), 3.6177650089512747_f64.powi(2));
        assert_relative(schedule.log_mean_coefficient(1.0), -5.025);
        assert_relative(schedule.log_snr(1.0), -5.024978406659204);
        assert_relative(schedule.network_timestep(1.0), 999.0);
    }

    #[test]
    fn time_of_log_snr_is_the_published_inverse() {
        let schedule = VpLinear::default();
        for (log_snr, time) in [
            (-4.5, 0.9460586073749151),
            (-4.0, 0.8916794308302821),
            (-0.5, 0.3583085380140289),
            (3.5, 0.005784895477279309),
        ] {
            assert_relative(schedule.time_of_log_snr(log_snr), time);
        }
        for time in [1e-4, 1e-3, 0.1, 0.5, 1.0] {
            assert_relative(schedule.time_of_log_snr(schedule.log_snr(time)), time);
        }
    }

    #[test]
    fn the_image_itself_is_at_time_zero() {
        let schedule = VpLinear::default();
        assert_eq!((schedule.alpha(0.0), schedule.sigma(0.0)), (1.0, 0.0));
        assert_eq!(schedule.log_snr(0.0), f64::INFINITY);
    }
}
