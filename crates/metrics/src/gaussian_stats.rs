//! Mean and covariance of features, gathered in shards that merge to the single run bit for bit.

use std::mem;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Gaussian, MetricsError};

/// Samples that are summed one after the other; shards are cut at multiples of it.
pub const CHUNK: u64 = 256;

/// Count, sum and sum of outer products of features in f64.
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

/// Sum and lower triangle of the sum of outer products, row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sums {
    values: Vec<f64>,
    products: Vec<f64>,
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
        let complete: u64 = self.nodes.iter().map(|node| node.chunks() * CHUNK).sum();
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
        let mut total = Sums::zero(self.dims);
        for node in &self.nodes {
            total.add(&node.sums);
        }
        total.add(&Sums::of_rows(&self.open, self.dims));

        let count = count as f64;
        let mean: Vec<_> = total.values.iter().map(|sum| sum / count).collect();
        let mut covariance = vec![0.0; self.dims * self.dims];
        let mut products = total.products.iter();
        for row in 0..self.dims {
            for (column, product) in (0..=row).zip(&mut products) {
                let value = (product - total.values[row] * mean[column]) / (count - 1.0);
                covariance[row * self.dims + column] = value;
                covariance[column * self.dims + row] = value;
            }
        }
        Gaussian::new(mean, covariance)
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
        let sums = Sums::of_rows(&self.open, self.dims);
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
            left.sums.add(&node.sums);
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

    fn is_left_sibling_of(&self, right: &Self) -> bool {
        self.level == right.level && self.first_chunk.is_multiple_of(2 * self.chunks())
    }
}

impl Sums {
    fn zero(dims: usize) -> Self {
        Self {
            values: vec![0.0; dims],
            products: vec![0.0; triangle(dims)],
        }
    }

    /// The sums over `rows` `[samples, dims]`, each sum taken in the order of the samples.
    fn of_rows(rows: &[f64], dims: usize) -> Self {
        let mut sums = Self::zero(dims);
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

    fn add(&mut self, other: &Self) {
        add(&mut self.values, &other.values);
        add(&mut self.products, &other.products);
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
            if sums.values.len() != dims || sums.products.len() != triangle(dims) {
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
