//! Work that ends when its visitor leaves.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use adadiff_pipeline::Monitor;

use crate::event::Event;
use crate::feed::Feed;

/// How often a visitor is told how far something is.
const INTERVAL: Duration = Duration::from_millis(100);

/// Ends when nobody reads the feed any more.
pub struct WhileRead<'a>(pub &'a Feed);

impl Monitor for WhileRead<'_> {
    fn stopped(&self) -> bool {
        self.0.is_gone()
    }
}

/// Tells the feed how far something is that comes before drawing, and ends when nobody reads it any more.
pub struct Preparation<'a> {
    feed: &'a Feed,
    what: &'a str,
    progress: Mutex<Progress>,
}

struct Progress {
    done: u64,
    expected: u64,
    told: Option<Instant>,
}

impl<'a> Preparation<'a> {
    /// Tells of `what`.
    pub fn new(feed: &'a Feed, what: &'a str) -> Self {
        let progress = Progress {
            done: 0,
            expected: 0,
            told: None,
        };
        Self {
            feed,
            what,
            progress: Mutex::new(progress),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        if progress.told.is_none_or(|told| told.elapsed() >= INTERVAL) {
            progress.told = Some(Instant::now());
            self.feed.send(&Event::Stage {
                what: self.what.to_owned(),
                done: progress.done,
                expected: progress.expected,
            });
        }
    }
}

impl Monitor for Preparation<'_> {
    fn expect(&self, evaluations: u64) {
        self.change(|progress| progress.expected += evaluations);
    }

    fn advance(&self, evaluations: u64) {
        self.change(|progress| progress.done += evaluations);
    }

    fn stopped(&self) -> bool {
        self.feed.is_gone()
    }
}
