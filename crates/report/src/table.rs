//! The table of a run: one source for the terminal, Markdown documents and the HTML page.

use std::fmt::Write;

use super::ReportError;

/// A table of text. The first column is aligned left, the others, which hold numbers, right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The columns' headings.
    pub heading: Vec<String>,
    /// The cells of each row, as many as there are headings.
    pub rows: Vec<Vec<String>>,
}

impl Table {
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
pub fn decimals(values: impl Iterator<Item = f64>) -> usize {
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
    use super::*;

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
