use super::*;

const EVERY_BLOCK: NonZeroUsize = NonZeroUsize::MIN;

/// An evaluation of samples with these errors and uncertainties.
fn step<const SAMPLES: usize, const BLOCKS: usize>(
    timestep: f64,
    errors: [[f32; BLOCKS]; SAMPLES],
    uncertainty: [[f32; BLOCKS]; SAMPLES],
) -> ErrorStep {
    ErrorStep {
        timestep,
        errors: errors.map(Vec::from).to_vec(),
        uncertainty: uncertainty.map(Vec::from).to_vec(),
    }
}

/// Two evaluations of samples that are all alike: near noise each block helps as much, near the image
/// the second one alone.
fn alike() -> ErrorTrace {
    let nothing_to_tell = [[0.5; 4]; 2];
    ErrorTrace {
        steps: vec![
            step(900.0, [[6.0, 4.0, 2.0, 0.0]; 2], nothing_to_tell),
            step(100.0, [[9.0, 1.0, 0.9, 0.0]; 2], nothing_to_tell),
        ],
    }
}

fn depths(allocation: &Allocation) -> Vec<(usize, usize)> {
    let windows = allocation.windows.iter();
    windows.map(|window| (window.least, window.most)).collect()
}

#[test]
fn blocks_go_where_they_help_most() {
    // One block more at 100 takes off 8, then any at 900 takes off 2, and the last two at 100 take
    // off 0.5 each, as the first of them alone is no good bargain.
    for (blocks, expected, price) in [
        (3, [(1, 1), (2, 2)], 8.0),
        (4, [(2, 2), (2, 2)], 2.0),
        (6, [(4, 4), (2, 2)], 2.0),
    ] {
        let reduction = 1.0 - f64::from(blocks) / 8.0;
        let found = allocate(&alike(), &[1.0; 2], reduction, EVERY_BLOCK).unwrap();
        assert_eq!(depths(&found), expected, "{blocks} blocks");
        assert!((found.reduction - reduction).abs() < 1e-9);
        assert!((found.price - price).abs() < 1e-6);
        assert_eq!(found.windows[0].timestep, 900.0);
    }
    // With seven blocks the last one is left over: two would be needed.
    let found = allocate(&alike(), &[1.0; 2], 1.0 / 8.0, EVERY_BLOCK).unwrap();
    assert_eq!(depths(&found), [(4, 4), (2, 2)]);
    assert_eq!(found.reduction, 0.25);
}

#[test]
fn weights_say_whose_errors_count() {
    let found = allocate(&alike(), &[10.0, 1.0], 1.0 - 3.0 / 8.0, EVERY_BLOCK).unwrap();
    assert_eq!(depths(&found), [(2, 2), (1, 1)]);
}

#[test]
fn samples_that_know_leave_and_the_others_stay() {
    // Half of the samples need one block, the others all four; their uncertainty tells which.
    let trace = ErrorTrace {
        steps: vec![step(
            500.0,
            [
                [0.0; 4],
                [8.0, 8.0, 8.0, 0.0],
                [0.0; 4],
                [8.0, 8.0, 8.0, 0.0],
            ],
            [[0.1; 4], [0.9; 4], [0.2; 4], [0.8; 4]],
        )],
    };
    let found = allocate(&trace, &[1.0], 0.375, EVERY_BLOCK).unwrap();
    let window = found.windows[0];
    assert_eq!((window.least, window.most), (1, 4));
    assert!(window.uncertainty > 0.2 && window.uncertainty <= 0.8);
    assert!((found.reduction - 0.375).abs() < 1e-9); // (1 + 4 + 1 + 4) of 16 blocks
    // Where samples are judged after every fourth block, that is of no use: all or none.
    let four = NonZeroUsize::new(4).unwrap();
    let found = allocate(&trace, &[1.0], 0.375, four).unwrap();
    assert_eq!(depths(&found), [(1, 1)]);
}

#[test]
fn senseless_budgets_and_incomplete_records_are_refused() {
    let refused = |trace: &ErrorTrace, weights: &[f64], reduction: f64| {
        allocate(trace, weights, reduction, EVERY_BLOCK).unwrap_err()
    };
    let trace = alike();
    assert_eq!(
        refused(&trace, &[1.0; 2], 1.5),
        AllocationError::Budget(1.5)
    );
    assert_eq!(
        refused(&trace, &[1.0; 2], 0.8),
        AllocationError::Unreachable {
            wished: 0.8,
            reachable: 0.75
        }
    );
    assert_eq!(refused(&trace, &[1.0], 0.5), AllocationError::Incomplete);
    let mut partial = trace.clone();
    partial.steps[1].errors[0].pop();
    assert_eq!(
        refused(&partial, &[1.0; 2], 0.5),
        AllocationError::Incomplete
    );
    assert_eq!(
        refused(&ErrorTrace::default(), &[], 0.5),
        AllocationError::Incomplete
    );
}
