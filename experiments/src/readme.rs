//! Tables of the README and of the model card, made from committed results.

use std::fs;
use std::path::Path;

use adadiff_train::LogLine;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::presentation::timing_table;
use crate::report::{Method, ResultRow, Table, read_rows, update_between_markers};
use crate::timing::Timing;

/// Where the README's tables come from, seen from the repository's root.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The main job's run.
    pub run: &'a Path,
    /// The same with the paper's exit rule.
    pub paper_run: &'a Path,
}

/// The README with its tables made anew.
///
/// # Errors
/// Where a file of results is missing or damaged, or the README lacks a marker.
pub fn update_readme(readme: &str, sources: Sources<'_>) -> Result<String> {
    let rows = read_rows(&sources.run.join("results.jsonl"))?;
    let timings: Vec<Timing> = read_lines(&sources.run.join("timing.jsonl"))?;
    let curves = [sources.run, sources.paper_run].map(|run| read_rows(&run.join("curve.jsonl")));
    let [excess, paper] = curves;
    let mut readme = readme.to_owned();
    for (name, table) in [
        ("results", Table::of_results(&rows)),
        ("timing", timing_table(&timings)),
        ("rules", rules_table(&excess?, &paper?)?),
    ] {
        readme = update_between_markers(&readme, name, &table.markdown())?;
    }
    Ok(readme)
}

/// Fréchet distances of both exit rules and of static depths at each budget of two curves.
fn rules_table(excess: &[ResultRow], paper: &[ResultRow]) -> Result<Table> {
    let heading = [
        "fewer blocks asked for",
        "samples",
        "`excess`",
        "`threshold`",
        "static depth",
    ];
    let cell = |row: &ResultRow| {
        format!(
            "{:.1} at {:.1} %",
            row.frechet_distance,
            100.0 * row.block_reduction
        )
    };
    let mut rows = Vec::new();
    for pair in excess.windows(2) {
        let [adaptive, next] = pair else { continue };
        if adaptive.method == Method::Full {
            let distance = format!("{:.1}", adaptive.frechet_distance);
            rows.push(vec![
                "0 %, the full model".to_owned(),
                adaptive.samples.to_string(),
                distance.clone(),
                distance,
                "–".to_owned(),
            ]);
        }
        let (Some(target), Method::Static) = (adaptive.target_reduction, next.method) else {
            continue;
        };
        let same = |row: &&ResultRow| {
            row.target_reduction == Some(target)
                && row.samples == adaptive.samples
                && row.seed == adaptive.seed
        };
        let paper = paper.iter().find(same);
        let paper = paper.context("the curves of both exit rules have other budgets")?;
        rows.push(vec![
            format!("{:.0} %", 100.0 * target),
            adaptive.samples.to_string(),
            cell(adaptive),
            cell(paper),
            cell(next),
        ]);
    }
    Ok(Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows,
    })
}

/// The model card with its table made anew from the training logs in `folder`.
///
/// # Errors
/// Where a log is missing or damaged, or the card lacks a marker.
pub fn update_model_card(card: &str, folder: &Path) -> Result<String> {
    let heading = [
        "phase", "steps", "images", "hours", "L_simple", "L_u", "UAL",
    ];
    let mut table = Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    for phase in ["backbone", "joint"] {
        let lines: Vec<LogLine> = read_lines(&folder.join(format!("{phase}_training.jsonl")))?;
        let last = lines
            .last()
            .with_context(|| format!("the log of phase {phase} is empty"))?;
        let starts = std::iter::once(0).chain(lines.iter().map(|line| line.images));
        let seconds = starts
            .zip(&lines)
            .map(|(before, line)| (line.images - before) as f64 / line.images_per_second);
        let hours = seconds.sum::<f64>() / 3600.0;
        let optional =
            |loss: Option<f64>| loss.map_or("–".to_owned(), |loss| format!("{loss:.4}"));
        table.rows.push(vec![
            phase.to_owned(),
            last.step.to_string(),
            last.images.to_string(),
            format!("{hours:.1}"),
            format!("{:.4}", last.simple),
            optional(last.uncertainty),
            optional(last.layer_wise),
        ]);
    }
    Ok(update_between_markers(card, "training", &table.markdown())?)
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<T>, _>>()
        .with_context(|| format!("{} is damaged", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVICE: &str = "tables are not those of the committed results; run \
         `cargo run --release -p adadiff-experiments --example update_readme`";

    #[test]
    fn documents_show_the_committed_results() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let readme = fs::read_to_string(root.join("README.md")).unwrap();
        let sources = Sources {
            run: &root.join("docs/fashion_mnist"),
            paper_run: &root.join("docs/fashion_mnist_threshold"),
        };
        let made = update_readme(&readme, sources).unwrap();
        assert!(readme == made, "the README's {ADVICE}");

        let assets = root.join("experiments/assets/fashion_mnist");
        let card = fs::read_to_string(assets.join("MODEL_CARD.md")).unwrap();
        let made = update_model_card(&card, &assets).unwrap();
        assert!(card == made, "the model card's {ADVICE}");
    }
}
