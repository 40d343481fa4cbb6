//! One drawing at a time: the others wait, and are told how many come first.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use adadiff_model::kernels::Kernels;
use serde::Serialize;

use crate::event::Event;
use crate::feed::Feed;
use crate::networks::Networks;
use crate::work::QueuedWork;

/// The most that may wait.
pub const MOST_WAITING: usize = 32;

/// Work that waits, and work that was done.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(QueuedWork, Feed)>,
    counts: Counts,
}

/// What became of the visitors' requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Whether one is carried out now.
    pub busy: bool,
    /// How many wait.
    pub waiting: usize,
    /// How many were carried out.
    pub done: u64,
    /// How many visitors left before that.
    pub left: u64,
    /// How many could not be carried out.
    pub failed: u64,
}

impl Queue {
    /// Queues work, and tells its visitor how many come first.
    ///
    /// # Errors
    /// Where too many wait already.
    pub fn push(&self, work: QueuedWork, feed: Feed) -> Result<(), String> {
        let mut state = self.state();
        state.forget_who_left();
        let ahead = state.waiting.len() + usize::from(state.counts.busy);
        if state.waiting.len() >= MOST_WAITING {
            return Err(format!("{ahead} are waiting already: try again in a while"));
        }
        if ahead > 0 {
            feed.send(&Event::Queued { ahead });
        }
        state.waiting.push_back((work, feed));
        self.arrived.notify_one();
        Ok(())
    }

    /// What became of all requests so far.
    pub fn counts(&self) -> Counts {
        let mut state = self.state();
        state.forget_who_left();
        Counts {
            waiting: state.waiting.len(),
            ..state.counts
        }
    }

    /// Carries out what is queued, one after the other, for ever.
    pub fn serve<B: Kernels>(&self, networks: &mut Networks<B>) -> ! {
        loop {
            let (work, feed) = self.next();
            // A defect ends the request that shows it, and no other.
            let outcome = catch_unwind(AssertUnwindSafe(|| work.carry_out(networks, &feed)));
            let mut state = self.state();
            state.counts.busy = false;
            if feed.is_gone() {
                state.counts.left += 1;
                continue;
            }
            match outcome {
                Ok(Ok(())) => {
                    state.counts.done += 1;
                    feed.send(&Event::Done {});
                }
                Ok(Err(error)) => {
                    state.counts.failed += 1;
                    feed.send(&Event::Fault {
                        message: format!("{error:#}"),
                    });
                }
                Err(_) => {
                    state.counts.failed += 1;
                    let message =
                        "this is a defect of the server: its terminal tells more".to_owned();
                    feed.send(&Event::Fault { message });
                }
            }
        }
    }

    /// The next work whose visitor is still there; the visitors behind it are told that they have moved up.
    fn next(&self) -> (QueuedWork, Feed) {
        let mut state = self.state();
        loop {
            state.forget_who_left();
            if let Some(next) = state.waiting.pop_front() {
                state.counts.busy = true;
                for (place, (_, feed)) in state.waiting.iter().enumerate() {
                    feed.send(&Event::Queued { ahead: place + 1 });
                }
                return next;
            }
            let waited = self.arrived.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_who_left(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|(_, feed)| !feed.is_gone());
        self.counts.left += (before - self.waiting.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{FeedReader, feed};
    use crate::request::Address;

    fn push(queue: &Queue) -> Result<FeedReader, String> {
        let (feed, reader) = feed();
        let request = Address::default().draw_request()?;
        queue.push(QueuedWork::Draw(request), feed)?;
        Ok(reader)
    }

    #[test]
    fn who_leaves_makes_room() {
        let queue = Queue::default();
        let readers: Vec<_> = (0..MOST_WAITING).map(|_| push(&queue).unwrap()).collect();
        let error = push(&queue).unwrap_err();
        assert!(error.starts_with("32 are waiting already"), "{error}");
        drop(readers);
        let _reader = push(&queue).unwrap();
        let counts = queue.counts();
        assert_eq!((counts.waiting, counts.left), (1, 32));
    }
}
