//! Which of an image's captions is taken.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::order::below;

/// Keeps the draws apart from those of the order, which has the same seed: "captions" in ASCII.
const CAPTIONS: u64 = 0x6361_7074_696f_6e73;

/// Which of `captions` captions a visit takes, drawn evenly; none where there are none.
///
/// It is a function of seed and visit alone. In training the visit is the sample's position in the
/// order, so that each visit of an image draws again; in evaluation it is the image's index, so
/// that the choice never changes.
pub fn choose_caption(seed: u64, visit: u64, captions: usize) -> Option<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ CAPTIONS);
    random.set_stream(visit);
    (captions > 0).then(|| below(&mut random, captions as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caption_is_drawn_equally_often() {
        let mut counts = [0; 5];
        for visit in 0..5000 {
            counts[choose_caption(3, visit, 5).unwrap()] += 1;
        }
        // Five standard deviations.
        assert!(
            counts.iter().all(|count| (859..=1141).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_choice_of_a_seed_and_a_visit_never_changes() {
        let draw = |seed| -> Vec<usize> {
            let drawn = (0..12).map(|visit| choose_caption(seed, visit, 5).unwrap());
            drawn.collect()
        };
        assert_ne!(draw(0), draw(1));
        assert_eq!(draw(1234), [0, 3, 4, 2, 2, 3, 0, 4, 3, 0, 1, 4]);
    }

    #[test]
    fn one_caption_and_none() {
        assert_eq!(choose_caption(0, 7, 1), Some(0));
        assert_eq!(choose_caption(0, 7, 0), None);
    }
}
