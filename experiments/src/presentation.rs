//! The files of a run of the main job, and what it prints.

use std::path::Path;

use adadiff_train::write_atomically;
use anyhow::Result;

use crate::device::DeviceName;
use crate::main_job::Findings;
use crate::preset::Preset;
use crate::report::{
    ExitHeatmap, Figure, GridStyle, ImageBatch, Method, ReductionCurve, Report, Section, Table,
    image_grid, json_lines, pair_grid, png_bytes, write_rows,
};
use crate::terminal::say;
use crate::timing::Timing;

/// Images in a grid at most.
const GRID: usize = 64;

/// Writes all files of a run into `folder`.
///
/// # Errors
/// Where a file cannot be written.
pub fn write(
    folder: &Path,
    findings: &Findings,
    preset: &Preset,
    device: DeviceName,
    command: &str,
) -> Result<()> {
    write_rows(&folder.join("results.jsonl"), &findings.rows)?;
    write_rows(&folder.join("curve.jsonl"), &findings.curve)?;
    let timings = json_lines(&findings.timings)?;
    write_atomically(&folder.join("timing.jsonl"), timings.as_bytes())?;
    let toml = preset.to_toml()?;
    write_atomically(&folder.join("preset.toml"), toml.as_bytes())?;
    let table = Table::of_results(&findings.rows);
    write_atomically(&folder.join("table.md"), table.markdown().as_bytes())?;

    let curve_samples = findings.curve.first().map_or(0, |row| row.samples);
    let curve = ReductionCurve::of_results(&findings.curve, curve_samples)?;
    curve.write(folder, "fd_over_reduction")?;
    let trace = &findings.adaptive.trace;
    let exits = trace
        .steps
        .iter()
        .map(|step| (step.timestep, step.blocks.as_slice()));
    let heatmap = ExitHeatmap::of_exits(trace.blocks_per_prediction, exits)?;
    heatmap.write(folder, "exit_depth")?;

    let [channels, height, width] = findings.image_shape;
    let size = channels * height * width;
    let style = GridStyle::of_width(width);
    let count = GRID.min(findings.full.pixels.len() / size);
    let shape = [count, channels, height, width];
    let full = ImageBatch::new(&findings.full.pixels[..count * size], shape)?;
    let adaptive = ImageBatch::new(&findings.adaptive.pixels[..count * size], shape)?;
    let pairs = png_bytes(&pair_grid(&full, &adaptive, style)?)?;
    let grids = [
        ("full.png", png_bytes(&image_grid(&full, style)?)?),
        ("adadiff.png", png_bytes(&image_grid(&adaptive, style)?)?),
        ("full_beside_adadiff.png", pairs.clone()),
        (
            "uncertainty_maps.png",
            png_bytes(&findings.maps.grid(style)?)?,
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
        summary: summary(findings),
        facts: facts(findings, preset, device),
        command: command.to_owned(),
        preset: toml,
        sections: vec![
            section(
                "Results",
                "Every row draws the same samples from the same noise.",
                vec![
                    Figure::table(&table, "One row for each method."),
                    Figure::table(&timing_table(&findings.timings), TIMING_CAPTION),
                ],
            ),
            section(
                "Samples",
                "Pairs with the same noise: the full network at the left, AdaDiff at the right.",
                vec![Figure::png(
                    &pairs,
                    "Pairs of samples",
                    "The first samples of the run.",
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
                vec![findings.maps.figure()?],
            ),
        ],
        notes: vec![
            note_on_features(findings.rows.first().map_or("", |row| &row.features)).to_owned(),
            "GFLOPs count two operations for each multiply-add of matrix products and \
             convolutions, estimators included."
                .to_owned(),
        ],
    };
    report.write(&folder.join("report.html"))?;
    Ok(())
}

/// What the distance in the table is, and what it is not.
pub fn note_on_features(features: &str) -> &'static str {
    match features {
        "fashion-cnn" => {
            "FD (fashion-cnn) is the Fréchet distance over 64 features of a small classifier that \
             this project trained on Fashion-MNIST, against the 10,000 test images. It is not an \
             FID and comparable only with itself at the same number of samples."
        }
        "pixels-4x4" => {
            "FD (pixels-4x4) is the Fréchet distance over the mean colours of 4 x 4 areas. It shows \
             that everything works and does not judge what images show: it is not an FID."
        }
        _ => {
            "FD (inception-2015-12-05) is FID: the Fréchet distance over 2,048 features of FID's \
             Inception network, fed as pytorch-fid does. It falls with the number of samples; \
             compare it with published figures only at theirs."
        }
    }
}

const TIMING_CAPTION: &str = "Speed-up of AdaDiff and its efficiency: the share of the skipped blocks' time \
     that is really saved. Judging is what estimators and the exit decision cost, as a \
     share of the full network's time. Medians of five runs that took turns.";

fn summary(findings: &Findings) -> String {
    let adaptive = findings
        .rows
        .iter()
        .find(|row| row.method == Method::Adadiff);
    let saved = adaptive.map_or(0.0, |row| row.block_reduction);
    let speedup = findings.full.seconds_per_image() / findings.adaptive.seconds_per_image();
    format!(
        "AdaDiff skipped {:.1} % of all blocks and drew the same samples {speedup:.2} times as fast.",
        100.0 * saved
    )
}

fn facts(findings: &Findings, preset: &Preset, device: DeviceName) -> Vec<(String, String)> {
    let samples = findings.rows.first().map_or(0, |row| row.samples);
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

/// Prints the tables and where the files are.
///
/// # Errors
/// Where standard output cannot be written to.
pub fn print(findings: &Findings, folder: &Path) -> Result<()> {
    say!("{}", Table::of_results(&findings.rows).terminal())?;
    say!("{}", timing_table(&findings.timings).terminal())?;
    say!("{}", summary(findings))?;
    say!("report: {}", folder.join("report.html").display())
}
