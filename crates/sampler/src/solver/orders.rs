//! The orders of singlestep solvers' updates.

use serde::{Deserialize, Serialize};

use crate::SampleError;

/// Which orders the updates of a singlestep solver have; an update of order `k` takes `k` network
/// evaluations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinglestepOrders {
    /// Order 3 as long as evaluations last, then lower, so that every evaluation is used
    /// (DPM-Solver-fast).
    Fast,
    /// The same order throughout; evaluations that do not suffice for an update are not used.
    Fixed(usize),
}

impl SinglestepOrders {
    /// The order of every update of a walk with this many network evaluations.
    pub fn of_updates(self, evaluations: usize) -> Vec<usize> {
        match self {
            Self::Fast => fast_orders(3, evaluations),
            Self::Fixed(order) => vec![order; evaluations.checked_div(order).unwrap_or(0)],
        }
    }

    /// # Errors
    /// Where the order is not 1, 2 or 3, or does not leave a single update.
    pub(super) fn check(self, solver: &'static str, steps: usize) -> Result<(), SampleError> {
        let Self::Fixed(order) = self else {
            return Ok(());
        };
        check_order(solver, order)?;
        if 0 < steps && steps < order {
            return Err(SampleError::StepsBelowOrder { order, steps });
        }
        Ok(())
    }
}

/// The orders of DPM-Solver-fast (Lu et al. 2022, appendix D.3): updates of the full order, and the
/// rest of the evaluations in lower ones; with order 3 the last update is always of a lower one.
pub(super) fn fast_orders(order: usize, evaluations: usize) -> Vec<usize> {
    let (full, rest): (usize, &[usize]) = match (order, evaluations % order) {
        (3, 0) => ((evaluations / 3).saturating_sub(1), &[2, 1]),
        (_, 0) => (evaluations / order, &[]),
        (_, 1) => (evaluations / order, &[1]),
        _ => (evaluations / order, &[2]),
    };
    let mut orders = vec![order; full];
    orders.extend_from_slice(rest);
    orders
}

/// The order of a multistep solver's update to time `to`: no more than there are predicted images, and
/// falling to 1 at the end where it should. A step to time 0 is always of order 1.
pub(super) fn multistep_order(
    order: usize,
    lower_order_final: bool,
    index: usize,
    count: usize,
    to: f64,
) -> usize {
    let left = if lower_order_final {
        count - index
    } else {
        order
    };
    let most = if to == 0.0 { 1 } else { order };
    most.min(left).min(index + 1)
}

/// # Errors
/// Where the order is not 1, 2 or 3.
pub(super) fn check_order(solver: &'static str, order: usize) -> Result<(), SampleError> {
    match order {
        1..=3 => Ok(()),
        _ => Err(SampleError::Order { solver, order }),
    }
}

/// # Errors
/// Where the bound is not above 0.
pub(super) fn check_bound(bound: Option<f64>) -> Result<(), SampleError> {
    match bound {
        Some(bound) if bound > 0.0 => Ok(()),
        Some(bound) => Err(SampleError::DataBound(bound)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_orders_are_the_published_ones() {
        let expected: [&[usize]; 8] = [
            &[1],
            &[2],
            &[2, 1],
            &[3, 1],
            &[3, 2],
            &[3, 2, 1],
            &[3, 3, 1],
            &[3, 3, 2],
        ];
        for (evaluations, expected) in (1..).zip(expected) {
            assert_eq!(SinglestepOrders::Fast.of_updates(evaluations), expected);
        }
        assert_eq!(fast_orders(2, 4), [2, 2]);
        assert_eq!(fast_orders(2, 5), [2, 2, 1]);
        assert_eq!(fast_orders(1, 3), [1, 1, 1]);
    }

    #[test]
    fn fast_orders_use_every_evaluation() {
        for order in 1..=3 {
            for evaluations in 1..40 {
                let orders = fast_orders(order, evaluations);
                assert_eq!(orders.iter().sum::<usize>(), evaluations);
            }
        }
    }

    #[test]
    fn a_fixed_order_drops_what_does_not_suffice() {
        assert_eq!(SinglestepOrders::Fixed(3).of_updates(11), [3, 3, 3]);
        assert!(SinglestepOrders::Fixed(2).of_updates(1).is_empty());
        assert!(SinglestepOrders::Fixed(0).of_updates(5).is_empty());
        let check = |order, steps| SinglestepOrders::Fixed(order).check("this", steps);
        assert_eq!(check(3, 3), Ok(()));
        let error = SampleError::StepsBelowOrder { order: 3, steps: 2 };
        assert_eq!(check(3, 2), Err(error));
        for order in [0, 4] {
            let error = SampleError::Order {
                solver: "this",
                order,
            };
            assert_eq!(check(order, 10), Err(error));
        }
    }
}
