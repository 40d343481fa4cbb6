//! The order in which training sees the data.

use std::num::NonZeroUsize;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One training sample: which image, and whether it is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingSample {
    /// The image's index in the data set.
    pub index: usize,
    /// Whether the image is mirrored left to right.
    pub flip: bool,
}

/// An endless order of training samples: every epoch is a new permutation of the data set, with a
/// fair coin for the flip of every image.
///
/// The sample at a position (images drawn so far) is a function of seed, length and position
/// alone, so that the position restores the order.
#[derive(Clone, Debug)]
pub struct SampleOrder {
    seed: u64,
    length: NonZeroUsize,
    epoch: u64,
    samples: Vec<TrainingSample>,
}

impl SampleOrder {
    /// The order of a data set of `length` images under `seed`.
    pub fn new(seed: u64, length: NonZeroUsize) -> Self {
        Self {
            seed,
            length,
            epoch: 0,
            samples: epoch_samples(seed, length, 0),
        }
    }

    /// The sample at `position`: the number of images drawn before it.
    ///
    /// Takes constant time but for the first position of another epoch, whose permutation is
    /// drawn and kept.
    pub fn at(&mut self, position: u64) -> TrainingSample {
        let length = self.length.get() as u64;
        let epoch = position / length;
        if epoch != self.epoch {
            self.samples = epoch_samples(self.seed, self.length, epoch);
            self.epoch = epoch;
        }
        self.samples[(position % length) as usize]
    }
}

fn epoch_samples(seed: u64, length: NonZeroUsize, epoch: u64) -> Vec<TrainingSample> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch);
    let mut samples: Vec<_> = (0..length.get())
        .map(|index| TrainingSample {
            index,
            flip: random.next_u32() & 1 == 1,
        })
        .collect();
    // Fisher-Yates, written out: a library's shuffle may change with its version, and with it the
    // meaning of a seed.
    for last in (1..samples.len()).rev() {
        samples.swap(last, below(&mut random, last as u64 + 1) as usize);
    }
    samples
}

/// A number in `0..bound` by the widening multiplication; its bias, `bound` in 2^64, is beyond
/// notice.
pub(crate) fn below(random: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(random.next_u64()) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64, length: usize) -> SampleOrder {
        SampleOrder::new(seed, NonZeroUsize::new(length).unwrap())
    }

    fn draw(order: &mut SampleOrder, positions: std::ops::Range<u64>) -> Vec<TrainingSample> {
        positions.map(|position| order.at(position)).collect()
    }

    #[test]
    fn every_epoch_is_another_permutation() {
        let mut order = order(3, 100);
        let first = draw(&mut order, 0..100);
        let second = draw(&mut order, 100..200);
        assert_ne!(first, second);
        for epoch in [first, second] {
            let mut indices: Vec<_> = epoch.iter().map(|sample| sample.index).collect();
            indices.sort_unstable();
            assert_eq!(indices, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_position_restores_the_order() {
        let whole = draw(&mut order(7, 10), 0..45);
        assert_eq!(draw(&mut order(7, 10), 23..45), whole[23..]);
        let mut backwards = order(7, 10);
        for position in (0..45).rev() {
            assert_eq!(backwards.at(position), whole[position as usize]);
        }
        assert_ne!(draw(&mut order(8, 10), 0..45), whole);
    }

    #[test]
    fn the_order_of_a_seed_never_changes() {
        let indices: Vec<_> = draw(&mut order(0, 8), 0..16)
            .iter()
            .map(|s| s.index)
            .collect();
        assert_eq!(indices, [2, 1, 0, 6, 5, 4, 3, 7, 6, 7, 4, 2, 0, 1, 5, 3]);
    }

    #[test]
    fn half_of_the_images_are_flipped() {
        let flipped = draw(&mut order(1, 10_000), 0..10_000)
            .iter()
            .filter(|s| s.flip)
            .count();
        // Five standard deviations of a fair coin.
        assert!((4750..=5250).contains(&flipped), "{flipped}");
    }

    #[test]
    fn one_image_is_an_order_too() {
        assert_eq!(order(5, 1).at(u64::MAX).index, 0);
    }
}
