//! Finds the setting of a knob whose time is nearest to another method's.

use anyhow::Result;

/// The setting among `settings`, which stand from slow to fast, whose ratio of times is nearest to 1,
/// and the ratio. Few of them are measured: the search halves what is left, since faster settings
/// take less time. `ratio` gives nothing where a setting cannot be measured, which those that save
/// more cannot either.
///
/// # Errors
/// What `ratio` runs into.
pub fn nearest(
    settings: usize,
    mut ratio: impl FnMut(usize) -> Result<Option<f64>>,
) -> Result<Option<(usize, f64)>> {
    let (mut slow, mut fast) = (0, settings);
    let mut best: Option<(usize, f64)> = None;
    while slow < fast {
        let middle = slow + (fast - slow) / 2;
        let Some(found) = ratio(middle)? else {
            fast = middle;
            continue;
        };
        let distance = |ratio: f64| ratio.ln().abs();
        if best.is_none_or(|(_, other)| distance(found) < distance(other)) {
            best = Some((middle, found));
        }
        if found > 1.0 {
            slow = middle + 1
        } else {
            fast = middle
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(times: &[Option<f64>]) -> (Option<(usize, f64)>, usize) {
        let mut asked = 0;
        let found = nearest(times.len(), |setting| {
            asked += 1;
            Ok(times[setting])
        });
        (found.unwrap(), asked)
    }

    #[test]
    fn the_nearest_on_either_side_is_found_with_few_questions() {
        let times: Vec<_> = (1..=18)
            .map(|twentieth| Some(1.6 - f64::from(twentieth) / 20.0))
            .collect();
        let (found, asked) = search(&times);
        assert_eq!(found.map(|(setting, _)| setting), Some(11));
        assert!(asked <= 5, "{asked}");
        let (found, _) = search(&[Some(1.5), Some(1.05), Some(0.7)]);
        assert_eq!(found, Some((1, 1.05)));
        let (found, _) = search(&[Some(1.5), Some(1.3), Some(0.96)]);
        assert_eq!(found, Some((2, 0.96)));
    }

    #[test]
    fn all_may_be_slower_or_faster() {
        assert_eq!(search(&[Some(3.0), Some(2.0)]).0, Some((1, 2.0)));
        assert_eq!(search(&[Some(0.5), Some(0.25)]).0, Some((0, 0.5)));
        assert_eq!(search(&[]).0, None);
    }

    #[test]
    fn settings_that_cannot_be_reached_are_passed_over() {
        assert_eq!(
            search(&[Some(1.5), Some(1.2), None, None]).0,
            Some((1, 1.2))
        );
        assert_eq!(search(&[None, None]).0, None);
    }
}
