//! What a user asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the share of blocks to skip is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetTarget {
    /// To be so many times as fast as the full network; above 1.
    Speedup(f64),
    /// To be at most so far above the full network's Fréchet distance.
    FdIncrease(FdIncrease),
}

/// How far a Fréchet distance may exceed the full network's; not negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FdIncrease {
    /// By so much.
    Absolute(f64),
    /// By so many hundredths of it.
    Percent(f64),
}

impl FdIncrease {
    /// The largest distance that is allowed, given the full network's.
    pub fn limit(self, full: f64) -> f64 {
        match self {
            Self::Absolute(increase) => full + increase,
            Self::Percent(percent) => full * (1.0 + percent / 100.0),
        }
    }
}

/// As `5%` or `1.5`.
impl FromStr for FdIncrease {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, percent) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), true),
            None => (text, false),
        };
        match number.parse::<f64>() {
            Ok(number) if number >= 0.0 && number.is_finite() => Ok(if percent {
                Self::Percent(number)
            } else {
                Self::Absolute(number)
            }),
            _ => Err(
                "write a share of the full network's distance, for example 5%, or a \
                 difference, for example 1.5"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for FdIncrease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(increase) => write!(formatter, "{increase}"),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increases_are_shares_or_differences() {
        let increase: FdIncrease = "5%".parse().unwrap();
        assert_eq!(increase, FdIncrease::Percent(5.0));
        assert_eq!(increase.limit(40.0), 42.0);
        let increase: FdIncrease = "1.5".parse().unwrap();
        assert_eq!(increase.limit(40.0), 41.5);
        assert_eq!(increase.to_string(), "1.5");
        for text in ["-1", "%", "nan", "inf%", "5 percent"] {
            assert!(text.parse::<FdIncrease>().is_err(), "{text}");
        }
    }
}
