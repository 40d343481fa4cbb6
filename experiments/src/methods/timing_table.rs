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
                    timing
                        .judging_share
                        .map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
                ]
            })
            .collect(),
    }
}
