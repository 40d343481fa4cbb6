//! Searches for a share of blocks, each of whose probes takes a calibration and a measurement.

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
pub type Search<T, E> = Result<Result<Probe<T>, Probe<T>>, E>;

/// The largest share up to `highest` whose value is at most `limit`, by bisection in `probes`
/// probes, so to `highest / 2^probes`. Values are taken to grow with the share; where they do not
/// quite, what is found is still at most `limit`.
///
/// # Errors
/// What `probe` runs into.
pub fn largest_within<T, E>(
    limit: f64,
    highest: f64,
    probes: usize,
    mut probe: impl FnMut(f64) -> Result<(f64, T), E>,
) -> Search<T, E> {
    // The highest share is tried first: where it is within the limit, the search is over.
    let first = probed(highest, &mut probe)?;
    if first.value <= limit {
        return Ok(Ok(first));
    }
    let (mut low, mut high) = (0.0, highest);
    let mut nearest = Err(first);
    for _ in 1..probes {
        let next = probed((low + high) / 2.0, &mut probe)?;
        if next.value <= limit {
            low = next.reduction;
            nearest = Ok(next);
        } else {
            high = next.reduction;
            nearest = nearest.or(Err(next));
        }
    }
    Ok(nearest)
}

/// The smallest share up to `highest` whose speed-up is at least `wanted`, but for `tolerance` of it.
///
/// Time falls about linearly with the share, by `slope` of the full network's time for all blocks:
/// each probe corrects the one before by that, within the shares that are known to be too small and
/// too large.
///
/// # Errors
/// What `probe` runs into.
pub fn smallest_reaching<T, E>(
    wanted: f64,
    first: f64,
    highest: f64,
    slope: f64,
    (tolerance, probes): (f64, usize),
    mut probe: impl FnMut(f64) -> Result<(f64, T), E>,
) -> Search<T, E> {
    let (least, most) = (wanted * (1.0 - tolerance), wanted * (1.0 + tolerance));
    let mut probe_at = |reduction: f64| {
        let probe = probed(reduction, &mut probe)?;
        let value = probe.value;
        let enough = value >= least;
        Ok((value, if enough { Ok(probe) } else { Err(probe) }))
    };
    let (mut low, mut high) = (0.0, highest);
    let mut reduction = first.max(f64::EPSILON.sqrt()).min(highest);
    let (mut value, mut nearest) = probe_at(reduction)?;
    for _ in 1..probes {
        let enough = value >= least;
        if (enough && value <= most) || (!enough && reduction == highest) {
            break;
        }
        if enough {
            high = reduction;
        } else {
            low = reduction;
        }
        // Towards the aim itself, not the edge of what is tolerated.
        let corrected = reduction + (1.0 / value - 1.0 / wanted) / slope;
        reduction = match corrected {
            corrected if corrected > low && corrected < high => corrected,
            corrected if corrected >= highest && nearest.is_err() => highest,
            _ => (low + high) / 2.0,
        };
        let next;
        (value, next) = probe_at(reduction)?;
        nearest = match next {
            Ok(found) => Ok(found),
            Err(missed) => nearest.or(Err(missed)),
        };
    }
    Ok(nearest)
}

fn probed<T, E>(
    reduction: f64,
    probe: &mut impl FnMut(f64) -> Result<(f64, T), E>,
) -> Result<Probe<T>, E> {
    let (value, item) = probe(reduction)?;
    Ok(Probe {
        reduction,
        value,
        item,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_largest_share_within_a_limit_is_found() {
        let distance = |share: f64| Ok::<_, Infallible>((20.0 + 40.0 * share * share, ()));
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
    fn speedup(share: f64) -> Result<(f64, ()), Infallible> {
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

    #[test]
    fn a_network_that_cannot_skip_anything_is_probed_all_the_same() {
        let missed = smallest_reaching(1.5, 0.3, 0.0, 0.8, (0.01, 6), speedup);
        assert_eq!(missed.unwrap().unwrap_err().reduction, 0.0);
    }
}
