//! The inception score (Salimans et al. 2016, arXiv 1606.03498, section 4).

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Features, MetricsError, Spread};

/// How far the sum of an image's class probabilities may be from 1.
const SUM_TOLERANCE: f64 = 1e-3;

/// Mean and spread, over runs of the samples, of exp(E KL(p(y|x) || p(y))), where p(y) is the mean of the
/// run. Run i of `splits` has the samples from `i * samples / splits` to `(i + 1) * samples / splits`, of
/// samples shuffled by `seed` or in their order where there is none; published scores take 10. In the order
/// of their names samples are often those of one class after the other, whose runs score far too low.
///
/// `probabilities` are the softmax of the logits, of those without the bias in published scores.
///
/// # Shapes
/// `[samples, classes]`.
///
/// # Errors
/// Where there are no splits or fewer samples than splits, or a sample's values are no
/// probabilities.
pub fn inception_score(
    probabilities: &Features<'_>,
    splits: usize,
    seed: Option<u64>,
) -> Result<Spread, MetricsError> {
    if splits == 0 {
        return Err(MetricsError::Zero {
            what: "the number of splits",
        });
    }
    probabilities.at_least(splits, "the splits of an inception score")?;
    for (sample, row) in probabilities.rows().enumerate() {
        let sum: f64 = row.iter().sum();
        if row.iter().any(|&value| value < 0.0) || (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(MetricsError::Probabilities { sample });
        }
    }
    let samples = probabilities.samples();
    // Widened, because the product may be beyond a small machine's word.
    let border = |split: usize| (split as u128 * samples as u128 / splits as u128) as usize;
    let mut order: Vec<usize> = (0..samples).collect();
    if let Some(seed) = seed {
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    let scores: Vec<_> = (0..splits)
        .map(|split| {
            let run = order[border(split)..border(split + 1)].iter();
            let rows: Vec<f64> = run
                .flat_map(|&sample| probabilities.block(sample..sample + 1))
                .collect();
            score(&rows, probabilities.dims())
        })
        .collect();
    Ok(Spread::from_estimates(&scores))
}

/// The score of one run `[samples, classes]`.
fn score(probabilities: &[f64], classes: usize) -> f64 {
    let rows = probabilities.chunks_exact(classes);
    let samples = rows.len() as f64;
    let mut marginal = vec![0.0; classes];
    for row in rows.clone() {
        for (sum, value) in marginal.iter_mut().zip(row) {
            *sum += value / samples;
        }
    }
    let divergence: f64 = rows
        .map(|row| {
            let terms = row.iter().zip(&marginal);
            // A class without probability adds nothing: x ln x goes to 0.
            let terms = terms.filter(|&(&value, _)| value > 0.0);
            terms
                .map(|(value, mean)| value * (value / mean).ln())
                .sum::<f64>()
        })
        .sum();
    (divergence / samples).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(values: &[f32], classes: usize, splits: usize) -> Result<Spread, MetricsError> {
        inception_score(
            &Features::new("probabilities", values, classes)?,
            splits,
            None,
        )
    }

    #[test]
    fn certain_and_varied_images_score_the_number_of_classes() {
        let certain = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let spread = scored(&certain, 3, 1).unwrap();
        assert!((spread.mean - 3.0).abs() < 1e-14);
        assert_eq!(spread.std, 0.0);
        let uncertain = [0.25; 12];
        assert!((scored(&uncertain, 4, 1).unwrap().mean - 1.0).abs() < 1e-14);
    }

    #[test]
    fn splits_are_consecutive_and_of_unequal_length() {
        // Samples 0 and 1, then 2, 3 and 4: 2 classes seen once each, then one class alone.
        let values = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let spread = scored(&values, 2, 2).unwrap();
        assert!((spread.mean - 1.5).abs() < 1e-14);
        assert!((spread.std - 0.5).abs() < 1e-14);
    }

    #[test]
    fn sorted_classes_are_shuffled_by_a_seed() {
        // Ten samples of each of four classes, one class after the other.
        let values: Vec<f32> = (0..160)
            .map(|i| f32::from(u8::from(i / 4 / 10 == i % 4)))
            .collect();
        assert!((scored(&values, 4, 4).unwrap().mean - 1.0).abs() < 1e-14);
        let features = Features::new("probabilities", &values, 4).unwrap();
        let shuffled = |seed| inception_score(&features, 4, Some(seed)).unwrap();
        let found = shuffled(0).mean;
        assert!((3.0..4.0).contains(&found), "{found}");
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
    }

    #[test]
    fn a_divergence_is_worked_out_by_hand() {
        // Marginal (1/2, 1/2): each sample has 3/4 ln 3/2 + 1/4 ln 1/2.
        let expected = (0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln()).exp();
        let spread = scored(&[0.75, 0.25, 0.25, 0.75], 2, 1).unwrap();
        assert!((spread.mean - expected).abs() < 1e-14);
    }

    #[test]
    fn what_are_no_probabilities_is_refused() {
        let message = |values: &[f32], splits| scored(values, 2, splits).unwrap_err().to_string();
        let expected = "the values of sample 1 are no probabilities: one is negative, or they do \
                        not add up to 1; give the softmax of the logits";
        assert_eq!(message(&[0.5, 0.5, 1.5, -0.5], 1), expected);
        assert_eq!(message(&[0.5, 0.5, 0.5, 0.6], 1), expected);
        assert_eq!(
            message(&[0.5, 0.5], 2),
            "the splits of an inception score: at least 2 samples are needed, found 1"
        );
        assert_eq!(
            message(&[0.5, 0.5], 0),
            "the number of splits must be at least 1"
        );
    }
}
