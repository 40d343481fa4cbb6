//! A figure on disk: pictures and, beside them, everything that they were drawn from.

use std::path::Path;

use adadiff_report::{Chart, Figure};
use adadiff_storage::{read_json, write_atomically};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name::FigureName;
use crate::results::DrawKey;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureFile {
    pub figure: FigureName,
    /// What it depends on; absent where it is drawn from the lines of results.
    pub key: Option<DrawKey>,
    pub title: String,
    /// What its reader should know.
    pub caption: String,
    /// The chart, where it is one.
    pub chart: Option<Chart>,
    pub data: Value,
}

impl FigureFile {
    /// Reads a figure; nothing where it was not drawn.
    ///
    /// # Errors
    /// Where its file is damaged.
    pub fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        Ok(read_json(&folder.join(format!("{name}.json")))?)
    }

    /// Writes the chart's pictures and the data.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        if let Some(chart) = &self.chart {
            chart.write_pictures(folder, name)?;
        }
        // Last, so that data without pictures never count as a figure that is there.
        let mut json = serde_json::to_vec(self)?;
        json.push(b'\n');
        Ok(write_atomically(
            &folder.join(format!("{name}.json")),
            &json,
        )?)
    }

    /// The figure for the HTML report.
    ///
    /// # Errors
    /// Where its picture cannot be read.
    pub fn figure(&self, folder: &Path, name: &str) -> Result<Figure> {
        let caption = format!("{}. {}", self.title, self.caption);
        if let Some(chart) = &self.chart {
            return Ok(chart.figure(caption)?);
        }
        let path = folder.join(format!("{name}.svg"));
        let svg = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Figure::svg(&svg, &self.title, caption))
    }
}
