//! Measurements that take turns, so that whatever else the machine does meets all of them.

/// Measures each of `count` things, by its number, once in each of `rounds` turns, at least 1; returns each
/// one's measurements, turn by turn.
///
/// A turn before all others pays for memory and kernels, and is not counted. Every other turn goes
/// backwards: in an even number of turns a machine that slows down all the time favours nobody.
///
/// # Errors
/// Those of `measure`, at once.
pub fn time_interleaved<E>(
    rounds: usize,
    count: usize,
    mut measure: impl FnMut(usize) -> Result<f64, E>,
) -> Result<Vec<Vec<f64>>, E> {
    let mut measured = vec![Vec::with_capacity(rounds); count];
    for round in 0..=rounds {
        for position in 0..count {
            let number = match round % 2 {
                0 => position,
                _ => count - 1 - position,
            };
            let value = measure(number)?;
            if round > 0 {
                measured[number].push(value);
            }
        }
    }
    Ok(measured)
}

/// The middle of at least one value; of an even number of them the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// The median of the ratios of what was measured in the same turns: whatever else slowed the machine
/// in a turn met both.
pub fn median_ratio(numbers: &[f64], others: &[f64]) -> f64 {
    median(&ratios(numbers, others))
}

/// The bounds of [`median_ratio`] in which it lies with 95 % certainty, whatever way the measurements are
/// distributed: the two of the ratios, from below and from above, between which the median of many more turns is.
/// Of fewer than 6 turns the smallest and the largest, which are less certain.
pub fn median_ratio_bounds(numbers: &[f64], others: &[f64]) -> [f64; 2] {
    let mut ratios = ratios(numbers, others);
    ratios.sort_by(f64::total_cmp);
    let count = ratios.len();
    // The chance that at most so many of the ratios lie under the median, as with coins.
    let (mut outside, mut term, mut under) = (0.0, 0.5_f64.powi(count as i32), 0);
    while 2.0 * (outside + term) <= 0.05 {
        outside += term;
        under += 1;
        term *= (count + 1 - under) as f64 / under as f64;
    }
    let under = under.saturating_sub(1);
    [ratios[under], ratios[count - 1 - under]]
}

fn ratios(numbers: &[f64], others: &[f64]) -> Vec<f64> {
    assert_eq!(numbers.len(), others.len(), "both of every turn");
    let pairs = numbers.iter().zip(others);
    pairs.map(|(number, other)| number / other).collect()
}

/// Samples that show the speed at a batch size: whole batches, and enough of small ones.
pub fn samples_to_time(batch: usize) -> usize {
    (2 * batch).clamp(8, batch.max(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_every_turn_and_the_first_is_not_counted() {
        let mut order = Vec::new();
        let measured = time_interleaved(2, 3, |number| {
            order.push(number);
            Ok::<_, &str>(order.len() as f64)
        });
        assert_eq!(order, [0, 1, 2, 2, 1, 0, 0, 1, 2]);
        assert_eq!(measured.unwrap(), [[6.0, 7.0], [5.0, 8.0], [4.0, 9.0]]);
        assert_eq!(time_interleaved(1, 1, |_| Err("stopped")), Err("stopped"));
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[5.0]), 5.0);
    }

    #[test]
    fn ratios_are_taken_within_a_turn() {
        // A machine that is half as fast in its second turn.
        let full = [1.0, 2.2, 1.2];
        let adaptive = [0.5, 1.1, 0.8];
        assert_eq!(median_ratio(&full, &adaptive), 2.0);
    }

    #[test]
    fn bounds_narrow_with_the_number_of_turns() {
        let bounds = |count: usize| {
            let falling: Vec<f64> = (1..=count).rev().map(|number| number as f64).collect();
            median_ratio_bounds(&falling, &vec![1.0; count])
        };
        // The order statistics of textbooks' tables of the sign test.
        for (count, expected) in [
            (1, [1.0, 1.0]),
            (5, [1.0, 5.0]),
            (6, [1.0, 6.0]),
            (8, [1.0, 8.0]),
            (9, [2.0, 8.0]),
            (12, [3.0, 10.0]),
            (20, [6.0, 15.0]),
            (40, [14.0, 27.0]),
        ] {
            assert_eq!(bounds(count), expected, "{count}");
        }
    }
}
