//! One page that shows a run and needs nothing but itself: no network, no other file.

use std::path::Path;

use adadiff_storage::replace_file;

use super::{Figure, ReportError};

/// A part of the page under a heading of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// Paragraphs in front of the figures.
    pub text: Vec<String>,
    /// The figures, below each other.
    pub figures: Vec<Figure>,
}

/// What a page says. All of it is plain text and is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The page's title.
    pub title: String,
    /// The outcome in a sentence or two.
    pub summary: String,
    /// How it was run, as names and values: preset, device, seed, version.
    pub facts: Vec<(String, String)>,
    /// The command that repeats the run.
    pub command: String,
    /// The preset that was used, in full.
    pub preset: String,
    /// The sections in order.
    pub sections: Vec<Section>,
    /// What a reader should know of the figures: how they were measured, what they do not say.
    pub notes: Vec<String>,
}

// The browser itself refuses whatever would come from elsewhere.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                      script-src 'unsafe-inline'";
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

impl Report {
    /// The page.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let facts: String = self
            .facts
            .iter()
            .map(|(name, value)| {
                format!(
                    "<div><dt>{}</dt><dd>{}</dd></div>\n",
                    escape(name),
                    escape(value)
                )
            })
            .collect();
        let sections: String = self.sections.iter().map(Section::html).collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("<li>{}</li>\n", escape(note)))
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p class=\"summary\">{summary}</p>\n{sections}\
             <section>\n<h2>How it was run</h2>\n<dl>\n{facts}</dl>\n\
             <pre>{command}</pre>\n\
             <details><summary>Preset</summary>\n<pre>{preset}</pre></details>\n</section>\n\
             <section>\n<h2>Notes</h2>\n<ul>\n{notes}</ul>\n</section>\n\
             </main>\n<dialog></dialog>\n\
             <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            summary = escape(&self.summary),
            command = escape(&self.command),
            preset = escape(&self.preset),
        )
    }

    /// Writes the page to `path`, atomically.
    ///
    /// # Errors
    /// [`ReportError::Storage`] where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        Ok(replace_file(path, self.html().as_bytes())?)
    }
}

impl Section {
    fn html(&self) -> String {
        let text: String = self
            .text
            .iter()
            .map(|paragraph| format!("<p>{}</p>\n", escape(paragraph)))
            .collect();
        let figures: String = self.figures.iter().map(Figure::html).collect();
        format!(
            "<section>\n<h2>{}</h2>\n{text}<div class=\"gallery\">\n{figures}</div>\n</section>\n",
            escape(&self.heading)
        )
    }
}

/// `text` as it may stand between tags and inside quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::curve::example_curve;
    use super::super::{ExitHeatmap, Table};
    use super::*;

    const HOSTILE: &str = "<script>alert('1 & 2')</script>\"";

    fn example() -> Result<Report, ReportError> {
        let exits: [(f64, &[u32]); 2] = [(999.0, &[1, 2]), (12.0, &[13, 13])];
        let table = Table {
            heading: vec!["method".into()],
            rows: vec![vec!["full model".into()]],
        };
        let figures = vec![
            Figure::table(&table, HOSTILE),
            example_curve().figure()?,
            ExitHeatmap::of_exits(13, exits)?.figure()?,
            Figure::png(b"png", HOSTILE, HOSTILE),
        ];
        Ok(Report {
            title: HOSTILE.into(),
            summary: HOSTILE.into(),
            facts: vec![(HOSTILE.into(), HOSTILE.into())],
            command: HOSTILE.into(),
            preset: HOSTILE.into(),
            sections: vec![Section {
                heading: HOSTILE.into(),
                text: vec![HOSTILE.into()],
                figures,
            }],
            notes: vec![HOSTILE.into()],
        })
    }

    #[test]
    fn all_text_is_escaped() -> Result<(), ReportError> {
        let html = example()?.html();
        assert!(!html.contains("<script>alert"));
        // Title twice; summary; fact's name and value; command; preset; heading; paragraph; note;
        // three in figures.
        let escaped = "&lt;script&gt;alert(&#39;1 &amp; 2&#39;)&lt;/script&gt;&quot;";
        assert_eq!(html.matches(escaped).count(), 13);
        Ok(())
    }

    #[test]
    fn nothing_is_fetched() -> Result<(), ReportError> {
        let html = example()?.html();
        for reference in ["http:", "https:", "src=\"//", "url(", "@import", "<link"] {
            assert!(!html.contains(reference), "{reference}");
        }
        assert_eq!(
            html.matches("src=\"").count(),
            html.matches("src=\"data:image/").count()
        );
        assert!(html.contains("default-src 'none'"));
        Ok(())
    }
}
