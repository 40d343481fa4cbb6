//! Times methods by turns, so that whatever else the machine does meets all of them.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Monitor, Pipeline, SamplePlan, median, median_ratio, time_interleaved};
use anyhow::{Error, Result};

use crate::methods::PreparedMethod;
use crate::results::TimingRecord;

/// How often everyone has a turn.
#[derive(Clone, Copy, Debug)]
pub struct InterleavedTimer {
    /// Turns of each method, at least 1.
    pub rounds: usize,
}

pub struct TimedMethod<'p, 's, B: Kernels> {
    pipeline: &'p Pipeline<B>,
    method: &'p PreparedMethod<'s, B>,
    draw: &'p SamplePlan,
}

impl<'p, 's, B: Kernels> TimedMethod<'p, 's, B> {
    /// The samples of `draw` by a method.
    pub fn new(
        pipeline: &'p Pipeline<B>,
        method: &'p PreparedMethod<'s, B>,
        draw: &'p SamplePlan,
    ) -> Self {
        Self {
            pipeline,
            method,
            draw,
        }
    }
}

impl InterleavedTimer {
    /// The time of each: the median over turns of its ratio to the first method's in the same turn,
    /// times the first's median; [`time_interleaved`] tells which turns count. The times of the full network
    /// are left at the method's own.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn take<B: Kernels>(
        self,
        turns: &[TimedMethod<'_, '_, B>],
        monitor: &dyn Monitor,
    ) -> Result<Vec<TimingRecord>> {
        let mut blocks = vec![0.0; turns.len()];
        let evaluations = turns
            .iter()
            .map(|turn| turn.draw.samples * turn.method.steps);
        monitor.expect((evaluations.sum::<usize>() * (self.rounds + 1)) as u64);
        let seconds = time_interleaved(self.rounds, turns.len(), |place| {
            let turn = &turns[place];
            let drawn = turn.method.draw(turn.pipeline, turn.draw, monitor)?;
            blocks[place] = turn.method.cost(&drawn.counts)?.blocks_mean;
            Ok::<_, Error>(drawn.seconds_per_image())
        })?;
        let times = relative_medians(&seconds).into_iter().zip(blocks);
        Ok(times
            .map(|(seconds_per_image, blocks_mean)| TimingRecord {
                seconds_per_image,
                full_seconds_per_image: seconds_per_image,
                blocks_mean,
            })
            .collect())
    }
}

/// What the numbers of each would be in a turn of the first's median: a slow minute of the machine
/// meets all of a turn, so it goes out of their ratios.
fn relative_medians(numbers: &[Vec<f64>]) -> Vec<f64> {
    let Some(first) = numbers.first() else {
        return Vec::new();
    };
    let scale = median(first);
    let relative = |own: &Vec<f64>| scale * median_ratio(own, first);
    numbers.iter().map(relative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_turn_changes_no_ratio() {
        let times = [vec![1.0, 3.0, 1.2], vec![0.5, 1.5, 0.7]];
        assert_eq!(relative_medians(&times), [1.2, 0.6]);
        assert_eq!(relative_medians(&[]), Vec::<f64>::new());
    }
}
