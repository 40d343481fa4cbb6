//! What was run for whom: the record of a sampling run's exits.

use serde::{Deserialize, Serialize};

use crate::policy::{ExitPolicy, replay};

/// One network evaluation of the sampling loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceStep {
    /// The timestep given to the network.
    pub timestep: f64,
    /// Blocks run for each sample.
    pub blocks: Vec<u32>,
    /// For each sample the mean uncertainty of each block where it was estimated, or the other signal
    /// that the policy asked for.
    pub uncertainty: Vec<Vec<f32>>,
}

/// Evaluation x sample: blocks run and uncertainty per block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExitTrace {
    /// Blocks that one evaluation of one sample runs where nothing is skipped.
    pub blocks_per_prediction: u32,
    /// The evaluations in the order in which they happened.
    pub steps: Vec<TraceStep>,
}

impl ExitTrace {
    /// An empty trace of a network with this many blocks.
    pub fn new(blocks_per_prediction: u32) -> Self {
        Self {
            blocks_per_prediction,
            steps: Vec::new(),
        }
    }

    /// The exits that `policy` would have taken, given its signals after every block. Where
    /// samples leave early the later evaluations see other samples, so that what a policy does in
    /// earnest differs a little.
    ///
    /// Returns nothing where the policy asks for a signal that was not recorded.
    pub fn replay(&self, policy: &dyn ExitPolicy) -> Option<Self> {
        let blocks = self.blocks_per_prediction as usize;
        let mut replayed = Self::new(self.blocks_per_prediction);
        for step in &self.steps {
            let mut exits = TraceStep {
                timestep: step.timestep,
                ..TraceStep::default()
            };
            for sample in 0..step.blocks.len() {
                let signals = step.uncertainty.get(sample).map_or(&[][..], Vec::as_slice);
                let (exit, seen) = replay(policy, step.timestep, blocks, signals)?;
                exits.blocks.push(exit as u32);
                exits.uncertainty.push(seen);
            }
            replayed.steps.push(exits);
        }
        Some(replayed)
    }

    /// Adds the samples of `other`, a later batch of the same run, behind those of `self`.
    ///
    /// # Panics
    /// Where the two traces do not have the same evaluations: that is a defect of the caller.
    pub fn append_samples(&mut self, other: Self) {
        if self.steps.is_empty() {
            *self = other;
            return;
        }
        assert_eq!(
            self.steps.len(),
            other.steps.len(),
            "traces of different runs"
        );
        for (mine, theirs) in self.steps.iter_mut().zip(other.steps) {
            mine.blocks.extend(theirs.blocks);
            mine.uncertainty.extend(theirs.uncertainty);
        }
    }

    /// The trace that this one is where each `batch` samples in turn are one: the means of their
    /// signals.
    ///
    /// # Panics
    /// Where `batch` is 0, or samples of a batch have signals of different numbers of blocks.
    pub fn of_batches(&self, batch: usize) -> Self {
        let mean = |samples: &[Vec<f32>]| -> Vec<f32> {
            let blocks = samples[0].len();
            assert!(samples.iter().all(|values| values.len() == blocks));
            let sum = |block: usize| samples.iter().map(|values| f64::from(values[block])).sum();
            let means = (0..blocks)
                .map(sum)
                .map(|sum: f64| sum / samples.len() as f64);
            means.map(|mean| mean as f32).collect()
        };
        let step = |step: &TraceStep| TraceStep {
            timestep: step.timestep,
            blocks: step.blocks.chunks(batch).map(|blocks| blocks[0]).collect(),
            uncertainty: step.uncertainty.chunks(batch).map(mean).collect(),
        };
        Self {
            blocks_per_prediction: self.blocks_per_prediction,
            steps: self.steps.iter().map(step).collect(),
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.steps.first().map_or(0, |step| step.blocks.len())
    }

    /// All blocks run, over evaluations and samples.
    pub fn blocks_total(&self) -> u64 {
        self.steps
            .iter()
            .flat_map(|step| &step.blocks)
            .map(|&blocks| u64::from(blocks))
            .sum()
    }

    /// Mean number of blocks per evaluation and sample.
    pub fn blocks_mean(&self) -> f64 {
        let evaluations = self.steps.len() * self.samples();
        self.blocks_total() as f64 / evaluations.max(1) as f64
    }

    /// The shares of the variance of exit depths that the evaluation and the sample explain, each in `[0, 1]`, by a two-way
    /// analysis of variance; what neither does is how samples differ within an evaluation. Nothing where all
    /// samples always leave at one depth.
    pub fn explained(&self) -> Option<[f64; 2]> {
        let (evaluations, samples) = (self.steps.len(), self.samples());
        let mean = self.blocks_mean();
        let depth = |step: usize, sample: usize| f64::from(self.steps[step].blocks[sample]) - mean;
        let squares = |terms: &mut dyn Iterator<Item = f64>| -> f64 { terms.map(|x| x * x).sum() };
        let of_step = |step| (0..samples).map(|sample| depth(step, sample)).sum::<f64>();
        let of_sample = |sample| {
            (0..evaluations)
                .map(|step| depth(step, sample))
                .sum::<f64>()
        };
        let all = |step| (0..samples).map(move |sample| depth(step, sample));
        let total = squares(&mut (0..evaluations).flat_map(all));
        let by_step = squares(&mut (0..evaluations).map(of_step)) / samples as f64;
        let by_sample = squares(&mut (0..samples).map(of_sample)) / evaluations as f64;
        (total > 0.0).then(|| [by_step / total, by_sample / total])
    }

    /// The share of blocks that was skipped, in `[0, 1]`.
    pub fn block_reduction(&self) -> f64 {
        1.0 - self.blocks_mean() / f64::from(self.blocks_per_prediction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_samples_explain_their_shares_of_the_variance() {
        let explained = |blocks: [[u32; 3]; 2]| {
            let steps = blocks.map(|blocks| TraceStep {
                blocks: blocks.to_vec(),
                ..TraceStep::default()
            });
            let trace = ExitTrace {
                blocks_per_prediction: 9,
                steps: steps.to_vec(),
            };
            trace.explained()
        };
        assert_eq!(explained([[4; 3]; 2]), None);
        assert_eq!(explained([[2; 3], [6; 3]]), Some([1.0, 0.0]));
        assert_eq!(explained([[1, 4, 7]; 2]), Some([0.0, 1.0]));
        // Depths 2 +- 1 and 4 +- 1, the sample of which is another: 6 of 10 by the step.
        let [step, sample] = explained([[1, 2, 3], [5, 4, 3]]).unwrap();
        assert!((step - 0.6).abs() < 1e-12, "{step}");
        assert!(sample.abs() < 1e-12, "{sample}");
    }

    #[test]
    fn a_batch_is_the_mean_of_its_samples() {
        let trace = ExitTrace {
            blocks_per_prediction: 2,
            steps: vec![TraceStep {
                timestep: 3.0,
                blocks: vec![2; 3],
                uncertainty: vec![vec![0.25, 0.5], vec![0.75, 0.0], vec![1.0, 0.125]],
            }],
        };
        let batches = trace.of_batches(2);
        assert_eq!(batches.steps[0].uncertainty, [[0.5, 0.25], [1.0, 0.125]]);
        assert_eq!(batches.steps[0].blocks, [2, 2]);
    }
}
