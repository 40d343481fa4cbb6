//! Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991, equations 1 and 2).

use multiversion::multiversion;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::blocks;
use crate::{Features, MetricsError};

/// Samples whose neighbours one task looks for.
const QUERIES: usize = 32;

/// Samples among which they are looked for at a time.
const CANDIDATES: usize = 256;

/// How much of one set lies on the other's manifold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// The share of generated samples that lie within a real sample's ball.
    pub precision: f64,
    /// The share of real samples that lie within a generated sample's ball.
    pub recall: f64,
}

/// Precision and recall with balls around every sample that reach to its `neighbours`-th nearest
/// neighbour in its own set (3 in published figures), the border included.
///
/// Distances are sums of squared differences in double precision, always in the same order:
/// equal samples have equal distances, so that a sample on the border is inside.
///
/// # Errors
/// Where the features differ in number, `neighbours` is 0, a set has no more samples than that, or values
/// are too large to be squared.
pub fn precision_recall(
    real: &Features<'_>,
    generated: &Features<'_>,
    neighbours: usize,
) -> Result<PrecisionRecall, MetricsError> {
    generated.same_dims(real)?;
    if neighbours == 0 {
        return Err(MetricsError::Zero {
            what: "the number of neighbours",
        });
    }
    for set in [real, generated] {
        set.at_least(neighbours.saturating_add(1), "nearest neighbours")?;
    }
    Ok(PrecisionRecall {
        precision: covered(generated, real, &radii_of(real, neighbours)?),
        recall: covered(real, generated, &radii_of(generated, neighbours)?),
    })
}

/// [`squared_radii`], which must not be too large for numbers: everything would lie within.
fn radii_of(set: &Features<'_>, neighbours: usize) -> Result<Vec<f64>, MetricsError> {
    let radii = squared_radii(set, neighbours);
    if radii.iter().all(|radius| radius.is_finite()) {
        Ok(radii)
    } else {
        Err(MetricsError::Overflow {
            what: "a distance that precision and recall need",
        })
    }
}

/// The squared distance of each sample to its `neighbours`-th nearest, itself left out.
fn squared_radii(set: &Features<'_>, neighbours: usize) -> Vec<f64> {
    let queries: Vec<_> = blocks(set.samples(), QUERIES).collect();
    let radii = queries.into_par_iter().flat_map_iter(|queries| {
        let rows = set.block(queries.clone());
        let mut nearest = vec![vec![f64::INFINITY; neighbours]; queries.len()];
        let mut distances = [0.0; CANDIDATES];
        for candidates in blocks(set.samples(), CANDIDATES) {
            let others = set.block(candidates.clone());
            let distances = &mut distances[..candidates.len()];
            for (query, row) in rows.chunks_exact(set.dims()).enumerate() {
                squared_distances(row, &others, distances);
                for (candidate, &distance) in candidates.clone().zip(&*distances) {
                    if candidate != queries.start + query {
                        keep_smallest(&mut nearest[query], distance);
                    }
                }
            }
        }
        nearest
            .into_iter()
            .map(move |nearest| nearest[neighbours - 1])
    });
    radii.collect()
}

/// Puts a value in its place among the smallest so far, which are in order.
fn keep_smallest(smallest: &mut [f64], value: f64) {
    let place = smallest.partition_point(|&kept| kept <= value);
    if let Some(tail) = smallest.get_mut(place..)
        && !tail.is_empty()
    {
        tail.rotate_right(1);
        tail[0] = value;
    }
}

/// The share of `points` that lie within the ball of one of `centres`.
fn covered(points: &Features<'_>, centres: &Features<'_>, squared_radii: &[f64]) -> f64 {
    let queries: Vec<_> = blocks(points.samples(), QUERIES).collect();
    let inside: usize = queries
        .into_par_iter()
        .map(|queries| {
            let rows = points.block(queries.clone());
            let mut is_inside = vec![false; queries.len()];
            let mut distances = [0.0; CANDIDATES];
            for candidates in blocks(centres.samples(), CANDIDATES) {
                let others = centres.block(candidates.clone());
                let distances = &mut distances[..candidates.len()];
                let radii = &squared_radii[candidates];
                for (row, is_inside) in rows.chunks_exact(points.dims()).zip(&mut is_inside) {
                    if !*is_inside {
                        squared_distances(row, &others, distances);
                        let mut pairs = distances.iter().zip(radii);
                        *is_inside = pairs.any(|(distance, radius)| distance <= radius);
                    }
                }
            }
            is_inside.iter().filter(|&&is_inside| is_inside).count()
        })
        .sum();
    inside as f64 / points.samples() as f64
}

/// The squared distances of one row to others of its length.
///
/// Scalar products would take fewer operations, but lose the digits that tell near neighbours
/// apart. Eight sums fix the order of additions for vector units of every width.
#[multiversion(targets = "simd")]
fn squared_distances(row: &[f64], others: &[f64], distances: &mut [f64]) {
    let (row, row_rest) = row.as_chunks::<8>();
    let dims = row.len() * 8 + row_rest.len();
    for (other, distance) in others.chunks_exact(dims).zip(distances) {
        let (other, other_rest) = other.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for (a, b) in row.iter().zip(other) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += (a - b) * (a - b);
            }
        }
        for ((sum, a), b) in sums.iter_mut().zip(row_rest).zip(other_rest) {
            *sum += (a - b) * (a - b);
        }
        *distance = sums.iter().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{on_threads, wave};

    fn features(values: &[f32], dims: usize) -> Features<'_> {
        Features::new("features", values, dims).unwrap()
    }

    #[test]
    fn small_sets_are_worked_out_by_hand() {
        // On a line, with one neighbour: real radii 1, 1, 4; generated radii 1, 1, 20.
        let real = features(&[0.0, 1.0, 5.0], 1);
        let generated = features(&[2.0, 3.0, 23.0], 1);
        let found = precision_recall(&real, &generated, 1).unwrap();
        // 2 is on the border of 1's ball, 3 is within 5's, 23 is within none.
        assert_eq!(found.precision, 2.0 / 3.0);
        // 1 is on the border of 2's ball, 5 within 23's; 0 within none.
        assert_eq!(found.recall, 2.0 / 3.0);
        // With two neighbours the radii are 5, 4, 5 and 21, 20, 21.
        let found = precision_recall(&real, &generated, 2).unwrap();
        assert_eq!(found.precision, 2.0 / 3.0);
        assert_eq!(found.recall, 1.0);
    }

    #[test]
    fn copies_count_as_neighbours_and_lie_inside() {
        let real = features(&[0.1, 0.7, 0.1, 0.7, 9.0, 9.0], 2);
        let generated = features(&[0.1, 0.7, 0.1, 0.700001, 0.1, 0.7], 2);
        let found = precision_recall(&real, &generated, 1).unwrap();
        // The copies' balls have no radius; the far sample's reaches over all of them.
        assert_eq!(found.precision, 1.0);
        assert_eq!(found.recall, 2.0 / 3.0);
    }

    #[test]
    fn blocks_and_threads_change_nothing() {
        let samples = CANDIDATES + 2 * QUERIES + 5;
        let (x, y) = (wave(samples, 11, 0.0), wave(samples, 11, 1.0));
        let (real, generated) = (features(&x, 11), features(&y, 11));
        // The definition, without blocks.
        let distance = |a: &[f32], b: &[f32]| -> f64 {
            let pairs = a.iter().zip(b);
            pairs
                .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                .sum()
        };
        let rows = |values: &[f32]| -> Vec<Vec<f32>> {
            values.chunks_exact(11).map(<[f32]>::to_vec).collect()
        };
        let share = |points: &[f32], centres: &[f32]| {
            let centres = rows(centres);
            let radii = centres.iter().map(|centre| {
                let mut all: Vec<_> = centres.iter().map(|row| distance(row, centre)).collect();
                all.sort_by(f64::total_cmp);
                all[3]
            });
            let balls: Vec<_> = centres.iter().zip(radii).collect();
            let inside = rows(points)
                .iter()
                .filter(|point| {
                    let mut balls = balls.iter();
                    balls.any(|(centre, radius)| distance(point, centre) <= *radius)
                })
                .count();
            inside as f64 / samples as f64
        };
        let found = || precision_recall(&real, &generated, 3).unwrap();
        let expected = PrecisionRecall {
            precision: share(&y, &x),
            recall: share(&x, &y),
        };
        assert!(0.0 < expected.precision && expected.precision < 1.0);
        assert_eq!(on_threads(1, found), expected);
        assert_eq!(on_threads(3, found), expected);
    }

    #[test]
    fn neighbours_far_from_zero_are_told_apart() {
        let far = |values: &[f64]| values.iter().map(|value| value + 1e9).collect::<Vec<_>>();
        let (x, y) = (far(&[0.0, 1.0, 5.0]), far(&[2.0, 3.0, 23.0]));
        let real = Features::new("features", &x, 1).unwrap();
        let generated = Features::new("features", &y, 1).unwrap();
        // As of the same sets around zero.
        let found = precision_recall(&real, &generated, 1).unwrap();
        assert_eq!((found.precision, found.recall), (2.0 / 3.0, 2.0 / 3.0));
        let beyond = vec![1e200, -1e200];
        let beyond = Features::new("features", &beyond, 1).unwrap();
        let error = precision_recall(&beyond, &beyond, 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("beyond all numbers"), "{error}");
    }

    #[test]
    fn too_few_samples_are_refused() {
        let (three, four) = (features(&[0.0; 3], 1), features(&[0.0; 4], 1));
        assert!(precision_recall(&four, &four, 3).is_ok());
        for (real, generated) in [(&three, &four), (&four, &three)] {
            let error = precision_recall(real, generated, 3).unwrap_err();
            assert_eq!(
                error.to_string(),
                "nearest neighbours: at least 4 samples are needed, found 3"
            );
        }
        assert!(precision_recall(&four, &four, usize::MAX).is_err());
        let error = precision_recall(&four, &four, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the number of neighbours must be at least 1"
        );
    }
}
