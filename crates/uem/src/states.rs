//! States of one evaluation that something is made of after it.

use adadiff_model::kernels::Kernels;
use adadiff_model::{ModelError, TokenState, gather, read_back};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};

use crate::memory::{KeptRows, Memory};

/// What samples that run to the end will keep something of.
pub(crate) struct States<B: Backend> {
    /// The embedded tokens of the whole batch, where movements are kept or compared.
    embedded: Option<Tensor<B, 3>>,
    /// The state after some blocks, and whose it is.
    after: Vec<(usize, Tensor<B, 3>, Vec<usize>)>,
}

impl<B: Kernels> States<B> {
    pub(crate) fn new(embedded: Option<Tensor<B, 3>>) -> Self {
        Self {
            embedded,
            after: Vec::new(),
        }
    }

    /// Notes the state after a block.
    pub(crate) fn note(&mut self, block: usize, state: &TokenState<B>) {
        let samples = state.samples().to_vec();
        self.after.push((block, state.hidden(), samples));
    }

    /// How far blocks have moved the hidden state of samples, `h_k - h_0`.
    fn movement(&self, hidden: Tensor<B, 3>, samples: &[usize]) -> Option<Tensor<B, 3>> {
        let embedded = self.embedded.clone()?;
        Some(hidden - select_rows(embedded, samples))
    }

    /// How much otherwise the blocks up to `block` have moved the active samples than was kept, by the tokens that
    /// `image` cuts out: [`ExitSignal::Movement`](crate::ExitSignal::Movement).
    pub(crate) fn moved(
        &self,
        block: usize,
        state: &TokenState<B>,
        memory: &Memory<B>,
        image: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Result<Vec<f32>, ModelError> {
        let mut moved = vec![f32::MAX; state.samples().len()];
        let now = self.movement(state.hidden(), state.samples());
        let known = memory.movement(block, state.samples());
        if let (Some(now), Some((rows, kept))) = (now, known) {
            let now = image(select_rows(now, &rows));
            let values: Vec<f32> = read_back(relative_difference(now, image(kept)))?;
            for (row, value) in rows.into_iter().zip(values) {
                moved[row] = value;
            }
        }
        Ok(moved)
    }

    /// What blocks after `block` and before `end` have added for samples, and what those up to it have where
    /// that is asked for.
    pub(crate) fn kept(
        &self,
        block: usize,
        end: usize,
        timestep: f64,
        with_movement: bool,
        samples: &[usize],
    ) -> Option<KeptRows<B>> {
        let before = self.rows(block, samples)?;
        let movement = with_movement.then(|| self.movement(before.clone(), samples));
        Some(KeptRows {
            block,
            timestep,
            samples: samples.to_vec(),
            difference: self.rows(end - 1, samples)? - before,
            movement: movement.flatten(),
        })
    }

    /// The state of samples after a block.
    fn rows(&self, block: usize, samples: &[usize]) -> Option<Tensor<B, 3>> {
        let (_, hidden, of) = self.after.iter().find(|(after, ..)| *after == block)?;
        let place = |sample| of.iter().position(|other| other == sample);
        let rows: Option<Vec<usize>> = samples.iter().map(place).collect();
        Some(select_rows(hidden.clone(), &rows?))
    }
}

/// The rows at `rows`, in that order; all of them are not copied.
pub(crate) fn select_rows<B: Backend>(tensor: Tensor<B, 3>, rows: &[usize]) -> Tensor<B, 3> {
    let [count, ..] = tensor.dims();
    if rows.len() == count && rows.iter().enumerate().all(|(place, &row)| place == row) {
        tensor
    } else {
        gather(tensor, rows)
    }
}

/// `mean |values - others| / mean |others|` of each row.
fn relative_difference<B: Backend>(values: Tensor<B, 3>, others: Tensor<B, 3>) -> Tensor<B, 1> {
    let mean = |values: Tensor<B, 3>| -> Tensor<B, 1> {
        let [rows, ..] = values.dims();
        let values: Tensor<B, 2> = values.abs().flatten(1, 2);
        values.mean_dim(1).reshape([rows])
    };
    // In half precision the sums could overflow.
    let [values, others] = [values, others].map(|rows| rows.cast(FloatDType::F32));
    mean(values - others.clone()) / mean(others).clamp_min(f32::MIN_POSITIVE)
}
