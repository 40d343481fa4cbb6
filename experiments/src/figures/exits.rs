//! Where samples left, drawn of what they did.

use adadiff_report::{ExitHeatmap, ReportError};
use adadiff_uem::{ExitPolicy, ExitTrace, forecast_exit};

/// The heat map of a trace's exits, in which those with a forecast are marked where the policy that samples left by is
/// given.
///
/// # Errors
/// Where the trace is of no samples.
pub fn exit_heatmap(
    trace: &ExitTrace,
    policy: Option<&dyn ExitPolicy>,
) -> Result<ExitHeatmap, ReportError> {
    let steps = trace.steps.iter();
    let exits = steps.map(|step| (step.timestep, step.blocks.as_slice()));
    let blocks = trace.blocks_per_prediction as usize;
    let heatmap = ExitHeatmap::of_exits(trace.blocks_per_prediction, exits)?;
    Ok(heatmap.marking(|timestep, run| {
        policy.is_some_and(|policy| forecast_exit(policy, timestep, blocks, run as usize).is_some())
    }))
}
