//! Presets that differ from another one in a few hyperparameters: variants that are known by name, and
//! single settings of the command line.

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use super::Preset;

/// Variants by name, and what they change.
const VARIANTS: [(&str, &str); 10] = [
    ("no-ual", include_str!("../../presets/variants/no-ual.toml")),
    (
        "no-timestep",
        include_str!("../../presets/variants/no-timestep.toml"),
    ),
    (
        "published-losses",
        include_str!("../../presets/variants/published-losses.toml"),
    ),
    (
        "token-uncertainty",
        include_str!("../../presets/variants/token-uncertainty.toml"),
    ),
    (
        "scalar-uncertainty",
        include_str!("../../presets/variants/scalar-uncertainty.toml"),
    ),
    (
        "own-heads",
        include_str!("../../presets/variants/own-heads.toml"),
    ),
    (
        "frozen-backbone",
        include_str!("../../presets/variants/frozen-backbone.toml"),
    ),
    (
        "frozen-backbone-own-heads",
        include_str!("../../presets/variants/frozen-backbone-own-heads.toml"),
    ),
    (
        "learned-exit",
        include_str!("../../presets/variants/learned-exit.toml"),
    ),
    (
        "shallow",
        include_str!("../../presets/variants/shallow.toml"),
    ),
];

/// The names of the variants that there are of every preset: `PRESET-VARIANT` is a preset, too.
pub fn variant_names() -> impl Iterator<Item = &'static str> {
    VARIANTS.iter().map(|(name, _)| *name)
}

impl Preset {
    /// The variant of this name, if there is one.
    ///
    /// # Errors
    /// Where it makes no sense of this preset.
    pub fn variant(&self, name: &str) -> Result<Option<Self>> {
        let Some((_, text)) = VARIANTS.iter().find(|(known, _)| *known == name) else {
            return Ok(None);
        };
        let mut changes: Table = toml::from_str(text)?;
        let name = format!("{}-{name}", self.name);
        changes.insert("name".to_owned(), Value::String(name));
        self.changed(changes).map(Some)
    }

    /// The preset with settings of the form `KEY=VALUE`, where the key names a hyperparameter as in
    /// `joint_training.steps` and the value is written as in a preset; quotes may be left out.
    ///
    /// # Errors
    /// Where a setting has no such form, there is no such hyperparameter, or the value makes no sense.
    pub fn with_settings(&self, settings: &[String]) -> Result<Self> {
        let mut preset = self.clone();
        for setting in settings {
            let changed = change(setting).and_then(|change| preset.changed(change));
            preset = changed.with_context(|| format!("--set {setting} cannot be used"))?;
        }
        Ok(preset)
    }

    fn changed(&self, changes: Table) -> Result<Self> {
        let mut preset: Table = toml::from_str(&self.to_toml()?)?;
        merge(&mut preset, changes);
        Self::parse(&toml::to_string(&preset)?)
    }
}

/// The change that a setting asks for.
fn change(setting: &str) -> Result<Table> {
    let (key, value) = setting
        .split_once('=')
        .context("a setting has the form KEY=VALUE, for example joint_training.steps=4000")?;
    let (key, value) = (key.trim(), value.trim());
    ensure!(
        key.split('.').all(|part| !part.is_empty()) && !value.is_empty(),
        "a setting has the form KEY=VALUE, for example joint_training.steps=4000"
    );
    let value = match toml::from_str::<Table>(&format!("value = {value}")) {
        Ok(mut table) => table.remove("value"),
        Err(_) => None,
    }
    .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut parts = key.split('.').rev().map(str::to_owned);
    let last = parts.next().unwrap_or_default();
    let innermost = Table::from_iter([(last, value)]);
    Ok(parts.fold(innermost, |inner, part| {
        Table::from_iter([(part, Value::Table(inner))])
    }))
}

/// Enters changes into a table, and into the tables in it.
fn merge(table: &mut Table, changes: Table) {
    for (key, change) in changes {
        match (table.get_mut(&key), change) {
            (Some(Value::Table(inner)), Value::Table(changes)) => merge(inner, changes),
            (_, change) => {
                table.insert(key, change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_train::{Objective, Trained};
    use adadiff_uem::{EstimatorForm, HeadForm, UncertaintyForm};

    fn variant(name: &str) -> Preset {
        let preset = Preset::fashion_mnist().unwrap();
        preset.variant(name).unwrap().unwrap()
    }

    #[test]
    fn variants_change_what_they_are_named_after() {
        let plain = Preset::fashion_mnist().unwrap();
        for name in variant_names() {
            let changed = variant(name);
            assert_eq!(changed.name, format!("fashion_mnist-{name}"));
            assert!(
                changed.model != plain.model || changed.joint_training != plain.joint_training,
                "{name} changes nothing"
            );
            assert_eq!(changed.backbone_training, plain.backbone_training);
            assert_eq!(changed.sampling, plain.sampling);
        }
        let learned = variant("learned-exit");
        assert_eq!(learned.model.estimator, EstimatorForm::Tokens);
        assert_eq!(learned.model.uncertainty, UncertaintyForm::Sample);
        assert!(learned.model.shared_estimator);
        assert_eq!(learned.joint_training.trained, Trained::Estimators);
        assert_eq!(variant("own-heads").model.heads, HeadForm::Own);
        assert_eq!(variant("shallow").model.backbone.blocks(), 3);
        let Objective::Joint { weights, .. } = variant("no-ual").joint_training.objective else {
            panic!("not the joint objective")
        };
        assert_eq!((weights.uncertainty, weights.layer_wise), (1.0, 0.0));
        assert!(plain.variant("no-such").unwrap().is_none());
    }

    #[test]
    fn settings_change_single_hyperparameters() {
        let preset = Preset::fashion_mnist().unwrap();
        let settings = [
            "joint_training.steps=40",
            "model.heads=own",
            "joint_training.objective.weights.layer_wise = 0.5",
            "name='mine'",
        ];
        let changed = preset.with_settings(&settings.map(str::to_owned)).unwrap();
        assert_eq!(changed.joint_training.steps, 40);
        assert_eq!(changed.model.heads, HeadForm::Own);
        assert_eq!(changed.name, "mine");
        let Objective::Joint { weights, .. } = changed.joint_training.objective else {
            panic!("not the joint objective")
        };
        assert_eq!(weights.layer_wise, 0.5);

        for (setting, told) in [
            ("joint_training.step=40", "unknown field `step`"),
            ("joint_training.steps=many", "invalid type"),
            ("joint_training.steps", "the form KEY=VALUE"),
            ("joint_training..steps=1", "the form KEY=VALUE"),
            ("joint_training.steps=0", "steps must be positive"),
            ("model.heads=two", "unknown variant `two`"),
        ] {
            let error = preset.with_settings(&[setting.to_owned()]).unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.starts_with(&format!("--set {setting} cannot be used"))
                    && error.contains(told),
                "{error}"
            );
        }
    }
}
