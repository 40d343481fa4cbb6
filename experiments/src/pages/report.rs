//! The HTML report of a folder of results.

use std::path::PathBuf;

use adadiff_report::{Figure, Report, Section};
use anyhow::Result;

use super::{ResultsView, claims, facts, program};
use crate::results::{Results, note_on_features};

/// Writes `report.html` into the folder of results.
///
/// # Errors
/// Where a file of the folder is damaged or cannot be written.
pub fn write_report(results: &Results) -> Result<PathBuf> {
    let ResultsView {
        preset,
        tables,
        figures,
    } = ResultsView::new(results)?;
    let mut sections = Vec::new();
    let found = claims(results, &preset)?.into_iter().map(|claim| {
        let verdict = claim.verdict.to_string();
        (
            Some(verdict),
            format!("{} {}", claim.statement, claim.evidence),
        )
    });
    let found: Vec<_> = found.collect();
    if !found.is_empty() {
        sections.push(Section {
            heading: "What holds".to_owned(),
            text: Vec::new(),
            figures: vec![Figure::list(&found)],
        });
    }
    for (table, rendered) in &tables {
        let notes = rendered.notes.iter().map(|note| (None, note.clone()));
        sections.push(Section {
            heading: table.title(),
            text: Vec::new(),
            figures: vec![
                Figure::table(&rendered.table, ""),
                Figure::list(&notes.collect::<Vec<_>>()),
            ],
        });
    }
    let folder = results.figures();
    let drawn = figures
        .iter()
        .map(|(file, figure)| figure.figure(&folder, file));
    let drawn: Vec<Figure> = drawn.collect::<Result<_>>()?;
    if !drawn.is_empty() {
        sections.push(Section {
            heading: "Figures".to_owned(),
            text: vec![
                "Point at a marker to read its numbers; choose a picture to enlarge it.".to_owned(),
            ],
            figures: drawn,
        });
    }
    let rows = results.quality.all();
    let features = rows.first().map_or("", |line| line.key.features.as_str());
    let program = program(preset.data);
    let report = Report {
        title: format!("AdaDiff on {}: tables and figures", preset.data.title()),
        summary: format!(
            "Tables: {}. Figures: {}. Measured rows that they are drawn from: {}.",
            tables.len(),
            figures.len(),
            rows.len()
        ),
        facts: facts(results, &preset),
        command: format!(
            "{program} table all --results {0}\n{program} figure all --results {0}",
            results.folder().display()
        ),
        preset: preset.to_toml()?,
        sections,
        notes: vec![
            note_on_features(features).to_owned(),
            "GFLOPs count two operations for each multiply-add of matrix products and \
             convolutions, estimators included."
                .to_owned(),
            "Every row is a line of quality.jsonl or timing.jsonl, with everything that it depends \
             on."
            .to_owned(),
        ],
    };
    let path = results.folder().join("report.html");
    report.write(&path)?;
    Ok(path)
}
