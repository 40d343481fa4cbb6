//! What charts have in common.

/// At most `shown` of the numbers below `count`, evenly spread from the first to the last.
pub fn spread_over(count: usize, shown: usize) -> Vec<usize> {
    let shown = shown.min(count);
    if shown < 2 {
        return (0..shown).collect();
    }
    let place = |index: usize| (index * (count - 1) + (shown - 1) / 2) / (shown - 1);
    (0..shown).map(place).collect()
}

/// Values with their numbers, counted from one.
pub fn numbered<T>(values: &[T]) -> impl Iterator<Item = (f64, &T)> {
    (1_u32..).map(f64::from).zip(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_many_reach_from_the_first_to_the_last() {
        assert_eq!(spread_over(20, 6), [0, 4, 8, 11, 15, 19]);
        assert_eq!(spread_over(3, 6), [0, 1, 2]);
        assert_eq!(spread_over(1, 6), [0]);
        assert_eq!(spread_over(0, 6), [0; 0]);
    }
}
