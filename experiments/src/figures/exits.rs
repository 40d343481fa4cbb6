//! Where samples left, drawn of what they did.

use adadiff_report::{ExitHeatmap, ReportError};
use adadiff_uem::{BlockContext, ExitPolicy, ExitTrace};

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
        let is_forecast = |policy: &dyn ExitPolicy| {
            (0..blocks.saturating_sub(1)).any(|block| {
                let forecast = policy.forecast(BlockContext {
                    block,
                    blocks,
                    timestep,
                });
                forecast.is_some_and(|told| block + 1 + told.last_blocks == run as usize)
            })
        };
        policy.is_some_and(is_forecast)
    }))
}
