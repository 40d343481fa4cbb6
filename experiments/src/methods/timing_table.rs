//! The table of speed-ups at several batch sizes.

use adadiff_report::Table;

use super::timing::Timing;

/// The table of speed-ups.
pub fn timing_table(timings: &[Timing]) -> Table {
    let heading = [
        "batch",
        "full, s/image",
        "AdaDiff, s/image",
        "reduction",
        "speed-up",
        "efficiency",
        "judging",
    ];
    Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows: timings
            .iter()
            .map(|timing| {
                vec![
                    timing.batch.to_string(),
                    format!("{:.4}", timing.full_seconds_per_image),
                    format!("{:.4}", timing.adaptive_seconds_per_image),
                    format!("{:.1} %", 100.0 * timing.block_reduction),
                    format!("{:.2}", timing.speedup),
                    format!("{:.2}", timing.efficiency),
                    judging(timing),
                ]
            })
            .collect(),
    }
}

/// What judging costs, as far as a measurement can tell: it never saves time.
fn judging(timing: &Timing) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    match (timing.judging_share, timing.judging_bounds) {
        (None, _) => "–".to_owned(),
        (_, Some([least, most])) if least > 0.0 => {
            format!("{:.1} to {}", 100.0 * least, percent(most))
        }
        (_, Some([_, most])) if most > 0.0 => format!("under {}", percent(most)),
        (Some(share), None) if share > 0.0 => percent(share),
        _ => "below what this run can tell".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_share_is_told_that_noise_exceeds() {
        for (share, bounds, told) in [
            (None, None, "–"),
            (Some(0.017), None, "1.7 %"),
            (Some(-0.065), None, "below what this run can tell"),
            (Some(0.017), Some([0.012, 0.0234]), "1.2 to 2.3 %"),
            (Some(-0.065), Some([-0.09, 0.031]), "under 3.1 %"),
            (Some(0.01), Some([-0.09, 0.031]), "under 3.1 %"),
            (
                Some(-0.065),
                Some([-0.09, -0.01]),
                "below what this run can tell",
            ),
        ] {
            let timing = Timing {
                judging_share: share,
                judging_bounds: bounds,
                batch: 1,
                samples: 8,
                full_seconds_per_image: 1.0,
                judged_seconds_per_image: None,
                adaptive_seconds_per_image: 0.5,
                block_reduction: 0.5,
                speedup: 2.0,
                efficiency: 1.0,
                rounds: None,
            };
            let table = timing_table(&[timing]);
            assert_eq!(table.rows[0][6], told);
        }
    }
}
