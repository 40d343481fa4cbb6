//! The gradients of a convolution, as products with the same windows.

use super::super::linear::added_up;
use super::*;

/// Samples whose gradients of the weight one task adds up, whatever the number of cores.
const SAMPLES_OF_A_TASK: usize = MOST_SAMPLES;

impl Tile {
    /// What was passed back to the outputs of these samples `[outputs, columns]`.
    fn gradients<'a>(&self, grad: &'a [f32], sizes: Sizes, scratch: &'a mut Vec<f32>) -> View<'a> {
        if self.samples.len() == 1 {
            return View::new(grad, self.start(sizes), sizes.positions());
        }
        let columns = self.columns();
        scratch.resize(sizes.outputs * columns, 0.0);
        self.rows(sizes, |channel, from, place| {
            scratch[channel * columns..][place].copy_from_slice(&grad[from]);
        });
        View::new(scratch, 0, columns)
    }
}

/// The gradient of the image: what each window passes back, added up where windows overlap.
pub(in super::super) fn x_backward(
    x: FlexTensor,
    weight: FlexTensor,
    grad: FlexTensor,
    windows: Windows,
) -> FlexTensor {
    let sizes = Sizes::new(&x, &weight, windows);
    let shape = x.shape();
    let (weight, grad) = (Elements::new(weight), Elements::new(grad));
    let (weight, grad) = (weight.slice(), grad.slice());
    let weight = View::new(weight, 0, sizes.window()).transposed();
    let (group, image) = (sizes.samples_at_once(), sizes.of_sample());
    let mut values = vec![0.0; sizes.batch * image];
    values
        .par_chunks_mut((group * image).max(1))
        .enumerate()
        .for_each_init(
            Default::default,
            |(gathered, windows): &mut (_, Vec<f32>), (task, out)| {
                let first = task * group;
                let samples = first..sizes.batch.min(first + group);
                for tile in Tile::of(samples, sizes) {
                    let columns = tile.columns();
                    windows.resize(sizes.window() * columns, 0.0);
                    let shape = [sizes.window(), columns, sizes.outputs];
                    let factors = [weight, tile.gradients(grad, sizes, gathered)];
                    let target = windows.as_mut_ptr();
                    // SAFETY: `windows` has the product's size.
                    unsafe {
                        product(
                            shape,
                            target,
                            columns,
                            Onto::Nothing,
                            factors,
                            1.0,
                            Par::Seq,
                        );
                    }
                    for (index, out) in out.chunks_exact_mut(image).enumerate() {
                        let place = [columns, index * tile.positions.len()];
                        super::windows::add_back(windows, sizes, &tile.positions, out, place);
                    }
                }
            },
        );
    tensor_from(values, shape)
}

/// The gradient of the weight.
pub(in super::super) fn weight_backward(
    x: FlexTensor,
    weight: FlexTensor,
    grad: FlexTensor,
    windows: Windows,
) -> FlexTensor {
    let sizes = Sizes::new(&x, &weight, windows);
    let shape = weight.shape();
    let (x, grad) = (Elements::new(x), Elements::new(grad));
    let (x, grad) = (x.slice(), grad.slice());
    let (window, values) = (sizes.window(), sizes.outputs * sizes.window());
    let sums: Vec<Vec<f32>> = (0..sizes.batch.div_ceil(SAMPLES_OF_A_TASK))
        .into_par_iter()
        .map_init(Default::default, |(gathered, windows), task| {
            let first = task * SAMPLES_OF_A_TASK;
            let samples = first..sizes.batch.min(first + SAMPLES_OF_A_TASK);
            let mut sum = vec![0.0; values];
            for tile in Tile::of(samples, sizes) {
                let shape = [sizes.outputs, window, tile.columns()];
                let windows = tile.windows(x, sizes, windows).transposed();
                let factors = [tile.gradients(grad, sizes, gathered), windows];
                let target = sum.as_mut_ptr();
                // SAFETY: `sum` has the product's size, and is set.
                unsafe { product(shape, target, window, Onto::Values, factors, 1.0, Par::Seq) };
            }
            sum
        })
        .collect();
    tensor_from(added_up(&sums, values), shape)
}
