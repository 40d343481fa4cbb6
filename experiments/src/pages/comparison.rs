//! Whether one number is smaller than another, given how far both vary over seeds.

use crate::results::{MeanAndSpread, ResultRow};

/// Two Fréchet distances beside each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The one that is said to be smaller.
    pub first: MeanAndSpread,
    pub second: MeanAndSpread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Smaller,
    Larger,
    /// Seeds differ by as much, or there is one seed only.
    Unclear,
}

/// Standard errors that a difference has to exceed.
const ERRORS: f64 = 2.0;

impl Comparison {
    /// Of the distances of two methods' rows; nothing where either has none.
    pub fn new(first: &[&ResultRow], second: &[&ResultRow]) -> Option<Self> {
        let distance = |rows: &[&ResultRow]| {
            MeanAndSpread::from_numbers(rows.iter().map(|row| row.frechet_distance))
        };
        Some(Self {
            first: distance(first)?,
            second: distance(second)?,
        })
    }

    /// Which is smaller: by more than two standard errors of the difference, or neither.
    pub fn order(&self) -> Order {
        let variance = |number: MeanAndSpread| {
            let spread = number.spread?;
            Some(spread.powi(2) / number.count as f64)
        };
        let (Some(first), Some(second)) = (variance(self.first), variance(self.second)) else {
            return Order::Unclear;
        };
        let difference = self.second.mean - self.first.mean;
        let error = (first + second).sqrt();
        match difference.abs() > ERRORS * error {
            false => Order::Unclear,
            true if difference > 0.0 => Order::Smaller,
            true => Order::Larger,
        }
    }

    /// The first over the second.
    pub fn ratio(&self) -> f64 {
        self.first.mean / self.second.mean
    }
}

/// A number with two decimals and its spread.
pub fn mean_and_spread(number: MeanAndSpread) -> String {
    number.text(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(first: &[f64], second: &[f64]) -> Order {
        let numbers =
            |numbers: &[f64]| MeanAndSpread::from_numbers(numbers.iter().copied()).unwrap();
        Comparison {
            first: numbers(first),
            second: numbers(second),
        }
        .order()
    }

    #[test]
    fn differences_within_the_spread_decide_nothing() {
        assert_eq!(order(&[4.0, 4.2, 4.4], &[5.0, 5.2, 5.4]), Order::Smaller);
        assert_eq!(order(&[5.0, 5.2, 5.4], &[4.0, 4.2, 4.4]), Order::Larger);
        assert_eq!(order(&[4.0, 5.0, 6.0], &[4.5, 5.5, 6.5]), Order::Unclear);
    }

    #[test]
    fn one_seed_decides_nothing() {
        assert_eq!(order(&[4.0], &[40.0]), Order::Unclear);
    }
}
