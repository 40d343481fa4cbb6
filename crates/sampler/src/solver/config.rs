//! Solvers by name, for presets.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::{
    Ddim, DdpmAncestral, DpmSolver, DpmSolverPlusPlus, DpmSolverPlusPlusSinglestep, EulerMaruyama,
    ReverseProcess, Solver, SolverTimes, UniPc,
};
use crate::{NoiseSchedule, SampleError};

/// Any solver with its settings; `solver` is its name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "solver", rename_all = "snake_case")]
pub enum SolverConfig {
    /// Euler–Maruyama, SDE or ODE.
    EulerMaruyama(EulerMaruyama),
    /// DDPM's ancestral sampling.
    DdpmAncestral(DdpmAncestral),
    /// DDIM.
    Ddim(Ddim),
    /// Singlestep DPM-Solver.
    DpmSolver(DpmSolver),
    /// Multistep DPM-Solver++.
    DpmSolverPlusPlus(DpmSolverPlusPlus),
    /// Singlestep DPM-Solver++.
    DpmSolverPlusPlusSinglestep(DpmSolverPlusPlusSinglestep),
    /// UniPC.
    #[serde(rename = "unipc")]
    UniPc(UniPc),
}

impl SolverConfig {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::EulerMaruyama(EulerMaruyama { process, .. }) => match process {
                ReverseProcess::Sde => "euler_maruyama_sde",
                ReverseProcess::ProbabilityFlow => "euler_maruyama_ode",
            },
            Self::DdpmAncestral(_) => "ddpm_ancestral",
            Self::Ddim(_) => "ddim",
            Self::DpmSolver(_) => "dpm_solver",
            Self::DpmSolverPlusPlus(DpmSolverPlusPlus { order: 2, .. }) => {
                "dpm_solver_plus_plus_2m"
            }
            Self::DpmSolverPlusPlus(DpmSolverPlusPlus { order: 3, .. }) => {
                "dpm_solver_plus_plus_3m"
            }
            Self::DpmSolverPlusPlus(_) => "dpm_solver_plus_plus",
            Self::DpmSolverPlusPlusSinglestep(_) => "dpm_solver_plus_plus_singlestep",
            Self::UniPc(_) => "unipc",
        }
    }

    /// The times of a walk, as [`SolverTimes::times`] has them, without a backend.
    ///
    /// # Errors
    /// Where the solver's settings are out of range or do not suit the schedule.
    pub fn times(
        self,
        schedule: &dyn NoiseSchedule,
        steps: usize,
    ) -> Result<Vec<f64>, SampleError> {
        let solver: &dyn SolverTimes = match &self {
            Self::EulerMaruyama(solver) => solver,
            Self::DdpmAncestral(solver) => solver,
            Self::Ddim(solver) => solver,
            Self::DpmSolver(solver) => solver,
            Self::DpmSolverPlusPlus(solver) => solver,
            Self::DpmSolverPlusPlusSinglestep(solver) => solver,
            Self::UniPc(solver) => solver,
        };
        solver.times(schedule, steps)
    }

    /// The solver. Its settings are checked when it is asked for the times of a walk.
    pub fn build<B: Backend>(self) -> Box<dyn Solver<B>> {
        match self {
            Self::EulerMaruyama(solver) => Box::new(solver),
            Self::DdpmAncestral(solver) => Box::new(solver),
            Self::Ddim(solver) => Box::new(solver),
            Self::DpmSolver(solver) => Box::new(solver),
            Self::DpmSolverPlusPlus(solver) => Box::new(solver),
            Self::DpmSolverPlusPlusSinglestep(solver) => Box::new(solver),
            Self::UniPc(solver) => Box::new(solver),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Plain, every_solver};
    use crate::{
        Betas, DiscreteConfig, Grid, ScheduleConfig, Spacing, StepGrid, StepNumbering, TimeGrid,
    };
    use serde::de::DeserializeOwned;

    fn read<T: DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn presets_name_solvers() {
        let solver: SolverConfig =
            read("solver = 'dpm_solver'\norders = 'fast'\nspacing = 'uniform_log_snr'\nend = 1e-4")
                .unwrap();
        assert_eq!(solver, SolverConfig::DpmSolver(DpmSolver::default()));
        let solver: SolverConfig = read(
            "solver = 'ddim'\neta = 0.5\n[grid.steps]\nspacing = { leading = { offset = 0 } }\n\
             drop_last = false\nend = 'clean_image'",
        )
        .unwrap();
        let grid = Grid::Steps(StepGrid::DDIM);
        assert_eq!(solver, SolverConfig::Ddim(Ddim { eta: 0.5, grid }));
    }

    #[test]
    fn multistep_presets_without_an_order_have_order_two() {
        let text = "grid = { spacing = 'uniform_time', end = 0.1, to_zero = true }\n\
                    lower_order_final = true";
        let expected = DpmSolverPlusPlus {
            order: 2,
            grid: TimeGrid {
                spacing: Spacing::UniformTime,
                end: 0.1,
                to_zero: true,
            },
            lower_order_final: true,
            data_bound: None,
        };
        assert_eq!(read::<DpmSolverPlusPlus>(text).unwrap(), expected);
    }

    #[test]
    fn every_solver_survives_writing_and_reading() {
        for solver in every_solver() {
            let text = toml::to_string(&solver).unwrap();
            assert_eq!(read::<SolverConfig>(&text).unwrap(), solver, "{text}");
            let unknown = format!("stepsize = 3\n{text}");
            assert!(read::<SolverConfig>(&unknown).is_err(), "{unknown}");
            let _: Box<dyn Solver<Plain>> = solver.build();
        }
        assert!(read::<SolverConfig>("solver = 'heun'").is_err());
    }

    #[test]
    fn presets_name_schedules() {
        let schedule: ScheduleConfig = read(
            "schedule = 'discrete'\nnumbering = 'from_one'\n\
             betas = { scaled_linear = { start = 0.00085, end = 0.012, steps = 1000 } }",
        )
        .unwrap();
        let expected = ScheduleConfig::Discrete(DiscreteConfig {
            betas: Betas::ScaledLinear {
                start: 0.00085,
                end: 0.012,
                steps: 1000,
            },
            numbering: StepNumbering::FromOne,
        });
        assert_eq!(schedule, expected);
        assert!(read::<ScheduleConfig>("schedule = 'vp_cosine'\ns = 0.008").is_ok());
        assert!(read::<ScheduleConfig>("schedule = 'vp_cosine'\ns = 0.008\nb = 1").is_err());
    }
}
