//! A sampling path in segments, in each of which samples leave in one way.

use std::num::NonZeroUsize;
use std::ops::Range;

use adadiff_uem::{ExitWindow, Forecast};

/// How samples leave in a segment of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SegmentExit {
    /// After so many blocks, as they are.
    Plain(usize),
    /// With a forecast.
    Told(Told),
}

/// How samples leave with a forecast in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    /// Blocks from the first on.
    pub blocks: usize,
    /// Blocks at the end.
    pub last_blocks: usize,
    /// [`Forecast::order`].
    pub order: usize,
    /// Every so many-th evaluation runs to the end; none does where that is open.
    pub every: Option<NonZeroUsize>,
}

/// The exit with a forecast that saves most: after the first block.
pub(crate) const TOLD: Told = Told {
    blocks: 1,
    last_blocks: 0,
    order: 0,
    every: None,
};

/// Blocks that run in a window of a schedule.
pub(crate) fn blocks_of(window: &ExitWindow) -> usize {
    window.least + window.forecast.map_or(0, |forecast| forecast.last_blocks)
}

/// The evaluations of a path, and what is needed to make windows of them.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// What the network is told, from noise on.
    pub timesteps: Vec<f64>,
    /// Segments of one way to leave each.
    pub segments: Vec<Range<usize>>,
    /// Blocks of the network.
    pub blocks: usize,
}

impl Path {
    /// The exits of all evaluations where those of each segment are these. Where a sample would have to leave with
    /// a forecast before anything is kept, it runs to the end.
    pub(crate) fn windows(&self, exits: &[SegmentExit]) -> Vec<ExitWindow> {
        let mut windows = Vec::with_capacity(self.timesteps.len());
        // Evaluations since the last one that ran to the end.
        let mut age: Option<usize> = None;
        let segments = self.segments.iter().zip(exits);
        let evaluations =
            segments.flat_map(|(segment, exit)| segment.clone().map(move |at| (at, exit)));
        for (at, exit) in evaluations {
            let fixed = |blocks| ExitWindow::fixed(self.timesteps[at], blocks);
            let window = match (exit, age) {
                (SegmentExit::Plain(blocks), _) => fixed(*blocks),
                (SegmentExit::Told(told), Some(age))
                    if told.every.is_none_or(|every| age + 1 < every.get()) =>
                {
                    ExitWindow {
                        forecast: Some(Forecast {
                            order: told.order,
                            last_blocks: told.last_blocks,
                            ..Forecast::default()
                        }),
                        ..fixed(told.blocks)
                    }
                }
                (SegmentExit::Told(_), _) => fixed(self.blocks),
            };
            age = if window.least == self.blocks {
                Some(0)
            } else {
                age.map(|age| age + 1)
            };
            windows.push(window);
        }
        windows
    }

    /// Blocks that a sample runs on the path.
    pub(crate) fn blocks_run(&self, exits: &[SegmentExit]) -> usize {
        self.windows(exits).iter().map(blocks_of).sum()
    }

    /// All blocks of the path.
    pub(crate) fn blocks_total(&self) -> usize {
        self.timesteps.len() * self.blocks
    }

    /// The share of them that these exits skip.
    pub(crate) fn skipped(&self, exits: &[SegmentExit]) -> f64 {
        1.0 - self.blocks_run(exits) as f64 / self.blocks_total() as f64
    }

    /// The exits where nobody leaves.
    pub(crate) fn full(&self) -> Vec<SegmentExit> {
        vec![SegmentExit::Plain(self.blocks); self.segments.len()]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A path of segments of so many evaluations each, of a network of five blocks.
    pub(crate) fn path(segments: usize, evaluations: usize) -> Path {
        let count = segments * evaluations;
        let timesteps: Vec<f64> = (0..count).map(|at| 900.0 - at as f64).collect();
        Path {
            timesteps,
            segments: (0..segments)
                .map(|at| at * evaluations..(at + 1) * evaluations)
                .collect(),
            blocks: 5,
        }
    }

    #[test]
    fn windows_run_to_the_end_where_they_have_to() {
        let path = path(3, 3);
        let every = |every| {
            SegmentExit::Told(Told {
                last_blocks: 1,
                every: NonZeroUsize::new(every),
                ..TOLD
            })
        };
        let depths = |exits: [SegmentExit; 3]| {
            let windows = path.windows(&exits).into_iter();
            let depths = windows.map(|window| (window.least, window.forecast.is_some()));
            (depths.collect::<Vec<_>>(), path.blocks_run(&exits))
        };
        let (full, plain, told) = ((5, false), (2, false), (1, true));
        let exits = [
            SegmentExit::Told(TOLD),
            SegmentExit::Plain(2),
            SegmentExit::Told(TOLD),
        ];
        let expected = vec![full, told, told, plain, plain, plain, told, told, told];
        assert_eq!(depths(exits), (expected, 5 + 2 + 6 + 3));
        let exits = [SegmentExit::Plain(5), every(3), every(2)];
        let expected = vec![full, full, full, told, told, full, told, full, told];
        assert_eq!(depths(exits), (expected, 25 + 4 * 2));
        assert_eq!(path.blocks_run(&path.full()), path.blocks_total());
    }
}
