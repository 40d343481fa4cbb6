use super::*;

const DIMS: usize = 5;

/// Features `[samples, DIMS]` without any regularity that sums could hide in.
fn features(samples: usize) -> Vec<f64> {
    let mut state = 1_u64;
    (0..samples * DIMS)
        .map(|index| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64 * 10.0 + index as f64 * 1e-3
        })
        .collect()
}

fn gathered(rows: &[f64], first_sample: u64) -> GaussianStats {
    let mut stats = GaussianStats::starting_at(DIMS, first_sample).unwrap();
    stats.push(rows).unwrap();
    stats
}

#[test]
fn mean_and_covariance_are_the_two_pass_ones() {
    let samples = 700;
    let rows = features(samples);
    let gaussian = gathered(&rows, 0).gaussian().unwrap();
    let column = |d: usize| rows.iter().skip(d).step_by(DIMS);
    for a in 0..DIMS {
        let mean_a = column(a).sum::<f64>() / samples as f64;
        assert!((gaussian.mean()[a] - mean_a).abs() < 1e-12);
        for b in 0..DIMS {
            let mean_b = column(b).sum::<f64>() / samples as f64;
            let sum: f64 = column(a)
                .zip(column(b))
                .map(|(x, y)| (x - mean_a) * (y - mean_b))
                .sum();
            let expected = sum / (samples - 1) as f64;
            assert!((gaussian.covariance()[a * DIMS + b] - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn the_sizes_of_batches_change_no_bit() {
    let rows = features(1500);
    let whole = gathered(&rows, 0);
    for batch in [1, 7, 64, 256, 1000] {
        let mut stats = GaussianStats::new(DIMS);
        for rows in rows.chunks(batch * DIMS) {
            stats.push(rows).unwrap();
        }
        assert_eq!(stats, whole);
    }
}

#[test]
fn shards_cut_anywhere_merge_to_the_single_run() {
    let chunks = 11;
    let rows = features(chunks * CHUNK as usize + 100);
    let whole = gathered(&rows, 0);
    assert_eq!(whole.nodes.len(), 3, "8 + 2 + 1 chunks");
    for first in 0..=chunks {
        for second in first..=chunks {
            let cuts = [first, second].map(|chunk| chunk * CHUNK as usize);
            let shard =
                |from: usize, to: usize| gathered(&rows[from * DIMS..to * DIMS], from as u64);
            let [left, middle, right] = [
                shard(0, cuts[0]),
                shard(cuts[0], cuts[1]),
                shard(cuts[1], rows.len() / DIMS),
            ];
            // ((left middle) right) and (left (middle right)).
            let mut forwards = left.clone();
            forwards.merge(middle.clone()).unwrap();
            forwards.merge(right.clone()).unwrap();
            assert_eq!(forwards, whole, "cut at {cuts:?}");
            let mut tail = middle;
            tail.merge(right).unwrap();
            let mut backwards = left;
            backwards.merge(tail).unwrap();
            assert_eq!(backwards, whole, "cut at {cuts:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let rows = features(300);
    let mut stats = gathered(&rows, 0);
    let before = stats.clone();
    assert_eq!(
        stats.merge(GaussianStats::starting_at(DIMS, 512).unwrap()),
        Err(MetricsError::NotAdjacent {
            end: 300,
            found: 512,
            chunk: CHUNK
        }),
    );
    assert_eq!(
        stats.merge(GaussianStats::new(DIMS + 1)),
        Err(MetricsError::Dimensions {
            what: "the next shard",
            expected: 5,
            found: 6
        }),
    );
    assert_eq!(
        stats.push(&rows[..7]),
        Err(MetricsError::Rows {
            values: 7,
            dims: DIMS
        })
    );
    let error = stats.push(&[0.0, 0.0, f32::NAN, 0.0, 0.0]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("features of sample 300, dimension 2"),
        "{error}"
    );
    assert_eq!(stats, before);
    assert!(GaussianStats::starting_at(DIMS, 100).is_err());
    let single = gathered(&rows[..DIMS], 0);
    assert_eq!(
        single.gaussian(),
        Err(MetricsError::TooFewSamples { found: 1 })
    );
}

#[test]
fn stored_statistics_return_and_damaged_ones_do_not() {
    // Eighths, whose sums any reader of decimal numbers gets right.
    let rows: Vec<f64> = features(600)
        .iter()
        .map(|value| (value * 8.0).round() / 8.0)
        .collect();
    let stats = gathered(&rows, 256);
    let text = serde_json::to_string(&stats).unwrap();
    assert_eq!(serde_json::from_str::<GaussianStats>(&text).unwrap(), stats);
    let read = |text: &str| serde_json::from_str::<GaussianStats>(text).map_err(|e| e.to_string());
    for (old, new, message) in [
        ("\"dims\":5", "\"dims\":6", "number of features"),
        ("\"dims\":5", "\"dims\":0", "between 1 and 65536"),
        (
            "\"first_sample\":256",
            "\"first_sample\":255",
            "border of a chunk",
        ),
        (
            "\"first_sample\":256",
            "\"first_sample\":512",
            "follow one another",
        ),
        ("\"level\":0", "\"level\":64", "follow one another"),
        ("\"open\":[", "\"open\":[1.0,", "incomplete row"),
    ] {
        assert!(text.contains(old));
        let error = read(&text.replacen(old, new, 1)).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

/// The covariance of two passes, with what is far from zero taken off first.
fn two_pass(rows: &[f64], far: f64) -> Vec<f64> {
    let samples = rows.len() / DIMS;
    let near: Vec<f64> = rows.iter().map(|value| value - far).collect();
    let column = |d: usize| near.iter().skip(d).step_by(DIMS);
    let mean: Vec<f64> = (0..DIMS)
        .map(|d| column(d).sum::<f64>() / samples as f64)
        .collect();
    let pairs = (0..DIMS).flat_map(|a| (0..DIMS).map(move |b| (a, b)));
    let covariance = pairs.map(|(a, b)| {
        let products = column(a)
            .zip(column(b))
            .map(|(x, y)| (x - mean[a]) * (y - mean[b]));
        products.sum::<f64>() / (samples - 1) as f64
    });
    covariance.collect()
}

#[test]
fn features_far_from_zero_keep_their_covariance_and_merge_to_the_bit() {
    for (far, chunks) in [(1e8, 5), (-1e6, 2), (1e12, 1)] {
        let samples = chunks * CHUNK as usize + 77;
        let rows: Vec<f64> = features(samples).iter().map(|value| value + far).collect();
        let whole = gathered(&rows, 0);
        let expected = two_pass(&rows, far);
        let gaussian = whole.gaussian().unwrap();
        for (found, expected) in gaussian.covariance().iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-9,
                "{found} instead of {expected} at {far:e}"
            );
        }
        for cut in 0..=chunks {
            let cut = cut * CHUNK as usize;
            let mut left = gathered(&rows[..cut * DIMS], 0);
            left.merge(gathered(&rows[cut * DIMS..], cut as u64))
                .unwrap();
            assert_eq!(left, whole, "cut at {cut}");
        }
        let text = serde_json::to_string(&whole).unwrap();
        let read: GaussianStats = serde_json::from_str(&text).unwrap();
        assert_eq!(read.count(), whole.count());
    }
}

#[test]
fn chunks_around_different_shifts_add_up() {
    // The first chunk lies around zero, the second far away, the third does not vary.
    let mut rows = features(3 * CHUNK as usize);
    let chunk = CHUNK as usize * DIMS;
    rows[chunk..2 * chunk]
        .iter_mut()
        .for_each(|value| *value += 5e3);
    rows[2 * chunk..].fill(0.1);
    let stats = gathered(&rows, 0);
    assert_eq!(
        stats.nodes.iter().map(|node| node.sums.shift.len()).max(),
        Some(DIMS)
    );
    let expected = two_pass(&rows, 0.0);
    for (found, expected) in stats.gaussian().unwrap().covariance().iter().zip(&expected) {
        assert!(
            (found / expected - 1.0).abs() < 1e-11,
            "{found} instead of {expected}"
        );
    }
}

#[test]
fn what_does_not_vary_has_no_variance() {
    let mut rows = features(300);
    rows.iter_mut()
        .skip(1)
        .step_by(DIMS)
        .for_each(|value| *value = 0.1);
    let gaussian = gathered(&rows, 0).gaussian().unwrap();
    assert_eq!(gaussian.covariance()[DIMS + 1], 0.0);
    assert_eq!(gaussian.mean()[1], 0.1);
}

#[test]
fn files_of_features_around_zero_are_as_they_always_were() {
    let stats = gathered(&features(600), 256);
    let text = serde_json::to_string(&stats).unwrap();
    assert!(!text.contains("shift"));
    let cut_off = text.replacen("\"products\"", "\"shift\":[1.0],\"products\"", 1);
    let error = serde_json::from_str::<GaussianStats>(&cut_off)
        .unwrap_err()
        .to_string();
    assert!(error.contains("number of features"), "{error}");
}
