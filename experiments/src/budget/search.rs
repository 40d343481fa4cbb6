//! Searches for a share of blocks, each of whose probes takes a calibration and a measurement.

use anyhow::Result;

/// A share of blocks and what was measured with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe<T> {
    /// The share of blocks to skip.
    pub reduction: f64,
    /// What was measured.
    pub value: f64,
    /// What belongs to it.
    pub item: T,
}

/// What a search found, and the nearest miss where it found nothing.
pub type Search<T> = Result<std::result::Result<Probe<T>, Probe<T>>>;

/// The largest share up to `highest` whose value is at most `limit`, by bisection in `probes`
/// probes, so to `highest / 2^probes`. Values are taken to grow with the share; where they do not
/// quite, what is found is still at most `limit`.
///
/// # Errors
/// What `probe` runs into.
pub fn largest_within<T>(
    limit: f64,
    highest: f64,
    probes: usize,
    mut probe: impl FnMut(f64) -> Result<(f64, T)>,
) -> Search<T> {
    let (mut low, mut high) = (0.0, highest);
    let (mut found, mut missed) = (None, None);
    // The highest share is tried first: where it is within the limit, the search is over.
    let mut reduction = highest;
    for _ in 0..probes.max(1) {
        let (value, item) = probe(reduction)?;
        let probed = Probe {
            reduction,
            value,
            item,
        };
        if value <= limit {
            low = reduction;
            found = Some(probed);
            if reduction == highest {
                break;
            }
        } else {
            high = reduction;
            missed = Some(probed);
        }
        reduction = (low + high) / 2.0;
    }
    outcome(found, missed)
}

/// The smallest share up to `highest` whose speed-up is at least `wanted`, but for `tolerance` of it.
///
/// Time falls about linearly with the share, by `slope` of the full network's time for all blocks:
/// each probe corrects the one before by that, within the shares that are known to be too small and
/// too large.
///
/// # Errors
/// What `probe` runs into.
pub fn smallest_reaching<T>(
    wanted: f64,
    first: f64,
    highest: f64,
    slope: f64,
    (tolerance, probes): (f64, usize),
    mut probe: impl FnMut(f64) -> Result<(f64, T)>,
) -> Search<T> {
    let (mut low, mut high) = (0.0, highest);
    let (mut found, mut missed): (Option<Probe<T>>, Option<Probe<T>>) = (None, None);
    let mut reduction = first.clamp(f64::EPSILON.sqrt(), highest);
    for _ in 0..probes.max(1) {
        let (value, item) = probe(reduction)?;
        let probed = Probe {
            reduction,
            value,
            item,
        };
        let enough = value >= wanted * (1.0 - tolerance);
        let near = value <= wanted * (1.0 + tolerance);
        if enough {
            high = reduction;
            found = Some(probed);
            if near {
                break;
            }
        } else {
            low = reduction;
            missed = Some(probed);
            if reduction == highest {
                break;
            }
        }
        // Towards the aim itself, not the edge of what is tolerated.
        let corrected = reduction + (1.0 / value - 1.0 / wanted) / slope;
        reduction = match corrected {
            corrected if corrected > low && corrected < high => corrected,
            corrected if corrected >= highest && found.is_none() => highest,
            _ => (low + high) / 2.0,
        };
    }
    outcome(found, missed)
}

fn outcome<T>(found: Option<Probe<T>>, missed: Option<Probe<T>>) -> Search<T> {
    match (found, missed) {
        (Some(found), _) => Ok(Ok(found)),
        (None, Some(missed)) => Ok(Err(missed)),
        (None, None) => anyhow::bail!("nothing was probed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_share_within_a_limit_is_found() {
        let distance = |share: f64| Ok((20.0 + 40.0 * share * share, ()));
        let found = largest_within(30.0, 0.9, 8, distance).unwrap().unwrap();
        assert!(found.value <= 30.0);
        assert!((found.reduction - 0.5).abs() <= 0.9 / 128.0, "{found:?}");
        // Where everything is within it, one probe suffices.
        let mut probes = 0;
        let found = largest_within(100.0, 0.9, 8, |share| {
            probes += 1;
            distance(share)
        });
        assert_eq!((found.unwrap().unwrap().reduction, probes), (0.9, 1));
        let missed = largest_within(19.0, 0.9, 4, distance).unwrap().unwrap_err();
        assert_eq!(missed.reduction, 0.9 / 8.0);
    }

    /// The full network takes 1, of which all blocks are 0.9; judging adds a little.
    fn speedup(share: f64) -> Result<(f64, ())> {
        Ok((1.0 / (0.1 + 0.9 * (1.0 - share) + 0.05 * (1.0 - share)), ()))
    }

    #[test]
    fn the_smallest_share_that_is_fast_enough_is_found() {
        for (wanted, first) in [(1.5, 0.1), (1.5, 0.8), (2.5, 0.3), (1.05, 0.5)] {
            let found = smallest_reaching(wanted, first, 0.9, 0.8, (0.01, 6), speedup);
            let found = found.unwrap().unwrap();
            assert!(
                (found.value / wanted - 1.0).abs() <= 0.011,
                "{wanted}: {found:?}"
            );
        }
    }

    #[test]
    fn a_speed_up_out_of_reach_is_told_by_the_largest_there_is() {
        let missed = smallest_reaching(9.0, 0.95, 0.9, 0.8, (0.01, 6), speedup);
        let missed = missed.unwrap().unwrap_err();
        assert_eq!(missed.reduction, 0.9);
        assert!(missed.value < 9.0);
    }
}
