//! Files that survive what happens to long runs: interruptions, full disks and a second process.
//!
//! [`write_atomically`] replaces a file whole, [`FolderLock`] keeps other processes away from a
//! folder while it is changed, [`JsonLines`] grows by measured records, [`ResumeStore`] keeps what an
//! interrupted run continues with, [`RunFolder`] appears once a run is complete, and [`sha256_file`]
//! and [`record_id`] name by SHA-256 what a result was made from.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use adadiff_storage::JsonLines;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("distances.jsonl");
//! let mut distances = JsonLines::<u64, BTreeMap<String, f64>>::open(&path)?;
//! let seed = 7;
//! if distances.find(&seed)?.is_none() {
//!     let measured = BTreeMap::from([("distance".to_owned(), 12.5)]);
//!     distances.add(seed, measured)?;
//! }
//! // The next run measures nothing twice.
//! assert!(JsonLines::<u64, BTreeMap<String, f64>>::open(&path)?.find(&seed)?.is_some());
//! # Ok(())
//! # }
//! ```

mod atomic;
mod digest;
mod error;
mod folder_lock;
mod json_lines;
mod open;
mod output;
mod resume_store;
mod run_folder;

pub use atomic::{append, replace_file, sync_folder, write_atomically};
pub use digest::{record_id, sha256_file, sha256_hex};
pub use error::StorageError;
pub use folder_lock::FolderLock;
pub use json_lines::{
    JsonLines, Record, read_json, read_json_lines, read_json_or, to_json_lines, write_json,
};
pub use open::{open_file, read_file};
pub use output::check_output;
pub use resume_store::ResumeStore;
pub use run_folder::RunFolder;
