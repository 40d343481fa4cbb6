//! The numbers behind a figure, beside it.

use std::path::Path;

use adadiff_storage::replace_file;
use serde::Serialize;

use super::ReportError;

/// Writes `data` as indented JSON, atomically.
///
/// # Errors
/// [`ReportError::Json`] where `data` has no JSON form, [`ReportError::Storage`] as for
/// [`replace_file`].
pub(super) fn write_json<T: Serialize>(
    path: &Path,
    what: &'static str,
    data: &T,
) -> Result<(), ReportError> {
    let mut json =
        serde_json::to_string_pretty(data).map_err(|source| ReportError::Json { what, source })?;
    json.push('\n');
    Ok(replace_file(path, json.as_bytes())?)
}
