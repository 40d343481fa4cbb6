//! Settings that no fixture has, against the published schedulers' formulas.
//!
//! The expected numbers were evaluated in double precision with the formulas of the published code, on
//! a single pixel that starts at 0.7.

use super::*;
use crate::{
    DiscreteSchedule, DpmSolverPlusPlus, DpmSolverPlusPlusSinglestep, FinalState, Grid, Spacing,
    StepGrid, StepNumbering, StepSpacing, TimeGrid, UniPc, UniPcScale,
};

/// Predicts `0.4 x + 0.3 sin(timestep / 200)`.
struct Wave;

impl Denoiser<Plain> for Wave {
    fn predict_batch(&self, batch: NoisyBatch<Plain>) -> Result<Prediction<Plain>, ModelError> {
        let noise = batch.noisy * 0.4 + 0.3 * (batch.timestep / 200.0).sin();
        Ok(Prediction::new(noise, 1))
    }

    fn blocks_per_prediction(&self) -> u32 {
        1
    }
}

#[track_caller]
fn assert_leads_to(
    expected: f64,
    schedule: DiscreteSchedule,
    solver: impl Solver<Plain> + 'static,
    steps: usize,
) {
    let sampler = Sampler {
        schedule: Box::new(schedule),
        solver: Box::new(solver),
        steps,
    };
    let start = Tensor::full([1, 1, 1, 1], 0.7, &device());
    let request = SampleRequest {
        shape: [1, 1, 1],
        noise: NoiseSource::seeded(0).starting_from(start),
        first_sample: 0,
        count: 1,
        batch: 1,
        condition: Condition::None,
        device: device(),
    };
    let samples = sampler.sample(&Wave, &request, &mut go_on).unwrap();
    let found = f64::from(values(samples.images)[0]);
    assert!(
        (found - expected).abs() < 1e-5 * expected,
        "found {found}, expected {expected}"
    );
}

#[test]
fn unipc_of_other_orders_and_spacings() {
    use FinalState::{CleanImage, FirstStep};
    use StepSpacing::{Leading, Linspace, Trailing};
    use UniPcScale::{Bh1, Bh2};
    for (expected, steps, order, scale, lower_order_final, spacing, end) in [
        (3.3649782975055347, 9, 3, Bh2, true, Linspace, CleanImage),
        (4.5131832102954474, 9, 3, Bh2, false, Linspace, FirstStep),
        (
            1.928160658700953,
            8,
            3,
            Bh1,
            true,
            Leading { offset: 1 },
            CleanImage,
        ),
        (3.3938306185921396, 7, 2, Bh2, true, Trailing, FirstStep),
        (3.477822700442287, 7, 1, Bh1, true, Linspace, CleanImage),
    ] {
        let solver = UniPc {
            order,
            scale,
            corrector: true,
            lower_order_final,
            grid: Grid::Steps(StepGrid {
                spacing,
                drop_last: true,
                end,
            }),
            data_bound: None,
        };
        let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromZero);
        assert_leads_to(expected, schedule, solver, steps);
    }
}

#[test]
fn singlestep_dpm_solver_plus_plus_with_every_remainder() {
    use Spacing::{UniformLogSnr, UniformTime};
    for (expected, steps, order, spacing) in [
        (3.359880053193623, 5, 3, UniformTime),
        (3.4197007469808205, 6, 3, UniformTime),
        (3.3833953725765737, 8, 3, UniformLogSnr),
        (4.136350449585438, 5, 2, UniformTime),
        (4.460760193549937, 6, 2, UniformLogSnr),
    ] {
        let solver = DpmSolverPlusPlusSinglestep {
            order,
            spacing,
            end: 1e-3,
            data_bound: None,
        };
        let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromOne);
        assert_leads_to(expected, schedule, solver, steps);
    }
}

#[test]
fn multistep_dpm_solver_plus_plus_with_lower_final_orders() {
    use Spacing::{UniformLogSnr, UniformTime};
    for (expected, steps, order, spacing, lower_order_final) in [
        (3.544223973874051, 7, 3, UniformTime, true),
        (3.8698471900573614, 7, 3, UniformLogSnr, false),
        (3.2790867200941545, 8, 2, UniformLogSnr, true),
        (4.407878911298964, 6, 1, UniformTime, false),
    ] {
        let solver = DpmSolverPlusPlus {
            order,
            grid: TimeGrid {
                spacing,
                end: 1e-3,
                to_zero: false,
            },
            lower_order_final,
            data_bound: None,
        };
        let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromOne);
        assert_leads_to(expected, schedule, solver, steps);
    }
}

#[test]
fn ddim_with_other_spacings() {
    use FinalState::{CleanImage, FirstStep};
    for (expected, steps, spacing, end) in [
        (19.210880627121238, 7, StepSpacing::Linspace, CleanImage),
        (28.514257846531127, 7, StepSpacing::Trailing, FirstStep),
        (
            8.088570055256243,
            6,
            StepSpacing::Leading { offset: 1 },
            FirstStep,
        ),
    ] {
        let solver = Ddim {
            eta: 0.0,
            grid: Grid::Steps(StepGrid {
                spacing,
                drop_last: false,
                end,
            }),
        };
        assert_leads_to(expected, DiscreteSchedule::ddpm_linear(), solver, steps);
    }
}
