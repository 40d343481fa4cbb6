//! Medians of times that were measured in turns.

/// The middle of at least one value; of an even number of them the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
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
    assert_eq!(numbers.len(), others.len(), "both of every turn");
    let pairs = numbers.iter().zip(others);
    median(pairs.map(|(number, other)| number / other).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![5.0]), 5.0);
    }

    #[test]
    fn ratios_are_taken_within_a_turn() {
        // A machine that is half as fast in its second turn.
        let full = [1.0, 2.2, 1.2];
        let adaptive = [0.5, 1.1, 0.8];
        assert_eq!(median_ratio(&full, &adaptive), 2.0);
    }
}
