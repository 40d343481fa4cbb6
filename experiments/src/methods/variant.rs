//! What distinguishes a network from AdaDiff as the paper has it.

use adadiff_train::{LossForm, Objective, Trained};
use adadiff_uem::{EstimatorForm, HeadForm, UncertaintyForm};

use crate::presets::Preset;

/// What distinguishes the network of a preset from AdaDiff as the paper has it, in the words of a
/// table; nothing where nothing does.
pub fn variant(preset: &Preset) -> Option<String> {
    let model = &preset.model;
    let mut words = Vec::new();
    if model.heads == HeadForm::Own {
        words.push("own heads");
    }
    if preset.joint_training.trained == Trained::Estimators {
        words.push("frozen backbone");
    }
    match model.uncertainty {
        UncertaintyForm::Map => {}
        UncertaintyForm::Token => words.push("uncertainty per token"),
        UncertaintyForm::Sample => words.push("scalar uncertainty"),
    }
    if model.shared_estimator {
        words.push("one estimator");
    }
    if model.estimator == EstimatorForm::Tokens {
        words.push("without timestep");
    }
    if let Objective::Joint { form, weights } = preset.joint_training.objective {
        if form == LossForm::Published {
            words.push("published losses");
        }
        if weights.layer_wise == 0.0 {
            words.push("without UAL");
        }
    }
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_told_by_what_they_change() {
        let preset = Preset::fashion_mnist().unwrap();
        assert_eq!(variant(&preset), None);
        for (name, words) in [
            ("own-heads", "own heads"),
            ("frozen-backbone", "frozen backbone, without UAL"),
            ("scalar-uncertainty", "scalar uncertainty"),
            ("no-timestep", "without timestep"),
            ("published-losses", "published losses"),
            ("no-ual", "without UAL"),
        ] {
            let changed = preset.variant(name).unwrap().unwrap();
            assert_eq!(variant(&changed).as_deref(), Some(words));
        }
    }
}
