use adadiff_storage::StorageError;
use thiserror::Error;

/// What can go wrong when results are written, read or drawn.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ReportError {
    /// A file that could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A number that is not finite where only a finite one can be stored or drawn.
    #[error("{what} is {value}, but only a finite number can be reported")]
    NotFinite { what: String, value: f64 },
    /// Data whose parts do not fit together, or that has nothing to draw.
    #[error("{what}: expected {expected}, found {found}")]
    Data {
        what: String,
        expected: String,
        found: String,
    },
    /// An image that could not be encoded.
    #[error("could not encode a PNG image")]
    Png(#[from] image::ImageError),
    /// A figure that could not be drawn.
    #[error("could not draw {figure}: {reason}")]
    Drawing {
        figure: &'static str,
        reason: String,
    },
    /// A document without a well-formed place for a generated table.
    #[error(
        "the document needs exactly one `<!-- {name}:begin -->` line and, after it, exactly one \
         `<!-- {name}:end -->` line; {problem}"
    )]
    Marker { name: String, problem: &'static str },
}
