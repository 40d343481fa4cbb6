//! How many samples there are, and what that does to the figures.

use std::path::Path;

use anyhow::{Result, bail};

use super::Metric;

/// Number of samples in most published figures.
const PUBLISHED: usize = 50_000;

/// The samples of a set beside what is asked of them.
#[derive(Clone, Copy, Debug)]
pub struct Count<'a> {
    pub path: &'a Path,
    /// Samples that are or can be taken.
    pub found: usize,
    /// Samples that the user asked for.
    pub asked: Option<usize>,
    /// Features of which a covariance is taken.
    pub dims: Option<usize>,
}

impl Count<'_> {
    /// Refuses too few samples.
    ///
    /// # Errors
    /// Where there are fewer than asked for, or no more than features, and the user does not allow
    /// it; with the way out.
    pub fn ensure_enough(&self, allow_small: bool) -> Result<()> {
        let (path, found) = (self.path.display(), self.found);
        if allow_small {
            return Ok(());
        }
        if let Some(asked) = self.asked.filter(|&asked| found < asked) {
            bail!(
                "{path} has {found} samples, but {asked} were asked for with --samples; figures \
                 of fewer samples are not comparable ({UPWARDS}). --allow-small goes on with those \
                 there are"
            );
        }
        if let Some(dims) = self.dims.filter(|&dims| found <= dims) {
            bail!(
                "{path} has {found} samples, but the covariance of {dims} features needs more than \
                 {dims}; FID of fewer says little ({UPWARDS}). --allow-small measures all the same"
            );
        }
        Ok(())
    }
}

/// What few samples do to FID.
const UPWARDS: &str = "it is biased upwards, about in proportion to one over the number of samples: \
    Chong & Forsyth 2020, arXiv 1911.07023";

/// What the numbers of samples do to a figure.
///
/// `samples` and `reference` are the sizes, where they are known, of what the figure is of; `dims` their
/// features, `seed` that of the samples' order.
pub fn bias(
    metric: Metric,
    samples: Option<usize>,
    reference: Option<usize>,
    dims: usize,
    seed: u64,
) -> String {
    let number = |count: Option<usize>, unknown: &str| {
        count.map_or_else(|| unknown.to_owned(), |count| count.to_string())
    };
    let sets = format!(
        "{} samples and {} of the reference",
        number(samples, "an unknown number of"),
        number(reference, "an unknown number")
    );
    match metric {
        Metric::Fid => {
            let smallest = samples.into_iter().chain(reference).min();
            let singular = match smallest.filter(|&count| count <= dims) {
                Some(count) => format!(
                    "; {count} samples do not span the {dims} features, so that this figure says \
                     little"
                ),
                None => String::new(),
            };
            format!(
                "fid is of {sets}; {UPWARDS}; compare it only with figures of as many samples \
                 (most published ones: {PUBLISHED}){singular}"
            )
        }
        Metric::Kid => format!(
            "kid is of {sets}; its expectation does not depend on their numbers, its spread does"
        ),
        Metric::Is => format!(
            "the inception score is of {} samples, shuffled by --seed {seed}; few samples in a split bias it \
             downwards (published: {PUBLISHED} in 10 splits)",
            number(samples, "an unknown number of")
        ),
        Metric::Pr => format!(
            "precision and recall are of {sets}; both depend on the numbers, for balls grow where \
             samples are few: compare them only with figures of as many (published: {PUBLISHED})"
        ),
        Metric::Cmmd => format!(
            "cmmd is of {sets}; it is biased upwards, in proportion to one over these numbers, by \
             the pairs of a sample with itself"
        ),
    }
}
