use super::*;

fn flaw(name: &str, data: TensorData) -> Option<(Flaw, usize)> {
    match checked(name, data) {
        Ok(_) => None,
        Err(bad) => {
            assert_eq!(bad.name, name);
            Some((bad.flaw, bad.count))
        }
    }
}

#[test]
fn what_no_network_can_compute_with_is_told() {
    let single = |values: [f32; 3]| TensorData::new(values.to_vec(), [3]);
    let double = |values: [f64; 3]| TensorData::new(values.to_vec(), [3]);
    let nan = Some((Flaw::NotANumber, 1));
    assert_eq!(flaw("a", single([0.0, f32::NAN, 1.0])), nan);
    assert_eq!(flaw("a", single([f32::INFINITY, f32::NAN, 1.0])), nan);
    let infinite = Some((Flaw::Infinite, 2));
    assert_eq!(
        flaw("a", single([f32::INFINITY, 0.0, f32::NEG_INFINITY])),
        infinite
    );
    let large = Some((Flaw::TooLarge, 2));
    assert_eq!(flaw("a", double([1e300, 0.0, -3.5e38])), large);
    assert_eq!(flaw("a", double([3.4e38, 1e-300, -1.0])), None);
    let half = single([f32::NAN; 3]).convert_dtype(DType::F16);
    assert_eq!(flaw("a", half), Some((Flaw::NotANumber, 3)));
    let brain = single([0.0, 1e38, f32::INFINITY]).convert_dtype(DType::BF16);
    assert_eq!(flaw("a", brain), Some((Flaw::Infinite, 1)));
}

#[test]
fn only_variances_must_not_be_below_zero() {
    let data = || TensorData::new(vec![-1e-9f32, 0.0, 1.0], [3]);
    assert_eq!(flaw("bn.running_mean", data()), None);
    let negative = Some((Flaw::NegativeVariance, 1));
    assert_eq!(flaw("bn.running_var", data()), negative);
    let zeros = TensorData::new(vec![0.0f32, -0.0], [2]);
    assert_eq!(flaw("bn.running_var", zeros), None);
}

#[test]
fn sound_values_become_single_precision() {
    let data = TensorData::new(vec![1.0f64, 0.1], [2]);
    let found = checked("a", data).unwrap();
    assert_eq!(found.as_slice::<f32>().unwrap(), [1.0, 0.1]);
}
