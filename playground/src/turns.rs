//! Two networks that take turns on one machine, each timed by itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Who may compute: always the one that has computed for less time so far, so that each is as far as it
/// would be if both had a machine of their own.
#[derive(Debug, Default)]
pub struct Turns {
    clocks: Mutex<Clocks>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Clocks {
    /// Seconds that each has computed.
    spent: [f64; 2],
    finished: [bool; 2],
    busy: bool,
}

impl Clocks {
    /// Whose turn is next; the second's, where both have had the same time.
    fn next(&self) -> usize {
        match self.finished {
            [true, _] => 1,
            [_, true] => 0,
            _ => usize::from(self.spent[1] <= self.spent[0]),
        }
    }
}

/// One of the two.
#[derive(Debug)]
pub struct Runner<'a> {
    turns: &'a Turns,
    number: usize,
    has_turn: bool,
    since: Option<Instant>,
}

impl Turns {
    /// The first or the second, who waits for its turn from the beginning.
    pub fn runner(&self, number: usize) -> Runner<'_> {
        let mut runner = Runner {
            turns: self,
            number,
            has_turn: false,
            since: None,
        };
        runner.take();
        runner
    }

    fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runner<'_> {
    /// Waits for the turn and starts the clock.
    pub fn take(&mut self) {
        let clocks = self.turns.clocks();
        let waits = |clocks: &mut Clocks| clocks.busy || clocks.next() != self.number;
        let waited = self.turns.changed.wait_while(clocks, waits);
        waited.unwrap_or_else(PoisonError::into_inner).busy = true;
        self.has_turn = true;
        self.since = Some(Instant::now());
    }

    /// Stops the clock and keeps the turn, to tell of what was done. Gives back all seconds so far.
    pub fn stop(&mut self) -> f64 {
        let since = self.since.take();
        self.add(since.map_or(0.0, |since| since.elapsed().as_secs_f64()))
    }

    /// Adds seconds to those that it has computed, and gives back all of them.
    fn add(&mut self, seconds: f64) -> f64 {
        let mut clocks = self.turns.clocks();
        clocks.spent[self.number] += seconds;
        clocks.spent[self.number]
    }

    /// Lets the other one go on.
    pub fn give(&mut self) {
        self.stop();
        self.has_turn = false;
        self.turns.clocks().busy = false;
        self.turns.changed.notify_all();
    }
}

impl Drop for Runner<'_> {
    /// Whoever fails or finishes leaves all further turns to the other one.
    fn drop(&mut self) {
        let mut clocks = self.turns.clocks();
        if self.has_turn {
            clocks.busy = false;
        }
        clocks.finished[self.number] = true;
        drop(clocks);
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// The order in which steps of so many seconds come, whatever time passes meanwhile.
    fn order(steps: [usize; 2], seconds: [f64; 2]) -> String {
        let (turns, (tell, told)) = (Turns::default(), channel());
        thread::scope(|scope| {
            for number in 0..2 {
                let (turns, tell) = (&turns, tell.clone());
                scope.spawn(move || {
                    let mut runner = turns.runner(number);
                    for _ in 0..steps[number] {
                        runner.since = None;
                        runner.add(seconds[number]);
                        tell.send(["f", "m"][number]).unwrap();
                        runner.give();
                        runner.take();
                    }
                });
            }
            drop(tell);
        });
        told.into_iter().collect()
    }

    #[test]
    fn the_faster_one_is_ahead_by_as_much_as_it_is_faster() {
        // After 100 seconds it is at its third step, after 200 at its sixth.
        let order = order([3, 6], [100.0, 40.0]);
        assert_eq!(order, "mfmmfmmmf");
        let ahead: Vec<_> = order
            .split_inclusive('f')
            .map(|part| part.matches('m').count())
            .collect();
        assert_eq!(order.len(), 9);
        assert_eq!(ahead[0], 1, "{order}");
        assert!(ahead[1] >= 2, "{order}");
    }

    #[test]
    fn whoever_stops_early_keeps_nobody_waiting() {
        assert_eq!(order([0, 3], [1.0, 1.0]), "mmm");
        assert_eq!(order([3, 0], [1.0, 1.0]), "fff");
    }
}
