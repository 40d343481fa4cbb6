//! Pages that are drawn from a folder of results alone: the HTML report and the document of the study.

mod claims;
mod comparison;
mod document;
pub mod readme;
mod report;

pub use claims::{Claim, ClaimVerdict, claims};
pub use comparison::Comparison;
pub use document::{TEMPLATE, update_document, write_document};
pub use report::write_report;

use anyhow::{Context, Result};

use crate::figures::{FigureFile, FigureName};
use crate::presets::{DataSet, Preset};
use crate::results::{DrawKey, RecordedTable, Results, TableName};
use crate::tables::RenderedTable;

/// Everything that a folder of results shows.
struct ResultsView {
    preset: Preset,
    tables: Vec<(RecordedTable, RenderedTable)>,
    figures: Vec<(String, FigureFile)>,
}

impl ResultsView {
    fn new(results: &Results) -> Result<Self> {
        let path = results.folder().join("preset.toml");
        let preset = Preset::read(&path).context(
            "the folder holds no results: `table` and `figure` write them with --results",
        )?;
        let mut tables = Vec::new();
        for name in TableName::for_preset(&preset) {
            for table in results.tables(name)? {
                let rendered = RenderedTable::new(results, &table);
                tables.push((table, rendered));
            }
        }
        let folder = results.figures();
        let mut figures = Vec::new();
        for name in FigureName::ALL {
            for stem in name.file_names() {
                for file in results.figure_files(stem)? {
                    if let Some(figure) = FigureFile::read(&folder, &file)? {
                        figures.push((file, figure));
                    }
                }
            }
        }
        Ok(Self {
            preset,
            tables,
            figures,
        })
    }
}

/// How results were measured, as names and values.
fn facts(results: &Results, preset: &Preset) -> Vec<(String, String)> {
    let lines = results.quality.all();
    let distinct = |value: fn(&DrawKey) -> String| {
        let mut values: Vec<String> = lines.iter().map(|line| value(&line.key.draw)).collect();
        values.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
        values.dedup();
        values.join(", ")
    };
    let checkpoint: fn(&DrawKey) -> String =
        |key| key.network.checkpoint_sha256.chars().take(16).collect();
    let facts = [
        ("Preset", preset.name.clone()),
        ("Device", distinct(|key| key.device.clone())),
        ("Samples of a row", distinct(|key| key.samples.to_string())),
        ("Seeds", distinct(|key| key.seed.to_string())),
        ("Batch", distinct(|key| key.batch.to_string())),
        ("Rows measured", lines.len().to_string()),
        ("Weights, SHA-256", distinct(checkpoint)),
        ("Version", distinct(|key| key.crate_version.clone())),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    known
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn program(data: DataSet) -> &'static str {
    match data {
        DataSet::FashionMnist => "fashion_mnist",
        DataSet::Cifar10 => "cifar10",
        DataSet::CelebA { .. } => "celeba",
        DataSet::ImageNet { .. } => "imagenet",
        DataSet::Coco { .. } => "coco",
        DataSet::Folder { .. } => "folder",
    }
}
