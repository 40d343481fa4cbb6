//! Rows for tests.

use super::ResultRow;
use crate::methods::MethodKind;

/// A full model, two static depths and AdaDiff, as a run on 13 blocks leaves them.
pub fn example_rows() -> Vec<ResultRow> {
    let full = ResultRow {
        experiment: "fashion_mnist".into(),
        method: MethodKind::Full,
        setting: None,
        variant: None,
        depth: None,
        device: "flex".into(),
        dtype: "f32".into(),
        solver: "dpm-solver++".into(),
        steps: 20,
        samples: 512,
        batch: 64,
        seed: 0,
        exit_rule: None,
        check_every: None,
        threshold: None,
        target_reduction: None,
        blocks_mean: 13.0,
        blocks_total: 133_120,
        blocks_per_prediction: 13,
        block_reduction: 0.0,
        gflops_per_image: 8.125,
        seconds_per_image: 0.125,
        speedup: Some(1.0),
        frechet_distance: 4.25,
        features: "fashion-cnn".into(),
        crate_version: "0.1.0".into(),
        psnr: None,
        ssim: None,
        bytes_per_sample: None,
        explained: None,
    };
    let adadiff = ResultRow {
        method: MethodKind::AdaDiff,
        exit_rule: Some("threshold".into()),
        threshold: Some(0.0725),
        target_reduction: Some(0.45),
        blocks_mean: 7.15,
        blocks_total: 73_216,
        block_reduction: 0.45,
        gflops_per_image: 4.5,
        seconds_per_image: 0.0725,
        speedup: Some(1.724),
        frechet_distance: 5.5,
        ..full.clone()
    };
    let with_depth = |depth: u32, reduction: f64, seconds: f64, speedup: f64| ResultRow {
        method: MethodKind::StaticDepth,
        depth: Some(depth),
        blocks_mean: f64::from(depth),
        blocks_total: 512 * 20 * u64::from(depth),
        block_reduction: reduction,
        gflops_per_image: 0.625 * f64::from(depth),
        seconds_per_image: seconds,
        speedup: Some(speedup),
        frechet_distance: 92.75 - 8.75 * f64::from(depth),
        ..full.clone()
    };
    let shallower = with_depth(7, 0.4615, 0.0673, 1.857);
    let deeper = with_depth(8, 0.3846, 0.0769, 1.625);
    vec![full.clone(), shallower, deeper, adadiff]
}
