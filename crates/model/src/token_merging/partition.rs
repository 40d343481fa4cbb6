//! Which tokens may be merged into which, and the rows that this takes.

/// The target that a source is most like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Merge {
    /// Cosine of the two.
    pub likeness: f32,
    /// The target's place among the targets.
    pub target: usize,
}

/// The split of a sequence's image tokens.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// Tokens of the sequence.
    tokens: usize,
    /// Tokens that may be merged into others, ascending.
    pub sources: Vec<usize>,
    /// Tokens that others may be merged into, ascending.
    pub targets: Vec<usize>,
}

/// The rows of a batch, all samples' tokens one after the other, before and after merging.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MergePlan {
    /// Tokens of a sample that are left.
    pub left: usize,
    /// The rows that are left, in order.
    pub kept: Vec<usize>,
    /// The rows that are merged into others.
    pub sources: Vec<usize>,
    /// For each of them the row, of those that are left, that it is merged into.
    pub targets: Vec<usize>,
    /// One over the tokens that each row stands for that is left.
    pub shares: Vec<f32>,
    /// For each row before merging the row afterwards that stands for it.
    pub places: Vec<usize>,
}

impl Partition {
    /// The split of `side` x `side` image tokens behind `extra` others.
    pub fn new(side: usize, extra: usize) -> Self {
        let is_target = |&token: &usize| {
            let (row, column) = ((token - extra) / side, (token - extra) % side);
            row.is_multiple_of(2) && column.is_multiple_of(2)
        };
        let tokens = extra + side * side;
        let (targets, sources) = (extra..tokens).partition(is_target);
        Self {
            tokens,
            sources,
            targets,
        }
    }

    /// Tokens that are merged where a share `ratio` of the image tokens is to be.
    pub fn merged(&self, ratio: f64) -> usize {
        let image = self.sources.len() + self.targets.len();
        ((ratio * image as f64).round() as usize).min(self.sources.len())
    }

    /// Merges the `merged` sources of each sample that are most like their targets. `merges` has one
    /// entry for each source, sample after sample.
    pub fn plan(&self, merges: &[Merge], merged: usize) -> MergePlan {
        let samples = merges.chunks(self.sources.len().max(1));
        let left = self.tokens - merged;
        let mut plan = MergePlan {
            left,
            kept: Vec::with_capacity(samples.len() * left),
            sources: Vec::with_capacity(samples.len() * merged),
            targets: Vec::with_capacity(samples.len() * merged),
            shares: vec![1.0; samples.len() * left],
            places: Vec::with_capacity(samples.len() * self.tokens),
        };
        for (sample, merges) in samples.enumerate() {
            let (first, first_left) = (sample * self.tokens, sample * left);
            let mut order: Vec<usize> = (0..merges.len()).collect();
            // Of equals the first one is merged, so that the order of a sort does not matter.
            order.sort_by(|&a, &b| {
                let likeness = merges[b].likeness.total_cmp(&merges[a].likeness);
                likeness.then(a.cmp(&b))
            });
            let mut goes = vec![false; self.tokens];
            for &source in &order[..merged] {
                goes[self.sources[source]] = true;
            }
            let mut place = vec![0; self.tokens];
            let kept = (0..self.tokens).filter(|&token| !goes[token]);
            for (row, token) in (first_left..).zip(kept) {
                place[token] = row;
                plan.kept.push(first + token);
            }
            let mut counts = vec![1_u32; left];
            for (source, merge) in merges.iter().enumerate() {
                let token = self.sources[source];
                if !goes[token] {
                    continue;
                }
                let target = place[self.targets[merge.target]];
                place[token] = target;
                plan.sources.push(first + token);
                plan.targets.push(target);
                counts[target - first_left] += 1;
            }
            for (share, count) in plan.shares[first_left..].iter_mut().zip(counts) {
                *share = 1.0 / count as f32;
            }
            plan.places.extend(place);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_of_four_is_a_target() {
        let partition = Partition::new(4, 2);
        assert_eq!(partition.targets, [2, 4, 10, 12]);
        assert_eq!(partition.sources.len(), 12);
        assert_eq!(partition.merged(0.5), 8);
        assert_eq!(partition.merged(0.75), 12);
        assert_eq!(partition.merged(1.0), 12);
        // Sides that two does not divide have targets at their ends.
        assert_eq!(Partition::new(3, 1).targets, [1, 3, 7, 9]);
    }

    #[test]
    fn the_likest_sources_are_merged_sample_by_sample() {
        // Tokens: one extra, then the target 1 and the sources 2, 3 and 4.
        let partition = Partition::new(2, 1);
        let merge = |likeness| Merge {
            likeness,
            target: 0,
        };
        let merges = [0.1, 0.9, 0.5, 0.7, 0.2, 0.7].map(merge);
        let plan = partition.plan(&merges, 1);
        assert_eq!(plan.left, 4);
        assert_eq!(plan.kept, [0, 1, 2, 4, 5, 6, 8, 9]);
        assert_eq!(plan.sources, [3, 7]); // the second sample's first of two equals
        assert_eq!(plan.targets, [1, 5]);
        assert_eq!(plan.shares, [1.0, 0.5, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0]);
        assert_eq!(plan.places, [0, 1, 2, 1, 3, 4, 5, 5, 6, 7]);

        let all = partition.plan(&merges[..3], 3);
        assert_eq!(all.kept, [0, 1]);
        assert_eq!(all.places, [0, 1, 1, 1, 1]);
        assert_eq!(all.shares, [1.0, 0.25]);
    }
}
