//! The parts of an HTML report that are looked at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::chart::Drawing;
use super::html::escape;
use super::palette::sequential_gradient;
use super::{GridStyle, ReportError, Table, UncertaintyMaps, png_bytes};

/// One figure, ready to stand in an HTML report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    html: String,
}

impl Figure {
    /// A PNG image, as [`png_bytes`] encodes it. `description` is for those who cannot see it.
    pub fn png(png: &[u8], description: &str, caption: impl AsRef<str>) -> Self {
        Self::picture(
            "pixels",
            &data_uri("image/png", png),
            description,
            caption.as_ref(),
        )
    }

    /// An SVG document.
    pub fn svg(svg: impl AsRef<str>, description: &str, caption: impl AsRef<str>) -> Self {
        let source = data_uri("image/svg+xml", svg.as_ref().as_bytes());
        Self::picture("drawing", &source, description, caption.as_ref())
    }

    /// A chart, whose points tell their numbers where a reader points at them or goes to them by
    /// keyboard.
    pub(super) fn chart(drawing: &Drawing, description: &str, caption: impl AsRef<str>) -> Self {
        let source = data_uri("image/svg+xml", drawing.svg.as_bytes());
        let points = drawing.hotspots.iter().map(|point| {
            // What is told stays inside the chart.
            let side = match point.left {
                left if left < 0.3 => "point right",
                left if left > 0.7 => "point left",
                _ => "point",
            };
            format!(
                "<button class=\"{side}\" style=\"left:{:.2}%;top:{:.2}%\" aria-label=\"{text}\" \
                 data-text=\"{text}\"></button>\n",
                100.0 * point.left,
                100.0 * point.top,
                text = escape(&point.text),
            )
        });
        let points: String = points.collect();
        let html = format!(
            "<figure>\n<div class=\"chart\"><button class=\"enlarge\" title=\"Enlarge\"><img \
             class=\"drawing\" src=\"{source}\" alt=\"{}\"></button>\n{points}</div>\n{}</figure>\n",
            escape(description),
            caption_html(caption.as_ref())
        );
        Self { html }
    }

    /// A table of numbers.
    pub fn table(table: &Table, caption: impl AsRef<str>) -> Self {
        // Headings break between words only, not at the hyphen of a name.
        let words = |heading: &String| -> String {
            let words = heading
                .split(' ')
                .map(|word| format!("<span>{}</span>", escape(word)));
            words.collect::<Vec<_>>().join(" ")
        };
        let heading: String = table
            .heading
            .iter()
            .map(|heading| format!("<th>{}</th>", words(heading)))
            .collect();
        let cells = |cells: &[String]| -> String {
            cells
                .iter()
                .map(|cell| format!("<td>{}</td>", escape(cell)))
                .collect()
        };
        let rows: String = table
            .rows
            .iter()
            .map(|row| format!("<tr>{}</tr>\n", cells(row)))
            .collect();
        let html = format!(
            "<figure>\n<div class=\"wide\"><table>\n<thead><tr>{heading}</tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table></div>\n{}</figure>\n",
            caption_html(caption.as_ref())
        );
        Self { html }
    }

    /// A list of sentences, each behind a word that stands out where it has one.
    pub fn list(items: &[(Option<String>, String)]) -> Self {
        let items = items.iter().map(|(word, sentence)| {
            let word = word.as_deref().map(escape);
            let word = word.map_or(String::new(), |word| format!("<b>{word}.</b> "));
            format!("<li>{word}{}</li>\n", escape(sentence))
        });
        let items: String = items.collect();
        Self {
            html: format!("<ul class=\"wide\">\n{items}</ul>\n"),
        }
    }

    /// Uncertainty maps: a strip of pixels for each sample with its captions under it.
    pub(super) fn maps(maps: &UncertaintyMaps) -> Result<Self, ReportError> {
        let spans = |texts: &[String], class: &str| -> String {
            let spans: String = texts
                .iter()
                .map(|text| format!("<span>{}</span>", escape(text)))
                .collect();
            format!("<div class=\"{class}\">{spans}</div>\n")
        };
        let headings = maps.headings();
        let mut rows = spans(&headings, "columns heading");
        for row in maps.rows() {
            // The page enlarges the pixels, so that each is stored once.
            let strip = maps.strip(
                row,
                GridStyle {
                    columns: 1,
                    scale: 1,
                    gap: 1,
                },
            )?;
            rows += &format!(
                "<img class=\"pixels\" src=\"{}\" alt=\"Uncertainty maps of sample {}\">\n",
                data_uri("image/png", &png_bytes(&strip)?),
                row.sample
            );
            rows += &spans(&maps.captions(row), "columns");
        }
        let caption = "Estimated uncertainty of each pixel at the block where the sample left, at \
                       selected steps, and the image that came out. Under a map stand the blocks \
                       run in that step, under an image the sample's mean over all steps. All \
                       maps share one scale of colours.";
        let html = format!(
            "<figure>\n<div class=\"wide\"><div class=\"maps\" style=\"--columns: {}\">\n{rows}\
             </div></div>\n<p class=\"key\"><span>0</span><i style=\"background: {}\"></i>\
             <span>{:.3}</span></p>\n{}</figure>\n",
            headings.len(),
            sequential_gradient(),
            maps.maximum(),
            caption_html(caption)
        );
        Ok(Self { html })
    }

    /// The figure as HTML; all text in it is escaped.
    pub(super) fn html(&self) -> &str {
        &self.html
    }

    fn picture(class: &str, source: &str, description: &str, caption: &str) -> Self {
        let description = escape(description);
        let html = format!(
            "<figure>\n<button class=\"enlarge\" title=\"Enlarge\"><img class=\"{class}\" \
             src=\"{source}\" alt=\"{description}\"></button>\n{}</figure>\n",
            caption_html(caption)
        );
        Self { html }
    }
}

fn caption_html(caption: &str) -> String {
    if caption.is_empty() {
        return String::new();
    }
    format!("<figcaption>{}</figcaption>\n", escape(caption))
}

pub(super) fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::chart::Hotspot;
    use super::*;

    #[test]
    fn table_cells_stand_in_order() {
        let table = Table {
            heading: vec![String::new(); 3],
            rows: vec![
                ["full model", "13.00 of 13", "1.00×"]
                    .map(str::to_owned)
                    .to_vec(),
            ],
        };
        let html = Figure::table(&table, "").html;
        assert!(html.contains("<tr><td>full model</td><td>13.00 of 13</td><td>1.00×</td></tr>"));
        assert!(!html.contains("figcaption"));
    }

    #[test]
    fn points_tell_their_numbers_at_their_places() {
        let drawing = Drawing {
            svg: "<svg/>".into(),
            size: [10, 10],
            hotspots: vec![Hotspot {
                left: 0.2512,
                top: 0.5,
                text: "AdaDiff: FD < 4".into(),
            }],
        };
        let html = Figure::chart(&drawing, "distances", "").html;
        assert!(html.contains(
            "<button class=\"point right\" style=\"left:25.12%;top:50.00%\" \
             aria-label=\"AdaDiff: FD &lt; 4\" data-text=\"AdaDiff: FD &lt; 4\">"
        ));
        assert!(html.contains("src=\"data:image/svg+xml;base64,PHN2Zy8+\""));
    }

    #[test]
    fn lists_are_escaped() {
        let items = [
            (Some("Holds".to_owned()), "1 < 2".to_owned()),
            (None, "`x`".to_owned()),
        ];
        let html = Figure::list(&items).html;
        assert!(html.contains("<li><b>Holds.</b> 1 &lt; 2</li>\n<li>`x`</li>"));
    }

    #[test]
    fn pictures_are_embedded() {
        let figure = Figure::png(b"\x89PNG", "a \"grid\"", "full < adaptive");
        assert!(
            figure
                .html
                .contains("src=\"data:image/png;base64,iVBORw==\"")
        );
        assert!(figure.html.contains("alt=\"a &quot;grid&quot;\""));
        assert!(
            figure
                .html
                .contains("<figcaption>full &lt; adaptive</figcaption>")
        );
    }
}
