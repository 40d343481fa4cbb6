//! Times methods by turns, so that whatever else the machine does meets all of them.

use adadiff_model::kernels::Kernels;
use anyhow::Result;
use indicatif::ProgressBar;

use crate::methods::PreparedMethod;
use crate::results::Time;
use crate::study::{Draw, Study};
use crate::turns::{median, median_ratio, take_turns};

/// How often everyone has a turn.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Turns of each method, at least 1.
    pub rounds: usize,
}

/// What is timed.
pub struct Turn<'p, 's, 'a, B: Kernels> {
    study: &'p Study<'a, B>,
    method: &'p PreparedMethod<'s, B>,
    draw: &'p Draw,
}

impl<'p, 's, 'a, B: Kernels> Turn<'p, 's, 'a, B> {
    /// The samples of `draw` by a method.
    pub fn new(study: &'p Study<'a, B>, method: &'p PreparedMethod<'s, B>, draw: &'p Draw) -> Self {
        Self {
            study,
            method,
            draw,
        }
    }
}

impl Clock {
    /// The time of each: the median over turns of its ratio to the first method's in the same turn,
    /// times the first's median; [`take_turns`] tells which turns count. The times of the full network
    /// are left at the method's own.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn take<B: Kernels>(
        self,
        turns: &[Turn<'_, '_, '_, B>],
        bar: &ProgressBar,
    ) -> Result<Vec<Time>> {
        let mut blocks = vec![0.0; turns.len()];
        let evaluations = turns
            .iter()
            .map(|turn| turn.draw.samples * turn.method.steps);
        bar.inc_length((evaluations.sum::<usize>() * (self.rounds + 1)) as u64);
        let seconds = take_turns(self.rounds, turns.len(), |place| {
            let turn = &turns[place];
            let drawn = turn.method.draw(turn.study, turn.draw, bar)?;
            blocks[place] = turn.method.cost(&drawn.effort)?.blocks_mean;
            Ok(drawn.seconds_per_image())
        })?;
        let times = relative_medians(&seconds).into_iter().zip(blocks);
        Ok(times
            .map(|(seconds_per_image, blocks_mean)| Time {
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
