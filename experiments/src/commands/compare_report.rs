//! The files of a run of the main job, and what it prints.

use std::path::Path;

use adadiff_backends::DeviceName;
use adadiff_report::{
    Figure, GridStyle, ImageValues, Report, Section, image_grid, pair_grid, png_bytes,
};
use adadiff_storage::{to_json_lines, write_atomically};
use anyhow::Result;

use crate::commands::compare::ComparisonResults;
use crate::figures::exit_heatmap;
use crate::methods::{MethodKind, timing_table};
use crate::presets::Preset;
use crate::results::{note_on_features, reduction_curve, results_table, write_rows};
use crate::terminal::say;

/// Images in a grid at most.
const GRID: usize = 64;

/// Pairs on the page, in rows of four, and the least width of their images.
const PAIRS: usize = 16;
const PAIR_WIDTH: usize = 96;

/// Writes all files of a run into `folder`.
///
/// # Errors
/// Where a file cannot be written.
pub fn write(
    folder: &Path,
    results: &ComparisonResults,
    preset: &Preset,
    device: DeviceName,
    command: &str,
) -> Result<()> {
    write_rows(&folder.join("results.jsonl"), &results.rows)?;
    write_rows(&folder.join("curve.jsonl"), &results.curve)?;
    let timings = to_json_lines(&results.timings)?;
    write_atomically(&folder.join("timing.jsonl"), timings.as_bytes())?;
    let toml = preset.to_toml()?;
    write_atomically(&folder.join("preset.toml"), toml.as_bytes())?;
    let table = results_table(&results.rows);
    write_atomically(&folder.join("table.md"), table.markdown().as_bytes())?;

    let curve_samples = results.curve.first().map_or(0, |row| row.samples);
    let curve = reduction_curve(&results.curve, curve_samples)?;
    curve.write(folder, "fd_over_reduction")?;
    let policy = results.calibration.policy();
    let heatmap = exit_heatmap(&results.adaptive.trace, Some(policy.as_ref()))?;
    heatmap.write(folder, "exit_depth")?;

    let [channels, height, width] = results.image_shape;
    let size = channels * height * width;
    let style = GridStyle::of_width(width);
    let count = GRID.min(results.full.pixels.len() / size);
    let shape = [count, channels, height, width];
    let full = ImageValues::new(&results.full.pixels[..count * size], shape)?;
    let adaptive = ImageValues::new(&results.adaptive.pixels[..count * size], shape)?;
    let pairs = png_bytes(&pair_grid(&full, &adaptive, style)?)?;
    let few = PAIRS.min(count);
    let [few_full, few_adaptive] = [&results.full, &results.adaptive]
        .map(|drawn| ImageValues::new(&drawn.pixels[..few * size], [few, channels, height, width]));
    let large = GridStyle {
        columns: 4,
        scale: PAIR_WIDTH.div_ceil(width) as u32,
        ..style
    };
    let large_pairs = png_bytes(&pair_grid(&few_full?, &few_adaptive?, large)?)?;
    let grids = [
        ("full.png", png_bytes(&image_grid(&full, style)?)?),
        ("adadiff.png", png_bytes(&image_grid(&adaptive, style)?)?),
        ("full_beside_adadiff.png", pairs),
        (
            "uncertainty_maps.png",
            png_bytes(&results.maps.grid(style)?)?,
        ),
    ];
    for (name, bytes) in &grids {
        write_atomically(&folder.join(name), bytes)?;
    }

    let section = |heading: &str, text: &str, figures: Vec<Figure>| Section {
        heading: heading.to_owned(),
        text: vec![text.to_owned()],
        figures,
    };
    let report = Report {
        title: format!("AdaDiff on {}", preset.data.title()),
        summary: summary(results),
        facts: facts(results, preset, device),
        command: command.to_owned(),
        preset: toml,
        sections: vec![
            section(
                "Results",
                "Every row draws the same samples from the same noise.",
                vec![
                    Figure::table(&table, "One row for each method."),
                    Figure::table(&timing_table(&results.timings), TIMING_CAPTION),
                ],
            ),
            section(
                "Samples",
                "Pairs with the same noise: the full network at the left, AdaDiff at the right.",
                vec![Figure::png(
                    &large_pairs,
                    "Pairs of samples",
                    "The first samples of the run; full_beside_adadiff.png has more of them.",
                )],
            ),
            section(
                "What a budget costs",
                "Distance from the test images over the share of blocks that is skipped, on fewer \
                 samples than the table, which raises all distances.",
                vec![curve.figure()?],
            ),
            section(
                "Where samples leave",
                "How many blocks samples run at each step, from noise to image.",
                vec![heatmap.figure()?],
            ),
            section(
                "Uncertainty",
                "The estimated uncertainty of the block each sample left at.",
                vec![results.maps.figure()?],
            ),
        ],
        notes: vec![
            note_on_features(results.rows.first().map_or("", |row| &row.features)).to_owned(),
            "GFLOPs count two operations for each multiply-add of matrix products and \
             convolutions, estimators included."
                .to_owned(),
        ],
    };
    report.write(&folder.join("report.html"))?;
    Ok(())
}

const TIMING_CAPTION: &str = "Speed-up of AdaDiff and its efficiency: the share of the skipped blocks' time \
     that is really saved. Judging is what estimators and the exit decision cost, as a \
     share of the full network's time: the range that holds it with 95 % certainty, as \
     far as so few runs can tell. The others are medians of runs that took turns.";

fn summary(results: &ComparisonResults) -> String {
    // The preset's is the last one.
    let mut rows = results.rows.iter();
    let adaptive = rows.rfind(|row| row.method == MethodKind::AdaDiff);
    let saved = adaptive.map_or(0.0, |row| row.block_reduction);
    let speedup = results.full.seconds_per_image() / results.adaptive.seconds_per_image();
    format!(
        "AdaDiff skipped {:.1} % of all blocks and drew the same samples {speedup:.2} times as fast.",
        100.0 * saved
    )
}

fn facts(
    results: &ComparisonResults,
    preset: &Preset,
    device: DeviceName,
) -> Vec<(String, String)> {
    let samples = results.rows.first().map_or(0, |row| row.samples);
    [
        ("Device", device.to_string()),
        ("Samples", samples.to_string()),
        ("Batch", preset.sampling.batch.to_string()),
        (
            "Solver",
            format!(
                "{}, {} steps",
                preset.sampling.solver.name(),
                preset.sampling.steps
            ),
        ),
        ("Seed", preset.sampling.seed.to_string()),
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Prints the tables and where the files are.
///
/// # Errors
/// Where standard output cannot be written to.
pub fn print(results: &ComparisonResults, folder: &Path) -> Result<()> {
    say!("{}", results_table(&results.rows).terminal())?;
    say!("{}", timing_table(&results.timings).terminal())?;
    say!("{}", summary(results))?;
    say!("report: {}", folder.join("report.html").display())
}
