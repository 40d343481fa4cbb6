use super::*;
use crate::presets::{CIFAR10, FASHION_MNIST};

fn labels(preset: &Preset, quick: bool, name: TableName) -> Vec<String> {
    let methods = &[];
    let plan = TablePlan {
        preset,
        quick,
        methods,
    };
    let entries = plan.entries(name);
    entries.into_iter().map(|entry| entry.label).collect()
}

#[test]
fn the_main_comparison_has_static_depths_around_the_budget() {
    let preset = FASHION_MNIST.preset(None).unwrap();
    let labels = labels(&preset, false, TableName::Conditional);
    assert_eq!(
        labels[..3],
        ["full model", "static depth 7", "static depth 8"]
    );
    let adadiff = "AdaDiff (distance), target 45 %";
    assert_eq!(labels.iter().filter(|label| *label == adadiff).count(), 1);
}

#[test]
fn every_variant_is_ablated_but_those_that_methods_need() {
    let preset = FASHION_MNIST.preset(None).unwrap();
    let labels = labels(&preset, false, TableName::Ablations);
    // Two rows of each network, and four exit rules beside the preset's.
    assert_eq!(labels.len(), 2 * (1 + variant_names().count() - 2) + 4);
    for label in [
        "all parts: full model",
        "without UAL: exit and forecast, target 56 %",
        "without timestep: full model",
        "exit rule schedule: AdaDiff (schedule), target 56 %",
    ] {
        assert!(labels.contains(&label.to_owned()), "{label}: {labels:?}");
    }
}

#[test]
fn every_solver_stands_beside_the_full_model_with_it() {
    let preset = FASHION_MNIST.preset(None).unwrap();
    let labels = labels(&preset, false, TableName::Solvers);
    // Four solvers, one of them the preset's, in three numbers of steps, full and adaptive; the
    // preset's own rows are not there twice.
    assert_eq!(labels.len(), 4 * 3 * 2);
    assert!(labels.contains(&"ddim, 16 steps: full model".to_owned()));
    assert!(labels.contains(&"unipc, 4 steps: exit and forecast, target 56 %".to_owned()));
}

#[test]
fn many_steps_are_compared_with_few_of_a_fast_solver() {
    let preset = CIFAR10.preset(None).unwrap();
    let entries = TablePlan {
        preset: &preset,
        quick: false,
        methods: &[],
    }
    .entries(TableName::Solvers);
    assert_eq!(entries[0].steps, 1000);
    assert_eq!(entries[0].published.as_ref().unwrap().figure, "FID 3.11");
    // The paper's own protocol has the paper's rule too.
    let steps: Vec<usize> = entries[..3].iter().map(|entry| entry.steps).collect();
    assert_eq!(steps, [1000; 3]);
    assert_eq!(entries[2].label, "AdaDiff, target 45 %");
    let most = entries[3..].iter().map(|entry| entry.steps).max();
    assert_eq!(most, Some(50));
}

#[test]
fn published_figures_stand_beside_the_full_network_and_adadiff_alone() {
    let preset = CIFAR10.preset(None).unwrap();
    let plan = TablePlan {
        preset: &preset,
        quick: false,
        methods: &[],
    };
    let published = |name| {
        let entries = plan.entries(name);
        let published = entries.into_iter().filter_map(|entry| entry.published);
        published
            .map(|published| published.figure)
            .collect::<Vec<_>>()
    };
    let both = ["FID 3.11", "40 to 48 % fewer layers"];
    assert_eq!(published(TableName::Unconditional), both);
    assert_eq!(published(TableName::Methods), both);
    assert!(published(TableName::Ablations).is_empty());
}

#[test]
fn the_trade_off_has_several_settings_of_every_method() {
    let preset = FASHION_MNIST.preset(None).unwrap();
    let labels = labels(&preset, false, TableName::TradeOff);
    for (start, expected) in [
        ("static depth", 5),
        ("CALM", 5),
        ("BERxiT", 5),
        ("token merging", 5),
        ("DuoDiff", 5),
        ("feature cache", 3),
    ] {
        let count = labels
            .iter()
            .filter(|label| label.starts_with(start))
            .count();
        assert_eq!(count, expected, "{start}: {labels:?}");
    }
    assert!(labels.contains(&"6 steps".to_owned()), "{labels:?}");
}

#[test]
fn methods_that_are_not_named_are_left_out() {
    let preset = FASHION_MNIST.preset(None).unwrap();
    let plan = TablePlan {
        preset: &preset,
        quick: false,
        methods: &[MethodKind::PaperRule, MethodKind::TaylorSeer],
    };
    let entries = plan.entries(TableName::Methods);
    let labels: Vec<&str> = entries.iter().map(|entry| entry.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "full model",
            "exit and forecast, target 56 %",
            "AdaDiff, one threshold (paper)",
            "TaylorSeer"
        ]
    );
    let entries = plan.entries(TableName::Conditional);
    let labels: Vec<&str> = entries.iter().map(|entry| entry.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "full model",
            "AdaDiff, target 45 %",
            "exit and forecast, target 56 %"
        ]
    );
}
