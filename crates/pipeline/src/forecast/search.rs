//! The search for the exits of all segments together.

use std::collections::HashMap;

use super::path::{Path, SegmentExit};

/// What one segment's exits alone, or those with a forecast of several in a row, add to the distance.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentCosts {
    /// By segment and exit, for exits without forecast.
    pub plain: Vec<Vec<(usize, f64)>>,
    /// By the first of the segments in a row and their number.
    pub told: HashMap<(usize, usize, SegmentExit), f64>,
}

/// Exits and the distance that was measured of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub exits: Vec<SegmentExit>,
    pub distance: f64,
}

impl SegmentCosts {
    /// The ways to leave in a segment that something is known of, and to run to the end.
    fn exits(&self, segment: usize, blocks: usize) -> Vec<SegmentExit> {
        let plain = self.plain[segment].iter();
        let mut exits: Vec<_> = plain.map(|(depth, _)| SegmentExit::Plain(*depth)).collect();
        exits.push(SegmentExit::Plain(blocks));
        for (start, count, exit) in self.told.keys() {
            if (*start..start + count).contains(&segment) && !exits.contains(exit) {
                exits.push(*exit);
            }
        }
        exits
    }

    /// What the exits are taken to add to the distance: the sum of what was measured of each segment, and of
    /// segments in a row that forecast from the same evaluation, which is the older the farther they are.
    fn estimate(&self, path: &Path, exits: &[SegmentExit]) -> f64 {
        let (mut sum, mut after_full) = (0.0, 0);
        for (segment, exit) in exits.iter().enumerate() {
            match exit {
                SegmentExit::Plain(depth) if *depth == path.blocks => after_full = segment + 1,
                SegmentExit::Plain(depth) => {
                    let known = self.plain[segment].iter().find(|(known, _)| known == depth);
                    sum += known.map_or(f64::INFINITY, |(_, cost)| *cost);
                }
                SegmentExit::Told(_) => {
                    let run = |count| self.of_run(after_full, count, *exit);
                    let count = segment + 1 - after_full;
                    sum += run(count);
                    if count > 1 && exits[segment - 1] == *exit {
                        sum -= run(count - 1);
                    }
                }
            }
        }
        sum
    }

    /// What so many segments in a row add: as measured, or beyond that as much for each as the last that was, if
    /// not more.
    fn of_run(&self, start: usize, count: usize, exit: SegmentExit) -> f64 {
        let known = |count: usize| self.told.get(&(start, count, exit)).copied();
        let Some(longest) = (1..=count).rev().find(|&count| known(count).is_some()) else {
            return UNKNOWN;
        };
        let cost = |count: usize| known(count).unwrap_or(0.0);
        let last = cost(longest) - cost(longest - 1);
        let more = last.max(cost(longest) / longest as f64).max(0.0);
        cost(longest) + (count - longest) as f64 * more
    }
}

/// A cost of what nothing is known of, which no sum of known ones reaches.
const UNKNOWN: f64 = 1e12;

/// The search for exits that run no more than a number of blocks.
pub(crate) struct Search<'a> {
    pub path: &'a Path,
    pub costs: &'a SegmentCosts,
    /// Blocks of a sample.
    pub budget: usize,
}

impl Search<'_> {
    /// Exits that differ in one segment or in two.
    fn neighbours(&self, exits: &[SegmentExit]) -> Vec<Vec<SegmentExit>> {
        let options: Vec<_> = (0..exits.len())
            .map(|segment| self.costs.exits(segment, self.path.blocks))
            .collect();
        let changed = |exits: &[SegmentExit], from: usize| {
            let mut all = Vec::new();
            for (segment, options) in options.iter().enumerate().skip(from) {
                for option in options.iter().filter(|option| **option != exits[segment]) {
                    let mut other = exits.to_vec();
                    other[segment] = *option;
                    all.push((segment, other));
                }
            }
            all
        };
        let mut all = Vec::new();
        for (segment, one) in changed(exits, 0) {
            all.extend(changed(&one, segment + 1).into_iter().map(|(_, two)| two));
            all.push(one);
        }
        all
    }

    /// The exits within the budget that the estimates are best of: from the full network on always the change that
    /// costs least for each block that it saves, then changes that make up for each other.
    fn start(&self) -> Vec<SegmentExit> {
        let estimate = |exits: &[SegmentExit]| self.costs.estimate(self.path, exits);
        let mut exits = self.path.full();
        loop {
            let (run, cost) = (self.path.blocks_run(&exits), estimate(&exits));
            if run <= self.budget {
                break;
            }
            let cheaper = self.neighbours(&exits).into_iter().filter_map(|next| {
                let saved = run.checked_sub(self.path.blocks_run(&next))?;
                // What is saved beyond the budget is worth nothing.
                let saved = saved.min(run - self.budget);
                (saved > 0).then(|| ((estimate(&next) - cost) / saved as f64, next))
            });
            match cheaper.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((_, next)) => exits = next,
                None => break,
            }
        }
        loop {
            let within = self.within(&exits).into_iter();
            let best = within.map(|next| (estimate(&next), next));
            match best.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((cost, next)) if cost < estimate(&exits) => exits = next,
                _ => return exits,
            }
        }
    }

    /// The neighbours that do not run more than the budget.
    fn within(&self, exits: &[SegmentExit]) -> Vec<Vec<SegmentExit>> {
        let mut neighbours = self.neighbours(exits);
        neighbours.retain(|next| self.path.blocks_run(next) <= self.budget);
        neighbours
    }

    /// The exits of which `measure` finds the smallest distance, of those that the estimates are best of and of
    /// `probes` neighbours of the best so far, the most promising first. The first is the best.
    ///
    /// # Errors
    /// Those of `measure`.
    pub(crate) fn run<E>(
        &self,
        probes: usize,
        mut measure: impl FnMut(&[SegmentExit]) -> Result<f64, E>,
    ) -> Result<Vec<Found>, E> {
        let mut found: Vec<Found> = Vec::new();
        let mut next = Some(self.start());
        while let Some(exits) = next {
            let distance = measure(&exits)?;
            let place = found.partition_point(|other| other.distance <= distance);
            found.insert(place, Found { exits, distance });
            if found.len() > probes {
                break;
            }
            let untried =
                |exits: &Vec<SegmentExit>| found.iter().all(|tried| tried.exits != *exits);
            let promising = self.within(&found[0].exits).into_iter().filter(untried);
            let promising = promising.map(|exits| (self.costs.estimate(self.path, &exits), exits));
            let best = promising.min_by(|a, b| a.0.total_cmp(&b.0));
            next = best
                .filter(|(cost, _)| *cost < UNKNOWN)
                .map(|(_, exits)| exits);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::path::{TOLD, tests::path};
    use super::*;

    fn costs() -> SegmentCosts {
        let told = SegmentExit::Told(TOLD);
        SegmentCosts {
            plain: vec![
                vec![(1, 0.5)],
                vec![(1, 9.0), (3, 4.0)],
                vec![(1, 9.0)],
                vec![(1, 9.0)],
            ],
            told: HashMap::from([
                ((2, 1, told), 2.0),
                ((3, 1, told), 1.0),
                ((2, 2, told), 2.5),
            ]),
        }
    }

    #[test]
    fn estimates_follow_the_age_of_what_is_kept() {
        let (path, told) = (path(4, 1), SegmentExit::Told(TOLD));
        let full = SegmentExit::Plain(5);
        let costs = costs();
        let estimate = |exits: [SegmentExit; 4]| costs.estimate(&path, &exits);
        assert_eq!(estimate([full, full, told, told]), 2.5);
        assert_eq!(estimate([full, full, full, told]), 1.0);
        assert_eq!(estimate([SegmentExit::Plain(1), full, full, told]), 1.5);
        assert!(estimate([full, told, full, full]) >= UNKNOWN);
        // Beyond what was measured each adds as much as the mean before it.
        assert_eq!(costs.of_run(2, 3, told), 3.75);
    }

    #[test]
    fn measured_distances_decide_over_estimates() {
        let (path, costs) = (path(4, 1), costs());
        let told = SegmentExit::Told(TOLD);
        let full = SegmentExit::Plain(5);
        let search = Search {
            path: &path,
            costs: &costs,
            budget: 8,
        };
        let estimated = vec![SegmentExit::Plain(1), full, told, told];
        assert_eq!(search.start(), estimated);
        let found = search.run(0, |_| Ok::<_, Infallible>(7.0)).unwrap();
        assert_eq!(found.len(), 1);
        // Two in a row are worse than was estimated.
        let better = vec![SegmentExit::Plain(1), SegmentExit::Plain(1), full, told];
        let found = search.run(10, |exits| {
            assert!(path.blocks_run(exits) <= 8);
            Ok::<_, Infallible>(if exits == better { 5.0 } else { 8.0 })
        });
        let found = found.unwrap();
        assert_eq!((&found[0].exits, found[0].distance), (&better, 5.0));
        assert!(found[1..].iter().all(|other| other.distance == 8.0));
    }
}
