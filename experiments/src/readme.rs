//! Tables of the README and of the model card, made from committed results.

use std::fs;
use std::path::Path;

use adadiff_train::LogLine;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::presentation::timing_table;
use crate::report::{Table, read_rows, update_between_markers};
use crate::timing::Timing;

/// The README with its tables made anew from the results in `folder`.
///
/// # Errors
/// Where a file of results is missing or damaged, or the README lacks a marker.
pub fn update_readme(readme: &str, folder: &Path) -> Result<String> {
    let rows = read_rows(&folder.join("results.jsonl"))?;
    let timings: Vec<Timing> = read_lines(&folder.join("timing.jsonl"))?;
    let readme = update_between_markers(readme, "results", &Table::of_results(&rows).markdown())?;
    let timing = timing_table(&timings).markdown();
    Ok(update_between_markers(&readme, "timing", &timing)?)
}

/// The model card with its table made anew from the training logs in `folder`.
///
/// # Errors
/// Where a log is missing or damaged, or the card lacks a marker.
pub fn update_model_card(card: &str, folder: &Path) -> Result<String> {
    let heading = ["phase", "steps", "images", "L_simple", "L_u", "UAL"];
    let mut table = Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    for phase in ["backbone", "joint"] {
        let lines: Vec<LogLine> = read_lines(&folder.join(format!("{phase}_training.jsonl")))?;
        let last = lines
            .last()
            .with_context(|| format!("the log of phase {phase} is empty"))?;
        let optional =
            |loss: Option<f64>| loss.map_or("–".to_owned(), |loss| format!("{loss:.4}"));
        table.rows.push(vec![
            phase.to_owned(),
            last.step.to_string(),
            last.images.to_string(),
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
        let made = update_readme(&readme, &root.join("docs/fashion_mnist")).unwrap();
        assert!(readme == made, "the README's {ADVICE}");

        let assets = root.join("experiments/assets/fashion_mnist");
        let card = fs::read_to_string(assets.join("MODEL_CARD.md")).unwrap();
        let made = update_model_card(&card, &assets).unwrap();
        assert!(card == made, "the model card's {ADVICE}");
    }
}
