//! Tables of the README, of the page on performance and of the model card, made from committed results.

use std::fs;
use std::path::Path;

use adadiff_report::{Table, update_between_markers};
use adadiff_storage::read_json_lines;
use adadiff_train::LogLine;
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::methods::timing::Timing;
use crate::methods::{MethodKind, timing_table};
use crate::results::{ResultRow, results_table};

/// Where the README's tables come from, seen from the repository's root.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The main job's run.
    pub run: &'a Path,
    /// The same with the paper's exit rule.
    pub paper_run: &'a Path,
    /// A folder that `benches/compare/run` wrote.
    pub comparison: &'a Path,
}

/// The comparison with PyTorch whose table the README shows: the first folder below `benches/results`
/// that it links to. Others may lie beside it.
///
/// # Errors
/// Where it links to none.
pub fn named_comparison(readme: &str) -> Result<&Path> {
    let links = readme.split("](").skip(1);
    let targets = links.filter_map(|link| link.split(')').next());
    let mut folders = targets.filter(|target| target.starts_with("benches/results/"));
    let named = folders.next().map(Path::new);
    named.context("the README links to no folder below benches/results")
}

/// What the README shows of an entry of `compare.json`, which has more.
#[derive(Clone, Debug, Deserialize)]
struct Compared {
    title: String,
    batch: usize,
    /// The fastest that computes in the same precision.
    peer: String,
    ratio: f64,
    ours_peak_mb: f64,
    peer_peak_mb: f64,
    ours_share_of_peak: Option<f64>,
    peer_share_of_peak: Option<f64>,
}

/// The README with its tables made anew.
///
/// # Errors
/// Where a file of results is missing or damaged, or the README lacks a marker.
pub fn update_readme(readme: &str, sources: Sources<'_>) -> Result<String> {
    let rows = read_json_lines(&sources.run.join("results.jsonl"))?;
    let timings: Vec<Timing> = read_json_lines(&sources.run.join("timing.jsonl"))?;
    let curves =
        [sources.run, sources.paper_run].map(|run| read_json_lines(&run.join("curve.jsonl")));
    let [own, paper] = curves;
    let comparison = sources.comparison.join("compare.json");
    let comparison = fs::read_to_string(&comparison)
        .with_context(|| format!("cannot read {}", comparison.display()))?;
    let compared: Vec<Compared> =
        serde_json::from_str(&comparison).context("the comparison with PyTorch is damaged")?;
    let mut readme = readme.to_owned();
    for (name, table) in [
        ("results", results_table(&rows)),
        ("timing", timing_table(&timings)),
        ("rules", rules_table(&own?, &paper?)?),
        ("speed", speed_table(&compared)),
    ] {
        readme = update_between_markers(&readme, name, &table.markdown())?;
    }
    Ok(readme)
}

/// Fréchet distances of the preset's exit rule, the paper's and static depths at each budget of two
/// curves.
fn rules_table(own: &[ResultRow], paper: &[ResultRow]) -> Result<Table> {
    let rule = |rows: &[ResultRow]| {
        let rule = rows.iter().find_map(|row| row.exit_rule.clone());
        let rule = rule.context("a curve has no row of AdaDiff")?;
        anyhow::Ok(format!("`{rule}`"))
    };
    let heading = [
        "fewer blocks asked for".to_owned(),
        "samples".to_owned(),
        rule(own)?,
        rule(paper)?,
        "static depth".to_owned(),
    ];
    let cell = |row: &ResultRow| {
        format!(
            "{:.1} at {:.1} %",
            row.frechet_distance,
            100.0 * row.block_reduction
        )
    };
    let mut rows = Vec::new();
    for pair in own.windows(2) {
        let [adaptive, next] = pair else { continue };
        if adaptive.method == MethodKind::Full {
            let distance = format!("{:.1}", adaptive.frechet_distance);
            rows.push(vec![
                "0 %, the full model".to_owned(),
                adaptive.samples.to_string(),
                distance.clone(),
                distance,
                "–".to_owned(),
            ]);
        }
        let (Some(target), MethodKind::StaticDepth) = (adaptive.target_reduction, next.method)
        else {
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
        heading: heading.to_vec(),
        rows,
    })
}

/// Ratios alone: seconds and bytes are those of one machine.
fn speed_table(compared: &[Compared]) -> Table {
    let heading = [
        "case",
        "batch",
        "fastest peer",
        "times as fast",
        "memory",
        "share of the machine's peak",
        "the peer's share",
    ];
    let share = |share: Option<f64>| {
        share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
    };
    Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows: compared
            .iter()
            .map(|entry| {
                vec![
                    entry.title.clone(),
                    entry.batch.to_string(),
                    entry.peer.clone(),
                    format!("{:.2}", entry.ratio),
                    format!("{:.2}", entry.ours_peak_mb / entry.peer_peak_mb),
                    share(entry.ours_share_of_peak),
                    share(entry.peer_share_of_peak),
                ]
            })
            .collect(),
    }
}

/// The page on performance with the comparison that the README is of.
///
/// # Errors
/// Where the comparison's table is missing, or the page lacks a marker.
pub fn update_performance(page: &str, comparison: &Path) -> Result<String> {
    let path = comparison.join("table.md");
    let table =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(update_between_markers(
        page,
        "comparison",
        table.trim_end(),
    )?)
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
        let lines: Vec<LogLine> = read_json_lines(&folder.join(format!("{phase}_training.jsonl")))?;
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
            comparison: &root.join(named_comparison(&readme).unwrap()),
        };
        let made = update_readme(&readme, sources).unwrap();
        assert!(readme == made, "the README's {ADVICE}");

        let page = fs::read_to_string(root.join("docs/performance.md")).unwrap();
        let made = update_performance(&page, sources.comparison).unwrap();
        assert!(page == made, "the page on performance's {ADVICE}");

        let assets = root.join("experiments/assets/fashion_mnist");
        let card = fs::read_to_string(assets.join("MODEL_CARD.md")).unwrap();
        let made = update_model_card(&card, &assets).unwrap();
        assert!(card == made, "the model card's {ADVICE}");
    }

    #[test]
    fn the_comparison_is_the_one_that_is_named() {
        let readme = "[all](benches/results), [raw](benches/results/a), [b](benches/results/b)";
        let named = named_comparison(readme).unwrap();
        assert_eq!(named, Path::new("benches/results/a"));
        assert!(named_comparison("[all](benches/results)").is_err());
    }
}
