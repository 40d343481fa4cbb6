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
