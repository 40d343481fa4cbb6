//! What a folder or an archive holds beside its pictures.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How many files were not taken for pictures, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Hidden files and folders, and folders that systems keep for themselves; a folder counts once.
    pub hidden: usize,
    /// Files with endings that are not read, by ending in small letters; empty where there is none.
    pub other_endings: BTreeMap<String, usize>,
    /// Pipes, sockets and devices under a picture's name.
    pub no_files: usize,
    /// Links to a folder that they lie in.
    pub loops: usize,
}

impl LeftOut {
    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How much there is beside the pictures.
    pub fn total(&self) -> usize {
        self.hidden + self.with_other_endings() + self.no_files + self.loops
    }

    /// Files with endings that are not read.
    pub fn with_other_endings(&self) -> usize {
        self.other_endings.values().sum()
    }

    /// Adds what was left out elsewhere.
    pub fn add(&mut self, other: Self) {
        self.hidden += other.hidden;
        self.no_files += other.no_files;
        self.loops += other.loops;
        for (ending, count) in other.other_endings {
            *self.other_endings.entry(ending).or_default() += count;
        }
    }

    pub(crate) fn add_ending(&mut self, path: &Path) {
        let ending = path.extension().unwrap_or_default();
        let ending = ending.to_string_lossy().to_lowercase();
        *self.other_endings.entry(ending).or_default() += 1;
    }
}

/// Continues a sentence such as "left out: ".
impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let others = self.with_other_endings();
        if others > 0 {
            let endings = self
                .other_endings
                .iter()
                .map(|(ending, count)| match ending.as_str() {
                    "" => format!("none {count}"),
                    ending => format!(".{ending} {count}"),
                });
            let endings: Vec<_> = endings.collect();
            let files = counted(
                others,
                "file with another ending",
                "files with other endings",
            );
            parts.push(format!("{files} ({})", endings.join(", ")));
        }
        for (count, one, more) in [
            (
                self.hidden,
                "hidden file or folder",
                "hidden files or folders",
            ),
            (self.no_files, "pipe or device", "pipes or devices"),
            (
                self.loops,
                "link to a folder around it",
                "links to folders around them",
            ),
        ] {
            if count > 0 {
                parts.push(counted(count, one, more));
            }
        }
        formatter.write_str(&parts.join(", "))
    }
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
