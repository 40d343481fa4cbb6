//! What a caller sees of long work, and how it ends it early.

/// Watches long work, and may end it.
///
/// Work is counted in evaluations of the network for one sample.
pub trait Monitor {
    /// So many more evaluations are to come.
    fn expect(&self, _evaluations: u64) {}

    /// So many are done.
    fn advance(&self, _evaluations: u64) {}

    /// What is being done now, in a few words.
    fn stage(&self, _what: &str) {}

    /// Tells of something that changes what comes out, but does not end the work.
    fn note(&self, _text: &str) {}

    /// Whether the work is to end; asked after each step of each batch.
    fn stopped(&self) -> bool {
        false
    }
}

/// Shows nothing, and lets work run to its end.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Monitor for Silent {}
