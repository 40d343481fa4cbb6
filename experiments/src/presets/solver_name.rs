//! Solvers by their names on the command line, each with settings that suit any network here.

use adadiff_sampler::{
    Ddim, DdpmAncestral, DpmSolver, DpmSolverPlusPlus, EulerMaruyama, Grid, ReverseProcess,
    SolverConfig, Spacing, TimeGrid, UniPc,
};
use clap::ValueEnum;

/// The last time of solvers that stop before the image.
const END: f64 = 1e-3;

/// A solver without its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SolverName {
    /// Euler–Maruyama on the reverse SDE, the paper's on pixels; for hundreds of steps
    EulerMaruyama,
    /// DDIM without noise
    Ddim,
    /// DDPM's ancestral sampling; for hundreds of steps
    Ddpm,
    /// Singlestep DPM-Solver, in the orders of DPM-Solver-fast
    DpmSolver,
    /// Multistep DPM-Solver++ of order 2
    DpmSolverPlusPlus,
    /// UniPC of order 2
    #[value(name = "unipc")]
    UniPc,
}

impl SolverName {
    /// The solvers that need few steps.
    pub const FAST: [Self; 4] = [
        Self::Ddim,
        Self::DpmSolver,
        Self::DpmSolverPlusPlus,
        Self::UniPc,
    ];

    /// Whether a solver is of this name, with any settings.
    pub fn is_of(self, solver: SolverConfig) -> bool {
        let named = self.config(false);
        std::mem::discriminant(&named) == std::mem::discriminant(&solver)
    }

    /// The solver with times that suit continuous and discrete schedules, on latents or on pixels, whose
    /// predicted images lie in `[-1, 1]`.
    pub fn config(self, on_latents: bool) -> SolverConfig {
        let log_snr = TimeGrid {
            spacing: Spacing::UniformLogSnr,
            end: END,
            to_zero: false,
        };
        let data_bound = (!on_latents).then_some(1.0);
        match self {
            Self::EulerMaruyama => {
                SolverConfig::EulerMaruyama(EulerMaruyama::new(ReverseProcess::Sde))
            }
            Self::Ddim => SolverConfig::Ddim(Ddim::default()),
            Self::Ddpm => SolverConfig::DdpmAncestral(DdpmAncestral {
                grid: Ddim::default().grid,
            }),
            Self::DpmSolver => SolverConfig::DpmSolver(DpmSolver {
                end: END,
                ..DpmSolver::default()
            }),
            Self::DpmSolverPlusPlus => SolverConfig::DpmSolverPlusPlus(DpmSolverPlusPlus {
                grid: log_snr,
                data_bound,
                ..DpmSolverPlusPlus::default()
            }),
            Self::UniPc => SolverConfig::UniPc(UniPc {
                grid: Grid::Times(log_snr),
                data_bound,
                ..UniPc::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line_and_each_is_of_its_solver() {
        let all = SolverName::value_variants();
        let names: Vec<_> = all
            .iter()
            .filter_map(SolverName::to_possible_value)
            .collect();
        let names: Vec<_> = names.iter().map(|name| name.get_name()).collect();
        assert_eq!(
            names,
            [
                "euler_maruyama",
                "ddim",
                "ddpm",
                "dpm_solver",
                "dpm_solver_plus_plus",
                "unipc"
            ]
        );
        for (place, name) in all.iter().enumerate() {
            for on_latents in [false, true] {
                let config = name.config(on_latents);
                let of: Vec<_> = all.iter().map(|other| other.is_of(config)).collect();
                assert!(
                    of.iter()
                        .enumerate()
                        .all(|(other, &is)| is == (other == place))
                );
            }
        }
    }
}
