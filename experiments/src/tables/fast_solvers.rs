//! Solvers that images are drawn with in few steps.

use adadiff_sampler::{
    Ddim, DpmSolver, DpmSolverPlusPlus, Grid, SolverConfig, Spacing, TimeGrid, UniPc,
};

/// Solvers that need few steps, each with times that suit continuous and discrete schedules.
pub fn fast_solvers(on_latents: bool) -> [SolverConfig; 4] {
    const END: f64 = 1e-3;
    let log_snr = TimeGrid {
        spacing: Spacing::UniformLogSnr,
        end: END,
        to_zero: false,
    };
    let data_bound = (!on_latents).then_some(1.0);
    [
        SolverConfig::Ddim(Ddim::default()),
        SolverConfig::DpmSolver(DpmSolver {
            end: END,
            ..DpmSolver::default()
        }),
        SolverConfig::DpmSolverPlusPlus(DpmSolverPlusPlus {
            grid: log_snr,
            data_bound,
            ..DpmSolverPlusPlus::default()
        }),
        SolverConfig::UniPc(UniPc {
            grid: Grid::Times(log_snr),
            data_bound,
            ..UniPc::default()
        }),
    ]
}
