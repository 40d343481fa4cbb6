//! Numbers over seeds.

/// The mean of some numbers, and how far apart they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanAndSpread {
    pub mean: f64,
    /// The standard deviation with the number less one as its divisor; absent for a single number.
    pub spread: Option<f64>,
    pub count: usize,
}

impl MeanAndSpread {
    /// Of these numbers; nothing where there are none.
    pub fn from_numbers(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let numbers: Vec<f64> = numbers.into_iter().collect();
        let count = numbers.len();
        let mean = numbers.iter().sum::<f64>() / count as f64;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        (count > 0).then(|| Self {
            mean,
            spread: (count > 1).then(|| (squares / (count - 1) as f64).sqrt()),
            count,
        })
    }

    /// The mean and, where there is one, the spread.
    pub fn text(&self, decimals: usize) -> String {
        match self.spread {
            Some(spread) => format!("{:.decimals$} ± {spread:.decimals$}", self.mean),
            None => format!("{:.decimals$}", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let found = MeanAndSpread::from_numbers([2.0, 4.0, 9.0]).unwrap();
        assert_eq!((found.mean, found.count), (5.0, 3));
        // Squares of -3, -1 and 4, by two.
        assert!((found.spread.unwrap() - 13.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.text(1), "5.0 ± 3.6");
        assert_eq!(MeanAndSpread::from_numbers([2.5]).unwrap().text(2), "2.50");
        assert_eq!(MeanAndSpread::from_numbers([]), None);
    }
}
