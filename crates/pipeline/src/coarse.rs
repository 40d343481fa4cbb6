//! The path that exits are measured along.

use adadiff_model::kernels::Kernels;
use adadiff_sampler::{Ddim, Grid, ReverseProcess, SolverConfig, StepGrid};

use crate::{Calibrator, PipelineError};

/// Steps beyond which exits are measured along a path of fewer.
const MOST_STEPS: usize = 100;

/// Steps of that path.
const COARSE_STEPS: usize = 20;

/// Whether a path of so many steps is too long to measure exits along it as often as that takes.
pub(crate) fn is_long(steps: usize) -> bool {
    steps > MOST_STEPS
}

/// Steps of the path that exits for so many steps are measured along.
pub(crate) fn coarse_steps(steps: usize) -> usize {
    if is_long(steps) { COARSE_STEPS } else { steps }
}

impl<B: Kernels> Calibrator<B> {
    /// This, or where there are many steps the same with few: a timestep stands for those around it. Solvers of many
    /// steps need not be good ones, so that the few are DDIM's, with as much new noise as the solver adds.
    pub(crate) fn coarse(&self, steps: usize) -> Result<Self, PipelineError> {
        let config = &self.pipeline.config;
        let solver = config.sampling.solver;
        if !is_long(steps) {
            return Ok(self.with_solver(solver, steps));
        }
        let eta = match solver {
            SolverConfig::DdpmAncestral(_) => 1.0,
            SolverConfig::EulerMaruyama(solver) if solver.process == ReverseProcess::Sde => 1.0,
            SolverConfig::Ddim(solver) => solver.eta,
            _ => 0.0,
        };
        let grid = match config.schedule.build()?.trained_steps() {
            Some(_) => Grid::Steps(StepGrid::DDIM),
            None => Ddim::default().grid,
        };
        let solver = SolverConfig::Ddim(Ddim { eta, grid });
        Ok(self.with_solver(solver, COARSE_STEPS))
    }
}
