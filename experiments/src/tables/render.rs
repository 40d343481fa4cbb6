//! Tables for terminals, documents and pages, drawn from the lines of results.

use adadiff_report::{Table, decimals};

use crate::results::{MeanAndSpread, RecordedRow, RecordedTable, ResultRow, Results, TableName};

/// A table and what its reader should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedTable {
    pub table: Table,
    /// Sentences below it: what a number is, and what is missing.
    pub notes: Vec<String>,
}

/// A column of numbers that not every row has.
struct Optional {
    heading: &'static str,
    number: fn(&ResultRow) -> Option<f64>,
    decimals: usize,
    note: &'static str,
    /// The table that alone has it.
    only: Option<TableName>,
}

/// These columns, which stand where some row has them.
const OPTIONAL: [Optional; 5] = [
    Optional {
        heading: "PSNR",
        number: |row| row.psnr,
        decimals: 1,
        note: "PSNR in dB, up to 58.9, tells how near images are to the full model's of the same noise: \
               the mean over up to 512 images of each seed.",
        only: None,
    },
    Optional {
        heading: "SSIM",
        number: |row| row.ssim,
        decimals: 3,
        note: "SSIM tells the same of their structure (Wang et al. 2004, Gaussian windows of 11 x 11 pixels).",
        only: None,
    },
    Optional {
        heading: "KiB kept",
        number: |row| row.bytes_per_sample.map(|bytes| bytes as f64 / 1024.0),
        decimals: 0,
        note: "KiB kept are what a method remembers of a sample from one network evaluation to the next.",
        only: None,
    },
    Optional {
        heading: "by step",
        number: |row| row.explained.map(|[step, _]| 100.0 * step),
        decimals: 1,
        note: "By step and by sample: how much of the variance of exit depths they explain, in per cent, over up to \
               512 samples of each seed.",
        only: Some(TableName::BySample),
    },
    Optional {
        heading: "by sample",
        number: |row| row.explained.map(|[_, sample]| 100.0 * sample),
        decimals: 1,
        note: "What neither explains is how samples differ within a step, otherwise in each. Rows of before 2026-12 lack \
               both.",
        only: Some(TableName::BySample),
    },
];

/// What stands where nothing was measured.
const DASH: &str = "–";

impl RenderedTable {
    pub fn new(results: &Results, drawn: &RecordedTable) -> Self {
        let rows: Vec<RenderedRow<'_>> = drawn
            .entries
            .iter()
            .map(|entry| RenderedRow::new(results, drawn, entry))
            .collect();
        let digits = Digits::new(&rows);
        let features = rows.iter().find_map(|row| row.first());
        let metric = features.map_or("FD".to_owned(), |row| metric_name(&row.features));
        let has_published = rows.iter().any(|row| row.entry.published.is_some());
        let at_equal_time = drawn.table == TableName::Methods;

        let shows = |number: fn(&ResultRow) -> Option<f64>| {
            let mut rows = rows.iter().flat_map(|row| &row.qualities);
            rows.any(|row| number(row).is_some())
        };
        let others: Vec<&Optional> = OPTIONAL
            .iter()
            .filter(|other| other.only.is_none_or(|only| only == drawn.table))
            .filter(|other| shows(other.number))
            .collect();

        let mut heading = vec!["method".to_owned(), metric, "samples".to_owned()];
        heading.extend(others.iter().map(|other| other.heading.to_owned()));
        if has_published {
            heading.push("published".to_owned());
        }
        heading.extend(
            ["mean blocks", "reduction", "GFLOPs", "s/image", "speed-up"].map(str::to_owned),
        );
        if at_equal_time {
            heading.push("time of AdaDiff".to_owned());
        }
        let cells = rows.iter().map(|row| {
            let mut cells = vec![row.entry.label.clone(), row.distance(digits), row.samples()];
            cells.extend(others.iter().map(|other| row.optional(other)));
            if has_published {
                let published = row.entry.published.as_ref();
                cells.push(published.map_or(DASH.to_owned(), |published| published.figure.clone()));
            }
            cells.extend(row.cost(digits));
            if at_equal_time {
                cells.push(
                    row.ratio
                        .map_or(DASH.to_owned(), |ratio| format!("{ratio:.2}×")),
                );
            }
            cells
        });
        Self {
            table: Table {
                heading,
                rows: cells.collect(),
            },
            notes: [
                notes(drawn, &rows),
                others.iter().map(|other| other.note.to_owned()).collect(),
            ]
            .concat(),
        }
    }

    /// The table in Markdown with its notes.
    pub fn markdown(&self) -> String {
        let notes = self.notes.iter().map(|note| format!("- {note}\n"));
        let notes: String = notes.collect();
        if notes.is_empty() {
            self.table.markdown()
        } else {
            format!("{}\n{notes}", self.table.markdown())
        }
    }

    /// The table for a terminal with its notes.
    pub fn terminal(&self) -> String {
        let notes = self.notes.iter().map(|note| format!("{note}\n"));
        format!("{}{}", self.table.terminal(), notes.collect::<String>())
    }
}

/// What a distance over these features is called: FID is the one of FID's own network alone.
pub fn metric_name(features: &str) -> String {
    match features {
        "inception-2015-12-05" => "FID".to_owned(),
        features => format!("FD ({features})"),
    }
}

/// What is known of an entry.
struct RenderedRow<'a> {
    entry: &'a RecordedRow,
    qualities: Vec<&'a ResultRow>,
    seconds: Option<f64>,
    speedup: Option<f64>,
    /// Its time over AdaDiff's.
    ratio: Option<f64>,
}

/// Decimals of the columns whose numbers have no natural size.
#[derive(Clone, Copy)]
struct Digits {
    distance: usize,
    gflops: usize,
    seconds: usize,
}

impl Digits {
    fn new(rows: &[RenderedRow<'_>]) -> Self {
        let results = || rows.iter().flat_map(|row| row.qualities.iter());
        Self {
            distance: decimals(results().map(|row| row.frechet_distance)),
            gflops: decimals(results().map(|row| row.gflops_per_image)),
            seconds: decimals(rows.iter().filter_map(|row| row.seconds)),
        }
    }
}

impl<'a> RenderedRow<'a> {
    fn new(results: &'a Results, drawn: &'a RecordedTable, entry: &'a RecordedRow) -> Self {
        let time = results.comparable_time(drawn, entry);
        // The time that others match is AdaDiff's own, the second row's.
        let target = drawn.entries.get(1).and_then(|target| results.time(target));
        let by_turns = time.zip(target);
        let by_turns = by_turns.map(|(time, target)| time.over(target));
        let matched = results.matched(entry).map(|matched| matched.time_ratio);
        Self {
            entry,
            qualities: results.qualities(entry).collect(),
            seconds: time.map(|time| time.seconds_per_image),
            speedup: time.map(|time| time.speedup()),
            ratio: by_turns.or(matched),
        }
    }

    fn first(&self) -> Option<&'a ResultRow> {
        self.qualities.first().copied()
    }

    fn mean(&self, number: impl Fn(&ResultRow) -> f64) -> Option<MeanAndSpread> {
        MeanAndSpread::from_numbers(self.qualities.iter().map(|row| number(row)))
    }

    fn distance(&self, digits: Digits) -> String {
        let distance = self.mean(|row| row.frechet_distance);
        distance.map_or(DASH.to_owned(), |distance| distance.text(digits.distance))
    }

    fn optional(&self, other: &Optional) -> String {
        let numbers = self.qualities.iter().filter_map(|row| (other.number)(row));
        let mean = MeanAndSpread::from_numbers(numbers);
        mean.map_or(DASH.to_owned(), |mean| {
            format!("{:.*}", other.decimals, mean.mean)
        })
    }

    fn samples(&self) -> String {
        match (self.first(), self.qualities.len()) {
            (None, _) => DASH.to_owned(),
            (Some(row), 1) => row.samples.to_string(),
            (Some(row), seeds) => format!("{} × {seeds}", row.samples),
        }
    }

    /// Mean blocks, reduction, operations, seconds and speed-up.
    fn cost(&self, digits: Digits) -> [String; 5] {
        let dash = || DASH.to_owned();
        let blocks = self.first().zip(self.mean(|row| row.blocks_mean));
        let blocks =
            blocks.map(|(row, mean)| format!("{:.2} of {}", mean.mean, row.blocks_per_prediction));
        let reduction = self.mean(|row| row.block_reduction);
        let gflops = self.mean(|row| row.gflops_per_image);
        [
            blocks.unwrap_or_else(dash),
            reduction.map_or_else(dash, |share| format!("{:.1} %", 100.0 * share.mean)),
            gflops.map_or_else(dash, |gflops| format!("{:.*}", digits.gflops, gflops.mean)),
            self.seconds
                .map_or_else(dash, |seconds| format!("{seconds:.*}", digits.seconds)),
            self.speedup
                .map_or_else(dash, |speedup| format!("{speedup:.2}×")),
        ]
    }
}

fn notes(drawn: &RecordedTable, rows: &[RenderedRow<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    if rows.iter().any(|row| row.qualities.len() > 1) {
        notes.push("± is the standard deviation over seeds.".to_owned());
    }
    if rows.iter().any(|row| row.seconds.is_some()) {
        notes.push(
            "Seconds are the full model's over speed-ups, which are medians of short runs in which the \
             methods took turns with each other and with the full model."
                .to_owned(),
        );
    }
    let mut sources = Vec::new();
    for published in rows.iter().filter_map(|row| row.entry.published.as_ref()) {
        let note = format!("Published, {}: {}.", published.figure, published.source);
        if !sources.contains(&note) {
            sources.push(note);
        }
    }
    notes.extend(sources);
    if drawn.table == TableName::Methods {
        notes.push(format!(
            "The knob of each method is set so that its measured time is the nearest to AdaDiff's; \
             a match is within {:.0} %.",
            100.0 * drawn.tolerance
        ));
        for row in rows.iter().filter(|row| row.entry.matched.is_some()) {
            let Some(ratio) = row.ratio else { continue };
            if (ratio - 1.0).abs() > drawn.tolerance {
                notes.push(format!(
                    "{}: no setting is nearer than {ratio:.2} times AdaDiff's time.",
                    row.entry.label
                ));
            }
        }
    }
    if drawn.table == TableName::BySample {
        notes.push(
            "The oracle leaves as `allocated` does, by the true difference of every block's noise prediction from the \
             last one's in the place of its estimate. To know it all blocks run, which its time shows; counted are \
             those up to the exit."
                .to_owned(),
        );
    }
    let missing = rows.iter().filter_map(|row| {
        let reason = row.entry.missing.as_ref()?;
        Some(format!("{}: {reason}.", row.entry.label))
    });
    notes.extend(missing);
    notes
}

#[cfg(test)]
mod tests {
    use super::super::examples::example;
    use super::*;
    use crate::presets::Protocol;

    #[test]
    fn a_table_shows_means_spreads_times_and_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (results, drawn) = example(folder.path(), TableName::Methods);
        let rendered = RenderedTable::new(&results, &drawn);
        assert_eq!(
            rendered.markdown(),
            "\
| method         | FD (fashion-cnn) | samples | published | mean blocks | reduction | GFLOPs | s/image | speed-up | time of AdaDiff |
|:---------------|-----------------:|--------:|----------:|------------:|----------:|-------:|--------:|---------:|----------------:|
| full model     |      4.25 ± 0.35 | 512 × 2 |  FID 3.11 | 13.00 of 13 |     0.0 % |   8.12 |  0.0320 |    1.00× |           2.00× |
| AdaDiff        |             5.50 |     512 |         – |  7.15 of 13 |    45.0 % |   4.50 |  0.0160 |    2.00× |           1.00× |
| static depth 7 |            31.50 |     512 |         – |  7.00 of 13 |    46.2 % |   4.38 |  0.0180 |    1.78× |           1.12× |
| BERxiT         |                – |       – |         – |           – |         – |      – |       – |        – |               – |

- ± is the standard deviation over seeds.
- Seconds are the full model's over speed-ups, which are medians of short runs in which the methods took turns with each other and with the full model.
- Published, FID 3.11: a paper.
- The knob of each method is set so that its measured time is the nearest to AdaDiff's; a match is within 5 %.
- static depth 7: no setting is nearer than 1.12 times AdaDiff's time.
- BERxiT: not measured: checkpoint x missing.
"
        );
    }

    #[test]
    fn tables_without_times_have_dashes_and_no_column_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let (results, mut drawn) = example(folder.path(), TableName::Solvers);
        for entry in &mut drawn.entries {
            entry.timing = None;
            entry.published = None;
        }
        let rendered = RenderedTable::new(&results, &drawn);
        let columns = ["method", "FD (fashion-cnn)", "samples", "mean blocks"];
        assert_eq!(rendered.table.heading[..4], columns);
        assert_eq!(rendered.table.heading.len(), 8);
        assert_eq!(rendered.table.rows[0][6..], [DASH, DASH]);
    }

    #[test]
    fn similarity_and_memory_have_columns_where_a_row_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let (results, drawn) = example(folder.path(), TableName::Solvers);
        let mut rows = crate::results::examples::example_rows();
        rows[1].psnr = Some(31.25);
        rows[1].bytes_per_sample = Some(12 * 1024);
        let mut with = RenderedRow::new(&results, &drawn, &drawn.entries[0]);
        with.qualities = vec![&rows[1], &rows[0]];
        let cells = OPTIONAL.map(|other| with.optional(&other));
        assert_eq!(cells, ["31.2", DASH, "12", DASH, DASH]);
    }

    #[test]
    fn only_the_distance_over_inceptions_features_is_an_fid() {
        assert_eq!(metric_name("inception-2015-12-05"), "FID");
        assert_eq!(metric_name("pixels-4x4"), "FD (pixels-4x4)");
    }

    #[test]
    fn tables_of_other_protocols_lie_beside_the_presets() {
        let folder = tempfile::tempdir().unwrap();
        let (results, own) = example(folder.path(), TableName::Methods);
        let of = |solver: &str, steps| RecordedTable {
            protocol: Some(Protocol {
                solver: solver.to_owned(),
                steps,
            }),
            ..own.clone()
        };
        let others = [of("ddim", 50), of("euler_maruyama", 1000)];
        for table in others.iter().rev() {
            results.write_table(table).unwrap();
        }
        let path = results.table_path(&others[0], "md");
        assert!(path.ends_with("tables/methods-ddim-50.md"));
        assert_eq!(
            others[1].title(),
            "Other methods at equal measured time: euler_maruyama in 1000 steps"
        );
        assert_eq!(
            results.table(TableName::Methods).unwrap(),
            Some(own.clone())
        );
        let found = results.tables(TableName::Methods).unwrap();
        assert_eq!(found, [vec![own], others.to_vec()].concat());
        assert_eq!(results.tables(TableName::Ual).unwrap(), []);
    }
}
