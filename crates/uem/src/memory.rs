//! What samples keep of the evaluations in which they ran to the end.

use std::collections::BTreeMap;

use adadiff_model::{Remembered, bytes_per_row, gather};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::Forecast;
use crate::forecast::extrapolation;
use crate::states::select_rows;

/// What was kept of the state after a block in one evaluation, for the samples that ran to the end.
#[derive(Clone, Debug)]
pub(crate) struct KeptRows<B: Backend> {
    pub(crate) block: usize,
    pub(crate) timestep: f64,
    pub(crate) samples: Vec<usize>,
    /// What later blocks added `[samples, tokens, width]`.
    pub(crate) difference: Tensor<B, 3>,
    /// What blocks had added so far, where it is going to be compared.
    pub(crate) movement: Option<Tensor<B, 3>>,
}

/// What is known of the samples of a batch from earlier evaluations.
#[derive(Clone, Debug)]
pub(crate) struct Memory<B: Backend> {
    /// The latest first.
    kept: Vec<KeptRows<B>>,
    /// Evaluations of each sample since it ran to the end.
    ages: Vec<usize>,
}

/// Rows of tensors, by the tensors' places and the rows' in them.
type Places = Vec<(usize, usize)>;

impl<B: Backend> KeptRows<B> {
    fn row(&self, sample: usize) -> Option<usize> {
        self.samples.iter().position(|&kept| kept == sample)
    }

    fn bytes_per_sample(&self) -> usize {
        let movement = self.movement.as_ref().map_or(0, bytes_per_row);
        bytes_per_row(&self.difference) + movement
    }

    /// Those of the rows at `rows`.
    fn part(self, rows: &[usize]) -> Self {
        if rows.len() == self.samples.len() {
            return self;
        }
        Self {
            samples: rows.iter().map(|&row| self.samples[row]).collect(),
            difference: gather(self.difference, rows),
            movement: self.movement.map(|movement| gather(movement, rows)),
            ..self
        }
    }
}

impl<B: Backend> Memory<B> {
    /// Of a batch that nothing is known of.
    pub(crate) fn new(batch: usize) -> Self {
        Self {
            kept: Vec::new(),
            ages: vec![0; batch],
        }
    }

    /// What was kept of a sample after a block, the latest first, and the place of its row.
    fn of(&self, block: usize, sample: usize) -> impl Iterator<Item = (usize, usize)> {
        let kept = self.kept.iter().enumerate();
        kept.filter(move |(_, rows)| rows.block == block)
            .filter_map(move |(place, rows)| Some((place, rows.row(sample)?)))
    }

    /// Whether a sample may leave with a forecast after a block.
    pub(crate) fn reaches(&self, block: usize, sample: usize, forecast: Forecast) -> bool {
        let in_time = |longest: usize| self.ages[sample] < longest;
        forecast
            .longest
            .is_none_or(|longest| in_time(longest.get()))
            && self.of(block, sample).next().is_some()
    }

    /// What the blocks after `block` add to the hidden states of `samples`, as far as differences of theirs
    /// tell, of which there is at least one: `[samples, tokens, width]`. `time` makes of a timestep the time that
    /// polynomials are over.
    pub(crate) fn forecast(
        &self,
        block: usize,
        samples: &[usize],
        forecast: Forecast,
        (timestep, time): (f64, impl Fn(f64) -> f64),
    ) -> Tensor<B, 3> {
        let mut terms: Vec<(Places, Vec<f32>)> = Vec::new();
        for (row, &sample) in samples.iter().enumerate() {
            let mut places: Places = Vec::new();
            let mut times: Vec<f64> = Vec::new();
            for place in self.of(block, sample) {
                let at = time(self.kept[place.0].timestep);
                // No line goes through two differences of the same time.
                if places.len() <= forecast.order && !times.contains(&at) {
                    places.push(place);
                    times.push(at);
                }
            }
            let weights = extrapolation(&times, time(timestep));
            for (term, (place, weight)) in places.iter().zip(weights).enumerate() {
                if terms.len() == term {
                    // Samples of which less is kept have no part in this term.
                    terms.push((vec![places[0]; row], vec![0.0; row]));
                }
                terms[term].0.push(*place);
                terms[term].1.push(weight as f32 * forecast.coefficient);
            }
            for (of_term, weights) in terms.iter_mut().skip(places.len()) {
                of_term.push(places[0]);
                weights.push(0.0);
            }
        }
        let terms = terms.into_iter().map(|(places, weights)| {
            let difference = |kept: &KeptRows<B>| Some(kept.difference.clone());
            weighted(self.pick(&places, difference), &weights)
        });
        let sum = terms.reduce(|sum, term| sum + term);
        sum.expect("every sample has a difference")
    }

    /// The samples whose movement up to a block was kept, by their places in `samples`, and what was kept.
    pub(crate) fn movement(
        &self,
        block: usize,
        samples: &[usize],
    ) -> Option<(Vec<usize>, Tensor<B, 3>)> {
        let known = samples.iter().enumerate().filter_map(|(row, &sample)| {
            let place = self.of(block, sample).next()?;
            let kept = self.kept[place.0].movement.is_some();
            kept.then_some((row, place))
        });
        let (rows, places): (Vec<usize>, Places) = known.unzip();
        (!rows.is_empty()).then(|| (rows, self.pick(&places, |kept| kept.movement.clone())))
    }

    /// Rows of what was kept, in the order of `places`, which are none of those that `tensor` has nothing for.
    fn pick(
        &self,
        places: &Places,
        tensor: impl Fn(&KeptRows<B>) -> Option<Tensor<B, 3>>,
    ) -> Tensor<B, 3> {
        let mut parts: Vec<usize> = places.iter().map(|(part, _)| *part).collect();
        parts.sort_unstable();
        parts.dedup();
        let (mut offsets, mut tensors, mut rows) = (BTreeMap::new(), Vec::new(), 0);
        for part in parts {
            let Some(tensor) = tensor(&self.kept[part]) else {
                continue;
            };
            offsets.insert(part, rows);
            rows += self.kept[part].samples.len();
            tensors.push(tensor);
        }
        let all = if tensors.len() == 1 {
            tensors.remove(0)
        } else {
            Tensor::cat(tensors, 0)
        };
        let wanted = places.iter().map(|(part, row)| offsets[part] + row);
        select_rows(all, &wanted.collect::<Vec<_>>())
    }

    /// Takes the place of what was known with what an evaluation adds to it. Of the samples that it took to the
    /// end, `finished`, no more than the last `most` of a block's differences are kept.
    pub(crate) fn refresh(
        &mut self,
        finished: &[usize],
        new: Vec<KeptRows<B>>,
        most: impl Fn(usize) -> usize,
    ) {
        let mut is_finished = vec![false; self.ages.len()];
        for &sample in finished {
            is_finished[sample] = true;
        }
        for (age, finished) in self.ages.iter_mut().zip(&is_finished) {
            *age = if *finished { 0 } else { *age + 1 };
        }
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let old = std::mem::take(&mut self.kept);
        for kept in new.into_iter().chain(old) {
            let rows: Vec<usize> = (0..kept.samples.len())
                .filter(|&row| {
                    let sample = kept.samples[row];
                    let count = counts.entry((kept.block, sample)).or_default();
                    *count += 1;
                    !is_finished[sample] || *count <= most(kept.block)
                })
                .collect();
            if !rows.is_empty() {
                self.kept.push(kept.part(&rows));
            }
        }
    }
}

impl<B: Backend> Remembered for Memory<B> {
    fn bytes_per_sample(&self) -> usize {
        let mut bytes = vec![0; self.ages.len()];
        for kept in &self.kept {
            for &sample in &kept.samples {
                bytes[sample] += kept.bytes_per_sample();
            }
        }
        bytes.into_iter().max().unwrap_or(0)
    }
}

/// Rows `[rows, tokens, width]` by a weight each.
fn weighted<B: Backend>(rows: Tensor<B, 3>, weights: &[f32]) -> Tensor<B, 3> {
    if weights.iter().all(|weight| weight == &weights[0]) {
        return if weights[0] == 1.0 {
            rows
        } else {
            rows * weights[0]
        };
    }
    let data = TensorData::new(weights.to_vec(), [weights.len(), 1, 1]);
    let weights: Tensor<B, 3> = Tensor::from_data(data, &rows.device());
    let dtype = rows.dtype();
    rows * weights.cast(dtype)
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    fn rows(block: usize, timestep: f64, values: &[(usize, f32)]) -> KeptRows<Flex> {
        let (samples, values): (Vec<usize>, Vec<f32>) = values.iter().copied().unzip();
        let data = TensorData::new(values, [samples.len(), 1, 1]);
        KeptRows {
            block,
            timestep,
            difference: Tensor::from_data(data, &Default::default()),
            movement: None,
            samples,
        }
    }

    fn told(memory: &Memory<Flex>, samples: &[usize], forecast: Forecast, now: f64) -> Vec<f32> {
        let tensor = memory.forecast(1, samples, forecast, (now, |timestep| timestep));
        tensor.into_data().into_vec().unwrap()
    }

    #[test]
    fn samples_that_ran_to_the_end_at_different_times_are_told_from_their_own_differences() {
        println!("device: flex");
        let line = Forecast {
            order: 1,
            ..Forecast::default()
        };
        let half = Forecast {
            coefficient: 0.5,
            ..Forecast::default()
        };
        let mut memory = Memory::new(3);
        assert!(!memory.reaches(1, 0, half));
        let all = [(0, 1.0), (1, 2.0), (2, 3.0)];
        memory.refresh(&[0, 1, 2], vec![rows(1, 9.0, &all)], |_| 2);
        assert_eq!(told(&memory, &[0, 1, 2], line, 5.0), [1.0, 2.0, 3.0]);
        assert_eq!(told(&memory, &[2, 0], half, 5.0), [1.5, 0.5]);
        // Two of them go on to the end: theirs are lines now.
        memory.refresh(&[2, 0], vec![rows(1, 8.0, &[(0, 2.0), (2, 2.0)])], |_| 2);
        let last = told(&memory, &[0, 1, 2], Forecast::default(), 7.0);
        assert_eq!(last, [2.0, 2.0, 2.0]);
        assert_eq!(told(&memory, &[0, 1, 2], line, 6.0), [4.0, 2.0, 0.0]);
        assert_eq!(told(&memory, &[1, 2], line, 7.0), [2.0, 1.0]);
        assert_eq!(memory.bytes_per_sample(), 8);
        // One difference is enough from here on, but the sample that left keeps what it has.
        memory.refresh(&[0], vec![rows(1, 5.0, &[(0, 7.0)])], |_| 1);
        assert_eq!(told(&memory, &[0, 1, 2], line, 4.0), [7.0, 2.0, -2.0]);
        memory.refresh(&[0, 1, 2], Vec::new(), |_| 0);
        assert_eq!(memory.bytes_per_sample(), 0);
        assert!(!memory.reaches(1, 0, half));
    }

    #[test]
    fn a_sample_may_be_told_only_so_often() {
        println!("device: flex");
        let twice = Forecast {
            longest: std::num::NonZeroUsize::new(2),
            ..Forecast::default()
        };
        let mut memory = Memory::new(1);
        memory.refresh(&[0], vec![rows(1, 9.0, &[(0, 1.0)])], |_| 1);
        let told = [true, true, false].map(|expected| {
            let reaches = memory.reaches(1, 0, twice);
            memory.refresh(&[], Vec::new(), |_| 1);
            reaches == expected
        });
        assert_eq!(told, [true; 3]);
        assert!(memory.reaches(1, 0, Forecast::default()));
        assert!(
            !memory.reaches(2, 0, Forecast::default()),
            "of another block"
        );
    }
}
