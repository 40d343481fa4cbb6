//! The table of a run: one source for the terminal, Markdown documents and the HTML page.

use std::fmt::Write;

use super::{ReportError, ResultRow};

/// A table of text. The first column is aligned left, the others, which hold numbers, right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The columns' headings.
    pub heading: Vec<String>,
    /// The cells of each row, as many as there are headings.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Quality, cost and speed of each row, with as many decimals as the column's smallest number
    /// needs for three significant digits.
    pub fn of_results(rows: &[ResultRow]) -> Self {
        let one_extractor = rows
            .windows(2)
            .all(|pair| pair[0].features == pair[1].features);
        let (distance_heading, extractor_in_cell) = match rows.first() {
            Some(row) if one_extractor => (format!("FD ({})", row.features), false),
            _ => ("FD".to_owned(), true),
        };
        let heading = [
            "method",
            "samples",
            &distance_heading,
            "mean blocks",
            "reduction",
            "GFLOPs per image",
            "seconds per image",
            "speed-up",
        ];
        let distance_decimals = decimals(rows.iter().map(|row| row.frechet_distance));
        let gflops_decimals = decimals(rows.iter().map(|row| row.gflops_per_image));
        let seconds_decimals = decimals(rows.iter().map(|row| row.seconds_per_image));
        let cells = |row: &ResultRow| {
            let mut distance = format!("{:.*}", distance_decimals, row.frechet_distance);
            if extractor_in_cell {
                distance = format!("{distance} ({})", row.features);
            }
            vec![
                row.to_string(),
                row.samples.to_string(),
                distance,
                format!("{:.2} of {}", row.blocks_mean, row.blocks_per_prediction),
                format!("{:.1} %", 100.0 * row.block_reduction),
                format!("{:.*}", gflops_decimals, row.gflops_per_image),
                format!("{:.*}", seconds_decimals, row.seconds_per_image),
                row.speedup
                    .map_or_else(|| "–".to_owned(), |speedup| format!("{speedup:.2}×")),
            ]
        };
        Self {
            heading: heading.map(str::to_owned).to_vec(),
            rows: rows.iter().map(cells).collect(),
        }
    }

    /// The table in Markdown, its columns padded so that the source reads as a table, too.
    pub fn markdown(&self) -> String {
        let escaped = Self {
            heading: escape_markdown(&self.heading),
            rows: self.rows.iter().map(|row| escape_markdown(row)).collect(),
        };
        let widths = escaped.widths();
        let mut text = escaped.line(&escaped.heading, &widths, "| ", " | ", " |\n");
        for (column, &width) in widths.iter().enumerate() {
            let (left, right) = if column == 0 { (":", "-") } else { ("-", ":") };
            text += &format!("|{left}{}{right}", "-".repeat(width));
        }
        text += "|\n";
        for row in &escaped.rows {
            text += &escaped.line(row, &widths, "| ", " | ", " |\n");
        }
        text
    }

    /// The table for a terminal: padded columns, a rule under the heading.
    pub fn terminal(&self) -> String {
        let widths = self.widths();
        let mut text = self.line(&self.heading, &widths, "", "  ", "\n");
        let rule = widths
            .iter()
            .map(|&width| "─".repeat(width))
            .collect::<Vec<_>>()
            .join("  ");
        text += &rule;
        text.push('\n');
        for row in &self.rows {
            text += &self.line(row, &widths, "", "  ", "\n");
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |cell: &String| cell.chars().count();
        let mut widths: Vec<usize> = self.heading.iter().map(width).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        widths
    }

    fn line(
        &self,
        cells: &[String],
        widths: &[usize],
        begin: &str,
        between: &str,
        end: &str,
    ) -> String {
        let mut line = begin.to_owned();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "{between}{cell:>width$}"),
            };
        }
        line + end
    }
}

/// Replaces what stands between the lines `<!-- NAME:begin -->` and `<!-- NAME:end -->` of a
/// Markdown `document` by `content`, and leaves the rest as it is.
///
/// # Errors
/// [`ReportError::Marker`] where a marker is missing, stands more than once, or the end stands
/// before the beginning.
pub fn update_between_markers(
    document: &str,
    name: &str,
    content: &str,
) -> Result<String, ReportError> {
    let fail = |problem| ReportError::Marker {
        name: name.to_owned(),
        problem,
    };
    let begin = format!("<!-- {name}:begin -->");
    let end = format!("<!-- {name}:end -->");
    let (before, rest) = document
        .split_once(&begin)
        .ok_or_else(|| fail("the first was not found"))?;
    let (_, after) = rest
        .split_once(&end)
        .ok_or_else(|| fail("the second was not found after the first"))?;
    if rest.contains(&begin) || before.contains(&end) || after.contains(&end) {
        return Err(fail("one of them stands more than once"));
    }
    Ok(format!(
        "{before}{begin}\n{}\n{end}{after}",
        content.trim_end()
    ))
}

/// Decimals with which the smallest positive value has three significant digits, at most six.
pub(crate) fn decimals(values: impl Iterator<Item = f64>) -> usize {
    let smallest = values
        .filter(|&value| value > 0.0)
        .fold(f64::INFINITY, f64::min);
    if !smallest.is_finite() {
        return 2;
    }
    (2.0 - smallest.log10().floor()).clamp(0.0, 6.0) as usize
}

fn escape_markdown(cells: &[String]) -> Vec<String> {
    cells.iter().map(|cell| cell.replace('|', "\\|")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::example_rows;
    use super::*;

    #[test]
    fn markdown_of_a_run() {
        let rows = example_rows();
        assert_eq!(
            Table::of_results(&[rows[0].clone(), rows[3].clone()]).markdown(),
            "\
| method               | samples | FD (fashion-cnn) | mean blocks | reduction | GFLOPs per image | seconds per image | speed-up |
|:---------------------|--------:|-----------------:|------------:|----------:|-----------------:|------------------:|---------:|
| full model           |     512 |             4.25 | 13.00 of 13 |     0.0 % |             8.12 |            0.1250 |    1.00× |
| AdaDiff, target 45 % |     512 |             5.50 |  7.15 of 13 |    45.0 % |             4.50 |            0.0725 |    1.72× |
"
        );
    }

    #[test]
    fn terminal_of_a_run() {
        let text = Table::of_results(&example_rows()).terminal();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == lines[0].chars().count())
        );
        assert_eq!(
            lines[3].split_whitespace().collect::<Vec<_>>().join(" "),
            "static depth 7 512 31.50 7.00 of 13 46.2 % 4.38 0.0673 1.86×"
        );
    }

    #[test]
    fn extractors_that_differ_are_named_in_each_cell() {
        let mut rows = example_rows();
        rows[1].features = "inception".into();
        let table = Table::of_results(&rows);
        assert_eq!(table.heading[2], "FD");
        assert_eq!(table.rows[0][2], "4.25 (fashion-cnn)");
        assert_eq!(table.rows[1][2], "31.50 (inception)");
    }

    #[test]
    fn small_numbers_keep_three_digits() {
        assert_eq!(decimals([12.0, 0.00123].into_iter()), 5);
        assert_eq!(decimals([123.0, 4567.0].into_iter()), 0);
        assert_eq!(decimals([0.0].into_iter()), 2);
    }

    #[test]
    fn text_between_markers_is_replaced() -> Result<(), ReportError> {
        let document = "# Title\n\n<!-- run:begin -->\nold\n<!-- run:end -->\n\nEnd\n";
        let updated = update_between_markers(document, "run", "| new |\n")?;
        assert_eq!(
            updated,
            "# Title\n\n<!-- run:begin -->\n| new |\n<!-- run:end -->\n\nEnd\n"
        );
        assert_eq!(
            update_between_markers(&updated, "run", "| new |\n")?,
            updated
        );
        Ok(())
    }

    #[test]
    fn markers_that_are_not_there_are_reported() {
        for document in [
            "no marker",
            "<!-- run:begin -->",
            "<!-- run:end --> <!-- run:begin -->",
            "<!-- run:begin --><!-- run:end --><!-- run:begin --><!-- run:end -->",
        ] {
            assert!(
                matches!(
                    update_between_markers(document, "run", "new"),
                    Err(ReportError::Marker { .. })
                ),
                "{document}"
            );
        }
    }
}
