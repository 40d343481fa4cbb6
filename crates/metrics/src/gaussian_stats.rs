//! Mean and covariance of features, gathered in shards that merge to the single run bit for bit.

use std::mem;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Gaussian, MetricsError};

/// Samples that are summed one after the other; shards are cut at multiples of it.
pub const CHUNK: u64 = 256;

/// The sums of a chunk are taken around a shift where its values are more than so many times as far from
/// zero as they are from each other: squares of such values have no digits left for how they differ.
const FAR: f64 = 64.0;

/// Count, sum and sum of outer products of features in f64, of features far from zero around a shift.
///
/// Samples are summed in chunks of [`CHUNK`], and the chunks' sums in pairs: chunk 0 with 1, 2
/// with 3, then the pairs, as in a binary tree over the chunks' numbers. What is added to what
/// thus depends on a sample's number alone, neither on the sizes of batches nor on where shards
/// are cut, so that shards merge to the single run's bits; and only as many sums are kept as the
/// number of chunks has binary digits (twice that in a shard).
///
/// Serialised numbers keep their bits where the format does (for `serde_json`: its feature
/// `float_roundtrip`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct GaussianStats {
    dims: usize,
    /// Number of this shard's first sample in the whole run.
    first_sample: u64,
    /// Sums of complete chunks, in order, each over a node of the tree and as large as possible.
    nodes: Vec<Node>,
    /// The rows of the last chunk, while it is incomplete.
    open: Vec<f64>,
}

/// The sums over `2^level` chunks from `first_chunk`, a multiple of `2^level`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    first_chunk: u64,
    level: u32,
    sums: Sums,
}

/// Sum and lower triangle of the sum of outer products, row by row, of features less a shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sums {
    values: Vec<f64>,
    products: Vec<f64>,
    /// Empty where all of it is zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shift: Vec<f64>,
}

impl GaussianStats {
    /// No samples yet, of `dims` features each; the first will be number 0 of the run.
    pub fn new(dims: usize) -> Self {
        Self {
            dims,
            first_sample: 0,
            nodes: Vec::new(),
            open: Vec::new(),
        }
    }

    /// An empty shard of a run, whose first sample will be number `first_sample` of the run.
    ///
    /// # Errors
    /// Where `first_sample` is no multiple of [`CHUNK`].
    pub fn starting_at(dims: usize, first_sample: u64) -> Result<Self, MetricsError> {
        if !first_sample.is_multiple_of(CHUNK) {
            return Err(MetricsError::ShardStart {
                first_sample,
                chunk: CHUNK,
            });
        }
        Ok(Self {
            first_sample,
            ..Self::new(dims)
        })
    }

    /// Features of each sample.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Samples gathered.
    pub fn count(&self) -> u64 {
        let complete: u64 = self.nodes.iter().map(Node::samples).sum();
        complete + self.open_rows()
    }

    /// Adds a batch of features `[samples, dims]`, row by row; its size does not change the result.
    ///
    /// # Errors
    /// Where the values are no whole number of rows, or one is not finite; nothing is added then.
    pub fn push<T: Copy + Into<f64>>(&mut self, features: &[T]) -> Result<(), MetricsError> {
        if self.dims == 0 || !features.len().is_multiple_of(self.dims) {
            return Err(MetricsError::Rows {
                values: features.len(),
                dims: self.dims,
            });
        }
        if let Some(index) = features.iter().position(|&value| !value.into().is_finite()) {
            let sample = self.end() + (index / self.dims) as u64;
            return Err(MetricsError::NotFinite {
                what: format!("features of sample {sample}"),
                dimension: index % self.dims,
            });
        }
        for row in features.chunks_exact(self.dims) {
            self.open.extend(row.iter().map(|&value| value.into()));
            if self.open_rows() == CHUNK {
                self.close_chunk();
            }
        }
        Ok(())
    }

    /// Adds `next`, the shard that follows this one in the run.
    ///
    /// # Errors
    /// Where the features differ in number, or `next` does not start where this shard ends, at
    /// the border of a chunk.
    pub fn merge(&mut self, next: Self) -> Result<(), MetricsError> {
        if next.dims != self.dims {
            return Err(MetricsError::Dimensions {
                what: "the next shard",
                expected: self.dims,
                found: next.dims,
            });
        }
        // Shards start at borders, so that this also refuses an end within a chunk.
        if next.first_sample != self.end() {
            return Err(MetricsError::NotAdjacent {
                end: self.end(),
                found: next.first_sample,
                chunk: CHUNK,
            });
        }
        for node in next.nodes {
            self.append(node);
        }
        self.open = next.open;
        Ok(())
    }

    /// Mean and unbiased covariance (divided by count - 1).
    ///
    /// # Errors
    /// Where there are fewer than two samples.
    pub fn gaussian(&self) -> Result<Gaussian, MetricsError> {
        let count = self.count();
        if count < 2 {
            return Err(MetricsError::TooFewSamples { found: count });
        }
        let total = self.total();
        let count = count as f64;
        let mean: Vec<_> = total.values.iter().map(|sum| sum / count).collect();
        let mut covariance = vec![0.0; self.dims * self.dims];
        let mut products = total.products.iter();
        for row in 0..self.dims {
            for (column, product) in (0..=row).zip(&mut products) {
                let value = (product - total.values[row] * mean[column]) / (count - 1.0);
                // What rounding leaves of a variance of zero.
                let value = if row == column { value.max(0.0) } else { value };
                covariance[row * self.dims + column] = value;
                covariance[column * self.dims + row] = value;
            }
        }
        let shift = |dimension| total.shift.get(dimension).copied().unwrap_or(0.0);
        let mean = mean
            .iter()
            .enumerate()
            .map(|(dimension, mean)| shift(dimension) + mean);
        Gaussian::new(mean.collect(), covariance)
    }

    /// The sums over all samples, around the first node's shift.
    fn total(&self) -> Sums {
        let Some((first, rest)) = self.nodes.split_first() else {
            return Sums::of_chunk(&self.open, self.dims);
        };
        let mut total = first.sums.clone();
        for node in rest {
            total.add(&node.sums, node.samples());
        }
        let open = Sums::of_rows(&self.open, self.dims, &total.shift);
        total.add(&open, self.open_rows());
        total
    }

    /// Number in the run of the sample after the last.
    fn end(&self) -> u64 {
        self.first_sample + self.count()
    }

    fn open_rows(&self) -> u64 {
        (self.open.len() / self.dims.max(1)) as u64
    }

    fn close_chunk(&mut self) {
        let first_chunk = self.end() / CHUNK - 1;
        let sums = Sums::of_chunk(&self.open, self.dims);
        self.open.clear();
        self.append(Node {
            first_chunk,
            level: 0,
            sums,
        });
    }

    /// Puts a node behind the others and joins it with its sibling, that with its own, and so on.
    fn append(&mut self, mut node: Node) {
        while let Some(mut left) = self.nodes.pop_if(|left| left.is_left_sibling_of(&node)) {
            left.sums.add(&node.sums, node.samples());
            left.level += 1;
            node = left;
        }
        self.nodes.push(node);
    }
}

impl Node {
    fn chunks(&self) -> u64 {
        1 << self.level
    }

    fn samples(&self) -> u64 {
        self.chunks() * CHUNK
    }

    fn is_left_sibling_of(&self, right: &Self) -> bool {
        self.level == right.level && self.first_chunk.is_multiple_of(2 * self.chunks())
    }
}

impl Sums {
    /// The sums over the rows of a chunk, around a shift of its own.
    fn of_chunk(rows: &[f64], dims: usize) -> Self {
        Self::of_rows(rows, dims, &shift(rows, dims))
    }

    /// The sums over `rows` `[samples, dims]`, each sum taken in the order of the samples.
    fn of_rows(rows: &[f64], dims: usize, shift: &[f64]) -> Self {
        let shifted: Vec<f64>;
        let rows = if shift.is_empty() {
            rows
        } else {
            let shifts = shift.iter().cycle();
            shifted = rows
                .iter()
                .zip(shifts)
                .map(|(value, shift)| value - shift)
                .collect();
            &shifted
        };
        let mut sums = Self {
            values: vec![0.0; dims],
            products: vec![0.0; triangle(dims)],
            shift: shift.to_vec(),
        };
        for row in rows.chunks_exact(dims) {
            add(&mut sums.values, row);
        }
        // Threads share out the sums, never the samples of one sum.
        let mut rest = sums.products.as_mut_slice();
        let mut lines = Vec::with_capacity(dims);
        for length in 1..=dims {
            let (line, tail) = mem::take(&mut rest).split_at_mut(length);
            lines.push(line);
            rest = tail;
        }
        lines.into_par_iter().for_each(|line| {
            let last = line.len() - 1;
            for row in rows.chunks_exact(dims) {
                let factor = row[last];
                line.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += factor * value);
            }
        });
        sums
    }

    /// Adds the sums over `count` other samples, brought to this shift.
    fn add(&mut self, other: &Self, count: u64) {
        add(&mut self.values, &other.values);
        add(&mut self.products, &other.products);
        if other.shift == self.shift {
            return;
        }
        // Of x - s, where x - t was summed and t - s is the step: the sum grows by n (t - s), and that of
        // products by (t - s) sum(x - t)^T + sum(x - t) (t - s)^T + n (t - s) (t - s)^T.
        let at = |shift: &[f64], dimension| shift.get(dimension).copied().unwrap_or(0.0);
        let step: Vec<f64> = (0..self.values.len())
            .map(|dimension| at(&other.shift, dimension) - at(&self.shift, dimension))
            .collect();
        let count = count as f64;
        for (sum, step) in self.values.iter_mut().zip(&step) {
            *sum += count * step;
        }
        let mut products = self.products.iter_mut();
        for row in 0..step.len() {
            for (column, product) in (0..=row).zip(&mut products) {
                *product += step[row] * other.values[column]
                    + other.values[row] * step[column]
                    + count * step[row] * step[column];
            }
        }
    }
}

/// What the sums of a chunk are taken around: for features far from zero their first values, and nothing
/// where there are none.
fn shift(rows: &[f64], dims: usize) -> Vec<f64> {
    let Some(first) = rows.get(..dims) else {
        return Vec::new();
    };
    let (mut least, mut most) = (first.to_vec(), first.to_vec());
    for row in rows.chunks_exact(dims) {
        for ((least, most), &value) in least.iter_mut().zip(&mut most).zip(row) {
            *least = least.min(value);
            *most = most.max(value);
        }
    }
    let ranges = least.iter().zip(&most);
    let shift: Vec<f64> = ranges
        .zip(first)
        .map(|((least, most), &first)| {
            let is_far = least.abs().max(most.abs()) > FAR * (most - least);
            if is_far { first } else { 0.0 }
        })
        .collect();
    if shift.iter().all(|&shift| shift == 0.0) {
        Vec::new()
    } else {
        shift
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += value);
}

/// Values in the lower triangle of a square matrix.
fn triangle(dims: usize) -> usize {
    dims * (dims + 1) / 2
}

/// [`GaussianStats`] as read, before it is known to be sound.
#[derive(Deserialize)]
struct Stored {
    dims: usize,
    first_sample: u64,
    nodes: Vec<Node>,
    open: Vec<f64>,
}

impl TryFrom<Stored> for GaussianStats {
    type Error = MetricsError;

    fn try_from(stored: Stored) -> Result<Self, MetricsError> {
        let damaged = |what: &str| Err(MetricsError::Damaged(what.to_owned()));
        let Stored {
            dims,
            first_sample,
            nodes,
            open,
        } = stored;
        if dims == 0 || dims > 1 << 16 {
            return damaged("the number of features is not between 1 and 65536");
        }
        if !first_sample.is_multiple_of(CHUNK) {
            return damaged("the first sample is not at the border of a chunk");
        }
        let mut chunk = first_sample / CHUNK;
        for node in &nodes {
            let sums = &node.sums;
            let has_shift = sums.shift.is_empty() || sums.shift.len() == dims;
            if sums.values.len() != dims || sums.products.len() != triangle(dims) || !has_shift {
                return damaged("a sum does not have the number of features");
            }
            if node.level >= 48 || node.first_chunk != chunk || !chunk.is_multiple_of(node.chunks())
            {
                return damaged("the chunks do not follow one another");
            }
            chunk += node.chunks();
        }
        if !open.len().is_multiple_of(dims) || (open.len() / dims) as u64 >= CHUNK {
            return damaged("the last chunk has too many values or an incomplete row");
        }
        Ok(Self {
            dims,
            first_sample,
            nodes,
            open,
        })
    }
}

#[cfg(test)]
#[path = "gaussian_stats_tests.rs"]
mod tests;
