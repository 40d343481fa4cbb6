//! Which options to see to where a library could not do what was asked of it.

use std::error::Error;

use adadiff_backends::BackendError;
use adadiff_data::DataError;
use adadiff_pipeline::PipelineError;
use adadiff_storage::StorageError;

/// What a program tells of an error: what libraries say of it, and the options to see to.
pub fn describe_error(error: &anyhow::Error) -> String {
    match error.chain().find_map(options) {
        Some(options) => format!("{error:#}; see {options}"),
        None => format!("{error:#}"),
    }
}

fn options(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    use StorageError::{InUse, Occupied, OtherSettings, Unwritable};
    if let Some(InUse { .. } | Occupied { .. } | OtherSettings { .. } | Unwritable { .. }) =
        cause.downcast_ref()
    {
        Some("--out")
    } else if let Some(BackendError::Unsupported(_)) = cause.downcast_ref() {
        Some("--precision")
    } else if let Some(BackendError::NoLocalRank) = cause.downcast_ref() {
        Some("--device")
    } else if let Some(DataError::Folder { .. }) = cause.downcast_ref() {
        Some("--data")
    } else if let Some(PipelineError::NoEstimators) = cause.downcast_ref() {
        Some("--full and --depth")
    } else if let Some(PipelineError::TooFewPrompts { .. }) = cause.downcast_ref() {
        Some("`calibrate --latents` and --exit-rule")
    } else {
        None
    }
}
