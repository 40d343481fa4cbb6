//! What a visitor is told while samples are drawn, as server-sent events.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::event::Event;

/// Bytes that may wait for a reader. Whoever reads more slowly is left: the work of others waits for nobody.
const MOST_WAITING: usize = 8 << 20;

/// The end that tells. It never waits.
#[derive(Debug)]
pub struct Feed {
    events: UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
    left: AtomicBool,
}

/// The end that is read; where it is dropped, the work ends.
#[derive(Debug)]
pub struct FeedReader {
    events: UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// Both ends of a feed.
pub fn feed() -> (Feed, FeedReader) {
    let (sender, receiver) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let feed = Feed {
        events: sender,
        waiting: waiting.clone(),
        left: AtomicBool::new(false),
    };
    let reader = FeedReader {
        events: receiver,
        waiting,
    };
    (feed, reader)
}

impl Feed {
    /// Tells of an event, unless the reader is gone.
    pub fn send(&self, event: &Event) {
        if self.is_gone() {
            return;
        }
        let event = event.encode();
        let waiting = self.waiting.fetch_add(event.len(), Ordering::Relaxed);
        if waiting + event.len() > MOST_WAITING || self.events.send(event).is_err() {
            self.left.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody listens any more, or too slowly.
    pub fn is_gone(&self) -> bool {
        self.left.load(Ordering::Relaxed) || self.events.is_closed()
    }
}

impl Stream for FeedReader {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = std::task::ready!(self.events.poll_recv(context));
        if let Some(event) = &event {
            self.waiting.fetch_sub(event.len(), Ordering::Relaxed);
        }
        Poll::Ready(event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_read_is_left() {
        let (feed, reader) = feed();
        let event = Event::Fault {
            message: "x".repeat(1 << 20),
        };
        let sent = (1..).find(|_| {
            feed.send(&event);
            feed.is_gone()
        });
        assert_eq!(
            sent,
            Some(8),
            "8 MiB with the words around them are too many"
        );
        drop(reader);
    }

    #[test]
    fn a_reader_that_leaves_is_missed() {
        let (feed, reader) = feed();
        assert!(!feed.is_gone());
        drop(reader);
        assert!(feed.is_gone());
    }
}
