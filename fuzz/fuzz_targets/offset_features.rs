//! Statistics of features far from zero: eight bytes are the offset, the others steps around it.
#![no_main]

use adadiff_metrics::{CHUNK, GaussianStats, frechet_distance};
use libfuzzer_sys::fuzz_target;

const DIMS: usize = 2;

fuzz_target!(|bytes: &[u8]| {
    let Some((offset, steps)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let offset = f64::from_le_bytes(*offset);
    if !offset.is_finite() || steps.is_empty() {
        return;
    }
    // Three chunks, cut where the shards are.
    let values = 3 * CHUNK as usize * DIMS;
    let rows: Vec<f64> = (0..values)
        .map(|index| offset + f64::from(steps[index % steps.len()]) * (1.0 + (index / 7) as f64))
        .collect();
    let stats = |rows: &[f64], first: u64| {
        let mut stats = GaussianStats::starting_at(DIMS, first)?;
        stats.push(rows)?;
        Ok::<_, adadiff_metrics::MetricsError>(stats)
    };
    let cut = CHUNK as usize * DIMS;
    let (Ok(whole), Ok(mut left), Ok(right)) =
        (stats(&rows, 0), stats(&rows[..cut], 0), stats(&rows[cut..], CHUNK))
    else {
        return;
    };
    left.merge(right).expect("the shards follow one another");
    assert_eq!(left, whole);
    let Ok(gaussian) = whole.gaussian() else {
        return;
    };
    for dimension in 0..DIMS {
        assert!(gaussian.covariance()[dimension * DIMS + dimension] >= 0.0);
    }
    if let Ok(distance) = frechet_distance(&gaussian, &gaussian) {
        assert!(distance >= 0.0 && distance.is_finite());
    }
});
