//! How closely stored latents are looked at.

/// What is looked at when a folder of latents is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// The index, and the lengths and headers of all files: takes no time.
    Sizes,
    /// Every byte too: reads the folder whole.
    Checksums,
}
