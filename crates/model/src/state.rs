//! What flows from block to block.

use burn::tensor::backend::Backend;
use burn::tensor::{BasicOps, Element, Int, Tensor, TensorData};

use crate::ModelError;

/// A long skip and the samples it was stored for.
#[derive(Clone, Debug)]
struct Skip<B: Backend> {
    hidden: Tensor<B, 3>,
    samples: Vec<usize>,
}

/// The hidden state of the samples that are still in the network, and their long skips.
///
/// Samples may leave between blocks ([`Self::keep`]). Skips are then not gathered at once: each
/// is cut down to the remaining samples when an out-block consumes it.
#[derive(Clone, Debug)]
pub struct TokenState<B: Backend> {
    hidden: Tensor<B, 3>,
    time_embedding: Tensor<B, 2>,
    samples: Vec<usize>,
    skips: Vec<Skip<B>>,
}

impl<B: Backend> TokenState<B> {
    pub(crate) fn new(hidden: Tensor<B, 3>, time_embedding: Tensor<B, 2>) -> Self {
        let [batch, _, _] = hidden.dims();
        Self {
            hidden,
            time_embedding,
            samples: (0..batch).collect(),
            skips: Vec::new(),
        }
    }

    /// The hidden state `[active, tokens, width]`.
    pub fn hidden(&self) -> Tensor<B, 3> {
        self.hidden.clone()
    }

    /// The timestep embedding `[active, width]` of the samples.
    pub fn time_embedding(&self) -> Tensor<B, 2> {
        self.time_embedding.clone()
    }

    /// The samples that are still active, as indices into the batch that was embedded.
    pub fn samples(&self) -> &[usize] {
        &self.samples
    }

    pub(crate) fn with_hidden(self, hidden: Tensor<B, 3>) -> Self {
        Self { hidden, ..self }
    }

    pub(crate) fn push_skip(&mut self) {
        self.skips.push(Skip {
            hidden: self.hidden.clone(),
            samples: self.samples.clone(),
        });
    }

    /// Keeps the first `count` skips that were stored.
    pub(crate) fn drop_skips(&mut self, count: usize) {
        self.skips.truncate(count);
    }

    pub(crate) fn pop_skip(&mut self) -> Option<Tensor<B, 3>> {
        let Skip { hidden, samples } = self.skips.pop()?;
        if samples.len() == self.samples.len() {
            return Some(hidden);
        }
        // Both lists ascend, and the active samples are among the stored ones.
        let mut stored = samples.iter().enumerate();
        let rows: Vec<usize> = self
            .samples
            .iter()
            .filter_map(|sample| {
                stored
                    .find(|(_, stored)| *stored == sample)
                    .map(|(row, _)| row)
            })
            .collect();
        Some(gather(hidden, &rows))
    }

    /// Goes on with the rows at `rows`, ascending positions among the active samples, alone.
    pub fn keep(&mut self, rows: &[usize]) {
        if rows.len() == self.samples.len() {
            return;
        }
        self.hidden = gather(self.hidden(), rows);
        self.time_embedding = gather(self.time_embedding(), rows);
        self.samples = rows.iter().map(|&row| self.samples[row]).collect();
    }
}

/// The values of a tensor, waited for.
///
/// # Errors
/// Where the device fails.
pub fn read_back<B: Backend, const D: usize, K: BasicOps<B>, E: Element>(
    tensor: Tensor<B, D, K>,
) -> Result<Vec<E>, ModelError> {
    let values = tensor.into_data().convert::<E>().into_vec::<E>();
    values.map_err(|error| ModelError::Device(format!("{error:?}")))
}

/// Bytes of a row of `tensor`.
pub fn bytes_per_row<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> usize {
    let values: usize = tensor.dims()[1..].iter().product();
    values * tensor.dtype().size()
}

/// The rows of `tensor` at `rows`, in that order.
pub fn gather<B: Backend, const D: usize>(tensor: Tensor<B, D>, rows: &[usize]) -> Tensor<B, D> {
    let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let indices = TensorData::new(indices, [rows.len()]);
    let device = tensor.device();
    tensor.select(0, Tensor::<B, 1, Int>::from_data(indices, &device))
}
